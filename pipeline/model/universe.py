"""What a profile watches: symbols, pairs, timeframes and each pair's primary model."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.errors import UsageError
from pipeline.model.pair import Pair


class Method(StrEnum):
    """Ways to estimate a hedge ratio."""

    OLS = "ols"
    HUBER = "huber"
    THEIL_SEN = "theil_sen"
    TLS = "tls"
    MIN_HALF_LIFE = "min_half_life"


class Scale(StrEnum):
    """Whether a spread is taken on prices or on their logarithms."""

    PRICE = "price"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class PairSpec:
    """A configured pair and its primary model: the one that is live."""

    pair: Pair
    method: Method = Method.OLS
    lookback: int = 500
    scale: Scale = Scale.PRICE


@dataclass(frozen=True, slots=True)
class Universe:
    """Symbols that capture follows, and pairs that are modelled. ``version`` grows with every change.

    ``uploaded`` are further symbols whose data a user has brought: they can be legs of pairs and be screened, but no venue feeds them.
    """

    symbols: tuple[str, ...]
    pairs: tuple[PairSpec, ...] = field(default=())
    version: int = 0
    uploaded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for spec in self.pairs:
            for leg in (spec.pair.y, spec.pair.x):
                if leg not in self.known:
                    msg = f"pair {spec.pair} needs {leg}, which is not among the symbols; add the symbol first"
                    raise UsageError(msg)

    @property
    def known(self) -> tuple[str, ...]:
        """Every symbol that there are bars of: those that are followed, then the uploaded ones."""
        return self.symbols + tuple(symbol for symbol in self.uploaded if symbol not in self.symbols)

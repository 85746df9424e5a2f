"""The simulated universe: instruments, what drives each of them, and the relations that are planted between them.

Names, tick sizes, lot sizes and price levels are those of Binance's USD-M perpetuals when BTCUSDT stood near 60,000.
Nothing else about them is real.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GENESIS_HOUR = 438_288
"""Hour since the epoch at which trading begins: 2020-01-01 00:00 UTC."""

FACTORS = ("market", "layer1", "payment", "defi", "meme")


class Relation(StrEnum):
    """What two symbols have to do with each other."""

    COINTEGRATED = "cointegrated"
    CORRELATED = "correlated"
    BREAKING = "breaking"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True)
class Driver:
    """A price of its own: ``level * exp(sum of loading * factor walk + own * own walk)``.

    Loadings and ``own`` are standard deviations of an hour's log return, in percent.
    """

    market: float
    own: float
    sector: str = ""
    sector_loading: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """A price that hangs on another: ``y = alpha + beta * x + spread``, in prices.

    ``spread`` is a stationary OU process with the given half-life in seconds; its standard deviation is
    ``spread_bp`` basis points of y's level. ``breaks``: at times the spread leaves for some hours.
    """

    x: str
    beta: float
    half_life_s: float
    spread_bp: float
    breaks: bool = False


@dataclass(frozen=True, slots=True)
class Instrument:
    """How a symbol's numbers are written: integers in units of the last printed decimal.

    ``tick_units`` and ``lot_units`` are the smallest steps in those units (BTCUSDT prints 2 decimals and ticks by 0.10: 10).
    """

    symbol: str
    price_decimals: int
    tick_units: int
    qty_decimals: int
    lot_units: int = 1

    @property
    def base(self) -> str:
        """Base asset, such as BTC."""
        return self.symbol.removesuffix("USDT")


@dataclass(frozen=True, slots=True)
class Spec:
    """One simulated symbol. ``rate`` is aggregate trades per second on average, ``notional`` the median trade in USDT."""

    instrument: Instrument
    level: float
    rate: float
    notional: float
    made_of: Driver | Link

    @property
    def symbol(self) -> str:
        """Name of the symbol."""
        return self.instrument.symbol


@dataclass(frozen=True, slots=True)
class Planted:
    """A relation that is true by construction. ``beta`` and ``half_life_s`` are None where none exists."""

    y: str
    x: str
    beta: float | None
    half_life_s: float | None
    kind: Relation

    def __str__(self) -> str:
        facts = "" if self.beta is None else f"  beta {self.beta:g}  half-life {self.half_life_s:g} s"
        return f"{self.y + '/' + self.x:<24}{self.kind.value:<14}{facts}".rstrip()


def _spec(  # noqa: PLR0917  a row of the table below
    symbol: str, level: float, decimals: tuple[int, int, int], rate: float, notional: float, made_of: Driver | Link
) -> Spec:
    price_decimals, tick_units, qty_decimals = decimals
    return Spec(Instrument(symbol, price_decimals, tick_units, qty_decimals), level, rate, notional, made_of)


# symbol, level, (price decimals, tick in last decimals, quantity decimals), trades/s, median notional, price
SPECS: tuple[Spec, ...] = (
    _spec("BTCUSDT", 60_000.0, (2, 10, 3), 5.0, 900.0, Driver(0.40, 0.12)),
    _spec("ETHUSDT", 2_650.0, (2, 1, 3), 4.0, 600.0, Link("BTCUSDT", 0.045, 480.0, 12.0)),
    _spec("SOLUSDT", 145.0, (4, 100, 2), 2.8, 400.0, Driver(0.45, 0.25, "layer1", 0.25)),
    _spec("BNBUSDT", 580.0, (3, 10, 2), 1.6, 350.0, Driver(0.38, 0.22)),
    _spec("XRPUSDT", 0.58, (4, 1, 1), 2.0, 300.0, Driver(0.32, 0.18, "payment", 0.40)),
    _spec("DOGEUSDT", 0.105, (5, 1, 0), 1.8, 200.0, Link("1000SHIBUSDT", 5.5, 600.0, 16.0, breaks=True)),
    _spec("1000SHIBUSDT", 0.0145, (6, 1, 0), 1.2, 150.0, Driver(0.45, 0.30, "meme", 0.40)),
    _spec("ADAUSDT", 0.38, (5, 10, 0), 1.3, 180.0, Driver(0.40, 0.25, "layer1", 0.25)),
    _spec("TRXUSDT", 0.13, (5, 1, 0), 1.0, 180.0, Driver(0.0, 0.35)),
    _spec("AVAXUSDT", 25.0, (4, 10, 1), 1.3, 180.0, Link("SOLUSDT", 0.15, 1_200.0, 26.0)),
    _spec("LINKUSDT", 11.5, (3, 1, 2), 1.2, 180.0, Driver(0.40, 0.28, "defi", 0.25)),
    _spec("DOTUSDT", 4.3, (3, 1, 1), 1.1, 150.0, Link("ATOMUSDT", 0.85, 1_500.0, 40.0)),
    _spec("LTCUSDT", 65.0, (2, 1, 3), 1.3, 200.0, Link("BCHUSDT", 0.16, 900.0, 22.0)),
    _spec("BCHUSDT", 350.0, (2, 1, 3), 1.2, 200.0, Driver(0.38, 0.28)),
    _spec("NEARUSDT", 4.4, (3, 1, 0), 1.1, 150.0, Driver(0.45, 0.20, "layer1", 0.42)),
    _spec("SUIUSDT", 1.05, (6, 100, 1), 1.3, 170.0, Driver(0.45, 0.20, "layer1", 0.42)),
    _spec("APTUSDT", 6.4, (5, 100, 1), 1.0, 150.0, Driver(0.42, 0.30, "layer1", 0.20)),
    _spec("INJUSDT", 20.0, (3, 1, 1), 1.0, 140.0, Link("APTUSDT", 2.6, 1_500.0, 36.0)),
    _spec("ARBUSDT", 0.60, (6, 100, 1), 1.1, 150.0, Driver(0.42, 0.30, "defi", 0.20)),
    _spec("OPUSDT", 1.55, (7, 1_000, 1), 1.1, 150.0, Link("ARBUSDT", 2.4, 720.0, 26.0)),
    _spec("UNIUSDT", 6.8, (4, 10, 0), 1.0, 150.0, Link("AAVEUSDT", 0.042, 900.0, 20.0, breaks=True)),
    _spec("AAVEUSDT", 140.0, (3, 10, 1), 1.0, 170.0, Driver(0.40, 0.28, "defi", 0.30)),
    _spec("XLMUSDT", 0.095, (5, 1, 0), 1.0, 120.0, Driver(0.30, 0.18, "payment", 0.42)),
    _spec("ATOMUSDT", 4.6, (3, 1, 2), 1.0, 140.0, Driver(0.40, 0.30)),
    _spec("FILUSDT", 3.9, (3, 1, 1), 1.0, 140.0, Driver(0.42, 0.32)),
    _spec("ETCUSDT", 19.0, (3, 1, 2), 1.0, 140.0, Driver(0.42, 0.30)),
)

BY_SYMBOL: dict[str, Spec] = {spec.symbol: spec for spec in SPECS}


def truth() -> tuple[Planted, ...]:
    """What is planted: linked pairs with their beta (in prices) and half-life, then pairs that only look or do not even look alike."""
    linked = tuple(
        Planted(
            spec.symbol,
            spec.made_of.x,
            spec.made_of.beta,
            spec.made_of.half_life_s,
            Relation.BREAKING if spec.made_of.breaks else Relation.COINTEGRATED,
        )
        for spec in SPECS
        if isinstance(spec.made_of, Link)
    )
    correlated = (("XLMUSDT", "XRPUSDT"), ("SUIUSDT", "NEARUSDT"), ("BNBUSDT", "BTCUSDT"))
    unrelated = (("TRXUSDT", "BTCUSDT"), ("TRXUSDT", "ETCUSDT"), ("TRXUSDT", "XRPUSDT"))
    return (
        *sorted(linked, key=lambda planted: planted.kind is Relation.BREAKING),
        *(Planted(y, x, None, None, Relation.CORRELATED) for y, x in correlated),
        *(Planted(y, x, None, None, Relation.UNRELATED) for y, x in unrelated),
    )

"""What is asked of a pair: legs, stretch of bars, model, windows; as the form, the address and a download have it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pipeline.analytics.kalman_fit import START
from pipeline.errors import UsageError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Method, Scale
from pipeline.settings import Settings

N = TypeVar("N", int, float)

LEAST_BARS, MOST_BARS = 30, 20_000
MOST_WINDOW = 10_000
KALMAN = "kalman"
METHODS = {
    Method.OLS.value: "OLS",
    Method.HUBER.value: "Huber",
    Method.THEIL_SEN.value: "Theil-Sen",
    Method.TLS.value: "TLS",
    Method.MIN_HALF_LIFE.value: "Least half-life",
    KALMAN: "Kalman",
}
"""Ways to a hedge ratio, by the name that the address has."""

_MOST_BY_METHOD = {Method.THEIL_SEN.value: 5_000}
HEDGE_WINDOW = 120
ENTRY, LEAVE = 2.0, 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What to compute.

    Attributes:
        pair: the legs.
        timeframe: bar length.
        lookback: bars up to the newest complete one, unless there is a range.
        zscore_window: bars of the rolling z-score.
        correlation_window: returns of the rolling correlation.
        max_fill: bars over which a close is carried forward.
        method: a key of ``METHODS``; with a model, its own.
        scale: ``price`` or ``log``; with a model, its own.
        significance: level of the verdict.
        start: first bar time; given with ``end`` or not at all.
        end: bars before it.
        hedge_window: bars of the rolling hedge ratio.
        least_volume: quote volume that a bar must have; thinner ones are left out and the last close is carried forward.
        model_id: a stored model whose beta is used in place of a new fit; empty for a new fit.
    """

    pair: Pair
    timeframe: Timeframe
    lookback: int
    zscore_window: int
    correlation_window: int
    max_fill: int
    method: str = Method.OLS.value
    scale: str = Scale.PRICE.value
    significance: float = 0.05
    start: datetime | None = None
    end: datetime | None = None
    hedge_window: int = HEDGE_WINDOW
    least_volume: float = 0.0
    model_id: str = ""

    @property
    def bars(self) -> int:
        """Bars that the stretch can have at most."""
        if self.start is None or self.end is None:
            return self.lookback
        return max(0, math.ceil((self.end - self.start).total_seconds() / self.timeframe.seconds))

    @property
    def lead(self) -> int:
        """Bars before the stretch that windows look back on, so that its first bar has them full."""
        return max(self.zscore_window, self.correlation_window + 1, self.hedge_window, START)

    def check(self) -> None:
        """Raise UsageError when it means nothing or is too much."""
        if (self.start is None) is not (self.end is None):
            msg = "a range has a begin and an end; give both, or neither for the newest bars"
            raise UsageError(msg)
        if self.start is not None and self.end is not None and self.start >= self.end:
            msg = f"the range ends at {self.end:%Y-%m-%d %H:%M}, before it begins at {self.start:%Y-%m-%d %H:%M}; exchange them"
            raise UsageError(msg)
        if self.bars < LEAST_BARS:
            msg = f"{self.bars:,} bars of {self.timeframe} are asked for; at least {LEAST_BARS} are needed; widen the range"
            raise UsageError(msg)
        most = _MOST_BY_METHOD.get(self.method, MOST_BARS)
        if self.bars > most:
            name = METHODS.get(self.method, self.method)
            msg = (
                f"{self.bars:,} bars of {self.timeframe} are asked for; {name} takes at most {most:,} at once;"
                " shorten the range, or choose a longer timeframe"
            )
            raise UsageError(msg)
        if self.method not in METHODS:
            msg = f"method {self.method!r} is not known; expected one of {', '.join(METHODS)}"
            raise UsageError(msg)
        if self.scale not in set(Scale):
            msg = f"scale {self.scale!r} is not known; expected price or log"
            raise UsageError(msg)
        for name, window in (("z window", self.zscore_window), ("hedge window", self.hedge_window)):
            if not 3 <= window <= MOST_WINDOW:
                msg = f"the {name} is {window:,} bars; expected 3 to {MOST_WINDOW:,}"
                raise UsageError(msg)
        if not 0.0 <= self.least_volume < math.inf:
            msg = f"the least quote volume is {self.least_volume:g}; expected 0 or more"
            raise UsageError(msg)


def address_of(order: Order) -> dict[str, str]:
    """An order as the query of an address; ``parse_order`` takes it. Settings that are not chosen in the page are left out."""
    parts = {
        "pair": str(order.pair),
        "timeframe": order.timeframe.name,
        "lookback": str(order.lookback),
        "window": str(order.zscore_window),
        "hedge": str(order.hedge_window),
        "method": order.method,
        "scale": order.scale,
    }
    if order.start is not None and order.end is not None:
        parts |= {"from": time_address(order.start), "to": time_address(order.end)}
    if order.least_volume:
        parts["least"] = f"{order.least_volume:.15g}"
    if order.model_id:
        parts["model"] = order.model_id
    return parts


def parse_order(query: Mapping[str, str], settings: Settings) -> Order:
    """An order from the query of an address; what is missing is as the settings have it.

    Raises:
        UsageError: when something in it cannot be understood.
    """
    order = Order(
        pair=Pair.parse(query.get("pair", "")),
        timeframe=Timeframe.parse(query.get("timeframe", "1m")),
        lookback=_number(query, "lookback", settings.lookback, int),
        zscore_window=_number(query, "window", settings.zscore_window, int),
        correlation_window=settings.correlation_window,
        max_fill=settings.max_fill,
        method=query.get("method") or Method.OLS.value,
        scale=query.get("scale") or Scale.PRICE.value,
        significance=settings.adf_significance,
        start=_time(query, "from"),
        end=_time(query, "to"),
        hedge_window=_number(query, "hedge", HEDGE_WINDOW, int),
        least_volume=_number(query, "least", 0.0, float),
        model_id=query.get("model", ""),
    )
    order.check()
    return order


def thresholds_of(query: Mapping[str, str]) -> tuple[float, float]:
    """The thresholds of a query at which the z-score enters and leaves.

    Raises:
        UsageError: when one of them is no number.
    """
    return _number(query, "entry", ENTRY, float), _number(query, "exit", LEAVE, float)


def time_address(time: datetime) -> str:
    """A UTC time as an address has it."""
    return f"{time:%Y-%m-%dT%H:%M:%S}" + (f".{time.microsecond:06d}" if time.microsecond else "") + "Z"


def _number(query: Mapping[str, str], name: str, default: N, kind: Callable[[str], N]) -> N:
    text = query.get(name, "")
    try:
        return kind(text) if text else default
    except ValueError:
        msg = f"{name} is {text!r}; expected a number"
        raise UsageError(msg) from None


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{name} is {text!r}; expected a time with its zone, such as 2024-08-08T12:00Z"
        raise UsageError(msg) from None
    if time.tzinfo is None:
        msg = f"{name} is {text!r}, without a zone; expected one, such as 2024-08-08T12:00Z"
        raise UsageError(msg)
    return time

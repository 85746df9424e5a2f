"""The live statistics of a pair, computed again at every trade: what is past is aligned once a bar, only the newest row is made anew."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.alerts import Metric
from pipeline.analytics import align
from pipeline.analytics.latest import latest_correlation, latest_log_returns, latest_zscore
from pipeline.bars import Book
from pipeline.errors import NotFinite
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Scale
from pipeline.warehouse.signals import SignalWindows


@dataclass(frozen=True, slots=True)
class Rows:
    """The newest aligned rows of a pair, as many as the longest window has: open times and closes, the newest last."""

    ts: list[int]
    y: list[float]
    x: list[float]


@dataclass(slots=True)
class _Past:
    """Rows before the bar of the moment, and what they were made from; ``returns`` once a correlation was asked for."""

    end_us: int
    made_from: tuple[int, int]
    rows: Rows


class PairRows:
    """Aligned rows of the pairs that rules watch."""

    def __init__(self, book: Book, windows: SignalWindows) -> None:
        self._book = book
        self._windows = windows
        self._past: dict[tuple[Pair, Timeframe], _Past] = {}

    def rows(self, pair: Pair, frame: Timeframe, end_us: int, *, keep: bool) -> Rows | None:
        """Rows up to the bar that ends at ``end_us``; None when that bar has none: a leg is silent for longer than may be filled.

        Args:
            pair: the pair.
            frame: the timeframe.
            end_us: end of the newest bar that is looked at.
            keep: whether the same end will be asked for again, so that what lies before the newest bar is worth keeping.
        """
        now_us = end_us - frame.us
        y, x = self._book.last_close(pair.y, frame, end_us), self._book.last_close(pair.x, frame, end_us)
        reach_us = self._windows.max_fill * frame.us
        if y is None or x is None or now_us - y[0] > reach_us or now_us - x[0] > reach_us:
            return None
        past = self._before(pair, frame, now_us, keep=keep)
        return Rows([*past.ts, now_us], [*past.y, y[1]], [*past.x, x[1]])

    def _before(self, pair: Pair, frame: Timeframe, end_us: int, *, keep: bool) -> Rows:
        made_from = (self._book.past(pair.y, frame), self._book.past(pair.x, frame))
        known = self._past.get((pair, frame))
        if known is not None and known.end_us == end_us and known.made_from == made_from:
            return known.rows
        y, x = self._book.closes(pair.y, frame, end_us), self._book.closes(pair.x, frame, end_us)
        legs = align(*y, *x, frame.us, self._windows.max_fill, end_us=end_us)
        least = self._windows.rows - 1
        rows = Rows(*(column[-least:].tolist() for column in (legs.ts, legs.y, legs.x)))
        if keep:
            self._past[pair, frame] = _Past(end_us, made_from, rows)
        return rows


def pair_value(metric: Metric, rows: Rows, beta: float, scale: Scale, windows: SignalWindows) -> tuple[float | None, int, str]:
    """A pair's statistic in its newest row, the rows it looked at, and why it has no value.

    Raises:
        NotFinite: when a price has no logarithm.
    """
    have = len(rows.ts)
    if metric is Metric.SPREAD:
        return _spread(rows.y[-1], rows.x[-1], beta, scale), 1, ""
    if metric is Metric.ZSCORE:
        count = windows.zscore
        if have < count:
            return None, have, f"its window of {count} bars is not full yet"
        spreads = [_spread(y, x, beta, scale) for y, x in zip(rows.y[-count:], rows.x[-count:], strict=True)]
        value = latest_zscore(spreads)
        return value, count, "" if value is not None else "the spread stands still in its whole window"
    count = windows.correlation + 1
    if have < count:
        return None, have, f"its window of {count} bars is not full yet"
    value = latest_correlation(latest_log_returns(rows.y[-count:]), latest_log_returns(rows.x[-count:]))
    return value, count, "" if value is not None else "a leg stands still in its whole window"


def _spread(y: float, x: float, beta: float, scale: Scale) -> float:
    if scale is Scale.PRICE:
        return y - beta * x
    if y <= 0.0 or x <= 0.0:
        msg = f"a close of {min(y, x):g} has no logarithm"
        raise NotFinite(msg)
    return math.log(y) - beta * math.log(x)

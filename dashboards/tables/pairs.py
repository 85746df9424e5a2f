"""A pair as it is now: its live model, its stored signals, and the value of the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.hub import Moment
from dashboards.tables.bars import is_past, window
from pipeline.analytics import Aligned, align, signal_series
from pipeline.errors import AnalyticsError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.bars import load_common_bars, load_last_bars
from pipeline.store.signals import last_signals, live_model, load_signals

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Model:
    """A stored model. None where a statistic is not defined."""

    model_id: str
    method: str
    scale: str
    lookback: int
    n: int
    fitted_at: datetime
    active_from: datetime | None
    window_start: datetime
    window_end: datetime
    alpha: float | None
    beta: float | None
    r_squared: float | None
    adf_stat: float | None
    adf_p: float | None
    eg_stat: float | None
    eg_p: float | None
    half_life: float | None
    hurst: float | None
    notes: str


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Complete bars up to the moving one, all under the model that is live now: a look back, not a track record.

    Stored signals are each under the model of their time; this is one continuous line under one beta.
    """

    model_id: str
    until_ms: float
    ts: FloatArray
    spread: FloatArray
    zscore: FloatArray
    correlation: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PairNow:
    """One pair and timeframe.

    Attributes:
        pair: the legs.
        timeframe: bar length.
        model: the live model; None when the pair has none.
        ts: open times of the stored signals, in milliseconds.
        spread: spread of complete bars under the model that was live then.
        zscore: its z-score.
        correlation: of one-bar log returns.
        now_ms: open time of the bar that is moving; None when there is no model or no bar, or the signals are of the past.
        now_spread: its spread so far under the live model, and so on: provisional, never stored.
        now_zscore: its z-score so far.
        now_correlation: its correlation so far.
        past: complete bars under the live model; None without a model.
        legs: closes of both legs, for the newest bar of the grid; None when there is none.
    """

    pair: Pair
    timeframe: Timeframe
    model: Model | None
    ts: FloatArray
    spread: FloatArray
    zscore: FloatArray
    correlation: FloatArray
    now_ms: float | None
    now_spread: float | None
    now_zscore: float | None
    now_correlation: float | None
    past: Past | None
    legs: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class PairTopic:
    """A pair's live model, newest signals and value of the moment; the signals around a moment that lies before them, when there is one."""

    pair: Pair
    timeframe: Timeframe
    zscore_window: int
    correlation_window: int
    max_fill: int
    around: datetime | None = None
    count: int = 500
    every_s: float = 0.9
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The pair now."""
        if warehouse is None or moment is None:
            return before
        row = live_model(warehouse, self.pair, self.timeframe)
        model = Model(**{name: row[name] for name in Model.__slots__}) if row else None
        past = self.around is not None and is_past(self.around, moment, self.timeframe, self.count)
        if self.around is not None and past:
            start, end = window(self.around, self.timeframe, self.count)
            stored = load_signals(warehouse, self.pair, self.timeframe, start=start, end=end)
        else:
            stored = last_signals(warehouse, self.pair, self.timeframe, self.count)
        legs = load_legs(warehouse, self.pair, self.timeframe, self._bars_needed, self.max_fill)
        now = self._provisional(model, legs)
        ts = stored["ts"].dt.epoch("ms").to_numpy().astype(np.float64)
        now_ms = float(legs.ts[-1] / 1000) if len(legs) and model and not past else None
        return PairNow(
            pair=self.pair,
            timeframe=self.timeframe,
            model=model,
            ts=ts,
            spread=_floats(stored["spread"].to_numpy()),
            zscore=_floats(stored["zscore"].to_numpy()),
            correlation=_floats(stored["correlation"].to_numpy()),
            now_ms=now_ms,
            now_spread=now[0],
            now_zscore=now[1],
            now_correlation=now[2],
            past=self._past(warehouse, model, now_ms, before.past if before else None),
            legs=(float(legs.y[-1]), float(legs.x[-1])) if len(legs) else None,
        )

    def _past(self, warehouse: Warehouse, model: Model | None, until_ms: float | None, known: Past | None) -> Past | None:
        """Computed anew only when a bar or a model is new."""
        if model is None or model.beta is None or until_ms is None:
            return None
        if known is not None and known.model_id == model.model_id and known.until_ms == until_ms:
            return known
        legs = load_legs(warehouse, self.pair, self.timeframe, self.count + self._bars_needed, self.max_fill)
        upto = int(np.searchsorted(legs.ts, until_ms * 1000))
        try:
            found = signal_series(
                legs.y[:upto],
                legs.x[:upto],
                model.beta,
                scale=model.scale,
                zscore_window=self.zscore_window,
                correlation_window=self.correlation_window,
            )
        except AnalyticsError:
            return None
        part = slice(max(0, upto - self.count), upto)
        return Past(model.model_id, until_ms, legs.ts[part] / 1000.0, found.spread[part], found.zscore[part], found.correlation[part])

    @property
    def _bars_needed(self) -> int:
        return max(self.zscore_window, self.correlation_window + 1) + self.max_fill + 2

    def _provisional(self, model: Model | None, legs: Aligned) -> tuple[float | None, float | None, float | None]:
        if model is None or model.beta is None or len(legs) < 2:
            return None, None, None
        try:
            found = signal_series(
                legs.y,
                legs.x,
                model.beta,
                scale=model.scale,
                zscore_window=self.zscore_window,
                correlation_window=self.correlation_window,
            )
        except AnalyticsError:
            return None, None, None
        return _last(found.spread), _last(found.zscore), _last(found.correlation)


def load_legs(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, count: int, max_fill: int) -> Aligned:
    """Closes of both legs over the last ``count`` intervals, on one grid; the moving bar included."""
    frame = load_last_bars(warehouse, [pair.y, pair.x], timeframe, count)
    if frame["symbol"].n_unique() == 1:  # one leg ended long before the other
        frame = load_common_bars(warehouse, [pair.y, pair.x], timeframe, count, max_fill=max_fill)
    legs = []
    for symbol in (pair.y, pair.x):
        leg = frame.filter(symbol=symbol)
        legs += [leg["ts"].dt.epoch("us").to_numpy(), leg["close"].to_numpy().astype(np.float64)]
    return align(*legs, timeframe.us, max_fill)


def _floats(column: NDArray[Any]) -> FloatArray:
    return np.asarray(column, dtype=np.float64)


def _last(values: FloatArray) -> float | None:
    return float(values[-1]) if values.size and np.isfinite(values[-1]) else None

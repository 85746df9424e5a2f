"""A pair as it is now: its live model over the newest bars, its stored signals, and the value of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dashboards.hub import Moment
from dashboards.order import MOST_BARS, Order
from dashboards.study import Study, model_evidence, model_study
from dashboards.tables.bars import is_past, window
from dashboards.tables.beside import load_beside
from dashboards.tables.legs import load_moving, load_stretch
from dashboards.tables.models import PastFits, as_stored, past_fits, stored_line
from pipeline.analytics import Aligned, signal_series
from pipeline.errors import AnalyticsError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.models import load_model
from pipeline.store.signals import last_signals, live_model, load_signals

FloatArray = NDArray[np.float64]

_HISTORY_BARS = 2_000
"""How many bars back past fits are looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Signals as they were stored, each under the model of its time. ``ts`` in milliseconds."""

    ts: FloatArray
    spread: FloatArray
    zscore: FloatArray
    correlation: FloatArray


@dataclass(frozen=True, slots=True)
class Moving:
    """The bar that is still moving, under the live model: provisional, never stored. ``ms`` is its open time; None where undefined."""

    ms: float
    spread: float | None
    zscore: float | None
    correlation: float | None


@dataclass(frozen=True, slots=True, eq=False)
class PairNow:
    """One pair and timeframe.

    Attributes:
        pair: the legs.
        timeframe: bar length.
        has_model: whether the pair has a live model.
        study: complete bars under the live model (a look back, not a track record), or under that of the moment that is looked
            at; None without a model, or with the reason in ``problem``.
        problem: why there is no study.
        stored: the newest signals, or those around the moment.
        moving: the value of the moment; None without a model or bars, or when the past is looked at.
        fits: hedge ratios of past fits of the live model's kind.
        past: whether the past is looked at.
        key: what the study was made of: it is made anew only when this changes.
    """

    pair: Pair
    timeframe: Timeframe
    has_model: bool
    study: Study | None
    problem: str
    stored: Stored
    moving: Moving | None
    fits: PastFits
    past: bool
    key: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PairTopic:
    """A pair's live model, newest signals and value of the moment; those around a moment that lies before them, when there is one."""

    order: Order
    """Pair, timeframe, windows and filling; method, scale and lookback are the model's own."""
    around: datetime | None = None
    count: int = 500
    every_s: float = 0.9
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The pair now."""
        if warehouse is None or moment is None:
            return before
        order = self.order
        row = live_model(warehouse, order.pair, order.timeframe)
        past = self.around is not None and is_past(self.around, moment, order.timeframe, self.count)
        if self.around is not None and past:
            start, end = window(self.around, order.timeframe, self.count)
            signals = load_signals(warehouse, order.pair, order.timeframe, start=start, end=end)
            order = replace(order, start=start, end=end)
            row = _model_at(warehouse, signals, self.around) or row
        else:
            signals = last_signals(warehouse, order.pair, order.timeframe, self.count)
        if row is not None and row["beta"] is None:
            row = None
        stored = Stored(
            signals["ts"].dt.epoch("ms").to_numpy().astype(np.float64), *(_floats(signals, name) for name in Stored.__slots__[1:])
        )
        moving = None if past or row is None else self._moving(warehouse, row)
        newest = (stored.ts[-1] if stored.ts.size else None, moving.ms if moving else None)
        now = PairNow(
            pair=order.pair, timeframe=order.timeframe, has_model=row is not None, study=None, problem="", stored=stored, moving=moving,
            fits=PastFits.none(), past=past, key=(self, row and row["model_id"], newest),
        )  # fmt: skip
        if row is None:
            return now
        known = before if isinstance(before, PairNow) else None
        if known is not None and known.key == now.key:
            return replace(now, study=known.study, problem=known.problem, fits=known.fits)
        since = moment.time - timedelta(seconds=order.timeframe.seconds * _HISTORY_BARS)
        now = replace(now, fits=past_fits(warehouse, order.pair, order.timeframe, row, since=since))
        try:
            return replace(now, study=self._study(warehouse, order, row, moment.now, known.study if known else None))
        except AnalyticsError as error:
            return replace(now, problem=str(error))

    def _study(self, warehouse: Warehouse, order: Order, row: Mapping[str, Any], now: datetime, known: Study | None) -> Study:
        line = stored_line(row)
        own = replace(order, method=line.method, scale=line.scale, model_id=line.model_id, lookback=min(MOST_BARS, max(self.count, line.n)))
        legs = load_stretch(warehouse, own)
        same = known is not None and known.line.model_id == line.model_id
        tests = known.evidence if same and known is not None else as_stored(model_evidence(legs.whole, line), row)
        study = model_study(own, legs, line, tests, now=now)
        return replace(study, beside=load_beside(warehouse, own.pair, own.timeframe))

    def _moving(self, warehouse: Warehouse, row: Mapping[str, Any]) -> Moving | None:
        order = self.order
        needed = max(order.zscore_window, order.correlation_window + 1) + order.max_fill + 2
        legs = load_moving(warehouse, order.pair, order.timeframe, needed, order.max_fill)
        if len(legs) < 2:
            return None
        try:
            return _last_of(legs, order, row)
        except AnalyticsError:
            return None


def _last_of(legs: Aligned, order: Order, row: Mapping[str, Any]) -> Moving:
    found = signal_series(
        legs.y, legs.x, row["beta"], scale=row["scale"], zscore_window=order.zscore_window, correlation_window=order.correlation_window
    )
    return Moving(float(legs.ts[-1] / 1000), _last(found.spread), _last(found.zscore), _last(found.correlation))


def _model_at(warehouse: Warehouse, signals: pl.DataFrame, around: datetime) -> dict[str, Any] | None:
    """The model that the signal nearest to a moment was made under."""
    if signals.is_empty():
        return None
    nearest = (signals["ts"] - around).dt.total_seconds().abs().arg_min()
    return None if nearest is None else load_model(warehouse, signals["model_id"][nearest])


def _floats(frame: pl.DataFrame, name: str) -> FloatArray:
    return np.asarray(frame[name].to_numpy(), dtype=np.float64)


def _last(values: FloatArray) -> float | None:
    return float(values[-1]) if values.size and np.isfinite(values[-1]) else None

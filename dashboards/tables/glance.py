"""The configured pairs at a glance: the z-score of the moment under each one's live model, and what its model was judged to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from dashboards.hub import Moment
from pipeline.analytics import align, signal_series
from pipeline.errors import AnalyticsError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.bars import load_last_bars
from pipeline.store.signals import live_models


@dataclass(frozen=True, slots=True)
class PairGlance:
    """One pair now. None where there is no model, no common bar, or the value is not defined; nothing of it is stored."""

    pair: Pair
    zscore: float | None
    eg_p: float | None
    half_life: float | None
    fitted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Glance:
    """All pairs, in the order of the universe."""

    timeframe: Timeframe
    pairs: tuple[PairGlance, ...]


@dataclass(frozen=True, slots=True)
class GlanceTopic:
    """The pairs under models of ``timeframe``, from one read of bars and one of models for all of them."""

    pairs: tuple[Pair, ...]
    timeframe: Timeframe
    zscore_window: int
    correlation_window: int
    max_fill: int
    every_s: float = 2.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The pairs now; ``before`` when none changed."""
        if warehouse is None or moment is None or not self.pairs:
            return before
        models = {(row["y"], row["x"]): row for row in live_models(warehouse, self.timeframe).iter_rows(named=True)}
        legs = sorted({symbol for pair in self.pairs for symbol in (pair.y, pair.x)})
        count = max(self.zscore_window, self.correlation_window + 1) + self.max_fill + 2
        bars = load_last_bars(warehouse, legs, self.timeframe, count)
        glance = Glance(self.timeframe, tuple(self._one(pair, models.get((pair.y, pair.x)), bars) for pair in self.pairs))
        return before if glance == before else glance

    def _one(self, pair: Pair, model: dict[str, Any] | None, bars: pl.DataFrame) -> PairGlance:
        if model is None:
            return PairGlance(pair, None, None, None, None)
        zscore = self._zscore(pair, model, bars) if model["beta"] is not None else None
        return PairGlance(pair, zscore, model["eg_p"], model["half_life"], model["fitted_at"])

    def _zscore(self, pair: Pair, model: dict[str, Any], bars: pl.DataFrame) -> float | None:
        legs = []
        for symbol in (pair.y, pair.x):
            leg = bars.filter(symbol=symbol)
            legs += [leg["ts"].dt.epoch("us").to_numpy(), leg["close"].to_numpy().astype(np.float64)]
        both = align(*legs, self.timeframe.us, self.max_fill)
        if len(both) < 2:
            return None
        windows = {"zscore_window": self.zscore_window, "correlation_window": self.correlation_window}
        try:
            found = signal_series(both.y, both.x, model["beta"], scale=model["scale"], **windows)
        except AnalyticsError:
            return None
        return float(found.zscore[-1]) if np.isfinite(found.zscore[-1]) else None

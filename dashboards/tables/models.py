"""Stored models of a pair: the one that is live, and the betas of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.study import Line
from pipeline.analytics import Evidence
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.models import load_models

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PastFits:
    """Hedge ratios of the fits of one kind (method, lookback, scale), by the end of their window.

    Attributes:
        ts: last bars of the windows, in milliseconds.
        beta: their hedge ratios.
        r_squared: their R squared.
    """

    ts: FloatArray
    beta: FloatArray
    r_squared: FloatArray

    @classmethod
    def none(cls) -> PastFits:
        """No fits."""
        return cls(np.empty(0), np.empty(0), np.empty(0))


def stored_line(row: Mapping[str, Any]) -> Line:
    """A row of the view ``models``."""
    return Line(
        method=row["method"], scale=row["scale"], n=row["n"], beta=row["beta"], alpha=row["alpha"], beta_se=None,
        r_squared=row["r_squared"], half_life=row["half_life"], hurst=row["hurst"], start=_utc(row["window_start"]),
        end=_utc(row["window_end"]), notes=tuple(note for note in (row["notes"] or "").split("; ") if note),
        model_id=row["model_id"], fitted_at=_utc(row["fitted_at"]),
    )  # fmt: skip


def as_stored(tests: Evidence, row: Mapping[str, Any]) -> Evidence:
    """The tests with those statistics and p-values that the model itself was stored with: bars may have been restated since."""
    known, unit_root = tests.engle_granger, tests.adf
    if known is not None and row["eg_p"] is not None:
        known = replace(known, statistic=row["eg_stat"], p_value=row["eg_p"])
    if unit_root is not None and row["adf_p"] is not None:
        unit_root = replace(unit_root, statistic=row["adf_stat"], p_value=row["adf_p"])
    return replace(tests, engle_granger=known, adf=unit_root)


def past_fits(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, like: Mapping[str, Any], *, since: datetime) -> PastFits:
    """Fits of the same kind as the live model whose row is ``like``, made since a time."""
    rows = load_models(warehouse, pair, timeframe, start=since, end=datetime(9999, 1, 1, tzinfo=UTC))
    rows = rows.filter(method=like["method"], lookback=like["lookback"], scale=like["scale"]).drop_nulls("beta").unique("window_end")
    rows = rows.sort("window_end")
    return PastFits(
        rows["window_end"].dt.epoch("ms").to_numpy().astype(np.float64),
        rows["beta"].to_numpy().astype(np.float64),
        rows["r_squared"].to_numpy().astype(np.float64),
    )


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)

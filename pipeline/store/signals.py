"""Signals: spread, z-score and correlation of complete bars under the model that was live at that bar."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse

_COLUMNS = "y, x, timeframe, ts, model_id, spread, zscore, correlation, y_filled, x_filled"
_OF_PAIR = "y = $y AND x = $x AND timeframe = $timeframe"

_LOAD = f"SELECT {_COLUMNS} FROM signals WHERE {_OF_PAIR} AND ts >= $start AND ts < $end ORDER BY ts"  # noqa: S608  constant text
_LAST = f"SELECT * FROM (SELECT {_COLUMNS} FROM signals WHERE {_OF_PAIR} ORDER BY ts DESC LIMIT $count) ORDER BY ts"  # noqa: S608

_LIVE_MODEL = f"SELECT * FROM models WHERE {_OF_PAIR} ORDER BY active_from DESC NULLS LAST, fitted_at DESC LIMIT 1"  # noqa: S608
_LIVE_MODELS = """
    SELECT * FROM models WHERE timeframe = $timeframe
    QUALIFY row_number() OVER (PARTITION BY y, x ORDER BY active_from DESC NULLS LAST, fitted_at DESC) = 1 ORDER BY y, x
"""


def load_signals(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Signals of a pair with ``start <= ts < end`` in time order; columns as in the table ``signals``, NULL where one is not defined."""
    return warehouse.select(_LOAD, y=pair.y, x=pair.x, timeframe=timeframe.name, start=start, end=end)


def last_signals(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, count: int) -> pl.DataFrame:
    """The newest ``count`` signals of a pair, in time order."""
    return warehouse.select(_LAST, y=pair.y, x=pair.x, timeframe=timeframe.name, count=count)


def live_model(warehouse: Warehouse, pair: Pair, timeframe: Timeframe) -> dict[str, Any] | None:
    """The model that is live for a pair, columns as in the view ``models``; the newest fit before the first is live; None without any."""
    found = warehouse.select(_LIVE_MODEL, y=pair.y, x=pair.x, timeframe=timeframe.name)
    return found.row(0, named=True) if found.height else None


def live_models(warehouse: Warehouse, timeframe: Timeframe) -> pl.DataFrame:
    """``live_model`` of every pair that has one, a row each."""
    return warehouse.select(_LIVE_MODELS, timeframe=timeframe.name)

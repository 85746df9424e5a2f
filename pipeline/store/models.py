"""Pair models: what the flow fit_pairs has fitted, and which of them was live when.

The table ``fits`` holds every fit; ``activations``, written by the warehouse, says which fit became a
pair's live model and from which bar on. The view ``models`` joins the two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_SAVE = statement(
    "save_fits",
    stage="stage_fits",
    sql="""
    INSERT INTO fits BY NAME SELECT * EXCLUDE (batch) FROM stage_fits s
    WHERE s.batch = '{batch}' AND NOT EXISTS (SELECT 1 FROM fits f WHERE f.model_id = s.model_id)
    """,
)

# Signals refer to models that were live once: those stay. The newest fit of each kind stays too, so that none disappears from the screens.
_PRUNE = statement(
    "prune_fits",
    stage="stage_fits",
    sql="""
    DELETE FROM fits WHERE fitted_at < (SELECT min(fitted_at) FROM stage_fits WHERE batch = '{batch}')
        AND model_id NOT IN (SELECT model_id FROM activations)
        AND model_id NOT IN (SELECT arg_max(model_id, window_end) FROM fits GROUP BY y, x, timeframe, lookback, method, scale)
    """,
)

_KNOWN = "SELECT model_id FROM fits WHERE model_id IN (SELECT unnest($ids))"

_NEWEST = """
    SELECT * FROM models WHERE timeframe IN (SELECT unnest($timeframes)) AND window_end <= $until
    QUALIFY row_number() OVER (PARTITION BY y, x, timeframe, lookback, method, scale ORDER BY window_end DESC, fitted_at DESC) = 1
    ORDER BY y, x, timeframe, method, lookback
"""

_ONE = "SELECT * FROM models WHERE model_id = $model_id ORDER BY active_from DESC NULLS LAST LIMIT 1"

_HISTORY = """
    SELECT * FROM models
    WHERE y = $y AND x = $x AND timeframe = $timeframe AND fitted_at >= $start AND fitted_at < $end
    ORDER BY fitted_at, method, lookback
"""

_EVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def save_fits(warehouse: Warehouse, fits: pl.DataFrame) -> None:
    """Add fits (columns of the table ``fits``); those whose ``model_id`` is there already are left as they are."""
    if not fits.is_empty():
        warehouse.run(_SAVE, fits)


def prune_fits(warehouse: Warehouse, *, before: datetime) -> None:
    """Remove fits made before a time, but for those that were ever live and the newest of each kind."""
    warehouse.run(_PRUNE, pl.DataFrame({"fitted_at": [before]}))


def known_fits(warehouse: Warehouse, model_ids: list[str]) -> set[str]:
    """Which of these models have been saved already."""
    return set(warehouse.select(_KNOWN, ids=model_ids)["model_id"].to_list()) if model_ids else set()


def newest_models(warehouse: Warehouse, timeframes: list[Timeframe], *, until: datetime = _EVER) -> pl.DataFrame:
    """Of each pair, timeframe, lookback, method and scale the newest fit whose window ends by ``until``; columns as in ``models``."""
    return warehouse.select(_NEWEST, timeframes=[timeframe.name for timeframe in timeframes], until=until)


def load_models(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, *, start: datetime, end: datetime) -> pl.DataFrame:
    """Every fit of a pair made in ``start <= fitted_at < end``, in time order; columns as in the view ``models``."""
    return warehouse.select(_HISTORY, y=pair.y, x=pair.x, timeframe=timeframe.name, start=start, end=end)


def load_model(warehouse: Warehouse, model_id: str) -> dict[str, Any] | None:
    """One model by its name, columns as in the view ``models``; None when there is none."""
    found = warehouse.select(_ONE, model_id=model_id)
    return found.row(0, named=True) if found.height else None

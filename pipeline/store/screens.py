"""Screens: the cointegration test of every ordered pair of a universe, as the flow screen has made them.

The family of a q-value is all rows of one ``screen_id`` that were tested. ``screen_id`` follows from what was asked for and from the closes
that were looked at, so the same screen has the same id whoever makes it and whenever.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_SAVE = statement(
    "save_screen",
    stage="stage_screens",
    sql="""
    DELETE FROM screens WHERE screen_id IN (SELECT screen_id FROM stage_screens WHERE batch = '{batch}');
    INSERT INTO screens BY NAME SELECT * EXCLUDE (batch) FROM stage_screens WHERE batch = '{batch}'
    """,
)

_PRUNE = statement(
    "prune_screens",
    stage="stage_keep",
    sql="""
    DELETE FROM screens WHERE screen_id IN (
        SELECT screen_id FROM (SELECT screen_id, timeframe, max(window_end) AS ends, max(made_at) AS made FROM screens GROUP BY ALL)
        QUALIFY row_number() OVER (PARTITION BY timeframe ORDER BY ends DESC, made DESC, screen_id)
            > (SELECT max(keep) FROM stage_keep WHERE batch = '{batch}')
    );
    DELETE FROM partitions WHERE asset = 'screens' AND fingerprint NOT IN (SELECT screen_id FROM screens)
    """,
)

_KNOWN = "SELECT count(*) AS n FROM screens WHERE screen_id = $screen_id"
_LOAD = "SELECT * FROM screens WHERE screen_id = $screen_id ORDER BY rank"

_LIST = """
    SELECT screen_id, timeframe, lookback, window_start, window_end, made_at, symbols, tests, count(*) AS pairs,
           count(*) FILTER (q_value <= $level) AS found
    FROM screens GROUP BY ALL ORDER BY window_end DESC, made_at DESC, screen_id LIMIT $most
"""

_NEWEST = "SELECT count(*) AS rows, max(made_at) AS made_at FROM screens"

_OF_PAIRS = """
    SELECT * FROM screens WHERE timeframe = $timeframe AND window_end <= $until
    QUALIFY row_number() OVER (PARTITION BY y, x ORDER BY window_end DESC, made_at DESC, screen_id) = 1 ORDER BY y, x
"""


def save_screen(warehouse: Warehouse, rows: pl.DataFrame) -> None:
    """Write one screen (columns of the table ``screens``), in place of one of the same id."""
    if not rows.is_empty():
        warehouse.run(_SAVE, rows)


def prune_screens(warehouse: Warehouse, *, keep: int) -> None:
    """Remove all but the newest ``keep`` screens of each timeframe, and what the ledger says of those that are gone."""
    warehouse.run(_PRUNE, pl.DataFrame({"keep": [keep]}))


def is_known_screen(warehouse: Warehouse, screen_id: str) -> bool:
    """Whether this very screen has been saved."""
    return bool(warehouse.select(_KNOWN, screen_id=screen_id).item())


def load_screen(warehouse: Warehouse, screen_id: str) -> pl.DataFrame:
    """One screen by rank; columns as in the table ``screens``, NULL where a number is not defined."""
    return warehouse.select(_LOAD, screen_id=screen_id)


def list_screens(warehouse: Warehouse, *, level: float = 0.05, most: int = 100) -> pl.DataFrame:
    """The newest screens: screen_id, timeframe, lookback, window, made_at, symbols, tests, pairs, and ``found`` with q up to ``level``."""
    return warehouse.select(_LIST, level=level, most=most)


def newest_screen(warehouse: Warehouse) -> tuple[int, datetime] | None:
    """Something that changes whenever a screen is saved or removed: rows in all, and when the newest was made; None without any."""
    rows, made_at = warehouse.select(_NEWEST).row(0)
    return (rows, made_at) if rows else None


def screened_pairs(warehouse: Warehouse, timeframe: Timeframe, *, until: datetime) -> pl.DataFrame:
    """For each ordered pair its row in the newest screen of a timeframe that has it and ends by ``until``."""
    return warehouse.select(_OF_PAIRS, timeframe=timeframe.name, until=until)

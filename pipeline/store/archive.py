"""The archive as its readers see it: what is due, what is there, how large it is."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse
from pipeline.store.views import TIME_COLUMNS

DATASETS = tuple(TIME_COLUMNS)
"""What can be archived: ``ticks``, ``quotes``, ``bars_1s``."""

_DAY_US = 86_400_000_000


def _due(dataset: str) -> str:
    time = TIME_COLUMNS[dataset]
    return f"""
        SELECT '{dataset}' AS dataset, symbol, DATE '1970-01-01' + CAST(epoch_us({time}) // {_DAY_US} AS INTEGER) AS day, count(*) AS "rows"
        FROM {dataset}_recent WHERE {time} < $before GROUP BY ALL ORDER BY day, symbol
    """  # noqa: S608  constant text


_DUE = {dataset: _due(dataset) for dataset in DATASETS}

_EXPIRED = "SELECT dataset, symbol, day, \"rows\" FROM archived WHERE state = 'archived' AND day < CAST($before AS DATE) ORDER BY ALL"

_ARCHIVED = """
    SELECT dataset, symbol, day, state, revision, file, "rows", bytes, fingerprint, sha256, first_ts, last_ts, archived_at
    FROM archived ORDER BY dataset, symbol, day
"""

_SIZES = """
    SELECT dataset, count(*) AS partitions, CAST(sum("rows") AS BIGINT) AS "rows", CAST(sum(bytes) AS BIGINT) AS bytes,
           min(day) AS first_day, max(day) AS last_day
    FROM archived WHERE state = 'archived' GROUP BY dataset ORDER BY dataset
"""


def archive_due(warehouse: Warehouse, dataset: str, *, before: datetime) -> pl.DataFrame:
    """Days of a dataset whose rows are in the database and lie before a midnight.

    Returns:
        dataset, symbol, day, rows; oldest first.
    """
    return warehouse.select(_DUE[dataset], before=before)


def archive_expired(warehouse: Warehouse, *, before: datetime) -> pl.DataFrame:
    """Archived days before a midnight: dataset, symbol, day, rows."""
    return warehouse.select(_EXPIRED, before=f"{before:%Y-%m-%d}")


def load_archived(warehouse: Warehouse) -> pl.DataFrame:
    """Every day that was ever archived, with ``state``: archived, thawed (back in the database) or expired (removed for good)."""
    return warehouse.select(_ARCHIVED)


def archive_sizes(warehouse: Warehouse) -> pl.DataFrame:
    """Per dataset with archived days: partitions, rows, bytes, first_day, last_day."""
    return warehouse.select(_SIZES)

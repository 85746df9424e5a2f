"""The views: what users read under the names of the design. They are code, so they are made anew at every start.

``ticks``, ``quotes`` and ``bars_1s`` add what has been archived to what is in the database. They name the archive's files, so
they are also made anew whenever that set changes, in the transaction that changes it: a reader sees a row on one side, never on
both or on neither. The files are named by where the profile lies now, so that a profile may be moved.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import duckdb

from pipeline.store.bars import bars_query
from pipeline.store.binding import literal

_log = logging.getLogger(__name__)

_MAGIC = b"PAR1"  # how a Parquet file ends

_MODELS = """
SELECT f.model_id, f.y, f.x, f.timeframe, f.lookback, f.method, f.scale, f.fitted_at, a.active_from, f.window_start, f.window_end,
       f.n, f.alpha, f.beta, f.r_squared, f.adf_stat, f.adf_p, f.eg_stat, f.eg_p, f.half_life, f.hurst, f.spread_mean, f.spread_sd,
       f.notes
FROM fits f LEFT JOIN activations a USING (model_id)
"""

TIME_COLUMNS = {"ticks": "event_time", "quotes": "event_time", "bars_1s": "ts"}
"""The views with two sides, and the column whose UTC day says to which partition a row belongs."""

_FILES = """
    SELECT file, bytes, strftime(day, '%Y-%m-01') AS month, strftime(day + INTERVAL 1 DAY, '%Y-%m-%d') AS after
    FROM archived WHERE dataset = ? AND state = 'archived' ORDER BY day, symbol
"""


def create_views(connection: duckdb.DuckDBPyConnection, archive: Path) -> None:
    """Create or replace every view; ``archive`` is the profile's directory of Parquet files."""
    for dataset in TIME_COLUMNS:
        create_dataset_view(connection, archive, dataset)
    connection.execute(f"CREATE OR REPLACE VIEW bars AS {bars_query()}")
    connection.execute(f"CREATE OR REPLACE VIEW models AS {_MODELS}")


def create_dataset_view(connection: duckdb.DuckDBPyConnection, archive: Path, dataset: str) -> None:
    """Create or replace ``ticks``, ``quotes`` or ``bars_1s`` over the database and the files that ``archived`` names now.

    The files of a month are one branch with the span of its days as a condition: a query of other times drops the branch
    before it looks at any file. A file that is not there, or is not whole, is left out, and said so in the log.
    """
    time = TIME_COLUMNS[dataset]
    branches = [f"FROM {dataset}_recent"]
    rows = connection.execute(_FILES, [dataset]).fetchall()
    for month, of_month in groupby(rows, key=lambda row: str(row[2])):
        listed = list(of_month)
        there = ", ".join(literal(str(archive / str(file))) for file, size, *_ in listed if _is_whole(archive / str(file), int(size)))
        if there:
            until = max(str(after) for *_, after in listed)
            branches.append(
                f"SELECT * FROM read_parquet([{there}], hive_partitioning = false) "  # noqa: S608  our own files
                f"WHERE {time} >= TIMESTAMPTZ '{month} 00:00:00+00' AND {time} < TIMESTAMPTZ '{until} 00:00:00+00'"
            )
    connection.execute(f"CREATE OR REPLACE VIEW {dataset} AS {' UNION ALL BY NAME '.join(branches)}")


def _is_whole(path: Path, size: int) -> bool:
    try:
        status = path.stat()
        whole = status.st_size == size and _ends_well(path, status.st_mtime_ns)
    except OSError:
        whole = False
    if not whole:
        _log.error("an archived file is missing or damaged", extra={"file": str(path), "do": "restore it from a backup"})
    return whole


@lru_cache(maxsize=100_000)
def _ends_well(path: Path, _written_ns: int) -> bool:
    """Whether the file ends as Parquet does; looked at once for each time that it was written."""
    with path.open("rb") as file:
        file.seek(-len(_MAGIC), os.SEEK_END)
        return file.read() == _MAGIC

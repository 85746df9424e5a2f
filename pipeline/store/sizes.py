"""What takes how much room: the database by table, measured by DuckDB itself, and the history of such measurements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement

_SAVE = statement(
    "save_sizes",
    stage="stage_sizes",
    sql="""
    DELETE FROM sizes WHERE measured_at < (SELECT max(measured_at) - INTERVAL 90 DAY FROM stage_sizes WHERE batch = '{batch}');
    INSERT INTO sizes BY NAME SELECT * EXCLUDE (batch) FROM stage_sizes WHERE batch = '{batch}'
    """,
)

_BLOCKS = """
    SELECT block_size, total_blocks, used_blocks, free_blocks FROM pragma_database_size()
    WHERE database_name = current_database()
"""
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND schema_name = 'main' ORDER BY table_name"
_LAST = 'SELECT part, name, "rows", bytes, measured_at FROM sizes WHERE measured_at = (SELECT max(measured_at) FROM sizes)'


@dataclass(frozen=True, slots=True)
class Blocks:
    """The database file in blocks: size of one in bytes, how many there are, in use, and free to be used again."""

    block_size: int
    total_blocks: int
    used_blocks: int
    free_blocks: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """Rows of a table, and the blocks that hold them; blocks that tables share count for each of them."""

    name: str
    rows: int
    blocks: int


def load_blocks(warehouse: Warehouse) -> Blocks:
    """The file in blocks, as of the last checkpoint."""
    return Blocks(**warehouse.select(_BLOCKS).row(0, named=True))


def load_table_sizes(warehouse: Warehouse) -> list[TableSize]:
    """Every table that has rows, the largest first; blocks as of the last checkpoint."""
    names: list[str] = warehouse.select(_TABLES)["table_name"].to_list()
    each = [
        f"""SELECT '{name}' AS name, (SELECT count(*) FROM {name}) AS "rows",
            (SELECT count(DISTINCT block_id) FROM pragma_storage_info('{name}') WHERE persistent) AS blocks"""  # noqa: S608  a table of ours
        for name in names
    ]
    found = warehouse.select(f'SELECT * FROM ({" UNION ALL ".join(each)}) WHERE "rows" > 0 ORDER BY blocks DESC, "rows" DESC, name')  # noqa: S608
    return [TableSize(**row) for row in found.iter_rows(named=True)]


def save_sizes(warehouse: Warehouse, rows: pl.DataFrame) -> None:
    """Append a measurement (columns of the table ``sizes``); those of more than 90 days before it go."""
    warehouse.run(_SAVE, rows)


def load_last_sizes(warehouse: Warehouse) -> tuple[datetime | None, dict[tuple[str, str], tuple[int | None, int]]]:
    """When it was last measured, and then (part, name) -> (rows, bytes); None and nothing when it never was."""
    found = warehouse.select(_LAST)
    if found.is_empty():
        return None, {}
    return found["measured_at"][0], {(part, name): (rows, size) for part, name, rows, size, _ in found.iter_rows()}

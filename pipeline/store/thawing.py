"""Archived days that a late row brings back into the database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from pipeline.errors import StoreError
from pipeline.store.binding import literal
from pipeline.store.views import create_dataset_view


def file_trouble(connection: duckdb.DuckDBPyConnection, archive: Path, dataset: str, symbol: str, day: date) -> str | None:
    """Why the file of an archived day cannot be read; None when it can, or when the day is not archived."""
    row = connection.execute(
        "SELECT file FROM archived WHERE dataset = ? AND symbol = ? AND day = ? AND state = 'archived'", [dataset, symbol, day]
    ).fetchone()
    if row is None:
        return None
    path = archive / str(row[0])
    if not path.is_file():
        return f"{path} is missing"
    try:
        connection.cursor().execute(f"FROM parquet_file_metadata({literal(str(path))})").fetchall()
    except duckdb.Error as error:
        return f"{path} is damaged: {str(error).splitlines()[0]}"
    return None


def thaw(connection: duckdb.DuckDBPyConnection, archive: Path, dataset: str, symbol: str, day: date) -> int:
    """Bring an archived day back into the database, inside the transaction that is open; returns its rows.

    Raises:
        StoreError: when its file cannot be read.
    """
    key = [dataset, symbol, day]
    row = connection.execute(
        "SELECT file FROM archived WHERE dataset = ? AND symbol = ? AND day = ? AND state = 'archived'", key
    ).fetchone()
    if row is None:
        return 0
    path = archive / str(row[0])
    try:
        added = connection.execute(
            f"INSERT INTO {dataset}_recent BY NAME FROM read_parquet({literal(str(path))}, hive_partitioning = false)"
        ).fetchone()
    except duckdb.IOException as error:
        msg = f"{path} cannot be read ({str(error).splitlines()[0]}), and a row has come that belongs there; restore it from a backup"
        raise StoreError(msg) from error
    connection.execute("UPDATE archived SET state = 'thawed' WHERE dataset = ? AND symbol = ? AND day = ?", key)
    create_dataset_view(connection, archive, dataset)
    return int(added[0]) if added else 0

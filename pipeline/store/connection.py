"""Opening the DuckDB file and its extensions."""

from __future__ import annotations

from pathlib import Path

import duckdb
import duckdb_extensions

from pipeline.errors import StoreError, WarehouseBusy

# Bars of a busy day fit many times over; beyond this DuckDB spills to disk beside the file.
_MEMORY_LIMIT = "1500MB"


def open_database(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the file for this process alone, in UTC.

    Raises:
        WarehouseBusy: when another process holds it.
        StoreError: when the file is not a DuckDB database that this version reads.
    """
    try:
        connection = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        if "Could not set lock on file" in str(error):
            msg = f"{path} is held by another process; use the running warehouse, or stop it first (`spreadwatch status` names it)"
            raise WarehouseBusy(msg) from error
        msg = f"{path} cannot be opened as a DuckDB database: {_first_line(error)}; restore a backup or `spreadwatch profile reset`"
        raise StoreError(msg) from error
    configure(connection)
    return connection


def configure(connection: duckdb.DuckDBPyConnection) -> None:
    """What every connection of ours has in common: UTC, bounded memory, no progress bar."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")


def install_extensions() -> None:
    """Install the Quack extensions from their pip packages, without a download; done once at set-up.

    Raises:
        StoreError: when a package is missing or does not fit this DuckDB.
    """
    try:
        with duckdb.connect() as connection:
            for name in ("httpfs", "quack"):
                duckdb_extensions.import_extension(name, con=connection)
    except (duckdb.Error, ImportError, OSError) as error:
        msg = f"the DuckDB extensions cannot be installed: {_first_line(error)}; run `make setup` again"
        raise StoreError(msg) from error


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load Quack (the client side needs httpfs too), installing from the pip packages when it is the first time."""
    try:
        connection.execute("LOAD httpfs; LOAD quack")
    except duckdb.Error:
        install_extensions()
        connection.execute("LOAD httpfs; LOAD quack")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

"""Numbered schema changes, applied once each and recorded in ``schema_migrations``."""

from __future__ import annotations

from importlib.resources import files

import duckdb

from pipeline.errors import StoreError


def migrate(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Apply what has not been applied yet, each in a transaction of its own; returns the names applied.

    Raises:
        StoreError: when the database was written by a newer version.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL)")
    done = {name for (name,) in connection.execute("SELECT name FROM schema_migrations").fetchall()}
    known = sorted(entry.name for entry in files(__package__).iterdir() if entry.name.endswith(".sql"))
    newer = done.difference(known)
    if newer:
        msg = f"the database has schema changes that this version does not know ({', '.join(sorted(newer))}); upgrade spreadwatch"
        raise StoreError(msg)
    applied = []
    for name in known:
        if name in done:
            continue
        connection.execute("BEGIN")
        connection.execute(files(__package__).joinpath(name).read_text())
        connection.execute("INSERT INTO schema_migrations VALUES (?, now())", [name])
        connection.execute("COMMIT")
        applied.append(name)
    return applied

"""What a connection to the warehouse can do, whoever holds the file."""

from __future__ import annotations

from typing import Protocol, Self

import polars as pl
import pyarrow as pa

from pipeline.store.binding import Value
from pipeline.store.statements import Statement


class Warehouse(Protocol):
    """What every holder of a connection can do. SQL comes from this package, values as parameters."""

    def arrow(self, sql: str, **parameters: Value) -> pa.Table:
        """Run one SELECT; ``$name`` in it stands for a parameter. Rows as an Arrow table."""
        ...

    def select(self, sql: str, **parameters: Value) -> pl.DataFrame:
        """Run one SELECT. Rows as a polars frame, times in UTC microseconds, amounts exact decimals."""
        ...

    def run(self, statement: Statement, rows: pl.DataFrame) -> None:
        """Stage rows (columns by name) and run one write statement over them, all or nothing; safe to repeat."""
        ...

    def request(self, rows: pl.DataFrame) -> None:
        """Append to ``requests`` (request_id, requested_at, kind, payload)."""
        ...

    def close(self) -> None:
        """Let go of the file or the server."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...

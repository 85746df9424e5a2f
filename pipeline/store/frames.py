"""Arrow tables as polars frames."""

from __future__ import annotations

import polars as pl
import polars.selectors as cs
import pyarrow as pa


def to_frame(table: pa.Table) -> pl.DataFrame:
    """The same rows; DuckDB says ``Etc/UTC`` where everybody else says ``UTC``, so times are renamed to that."""
    frame = pl.DataFrame(table)
    return frame.with_columns(cs.datetime(time_zone="*").dt.convert_time_zone("UTC"))

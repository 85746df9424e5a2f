"""Symbols that users brought, with what is there of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboards.hub import Moment
from pipeline.store import Warehouse
from pipeline.store.uploads import load_own


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """See ``load_own``."""

    rows: pl.DataFrame


@dataclass(frozen=True, slots=True)
class OwnTopic:
    """Rows and range of every timeframe, and of the trades."""

    symbols: tuple[str, ...]
    every_s: float = 3.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """How it is now."""
        if warehouse is None:
            return before
        rows = load_own(warehouse, self.symbols)
        return before if before is not None and before.rows.equals(rows) else Own(rows)

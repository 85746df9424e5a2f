"""The only importer of duckdb: connection, migrations, and one file for each family of tables."""

from __future__ import annotations

# Imported for their write statements: the process that serves must know every one that a flow may run.
from pipeline.store import (  # noqa: F401
    flow_runs,
    klines,
    liquidity,
    models,
    notices,
    orders,
    partitions,
    quality,
    reports,
    resampling,
    screens,
    sizes,
)
from pipeline.store.access import Role
from pipeline.store.protocol import Warehouse
from pipeline.store.warehouse import LocalWarehouse, connect, open_local, open_warehouse, select_only

__all__ = ["LocalWarehouse", "Role", "Warehouse", "connect", "open_local", "open_warehouse", "select_only"]

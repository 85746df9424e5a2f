"""Runs without the price of a new Python: each is forked from a process that has imported Prefect already.

A fresh process spends 2 to 4 processor seconds on importing Prefect before it does anything. Prefect's runner starts a run
of a flow that it holds with `multiprocessing` and the start method "spawn"; here it gets "forkserver" instead: one helper
process imports, once, what every run needs, and each run is a fork of it, so it still has a process of its own that can be
cancelled, killed and counted. Forking is sound only while the helper has one thread, so nothing is preloaded that starts
any of its own (polars and duckdb do; numpy's BLAS is told not to), and a test holds that.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import BaseContext
from typing import Any

PRELOADED = (
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.artifacts",
    "flows.resample",
    "flows.fit_pairs",
    "flows.liquidity",
    "flows.backfill",
    "flows.report",
    "flows.repair_gaps",
    "flows.check_quality",
    "flows.screen",
    "flows.archive",
    "flows.maintain",
    "fastapi.encoders",
    "numba",
    "pyarrow.dataset",
    "pandas",
)
"""What the helper imports. After it the helper has one thread, but for those that jemalloc (of pyarrow) cares for across forks."""

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Warm:
    """`multiprocessing` as Prefect's flow engine sees it: whatever start method it asks for, it gets the warm one."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context

    def get_context(self, _method: str | None = None) -> BaseContext:
        return self._context

    def __getattr__(self, name: str) -> Any:
        return getattr(multiprocessing, name)


def use_warm_processes() -> bool:
    """Have the runner of this process fork its runs; False where the system has no such thing, and runs are started as ever."""
    if "forkserver" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return False
    from prefect import flow_engine

    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    vars(flow_engine)["multiprocessing"] = _Warm(context)
    return True

"""A running simulator for tests over a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pipeline.simulator import SimulatorConfig, serve
from pipeline.simulator.trades import Tape

NOW_MS = 1_795_360_123_456  # 2026-11-22 15:08:43.456 UTC


@pytest.fixture(scope="session")
def now_ms() -> int:
    """A moment inside an hour of the synthetic market."""
    return NOW_MS


@pytest.fixture(scope="session")
def tape() -> Tape:
    """The market of seed 7."""
    return Tape(7)


def fast_clock(start_ms: int, speed: float) -> Callable[[], int]:
    """A clock that starts at ``start_ms`` and runs ``speed`` times as fast as the wall's."""
    begun = time.monotonic()
    return lambda: start_ms + int((time.monotonic() - begun) * 1_000 * speed)


@pytest.fixture(scope="session")
def running():
    """``async with running(config, clock_ms=...) as port``."""

    @asynccontextmanager
    async def run(config: SimulatorConfig, **options) -> AsyncIterator[int]:
        stop = asyncio.Event()
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(config, stop, ready=port.set_result, **options))
        await asyncio.wait({task, port}, return_when=asyncio.FIRST_COMPLETED)
        if not port.done():
            await task
        try:
            yield port.result()
        finally:
            stop.set()
            await task

    return run


@pytest.fixture(scope="session")
def clock():
    """``clock(start_ms, speed)``: a clock that runs faster than the wall's."""
    return fast_clock

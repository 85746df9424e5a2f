"""Functions of others, called beside the event loop: one that hangs holds up neither other channels nor the exit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import copy_context


class StillBusy(Exception):
    """An earlier call goes on."""


class OneThread:
    """Calls functions in daemon threads, one at a time; a call that nobody waits for any more still counts.

    Args:
        name: name of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: threading.Thread | None = None

    def join(self, timeout_s: float) -> None:
        """Wait for a call that goes on."""
        if self._running is not None:
            self._running.join(timeout_s)

    async def call(self, function: Callable[[], object]) -> object:
        """What the function returns.

        Raises:
            StillBusy: when an earlier call goes on.
            Exception: as the function raised it; SystemExit, too.
        """
        if self._running is not None and self._running.is_alive():
            raise StillBusy
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[object, Exception | SystemExit | None]] = loop.create_future()

        def tell(result: object, error: Exception | SystemExit | None) -> None:
            if not done.done():
                done.set_result((result, error))

        def run() -> None:
            result: object = None
            failure: Exception | SystemExit | None = None
            try:
                result = function()
            except (Exception, SystemExit) as error:  # noqa: BLE001  raised again where it was called from
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed while a late call went on
                loop.call_soon_threadsafe(tell, result, failure)

        context = copy_context()
        self._running = threading.Thread(target=lambda: context.run(run), name=self._name, daemon=True)
        self._running.start()
        result, failure = await done
        self._running.join()  # it has nothing left to do, and the next call must not find it alive
        if failure is not None:
            raise failure
        return result

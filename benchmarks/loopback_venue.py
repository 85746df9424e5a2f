"""A venue on loopback that pushes aggregate trades at a steady rate: a process of its own, so that it disturbs nobody's loop.

Prints its port; sends while anybody is subscribed; ends when its standard input does, and prints how many it has sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from wire import agg_trade

_TICK_S = 0.005


class LoopbackVenue:
    """Trades of all symbols in turn, to every connection that has subscribed to something."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._listeners: set[ServerConnection] = set()
        self._heard = asyncio.Event()
        self.sent = 0

    async def serve(self, connection: ServerConnection) -> None:
        """Acknowledge whatever is asked for."""
        try:
            async for text in connection:
                await connection.send(json.dumps({"result": None, "id": json.loads(text)["id"]}))
                self._listeners.add(connection)
                self._heard.set()
        except ConnectionClosed:
            pass
        finally:
            self._listeners.discard(connection)

    async def push(self) -> None:
        """Send for ever; the time in a message is read right before it is sent."""
        await self._heard.wait()
        began = time.monotonic()
        while True:
            due = int((time.monotonic() - began) * self._rate)
            while self.sent < due:
                broadcast(self._listeners, agg_trade(self.sent, time.time_ns() // 1_000_000))
                self.sent += 1
            await asyncio.sleep(_TICK_S)


async def _run(rate: int) -> None:
    venue = LoopbackVenue(rate)
    async with serve(venue.serve, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        pushing = asyncio.create_task(venue.push())
        await asyncio.to_thread(sys.stdin.read)
        pushing.cancel()
        print(venue.sent, flush=True)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))

"""The floor: the websockets library receives every message, and nothing is done with it. Prints how many came."""

from __future__ import annotations

import asyncio
import json
import sys

from websockets.asyncio.client import connect


async def _receive(port: int, wanted: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/market/stream", compression=None, max_queue=1 << 16) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}))
        await socket.recv()
        for _ in range(wanted):
            await socket.recv(decode=False)
        print(wanted, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_receive(int(sys.argv[1]), int(sys.argv[2])))

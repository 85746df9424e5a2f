"""A venue on loopback that sends a given number of trades as fast as they are read: a process of its own.

Prints its port; waits for ``go`` on its standard input; writes frames that were made before, so that what is measured is
the reader. Prints ``sent`` when the last has been handed to the system. A rate, if given, is kept instead.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from wire import agg_trade

_CHUNK = 500
_FULL = 1 << 20
_PATIENCE_S = 60.0


def frame(text: str) -> bytes:
    """A text frame as a server writes it (RFC 6455, section 5.2)."""
    payload = text.encode()
    assert 126 <= len(payload) < 1 << 16
    return b"\x81\x7e" + struct.pack(">H", len(payload)) + payload


async def _run(count: int, rate: float) -> None:
    time_ms = time.time_ns() // 1_000_000
    starts = range(0, count, _CHUNK)
    chunks = [b"".join(frame(agg_trade(number, time_ms)) for number in range(at, min(at + _CHUNK, count))) for at in starts]
    heard: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def converse(connection: ServerConnection) -> None:
        # A client that names its streams in the address is subscribed at once.
        if "streams=" in (connection.request.path if connection.request else "") and not heard.done():
            heard.set_result(connection)
        try:
            async for text in connection:
                await connection.send(json.dumps({"result": None, "id": json.loads(text)["id"]}))
                if not heard.done():
                    heard.set_result(connection)
        except ConnectionClosed:
            pass

    async with serve(converse, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        connection = await asyncio.wait_for(heard, _PATIENCE_S)
        print("heard", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.monotonic()
        for number, chunk in enumerate(chunks):
            while connection.transport.get_write_buffer_size() > _FULL:  # noqa: ASYNC110  buffers have no event
                await asyncio.sleep(0.001)
            if rate and (early_s := number * _CHUNK / rate - (time.monotonic() - began)) > 0:
                await asyncio.sleep(early_s)
            connection.transport.write(chunk)
        print("sent", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), float(sys.argv[2])))

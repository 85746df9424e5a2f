"""cryptofeed as a recorder: its Binance futures feed with raw data collection into files. Prints how many trades its callback got.

Run by an environment that has cryptofeed. Two things are bent so that it talks to a venue on loopback: the address
(it insists on wss) and the table of symbols (it would ask the venue's REST).
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvloop
from cryptofeed import FeedHandler, connection
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import BINANCE_FUTURES, TRADES
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.raw_data_collection import AsyncFileCallback
from cryptofeed.symbols import Symbols

_connect = connection.connect


def _plain(address: str, **options: Any) -> Any:
    return _connect(address.replace("wss://", "ws://"), **options)


class LoopbackFutures(BinanceFutures):  # type: ignore[misc]
    """Binance futures at an address of this machine, with its own options."""

    websocket_endpoints = (WebsocketEndpoint(f"wss://127.0.0.1:{sys.argv[1]}", options={"compression": None}),)


def main(wanted: int, directory: str, symbols: list[str]) -> None:
    """Record until the process is ended."""
    connection.connect = _plain
    names = {f"{symbol.removesuffix('USDT')}-USDT-PERP": symbol for symbol in symbols}
    Symbols.set(BINANCE_FUTURES, names, {"tick_size": dict.fromkeys(names, "0.01"), "instrument_type": dict.fromkeys(names, "perpetual")})
    seen = 0

    async def trade(_trade: Any, _received: float) -> None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            print(seen, flush=True)

    feeds = FeedHandler(config={"log": {"disabled": True}, "uvloop": True}, raw_data_collection=AsyncFileCallback(directory))
    asyncio.set_event_loop(uvloop.new_event_loop())  # today's uvloop makes none by itself
    feeds.add_feed(LoopbackFutures(symbols=list(names), channels=[TRADES], callbacks={TRADES: trade}))
    feeds.run()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main(int(sys.argv[2]), sys.argv[3], sys.argv[4].split(","))

"""ccxt's Binance USD-M client (REST and ccxt.pro), told nothing but another address. Prints as one JSON object what it has parsed.

Run with the Python of an environment that has ccxt: ``with_ccxt.py HTTP_ADDRESS WEBSOCKET_ADDRESS SYMBOL``, the symbol in ccxt's writing.
"""

from __future__ import annotations

import asyncio
import json
import sys

import ccxt.pro
from ccxt.base.errors import BadSymbol

KEPT = ("id", "symbol", "base", "quote", "settle", "linear", "swap", "active", "precision", "limits")
WANTED = 8
SECONDS = 10


async def ask(exchange, symbol):
    await exchange.load_markets()
    market = exchange.market(symbol)
    found = {
        "market": {name: market[name] for name in KEPT},
        "markets": len(exchange.markets),
        "time": await exchange.fetch_time(),
        "trades": bare(await exchange.fetch_trades(symbol, limit=50)),
        "klines": await exchange.fetch_ohlcv(symbol, "1m", limit=20),
        "day": await exchange.fetch_ticker(symbol),
        "quote": await exchange.fetch_bids_asks([symbol]),
        "last": await exchange.fetch_last_prices([symbol]),
    }
    try:
        await exchange.fapiPublicGetKlines({"symbol": "NOSUCHUSDT", "interval": "1m"})
    except BadSymbol as error:
        found["refusal"] = str(error)
    return found


async def listen(exchange, other, symbol):
    """What two clients hear: one keeps both kinds of trade under one name, so that single fills need the other."""
    heard = {"agg": [], "raw": [], "quote": [], "kline": []}

    async def collect(name, watch, *arguments):
        while len(heard[name]) < WANTED:
            heard[name].extend(await watch(*arguments))

    async def aggregated():
        return bare(await exchange.watch_trades(symbol, None, None, {"name": "aggTrade"}))

    async def raw():
        return bare(await other.watch_trades(symbol, None, None, {"name": "trade"}))

    async def quoted():
        return [dict(quote) for quote in (await exchange.watch_bids_asks([symbol])).values()]

    watching = [
        collect("agg", aggregated),
        collect("raw", raw),
        collect("quote", quoted),
        collect("kline", exchange.watch_ohlcv, symbol, "1m"),
    ]
    await asyncio.wait_for(asyncio.gather(*watching), SECONDS)
    return heard


def bare(trades):
    return [{name: value for name, value in trade.items() if name not in {"fees", "fee"}} for trade in trades]


def connected(http, websocket):
    exchange = ccxt.pro.binanceusdm({"enableRateLimit": False, "newUpdates": True})
    urls = exchange.urls["api"]
    for name in ("fapiPublic", "fapiPublicV2", "fapiPublicV3"):
        urls[name] = http + urls[name].partition("fapi.binance.com")[2]
    urls["ws"]["future"] = websocket + "/ws"
    return exchange


async def main():
    http, websocket, symbol = sys.argv[1:]
    exchange, other = connected(http, websocket), connected(http, websocket)
    try:
        found = await ask(exchange, symbol)
        other.set_markets(exchange.markets)
        found["heard"] = await listen(exchange, other, symbol)
    finally:
        await exchange.close()
        await other.close()
    json.dump(found, sys.stdout, default=str)


asyncio.run(main())

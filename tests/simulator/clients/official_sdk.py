"""Binance's own SDK for USD-M futures, told nothing but another address. Prints as one JSON object what it has parsed.

Run with the Python of an environment that has the SDK: ``official_sdk.py HTTP_ADDRESS WEBSOCKET_ADDRESS SYMBOL``.
"""

from __future__ import annotations

import asyncio
import json
import sys

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_common.errors import BadRequestError, NotFoundError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

WANTED = 8
SECONDS = 10


def ask(client, symbol):
    api = client.rest_api
    answers = {
        "ping": api.test_connectivity(),
        "time": api.check_server_time(),
        "info": api.exchange_information(),
        "klines": api.kline_candlestick_data(symbol=symbol, interval="1m", limit=20),
        "seconds": api.continuous_contract_kline_candlestick_data(pair=symbol, contract_type="PERPETUAL", interval="1s", limit=20),
        "newest": api.compressed_aggregate_trades_list(symbol=symbol, limit=50),
        "price": api.symbol_price_ticker(symbol=symbol),
        "price_v2": api.symbol_price_ticker_v2(symbol=symbol),
        "prices": api.symbol_price_ticker(),
        "quote": api.symbol_order_book_ticker(symbol=symbol),
        "day": api.ticker24hr_price_change_statistics(symbol=symbol),
        "recent": api.recent_trades_list(symbol=symbol, limit=30),
    }
    found = {name: plain(answer.data()) for name, answer in answers.items()}
    first = found["newest"][0]["a"]
    found["from_id"] = plain(api.compressed_aggregate_trades_list(symbol=symbol, from_id=first, limit=50).data())
    found["weights"] = [answer.headers["x-mbx-used-weight-1m"] for answer in answers.values()]
    limits = answers["time"].rate_limits
    found["limits"] = [[limit.rateLimitType, limit.interval, limit.intervalNum] for limit in limits]
    found["refusals"] = [refusal(api.kline_candlestick_data, symbol="NOSUCHUSDT", interval="1m")]
    found["refusals"].append(refusal(api.compressed_aggregate_trades_list, symbol=symbol, from_id=1, start_time=5, end_time=6))
    found["refusals"].append(refusal(api.open_interest, symbol=symbol))
    return found


def refusal(call, **arguments):
    try:
        call(**arguments)
    except (BadRequestError, NotFoundError) as error:
        return [type(error).__name__, error.status_code, error.error_message]
    return "no refusal"


def plain(data):
    if isinstance(data, list):
        return [plain(item) for item in data]
    if hasattr(data, "actual_instance"):
        return plain(data.actual_instance)
    return data.to_dict() if hasattr(data, "to_dict") else data


async def listen(client, symbol):
    streams = client.websocket_streams
    await streams.create_connection()
    heard = {"agg": [], "quote": [], "kline": []}
    problems = []
    streams.on_connection("error", lambda *error: problems.append(str(error)))
    handles = [
        ("agg", await streams.aggregate_trade_streams(symbol=symbol.lower())),
        ("quote", await streams.individual_symbol_book_ticker_streams(symbol=symbol.lower())),
        ("kline", await streams.kline_candlestick_streams(symbol=symbol.lower(), interval="1m")),
    ]
    for name, handle in handles:
        handle.on("message", lambda message, name=name: heard[name].append(message.to_dict()))
    subscribed = await streams.list_subscribe()
    for _ in range(SECONDS * 20):
        await asyncio.sleep(0.05)
        if all(len(messages) >= WANTED for messages in heard.values()):
            break
    for _, handle in handles:
        await handle.unsubscribe()
    connections = len(streams.connections)
    await streams.close_connection()
    return {"heard": heard, "subscribed": subscribed, "connections": connections, "problems": problems}


def main():
    http, websocket, symbol = sys.argv[1:]
    client = DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(base_path=http, timeout=10_000),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=websocket),
    )
    found = ask(client, symbol)
    found |= asyncio.run(listen(client, symbol))
    json.dump(found, sys.stdout, default=str)


main()

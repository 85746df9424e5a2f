"""Clients that others wrote for the venue connect to the simulated one and find there what its history says.

They are Binance's own SDK for USD-M futures and ccxt, in an environment of their own: made when it is first needed, kept in the user's
cache directory, never part of our locks.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.simulator import SimulatorConfig
from pipeline.simulator.frames import decimal_text, rows_of
from pipeline.simulator.history import SyntheticHistory
from pipeline.simulator.quotes import quotes
from pipeline.simulator.rest import candles
from pipeline.simulator.trades import HOUR_MS
from pipeline.simulator.universe import BY_SYMBOL, SPECS

CLIENTS = Path(__file__).with_name("clients")
PACKAGES = ("binance-sdk-derivatives-trading-usds-futures==18.0.1", "ccxt==4.5.64")
SYMBOL, IN_CCXT = "BTCUSDT", "BTC/USDT:USDT"
SPEED = 6  # of the market's clock, so that messages need not be waited for
BTC = BY_SYMBOL[SYMBOL].instrument


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """The Python of the environment that has the clients; without a package registry the tests skip, in CI they fail."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spreadwatch-tests"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"clients-py{sys.version_info[0]}{sys.version_info[1]}"
    made_of = "\n".join(PACKAGES)
    python, told = place / "bin" / "python", place / "packages.txt"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (told.is_file() and told.read_text() == made_of):
            shutil.rmtree(place, ignore_errors=True)
            trouble = installed(place, python)
            if trouble:
                shutil.rmtree(place, ignore_errors=True)
                reason = f"{' and '.join(PACKAGES)} could not be installed: {trouble[-300:]}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
            told.write_text(made_of)
    return python


def installed(place: Path, python: Path) -> str:
    """Make the environment, with uv or, where that does not reach the registry, with pip. Returns what went wrong, or nothing."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    pip = [[sys.executable, "-m", "venv", "--clear", place], [python, "-m", "pip", "install", "-q", *PACKAGES]]
    ways = [pip]
    if uv:
        ways.insert(
            0,
            [[uv, "venv", "-q", "--clear", "--python", sys.executable, place], [uv, "pip", "install", "-q", "--python", python, *PACKAGES]],
        )
    trouble = ""
    for way in ways:
        try:
            for command in way:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=100, env=os.environ | {"UV_LINK_MODE": "copy"})
        except subprocess.CalledProcessError as error:
            trouble = error.stderr.strip()
        except subprocess.TimeoutExpired as error:
            trouble = str(error)
        else:
            return ""
    return trouble


class Truth:
    """What the simulated market says about itself, long after the clients have gone."""

    def __init__(self, tape, now_ms):
        self.tape = tape
        self.history = SyntheticHistory(tape, lambda: now_ms)
        self.quotes = {}
        for hour in range(now_ms // HOUR_MS - 2, now_ms // HOUR_MS):
            found = quotes(tape, SYMBOL, hour)
            rows = zip(
                *(column.tolist() for column in (found.ids, found.bid, found.bid_qty, found.ask, found.ask_qty, found.time_ms)), strict=True
            )
            self.quotes |= {update: (price(bid), qty(b), price(ask), qty(a), time) for update, bid, b, ask, a, time in rows}

    def trades(self, first, count):
        """Rows of consecutive ids: id, price, quantity, first and last fill, time, is the buyer the maker."""
        found = self.history.from_id(SYMBOL, first, count)
        columns = (found.ids, found.price, found.qty, found.first, found.last, found.time_ms, found.maker)
        return [(a, price(p), qty(q), *rest) for a, p, q, *rest in zip(*(column.tolist() for column in columns), strict=True)]

    def klines(self, first_ms, last_ms, interval_ms):
        found = asyncio.run(candles(self.history, SYMBOL, interval_ms, first_ms, last_ms))
        return {row.open_ms: row for row in rows_of(found)}

    def until(self, now_ms):
        return SyntheticHistory(self.tape, lambda: now_ms)


def price(units):
    return decimal_text(units, BTC.price_decimals)


def qty(units):
    return decimal_text(units, BTC.qty_decimals)


def turnover(units):
    return decimal_text(units, BTC.price_decimals + BTC.qty_decimals)


def kline_row(row, interval_ms):
    prices = [price(units) for units in (row.open, row.high, row.low, row.close)]
    end = row.open_ms + interval_ms - 1
    return [row.open_ms, *prices, qty(row.volume), end, turnover(row.quote), row.trades, qty(row.buy_volume), turnover(row.buy_quote), "0"]


@pytest.fixture(scope="module")
def found(clients_python, running, clock, now_ms):
    """What both clients have printed, and the market's time before and after, from one run."""
    market_ms = clock(now_ms, SPEED)

    async def run(script, *arguments):
        process = await asyncio.create_subprocess_exec(
            clients_python, CLIENTS / script, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, err.decode()[-2_000:]
        return json.loads(out)

    async def both():
        async with running(SimulatorConfig(port=0), clock_ms=market_ms) as port:
            http, websocket = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
            return await asyncio.gather(run("official_sdk.py", http, websocket, SYMBOL), run("with_ccxt.py", http, websocket, IN_CCXT))

    sdk, ccxt = asyncio.run(both())
    return sdk, ccxt, now_ms, market_ms()


@pytest.fixture(scope="module")
def truth(tape, now_ms):
    return Truth(tape, now_ms + 2 * HOUR_MS)


@pytest.mark.slow
def test_the_venues_own_sdk_asks(found, truth):
    sdk, _, began, ended = found
    assert sdk["ping"] == {}
    assert began <= sdk["time"]["serverTime"] <= ended
    listed = {one["symbol"]: {rule["filterType"]: rule for rule in one["filters"]} for one in sdk["info"]["symbols"]}
    assert set(listed) == {spec.symbol for spec in SPECS}
    for spec in SPECS:
        one = spec.instrument
        assert listed[spec.symbol]["PRICE_FILTER"]["tickSize"] == decimal_text(one.tick_units, one.price_decimals)
        assert listed[spec.symbol]["LOT_SIZE"]["stepSize"] == decimal_text(one.lot_units, one.qty_decimals)
    for name in ("newest", "from_id"):
        rows = [(one["a"], one["p"], one["q"], one["f"], one["l"], one["T"], one["m"]) for one in sdk[name]]
        assert rows == truth.trades(rows[0][0], 50)
    for name, interval_ms in (("klines", 60_000), ("seconds", 1_000)):
        rows = sdk[name]
        assert len(rows) == 20
        expected = truth.klines(rows[0][0], rows[-1][0], interval_ms)
        assert rows[:-1] == [kline_row(row, interval_ms) for row in list(expected.values())[:-1]]
        assert rows[-1][0] == max(expected)  # still running: what it holds is the stream's test
    weights = list(map(int, sdk["weights"]))  # of one budget with the other client
    anew = sum(later <= before for before, later in pairwise(weights))
    assert anew <= 1 + (ended - began) // 60_000  # each minute begins with nothing used
    assert anew or weights[-1] >= 37
    assert sdk["limits"] == [["REQUEST_WEIGHT", "MINUTE", 1]]
    assert [one[:2] for one in sdk["refusals"]] == [["BadRequestError", -1121], ["BadRequestError", -1128], ["NotFoundError", -5000]]


@pytest.mark.slow
def test_the_venues_own_sdk_asks_about_the_present(found, truth):
    sdk, *_ = found
    for name in ("price", "price_v2"):
        last = truth.until(sdk[name]["time"]).newest(SYMBOL, sdk[name]["time"], 1)
        assert sdk[name]["price"] == price(int(last.price[0]))
    assert {one["symbol"] for one in sdk["prices"]} == {spec.symbol for spec in SPECS}
    one = sdk["quote"]
    assert truth.quotes[one["lastUpdateId"]] == (one["bidPrice"], one["bidQty"], one["askPrice"], one["askQty"], one["time"])
    day = sdk["day"]
    assert day["count"] == day["lastId"] - day["firstId"] + 1
    minutes = asyncio.run(candles(truth.until(day["closeTime"]), SYMBOL, 60_000, day["openTime"], day["closeTime"]))
    assert (day["highPrice"], day["lowPrice"]) == (price(int(minutes.high.max())), price(int(minutes.low.min())))
    assert (day["volume"], day["quoteVolume"]) == (qty(int(minutes.volume.sum())), turnover(int(minutes.quote.sum())))
    assert Decimal(day["lastPrice"]) - Decimal(day["openPrice"]) == Decimal(day["priceChange"])
    recent = sdk["recent"]
    assert [one["id"] for one in recent] == list(range(recent[0]["id"], recent[0]["id"] + 30))
    assert all(Decimal(one["price"]) * Decimal(one["qty"]) == Decimal(one["quoteQty"]) for one in recent)


@pytest.mark.slow
def test_the_venues_own_sdk_listens(found, truth):
    sdk, *_ = found
    assert sdk["connections"] == 3  # it opens one to /private, too
    assert sdk["problems"] == []
    assert sdk["subscribed"]["result"] == ["btcusdt@aggTrade", "btcusdt@kline_1m"]
    rows = [(one["a"], one["p"], one["q"], one["f"], one["l"], one["T"], one["m"]) for one in sdk["heard"]["agg"]]
    assert len(rows) >= 8
    assert rows == truth.trades(rows[0][0], len(rows))
    assert all(one["e"] == "aggTrade" and one["s"] == SYMBOL and one["nq"] == one["q"] and one["st"] == 1 for one in sdk["heard"]["agg"])
    for one in sdk["heard"]["quote"]:
        assert truth.quotes[one["u"]] == (one["b"], one["B"], one["a"], one["A"], one["T"])
    assert_candles_grow(truth, [one["k"] for one in sdk["heard"]["kline"]])


@pytest.mark.slow
def test_ccxt_asks_and_listens(found, truth):
    _, ccxt, began, ended = found
    assert ccxt["markets"] == len(SPECS)
    assert {name: ccxt["market"][name] for name in ("id", "symbol", "linear", "swap", "active")} == {
        "id": SYMBOL,
        "symbol": IN_CCXT,
        "linear": True,
        "swap": True,
        "active": True,
    }
    assert ccxt["market"]["precision"]["price"] == float(decimal_text(BTC.tick_units, BTC.price_decimals))
    assert ccxt["market"]["precision"]["amount"] == float(decimal_text(BTC.lot_units, BTC.qty_decimals))
    assert began <= ccxt["time"] <= ended
    for trades in (ccxt["trades"], ccxt["heard"]["agg"]):
        rows = [(int(one["id"]), one["price"], one["amount"], one["timestamp"], one["side"]) for one in trades]
        assert len(rows) >= 8
        expected = truth.trades(rows[0][0], len(rows))
        assert rows == [(a, float(p), float(q), t, "sell" if maker else "buy") for a, p, q, _, _, t, maker in expected]
    fills = [int(one["id"]) for one in ccxt["heard"]["raw"]]
    assert fills == list(range(fills[0], fills[0] + len(fills)))
    rows = ccxt["klines"]
    expected = truth.klines(rows[0][0], rows[-1][0], 60_000)
    assert [row[0] for row in rows] == list(expected)
    assert rows[:-1] == [[row[0], *map(float, row[1:6])] for row in (kline_row(one, 60_000) for one in list(expected.values())[:-1])]
    for one in [*ccxt["heard"]["quote"], ccxt["quote"][IN_CCXT]]:
        bid, bid_qty, ask, ask_qty, time = truth.quotes[int(one["info"].get("u") or one["info"]["lastUpdateId"])]
        assert (one["bid"], one["bidVolume"], one["ask"], one["askVolume"]) == tuple(map(float, (bid, bid_qty, ask, ask_qty)))
        assert one["timestamp"] in {time, int(one["info"].get("E", 0))}
    assert len(ccxt["heard"]["kline"]) >= 8
    assert "Invalid symbol" in ccxt["refusal"]


def assert_candles_grow(truth, heard):
    """Each message is the candle so far: within the final one, and equal to it when it is closed."""
    assert len(heard) >= 8
    final = truth.klines(heard[0]["t"], heard[-1]["t"], 60_000)
    for one in heard:
        row = kline_row(final[one["t"]], 60_000)
        assert (one["o"], one["T"], one["i"], one["s"]) == (row[1], row[6], "1m", SYMBOL)
        if one["x"]:
            assert [one[name] for name in "ohlcvTqnVQ"] == [row[at] for at in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]
        else:
            assert Decimal(one["h"]) <= Decimal(row[2])
            assert Decimal(one["l"]) >= Decimal(row[3])
            assert one["n"] <= row[8]
    counts = [(one["t"], one["n"]) for one in heard]
    assert counts == sorted(counts)

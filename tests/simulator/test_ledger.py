"""The ledger: what REST gives, minus holes, whatever happens to the process or to the file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.errors import UsageError
from pipeline.simulator import SimulatorConfig
from pipeline.simulator.holes import HoledTape
from pipeline.simulator.ledger import Ledger
from pipeline.simulator.trades import HOUR_MS

HOUR_START = 498_711 * HOUR_MS
SPEED = 20.0


def read(path: Path) -> tuple[dict[str, list[dict]], dict[str, list[list[int]]]]:
    """Trades and holes of each symbol."""
    trades: dict[str, list[dict]] = {}
    holes: dict[str, list[list[int]]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if "hole" in row:
            holes.setdefault(row["s"], []).append(row["hole"])
        else:
            trades.setdefault(row["s"], []).append(row)
    return trades, holes


async def rest_rows(port: int, symbol: str, first: int, last: int) -> list[dict]:
    """What REST has from one id to another, page by page."""
    rows: list[dict] = []
    async with httpx.AsyncClient() as client:
        while first <= last:
            url = f"http://127.0.0.1:{port}/fapi/v1/aggTrades?symbol={symbol}&fromId={first}&limit=1000"
            page = (await client.get(url)).json()
            rows += [row for row in page if row["a"] <= last]
            first = page[-1]["a"] + 1
    return rows


def test_the_ledger_holds_what_was_heard_and_what_rest_gives(running, clock, tmp_path):
    path = tmp_path / "ledger.jsonl"

    async def listen() -> list[dict]:
        heard = []
        config = SimulatorConfig(port=0, seed=7, ledger=path)
        async with (
            running(config, clock_ms=clock(HOUR_START - 8_000, SPEED)) as port,
            connect(f"ws://127.0.0.1:{port}/market/ws/ethusdt@kline_1m/ltcusdt@kline_1m", close_timeout=0.1) as klines,
        ):
            await klines.recv()  # the tape of ETHUSDT is being read before anybody asks for its trades
            async with connect(f"ws://127.0.0.1:{port}/market/ws/ethusdt@aggTrade/btcusdt@aggTrade", close_timeout=0.1) as client:
                started = time.monotonic()
                while time.monotonic() < started + 1:
                    heard.append(json.loads(await client.recv()))
            now, _ = read(path)  # nothing is heard before it is written
            assert {row["a"] for row in heard if row["s"] == "ETHUSDT"} <= {row["a"] for row in now["ETHUSDT"]}
        return heard

    heard = asyncio.run(listen())
    trades, holes = read(path)
    assert set(trades) == {"ETHUSDT", "BTCUSDT"}
    assert not holes

    async def look_up(symbol: str) -> list[dict]:
        async with running(SimulatorConfig(port=0, seed=7), clock_ms=lambda: HOUR_START + HOUR_MS) as port:
            return await rest_rows(port, symbol, trades[symbol][0]["a"], trades[symbol][-1]["a"])

    for symbol in ("ETHUSDT", "BTCUSDT"):
        mine = [row for row in heard if row["s"] == symbol]
        assert mine[0]["a"] == trades[symbol][0]["a"]
        assert [{"s": symbol, **{name: row[name] for name in "apqflTm"}} for row in asyncio.run(look_up(symbol))] == trades[symbol]
        assert [{name: row[name] for name in "sapqflTm"} for row in mine] == trades[symbol][: len(mine)]


def ledger_of(path: Path, tape: HoledTape, *steps: int, holes: tuple[tuple[int, int], ...] = ()) -> None:
    """One run of a simulator, as far as the ledger sees it."""
    ledger = Ledger(path, tape)
    asyncio.run(ledger.catch_up(steps[0]))
    for at in steps:
        ledger.witness(at)
    for first, last in holes:
        ledger.hole("LTCUSDT", first, last)
        tape.add("LTCUSDT", first, last)
        ledger.reload("LTCUSDT")
    ledger.close()


def test_a_killed_ledger_goes_on_where_it_was_torn(tmp_path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    begin = HOUR_START - 60_000
    tape = HoledTape(7)
    first = tape.free_id("LTCUSDT", begin)
    for path in (whole, torn):
        ledger = Ledger(path, HoledTape(7))
        ledger.follow("LTCUSDT", first - 1)
        ledger.witness(begin + 30_000)
        ledger.close()
    ledger_of(whole, HoledTape(7), begin + 2 * HOUR_MS)

    for cut in (1, 2, 40, 150):
        content = torn.read_bytes()
        torn.write_bytes(content[: len(content) - cut])
        ledger_of(torn, HoledTape(7), begin + 30_000 + cut)
    ledger_of(torn, HoledTape(7), begin + HOUR_MS, begin + HOUR_MS + 500, begin + 2 * HOUR_MS)
    assert torn.read_bytes() == whole.read_bytes()
    ids = [row["a"] for row in read(torn)[0]["LTCUSDT"]]
    assert ids == list(range(first, first + len(ids)))
    assert len(ids) > 100


def test_holes_outlive_the_process(tmp_path):
    path = tmp_path / "ledger"
    begin = HOUR_START - 1_000
    tape = HoledTape(7)
    ledger = Ledger(path, tape)
    start = tape.free_id("LTCUSDT", begin)
    ledger.follow("LTCUSDT", start - 1)
    ledger.close()
    ledger = Ledger(path, tape)  # nothing has been written: the symbol is followed again by the next listener
    ledger.follow("LTCUSDT", start - 1)
    ledger.witness(begin + 20_000)
    ledger.hole("LTCUSDT", *(hole := (start + 200, start + 203)))
    tape.add("LTCUSDT", *hole)
    ledger.reload("LTCUSDT")
    ledger.close()
    again = HoledTape(7)
    ledger_of(path, again, HOUR_START + HOUR_MS)
    trades, holes = read(path)
    assert holes == {"LTCUSDT": [list(hole)]}
    ids = [row["a"] for row in trades["LTCUSDT"]]
    assert ids == [at for at in range(start, ids[-1] + 1) if not hole[0] <= at <= hole[1]]
    assert again.free_id("LTCUSDT", begin) > hole[1]


def test_a_file_that_cannot_be_continued_is_refused(tmp_path):
    other = tmp_path / "other"
    other.write_text('{"s":"LTCUSDT","a":1}\nhello\n')
    with pytest.raises(UsageError, match="line 2 is not one of a simulator's ledger"):
        Ledger(other, HoledTape(7))
    tape = HoledTape(8)
    mine = Ledger(tmp_path / "mine", tape)
    with pytest.raises(UsageError, match="is being written by another simulator"):
        Ledger(tmp_path / "mine", HoledTape(8))
    mine.follow("LTCUSDT", tape.free_id("LTCUSDT", HOUR_START))
    mine.witness(HOUR_START + 60_000)
    mine.close()
    with pytest.raises(UsageError, match="use its seed or name another file"):
        Ledger(tmp_path / "mine", HoledTape(7))
    with pytest.raises(UsageError, match="in a directory that exists"):
        Ledger(tmp_path / "no" / "ledger", tape)
    with pytest.raises(UsageError, match="a replay has no ledger"):
        SimulatorConfig(replay=(other,), ledger=other)


def test_kill_9_in_mid_write_leaves_no_break(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipeline.cli", "simulate", "--port", str(port), "--seed", "7", "--ledger", str(path)]
    environment = os.environ | {"SPREADWATCH_DATA_DIR": str(tmp_path)}

    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT")
    streams = "/".join(f"{symbol.lower()}@aggTrade" for symbol in symbols)

    async def hear(count: int) -> list[dict]:
        until = time.monotonic() + 20
        while True:
            try:
                client = await connect(f"ws://127.0.0.1:{port}/market/ws/{streams}")
                break
            except OSError:
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
        async with client:
            return [json.loads(await client.recv()) for _ in range(count)]

    heard: list[dict] = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            heard += asyncio.run(hear(6))
        finally:
            process.send_signal(number)
            process.wait(10)
    trades, _ = read(path)
    for rows in trades.values():
        ids = [row["a"] for row in rows]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    written = {(row["s"], row["a"]): row for rows in trades.values() for row in rows}
    for row in heard:
        assert written[row["s"], row["a"]] == {name: row[name] for name in "sapqflTm"}

"""The simulator's data archive: the same market as its REST answers, with checksums, never of a day that is not over."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest

from pipeline.simulator.archive import PREFIX, Archive
from pipeline.simulator.history import SyntheticHistory
from pipeline.simulator.rest import Rest
from pipeline.simulator.trades import Tape

DAY = 86_400_000
NOW = int(datetime(2026, 11, 22, 15, 8, tzinfo=UTC).timestamp()) * 1_000
TRADES = "daily/aggTrades/OPUSDT/OPUSDT-aggTrades-2026-11-21.zip"
KLINES = "daily/klines/OPUSDT/1m/OPUSDT-1m-2026-11-21.zip"


@pytest.fixture
def history(tape):
    return SyntheticHistory(tape, lambda: NOW)


@pytest.fixture
def get(history):
    archive = Archive(history)
    return lambda path: asyncio.run(archive.file(PREFIX + path))


def rows(body):
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        (name,) = opened.namelist()
        found = list(csv.reader(io.TextIOWrapper(opened.open(name))))
    return name, found[0], found[1:]


def rest(history, **query):
    wall = iter(range(0, 10**12, 60_000))
    answers = Rest(history, lambda: next(wall))
    path = query.pop("path")
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return json.loads(asyncio.run(answers.answer(f"/fapi/v1/{path}?{text}")).body)


def test_a_days_trades_are_those_of_rest(get, history):
    name, header, found = rows(get(TRADES))
    assert name == "OPUSDT-aggTrades-2026-11-21.csv"
    assert header[0] == "agg_trade_id"
    assert len(found) > 50_000
    start = NOW // DAY * DAY - DAY
    assert all(start <= int(row[5]) < start + DAY for row in (found[0], found[-1]))
    for at in (0, len(found) - 700):
        told = rest(history, path="aggTrades", symbol="OPUSDT", fromId=found[at][0], limit=1_000)
        same = [[str(row[key]) for key in "apqflT"] + [str(row["m"]).lower()] for row in told]
        assert found[at : at + 1_000] == same[: len(found) - at]


def test_a_days_candlesticks_are_those_of_rest(get, history):
    name, header, found = rows(get(KLINES))
    assert (name, header[0], len(found)) == ("OPUSDT-1m-2026-11-21.csv", "open_time", 1_440)
    told = rest(history, path="klines", symbol="OPUSDT", interval="1m", startTime=NOW // DAY * DAY - DAY, limit=1_440)
    assert found == [[str(value) for value in row] for row in told]
    assert len(rows(get(KLINES.replace("1m", "4h")))[2]) == 6


def test_a_month_is_its_days(get):
    days = [rows(get(f"daily/klines/OPUSDT/1h/OPUSDT-1h-2026-10-{day:02}.zip"))[2] for day in (1, 15, 31)]
    _, _, month = rows(get("monthly/klines/OPUSDT/1h/OPUSDT-1h-2026-10.zip"))
    assert len(month) == 31 * 24
    assert [month[:24], month[14 * 24 : 15 * 24], month[-24:]] == days


def test_checksums_and_bytes_that_never_change(get, tape):
    body = get(KLINES)
    assert get(KLINES + ".CHECKSUM") == f"{hashlib.sha256(body).hexdigest()}  OPUSDT-1m-2026-11-21.zip\n".encode()
    later = Archive(SyntheticHistory(Tape(tape.seed), lambda: NOW + 9 * DAY))
    assert asyncio.run(later.file(PREFIX + KLINES)) == body


@pytest.mark.parametrize(
    "path",
    [
        KLINES.replace("11-21", "11-22"),  # today
        KLINES.replace("11-21", "11-23"),
        KLINES.replace("2026-11-21", "2019-12-31"),  # before the market began
        "monthly/klines/OPUSDT/1m/OPUSDT-1m-2026-11.zip",  # not over
        KLINES.replace("OPUSDT", "NONEUSDT"),
        KLINES.replace("OPUSDT/", "BTCUSDT/"),
        KLINES.replace("1m", "7m"),
        KLINES.replace("1m", "1s"),
        KLINES.replace("11-21", "02-30"),
        KLINES.replace("daily", "monthly"),
        "monthly/aggTrades/OPUSDT/OPUSDT-aggTrades-2026-11-21.zip",
        "../../etc/passwd",
        "",
    ],
)
def test_what_there_is_not(get, path):
    assert get(path) is None
    assert get(path + ".CHECKSUM") is None


def test_files_are_served_beside_rest(running, clock):
    import httpx

    from pipeline.simulator import SimulatorConfig

    async def ask():
        async with running(SimulatorConfig(port=0), clock_ms=clock(NOW, 1)) as port, httpx.AsyncClient() as client:
            base = f"http://127.0.0.1:{port}{PREFIX}"
            return [await client.get(base + path) for path in (KLINES, KLINES + ".CHECKSUM", KLINES.replace("11-21", "11-22"))]

    body, checksum, absent = asyncio.run(ask())
    assert (body.status_code, checksum.status_code, absent.status_code) == (200, 200, 404)
    assert checksum.text.startswith(hashlib.sha256(body.content).hexdigest())

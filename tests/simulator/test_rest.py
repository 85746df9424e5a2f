from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import defaultdict
from decimal import Decimal

import pytest

from pipeline.simulator.history import SyntheticHistory
from pipeline.simulator.rest import Rest
from pipeline.simulator.trades import HOUR_MS, Tape

HOUR_START = 498_711 * HOUR_MS


class Venue:
    """REST over a fixed market time and an adjustable wall clock."""

    def __init__(self, tape: Tape, now_ms: int) -> None:
        self.now_ms = now_ms
        self.wall_ms = 0
        self.rest = Rest(SyntheticHistory(tape, lambda: self.now_ms), lambda: self.wall_ms)

    def answer(self, path: str, **params):
        self.wall_ms += 60_000  # a minute between requests: weights are tested on their own
        return self.raw(path, **params)

    def raw(self, path: str, **params):
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return asyncio.run(self.rest.answer(f"/fapi/v1/{path}?{query}"))

    def get(self, path: str, **params):
        answer = self.answer(path, **params)
        assert answer.status == 200, answer
        return json.loads(answer.body)


@pytest.fixture
def venue(tape, now_ms) -> Venue:
    return Venue(tape, now_ms)


def test_ping_and_time(venue, now_ms):
    assert venue.get("ping") == {}
    assert venue.get("time") == {"serverTime": now_ms}
    assert len(venue.get("exchangeInfo")["symbols"]) >= 24


def test_agg_trades_by_id_page_through_an_hour_boundary_without_hole(venue, tape):
    start = int(tape.trades("ETHUSDT", 498_710).ids[-700])
    rows = venue.get("aggTrades", symbol="ETHUSDT", fromId=start, limit=1000)
    rows += venue.get("aggTrades", symbol="ETHUSDT", fromId=rows[-1]["a"] + 1, limit=1000)
    assert [row["a"] for row in rows] == list(range(start, start + len(rows)))
    assert len(rows) == 2_000
    assert all(after["f"] == before["l"] + 1 for before, after in itertools.pairwise(rows))
    assert list(rows[0]) == ["a", "p", "q", "nq", "f", "l", "T", "m"]


def test_agg_trades_by_time(venue, now_ms):
    rows = venue.get("aggTrades", symbol="BTCUSDT", startTime=now_ms - 60_000, endTime=now_ms - 30_000, limit=1000)
    assert rows
    assert all(now_ms - 60_000 <= row["T"] <= now_ms - 30_000 for row in rows)
    first = venue.get("aggTrades", symbol="BTCUSDT", startTime=now_ms - 60_000, endTime=now_ms - 30_000, limit=3)
    assert first == rows[:3]
    assert venue.get("aggTrades", symbol="BTCUSDT", endTime=now_ms - 30_000, limit=2) == rows[-2:]
    assert len(venue.get("aggTrades", symbol="BTCUSDT")) == 500


def test_nothing_is_told_of_the_future(venue, now_ms):
    latest = venue.get("aggTrades", symbol="BTCUSDT", limit=1)[0]
    assert latest["T"] <= now_ms
    assert venue.get("aggTrades", symbol="BTCUSDT", fromId=latest["a"] + 1) == []
    assert venue.get("aggTrades", symbol="BTCUSDT", fromId=10**12) == []
    assert venue.get("aggTrades", symbol="BTCUSDT", startTime=now_ms + 1, endTime=now_ms + 10_000) == []
    assert venue.get("klines", symbol="BTCUSDT", interval="1m", startTime=now_ms + 60_000) == []
    far = 99999999999999999999
    assert venue.get("klines", symbol="BTCUSDT", interval="1m", startTime=far) == []
    assert venue.get("aggTrades", symbol="BTCUSDT", startTime=far) == []
    assert venue.get("aggTrades", symbol="BTCUSDT", fromId=far) == []
    assert venue.get("aggTrades", symbol="BTCUSDT", endTime=far, limit=1) == [latest]
    assert venue.get("klines", symbol="BTCUSDT", interval="1m", endTime=0) == []
    running = venue.get("klines", symbol="BTCUSDT", interval="1m", limit=1)[0]
    assert running[0] <= now_ms <= running[6]
    trades = venue.get("aggTrades", symbol="BTCUSDT", startTime=running[0], limit=1000)
    assert running[8] == sum(trade["l"] - trade["f"] + 1 for trade in trades)
    venue.now_ms = HOUR_START  # exactly on the hour
    assert venue.get("klines", symbol="BTCUSDT", interval="1h", limit=2)[0][0] == HOUR_START - HOUR_MS


@pytest.mark.parametrize("interval", ["1m", "5m"])
def test_klines_are_the_aggregation_of_agg_trades(venue, interval):
    length = {"1m": 60_000, "5m": 300_000}[interval]
    start = HOUR_START - 600_000
    rows: list[dict] = []
    at = venue.get("aggTrades", symbol="ETHUSDT", startTime=start, limit=1)[0]["a"]
    while not rows or rows[-1]["T"] < HOUR_START:
        rows += venue.get("aggTrades", symbol="ETHUSDT", fromId=at, limit=1000)
        at = rows[-1]["a"] + 1
    buckets = defaultdict(list)
    for row in rows:
        if row["T"] < HOUR_START:
            buckets[row["T"] // length * length].append(row)
    klines = venue.get("klines", symbol="ETHUSDT", interval=interval, startTime=start, endTime=HOUR_START - 1)
    assert [kline[0] for kline in klines] == sorted(buckets)
    for kline in klines:
        trades = buckets[kline[0]]
        prices = [Decimal(trade["p"]) for trade in trades]
        taken = [trade for trade in trades if not trade["m"]]
        assert kline == [
            kline[0],
            str(prices[0]),
            str(max(prices)),
            str(min(prices)),
            str(prices[-1]),
            str(sum(Decimal(trade["q"]) for trade in trades)),
            kline[0] + length - 1,
            str(sum(Decimal(trade["p"]) * Decimal(trade["q"]) for trade in trades)),
            trades[-1]["l"] - trades[0]["f"] + 1,
            str(sum(Decimal(trade["q"]) for trade in taken)),
            str(sum(Decimal(trade["p"]) * Decimal(trade["q"]) for trade in taken)),
            "0",
        ]


def test_seconds_come_from_continuous_klines_alone(venue, now_ms):
    rows = venue.get("continuousKlines", pair="BTCUSDT", contractType="PERPETUAL", interval="1s", limit=1500)
    assert [row[0] for row in rows] == list(range(now_ms // 1_000 * 1_000 - 1_499_000, now_ms + 1, 1_000))
    flat = [(before, row) for before, row in itertools.pairwise(rows) if row[8] == 0]
    assert flat
    assert all(row[1:6] == [before[4]] * 4 + ["0.000"] for before, row in flat)
    refused = venue.answer("klines", symbol="BTCUSDT", interval="1s")
    assert json.loads(refused.body) == {"code": -1120, "msg": "Invalid interval."}


@pytest.mark.parametrize("interval", ["1m", "15m", "1h", "4h", "1d"])
def test_klines_by_times_and_by_limit_agree(venue, interval):
    rows = venue.get("klines", symbol="SOLUSDT", interval=interval, limit=4)
    assert len(rows) == 4
    assert all(after[0] == before[6] + 1 for before, after in itertools.pairwise(rows))
    assert venue.get("klines", symbol="SOLUSDT", interval=interval, startTime=rows[1][0], endTime=rows[2][0]) == rows[1:3]
    assert venue.get("klines", symbol="SOLUSDT", interval=interval, startTime=rows[0][0] + 1, limit=2) == rows[1:3]
    assert venue.get("klines", symbol="SOLUSDT", interval=interval, endTime=rows[1][6], limit=2) == rows[:2]


def test_a_day_of_minutes_is_quickly_made(now_ms):
    venue = Venue(Tape(99), now_ms)
    begun = time.process_time()
    assert len(venue.get("klines", symbol="ETHUSDT", interval="1m", limit=1440)) == 1_440
    assert time.process_time() - begun < 1.0  # 0.07 s on an idle machine


def test_history_begins_with_the_genesis(venue):
    rows = venue.get("klines", symbol="SOLUSDT", interval="1h", startTime=0, limit=2)
    assert rows[0][0] == 1_577_836_800_000
    venue.now_ms = 1_577_836_800_000 - 1
    assert venue.get("klines", symbol="SOLUSDT", interval="1h") == []
    assert venue.get("aggTrades", symbol="SOLUSDT") == []


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("aggTrades", {"symbol": "NOPEUSDT"}, -1121),
        ("aggTrades", {}, -1102),
        ("aggTrades", {"symbol": ""}, -1102),
        ("aggTrades", {"symbol": "BTCUSDT", "limit": 1001}, -1130),
        ("aggTrades", {"symbol": "BTCUSDT", "limit": 0}, -1130),
        ("aggTrades", {"symbol": "BTCUSDT", "limit": "many"}, -1100),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": "-1"}, -1100),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, -1128),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": 1}, -4166),
        ("aggTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 2}, -4166),
        ("aggTrades", {"symbol": "BTCUSDT", "startTime": HOUR_START, "endTime": HOUR_START - 1}, -1023),
        ("aggTrades", {"symbol": "BTCUSDT", "startTime": HOUR_START - HOUR_MS, "endTime": HOUR_START}, -1127),
        ("klines", {"symbol": "BTCUSDT", "interval": "2m"}, -1120),
        ("klines", {"symbol": "BTCUSDT"}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1501}, -1130),
        ("continuousKlines", {"pair": "BTCUSDT", "contractType": "NEXT", "interval": "1m"}, -4039),
        ("continuousKlines", {"symbol": "BTCUSDT", "contractType": "PERPETUAL", "interval": "1m"}, -1102),
    ],
)
def test_bad_requests_are_refused_as_the_venue_refuses_them(venue, path, params, code):
    answer = venue.answer(path, **params)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code
    assert json.loads(answer.body)["msg"]


def test_an_unknown_path_is_not_found(venue):
    answer = venue.answer("depth", symbol="BTCUSDT")
    assert answer.status == 404
    assert json.loads(answer.body)["code"] == -5000


def test_weights_are_counted_and_the_budget_ends(venue):
    venue.wall_ms = 600_000 + 15_000
    costs = [("ping", {}, 1), ("aggTrades", {"symbol": "BTCUSDT"}, 20)]
    costs += [
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": limit}, cost)
        for limit, cost in ((99, 1), (100, 2), (499, 2), (500, 5), (1_000, 5), (1_001, 10))
    ]
    used = 0
    for path, params, cost in costs:
        used += cost
        assert venue.raw(path, **params).headers["X-MBX-USED-WEIGHT-1M"] == str(used)
    while used + 20 <= 2_400:
        used += 20
        assert venue.raw("aggTrades", symbol="BTCUSDT", limit=1).status == 200
    refused = venue.raw("aggTrades", symbol="BTCUSDT", limit=1)
    assert refused.status == 429
    assert json.loads(refused.body)["code"] == -1003
    assert 45 <= int(refused.headers["Retry-After"]) <= 46
    venue.wall_ms += 45_000
    again = venue.raw("ping")
    assert (again.status, again.headers["X-MBX-USED-WEIGHT-1M"]) == (200, "1")

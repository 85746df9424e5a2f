"""What stream_health tells, against the lines that were landed and the tables that they became."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.event import TradeKind
from pipeline.profile import Kind
from pipeline.warehouse.lags import Lags, Stage

BTC, BOOK = "btcusdt@trade", "btcusdt@bookTicker"
SECOND = 1_000_000_000


def clock(at_ns, streams, *, reconnects=0, lost=0, conns=(("market", "open"), ("public", "open")), **more):
    line = {
        "e": "sw.clock",
        "connected": all(state == "open" for _, state in conns),
        "streams": {name: {"n": n, "last_ns": last} for name, (n, last) in streams.items()},
        "reconnects": reconnects,
        "conns": [{"route": route, "state": state, "since_ns": 5 * SECOND} for route, state in conns],
        **({"lost": {"lines": lost, "bytes": 1, "first_ns": 1, "last_ns": 1}} if lost else {}),
        **more,
    }
    return b"%d %b" % (at_ns, json.dumps(line).encode())


def row(lab, stream):
    return lab.warehouse.select("SELECT * FROM stream_health WHERE stream = $stream", stream=stream).row(0, named=True)


@pytest.fixture
def live(make_lab):
    return make_lab(kind=Kind.LIVE, stale_after_s=30.0)


def test_lags_are_those_of_the_ticks_net_of_the_venues_clock(live, trade):
    now = time.time_ns()
    late_ms = [*range(10, 110), 700]
    lines = [
        trade("BTCUSDT", number, now // 10**6 - 900 + number, recv_ns=now - 900 * 10**6 + number * 10**6 + late * 10**6)
        for number, late in enumerate(late_ms, start=1)
    ]
    said = {"clock": {"offset_ms": 30.0, "rtt_ms": 4.0, "at_ns": now}, "buffered": 77, "waiting": 3}
    live.land([clock(now, {BTC: (0, None)}, **said)])
    began = time.time_ns()
    live.land(lines)
    ended = time.time_ns()
    live.land([clock(now + SECOND, {BTC: (101, now)}, **said)])
    found = row(live, BTC)
    lags = live.warehouse.select("SELECT (epoch_us(recv_time) - epoch_us(event_time)) / 1000 + 30 AS ms FROM ticks ORDER BY ms")["ms"]
    assert found["wire_p50_ms"] == pytest.approx(lags[50], rel=0.05)
    assert found["wire_p99_ms"] == pytest.approx(lags[99], rel=0.05)
    assert found["wire_max_ms"] == pytest.approx(730, abs=2)
    oldest = live.warehouse.select("SELECT epoch_ns(min(recv_time)) AS ns FROM ticks").item()
    assert (began - oldest) / 1e6 * 0.95 < found["landing_max_ms"] < (ended - oldest) / 1e6 * 1.05
    assert found["visible_max_ms"] >= found["landing_max_ms"]
    assert (began - now) / 1e6 + 900 < found["visible_max_ms"] < (ended - now) / 1e6 + 900 + 30
    capture = row(live, "capture")
    assert (capture["clock_offset_ms"], capture["clock_rtt_ms"], capture["buffered_bytes"], capture["waiting_frames"]) == (30, 4, 77, 3)
    assert live.rows("SELECT min(epoch_ms(event_time)) FROM ticks") == [(now // 10**6 - 899,)]  # no time is altered by it


def test_a_replay_is_not_late(make_lab, trade):
    lab = make_lab(kind=Kind.RECORDED)
    lab.land([trade("BTCUSDT", 1, 1_723_161_300_000)], "capture")
    lab.land([clock(time.time_ns(), {BTC: (1, 1)})], "capture")
    found = row(lab, BTC)
    assert (found["wire_max_ms"], found["visible_max_ms"]) == (None, None)
    assert found["landing_max_ms"] > 0


def test_a_silent_stream_says_since_when(live):
    live.land([clock(100 * SECOND, {BTC: (5, 70 * SECOND), BOOK: (9, 69 * SECOND)})])
    live.land([clock(101 * SECOND, {BTC: (5, 70 * SECOND), BOOK: (9, 69 * SECOND), "ethusdt@trade": (0, None)})])
    seen = live.rows("SELECT stream, state, epoch_ms(silent_since) // 1000 FROM stream_health WHERE kind = 'stream' ORDER BY stream")
    assert seen == [(BOOK, "silent", 69), (BTC, "silent", 70), ("ethusdt@trade", "silent", 5)]
    live.land([clock(102 * SECOND, {BTC: (6, 102 * SECOND), BOOK: (9, 69 * SECOND)}, conns=(("market", "open"), ("public", "down")))])
    assert live.rows("SELECT stream, state, silent_since FROM stream_health WHERE stream = 'btcusdt@trade'") == [(BTC, "open", None)]
    assert row(live, BOOK)["state"] == "down"
    assert row(live, "capture")["state"] == "down"
    assert row(live, "connection:public")["state"] == "down"


def test_totals_grow_over_restarts_of_capture_and_of_the_warehouse(live):
    def totals():
        one = row(live, "capture")
        return (row(live, BTC)["messages_total"], one["reconnects_total"], one["dropped_total"])

    live.land([clock(10 * SECOND, {BTC: (5, 1)}, reconnects=2, lost=7)])
    assert totals() == (5, 2, 7)
    live.restart()
    live.land([clock(11 * SECOND, {BTC: (8, 1)}, reconnects=3, lost=7)])
    assert totals() == (8, 3, 7)
    live.crash([clock(12 * SECOND, {BTC: (9, 1)}, reconnects=3, lost=7)])
    assert totals() == (8, 3, 7)
    anew = [clock(20 * SECOND, {BTC: (4, 1)}), clock(21 * SECOND, {BTC: (6, 1)}, reconnects=1, lost=1)]  # capture was started anew
    live.land(anew)
    assert totals() == (14, 4, 8)
    assert row(live, BTC)["messages"] == 6


def test_gaps_halts_and_duplicates_of_a_symbol_stand_beside_its_trades(live, trade):
    t0 = 1_723_161_300_000
    live.land([trade("BTCUSDT", number, t0 + number) for number in (1, 2, 2, 1, 5, 6, 9)])
    live.land([trade("BTCUSDT", 10, t0 + 900_000), trade("BTCUSDT", 3, t0), trade("BTCUSDT", 4, t0), trade("ETHUSDT", 1, t0)])
    live.land([trade("BTCUSDT", 10, t0 + 900_000), clock(t0 * 10**6, {BTC: (3, 5), BOOK: (3, 5)})])
    found = row(live, BTC)
    assert (found["symbol"], found["gaps_open"], found["gaps"], found["halts"], found["duplicates"]) == ("BTCUSDT", 1, 2, 1, 3)
    counts = dict(live.rows("SELECT name, count FROM landing_counts WHERE source = 'capture'"))
    assert counts["duplicate_trades"] == counts["duplicate_trades:BTCUSDT"] == 3
    assert row(live, BOOK)["gaps"] is None


def test_a_capture_that_is_not_heard_of_is_stale_and_what_waits_is_told_all_the_same(live, monkeypatch):
    live.land([clock(10 * SECOND, {BTC: (5, 9 * SECOND)}, reconnects=2)])
    streams = live.engine._lander.streams
    assert not streams.overdue
    live.restart()  # and nothing of capture since
    streams = live.engine._lander.streams
    streams.backlog = {"capture": 4_096}
    streams.refresh()
    assert row(live, BTC)["state"] == "open"
    assert row(live, "journal:capture")["backlog_bytes"] == 4_096
    streams._heard_at -= 6
    streams.refresh()
    assert row(live, BTC)["state"] == row(live, "capture")["state"] == "stale"
    assert row(live, "journal:capture")["state"] == "open"
    live.land([clock(11 * SECOND, {BTC: (6, 9 * SECOND)}, reconnects=2)])
    assert (row(live, BTC)["state"], row(live, BTC)["messages_total"]) == ("open", 6)


@given(
    batches=st.lists(
        st.tuples(st.integers(0, 90), st.lists(st.tuples(st.integers(0, 2), st.integers(-2_000_000, 90_000_000)), max_size=30))
    )
)
@settings(max_examples=60, deadline=None)
def test_quantiles_and_maxima_are_those_of_the_last_minute(batches):
    lags, at, kept = Lags(), 1_700_000_000 * SECOND, []
    for pause_s, messages in batches:
        at += pause_s * SECOND
        codes = np.array([code for code, _ in messages], np.int64)
        late = np.array([lag for _, lag in messages], np.float64)
        lags.add(["a", "b", "c"], codes, {Stage.WIRE: late}, at)
        kept += [(at, code, lag) for code, lag in messages]
    told = lags.told(at)
    for code, stream in enumerate(["a", "b", "c"]):
        recent = sorted(lag / 1_000 for when, one, lag in kept if one == code and when // (10 * SECOND) > at // (10 * SECOND) - 6)
        if not recent:
            assert stream not in told
            continue
        assert told[stream][Stage.WIRE, 2] == recent[-1]
        assert np.isnan(told[stream][Stage.LANDING]).all()
        for place, quantile in enumerate((0.5, 0.99)):
            exact = recent[max(int(np.ceil(len(recent) * quantile)), 1) - 1]
            allowed = 0.05 if exact >= 0 else 0.25
            assert told[stream][Stage.WIRE, place] == pytest.approx(exact, rel=allowed, abs=0.03)


def test_a_great_batch_is_sampled_and_its_maximum_is_not():
    lags = Lags()
    late = np.linspace(1_000, 2_000, 50_000)
    late[123] = 5_000_000
    lags.add(["a"], np.zeros(50_000, np.int64), {Stage.WIRE: late, Stage.LANDING: late}, SECOND)
    p50, p99, most = lags.told(SECOND)["a"][Stage.WIRE]
    assert (p50, p99) == (pytest.approx(1.5, rel=0.05), pytest.approx(1.99, rel=0.05))
    assert most == 5_000
    assert lags.told(80 * SECOND) == {}


def test_the_stream_names_are_the_profiles(make_lab, trade):
    lab = make_lab(kind=Kind.LIVE, stream=TradeKind.AGGREGATE)
    now = time.time_ns()
    line = trade("BTCUSDT", 1, now // 10**6, recv_ns=now).replace(b'"e":"trade"', b'"e":"aggTrade"').replace(b'"t":1', b'"a":1,"f":1,"l":1')
    lab.land([line, clock(now, {"btcusdt@aggTrade": (1, now)})])
    lab.land([clock(now + SECOND, {"btcusdt@aggTrade": (1, now)})])
    assert row(lab, "btcusdt@aggTrade")["visible_p50_ms"] > 0

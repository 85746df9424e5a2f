"""Landing by hand-made trades: duplicates, gaps, late trades, completeness, and lines that must not stop it."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import StoreError
from pipeline.profile import Kind

T0 = 1_723_161_300_000  # 23:55:00 UTC, in milliseconds
BARS = "SELECT (epoch_ms(ts) - 1723161300000) // 1000 AS second, CAST(close AS DOUBLE), trades, revision FROM bars_1s ORDER BY ts"
COMPLETE = "SELECT (epoch_ms(ts) - 1723161300000) // 1000 AS second FROM bars WHERE complete AND timeframe = '{}' ORDER BY ts"
GAPS = """SELECT first_missing, last_missing, state, epoch_ms(from_time) - 1723161300000, epoch_ms(to_time) - 1723161300000
          FROM gaps ORDER BY ALL"""


def complete(lab, timeframe="1s"):
    return [second for (second,) in lab.rows(COMPLETE.format(timeframe))]


def ids(lab):
    return [trade_id for (trade_id,) in lab.rows("SELECT trade_id FROM ticks_recent ORDER BY rowid")]


def test_an_id_is_a_duplicate_if_and_only_if_it_is_covered(lab, trade):
    def one(number):
        return trade("BTCUSDT", number, T0 + number)

    lab.land([one(100), one(101), one(100)])
    lab.land([one(105), one(101), one(104), one(104)])
    lab.land([one(50), one(51)])  # older history
    lab.land([one(103), one(102), one(50), one(200)])
    assert ids(lab) == [100, 101, 105, 104, 50, 51, 103, 102, 200]
    assert lab.rows("SELECT first_id, last_id FROM coverage ORDER BY ALL") == [(50, 51), (100, 105), (200, 200)]
    assert dict(lab.rows("SELECT name, count FROM landing_counts"))["duplicate_trades"] == 4
    lab.restart()
    lab.land([one(number) for number in (50, 100, 105, 200, 52)])
    assert ids(lab)[-1] == 52


def test_a_late_trade_restates_the_bar_it_falls_in_and_no_other(lab, trade):
    lab.land([trade("BTCUSDT", number, T0 + 1_000 * number, f"{100 + number}.0") for number in range(1, 8)])
    before = lab.rows(BARS)
    assert before == [(number, 100.0 + number, 1, 0) for number in range(1, 8)]
    lab.land([trade("BTCUSDT", 8, T0 + 3_500, "50.0")])
    assert lab.rows(BARS) == [*before[:2], (3, 50.0, 2, 1), *before[3:]]
    lab.land([trade("BTCUSDT", 9, T0 + 7_900, "60.0")])  # the bar was not complete: filling it is no restatement
    assert lab.rows(BARS)[-1] == (7, 60.0, 2, 0)
    lab.restart()
    lab.land([trade("BTCUSDT", 10, T0 + 3_600, "55.0")])
    assert lab.rows(BARS)[2] == (3, 55.0, 3, 2)


def test_open_and_close_go_by_trade_id_whatever_the_order_of_lines(lab, trade):
    lab.land([trade("BTCUSDT", 3, T0, "3.0"), trade("BTCUSDT", 1, T0 + 900, "1.0")])
    lab.land([trade("BTCUSDT", 2, T0 + 500, "2.0")])
    found = lab.rows("SELECT CAST(open AS DOUBLE), CAST(close AS DOUBLE), first_id, last_id FROM bars_1s")
    assert found == [(1.0, 3.0, 1, 3)]


def test_a_gap_keeps_the_bars_it_touches_open_until_it_is_filled(lab, trade):
    trades = {number: trade("BTCUSDT", number, T0 + 500 * number) for number in range(1, 41)}
    lost = range(11, 16)  # 5.5 to 7.5 s
    lab.land([line for number, line in trades.items() if number not in lost])
    assert lab.rows(GAPS) == [(11, 15, "open", 5_000, 8_000)]
    touched = {5, 8}
    assert complete(lab) == [second for second in range(19) if second not in {5, 6, 7, 8}]
    assert not {5, 6, 7, 8}.intersection(complete(lab))
    lab.land([trades[number] for number in (12, 13)])
    assert lab.rows(GAPS) == [(11, 15, "open", 5_000, 8_000)]
    lab.restart()
    lab.land([trades[number] for number in (15, 11, 14)])
    assert lab.rows(GAPS) == [(11, 15, "refilled", 5_000, 8_000)]
    assert complete(lab) == list(range(19))
    assert lab.rows("SELECT resolved_at IS NOT NULL FROM gaps") == [(True,)]
    marked = lab.rows("SELECT DISTINCT (epoch_ms(bucket) - 1723161300000) // 1000 AS second FROM dirty_marks WHERE commit_no = 3")
    assert touched.issubset({second for (second,) in marked})


def test_a_verdict_completes_the_bars_and_a_late_filling_overrules_it(lab, trade):
    trades = {number: trade("BTCUSDT", number, T0 + 500 * number) for number in range(1, 31)}
    lab.land([line for number, line in trades.items() if number not in range(11, 16)])
    lab.own("gap", gap_id="BTCUSDT-11-15", state="unrecoverable", detail="older than 48 h")
    assert lab.rows("SELECT state, detail FROM gaps") == [("unrecoverable", "older than 48 h")]
    assert 5 in complete(lab)
    lab.land([trades[13]])  # a part of it after all: still the same gap
    assert lab.rows("SELECT state FROM gaps") == [("unrecoverable",)]
    lab.restart()
    lab.land([trades[number] for number in (11, 12, 14, 15)])
    assert lab.rows("SELECT state FROM gaps") == [("refilled",)]
    lab.own("gap", gap_id="BTCUSDT-11-15", state="halt")
    assert lab.rows("SELECT state FROM gaps") == [("refilled",)]


def test_a_bar_is_complete_when_journal_time_is_past_its_end_and_lateness(lab, trade):
    lab.land([trade("BTCUSDT", 1, T0), trade("BTCUSDT", 2, T0 + 1_999)])
    assert complete(lab) == []
    lab.land([trade("BTCUSDT", 3, T0 + 2_000)])
    assert complete(lab) == [0]
    lab.land([b'1723161303000000000 {"e":"sw.end"}'])
    assert complete(lab) == [0, 1, 2]
    assert complete(lab, "5s") == [0]
    lab.land([trade("BTCUSDT", 4, T0 + 4_000)])  # the end was not the end
    assert complete(lab) == [0, 1, 2]
    assert complete(lab, "5s") == []


def test_an_end_line_holds_by_its_place(lab, trade):
    end = b'1723161303000000000 {"e":"sw.end"}'
    lab.land([trade("BTCUSDT", 1, T0), end, trade("BTCUSDT", 2, T0 + 100)])
    assert lab.rows("SELECT ended FROM journal_clock") == [(False,)]
    lab.land([trade("BTCUSDT", 3, T0 + 200), end, trade("BTCUSDT", 1, T0)])  # a duplicate is no news
    assert lab.rows("SELECT ended FROM journal_clock") == [(True,)]


EXTREMES = [
    {"p": "99999999999999.5"},
    {"p": "9999999999.99999999"},
    {"p": "0.000000001"},
    {"p": "1e5"},
    {"p": "NaN"},
    {"p": "-1.0"},
    {"p": ""},
    {"p": None},
    {"q": "9999999999.99999999"},
    {"q": "-5"},
    {"t": 2**63},
    {"t": -1},
    {"t": 2**63 - 1},
    {"T": 2**63 - 1},
    {"T": 10**17},
    {"T": -(10**15)},
    {"T": 0},
    {"s": ""},
    {"s": "btc'; DROP TABLE ticks; --"},
    {"s": "B" * 31},
    {"m": "yes"},
]


@pytest.mark.parametrize("change", EXTREMES, ids=str)
def test_no_line_whatever_stops_landing(lab, trade, change):
    stamp, _, body = trade("BTCUSDT", 5, T0).partition(b" ")
    message = json.loads(body)
    message["data"].update(change)
    lab.land([trade("BTCUSDT", 1, T0), stamp + b" " + json.dumps(message).encode(), trade("BTCUSDT", 2, T0 + 1)])
    assert {1, 2}.issubset(ids(lab))
    counts = dict(lab.rows("SELECT name, count FROM landing_counts"))
    assert counts["lines"] == 3
    lab.rows("FROM bars")
    lab.restart()
    lab.land([trade("BTCUSDT", 3, T0 + 2)])


def test_a_time_that_cannot_be_is_counted_and_kept_out(lab, trade):
    late = [trade("BTCUSDT", number, time, recv_ns=T0 * 10**6) for number, time in ((2, 10**17), (3, 5 * 10**12))]
    lab.land([trade("BTCUSDT", 1, T0), *late, trade("BTCUSDT", 4, T0)])
    assert ids(lab) == [1, 4]
    assert dict(lab.rows("SELECT name, count FROM landing_counts"))["impossible_time"] == 2
    assert lab.rows("SELECT epoch_ms(journal_time) - 1723161300000 FROM journal_clock") == [(0,)]


def test_trades_of_the_other_kind_and_of_no_market_are_counted_and_kept_out(lab, trade):
    fund = trade("BTCUSDT", 2, T0).replace(b'"MARKET"', b'"INSURANCE_FUND"')
    other = b'1 {"e":"aggTrade","E":1,"T":1,"s":"BTCUSDT","a":1,"f":1,"l":1,"p":"1.0","q":"1.0","m":true}'
    lab.land([trade("BTCUSDT", 1, T0), fund, other, trade("BTCUSDT", 3, T0)])
    assert ids(lab) == [1, 3]
    counts = dict(lab.rows("SELECT name, count FROM landing_counts"))
    assert (counts["not_market"], counts["other_trade_kind"]) == (1, 1)


def test_own_lines_in_a_recording_change_nothing_here(lab, trade):
    request = {"e": "sw.request", "request_id": "r", "kind": "universe.add_symbol", "payload": '{"symbol": "SOLUSDT"}'}
    activate = {"e": "sw.activate", "model_id": "m", "pair": "ETHUSDT/BTCUSDT", "timeframe": "1s"}
    lab.land([trade("BTCUSDT", 1, T0), *(b"1 " + json.dumps(line).encode() for line in (request, activate))])
    assert lab.rows("SELECT * FROM request_log") == []
    assert lab.rows("SELECT * FROM activations") == []
    assert lab.rows("SELECT count FROM landing_counts WHERE name = 'own_lines_of_others'") == [(2,)]


@pytest.mark.parametrize(
    "line",
    [
        {"e": "sw.request"},
        {"e": "sw.request", "request_id": "r", "kind": 5, "payload": []},
        {"e": "sw.activate", "model_id": "m", "pair": "nonsense", "timeframe": "1s"},
        {"e": "sw.activate", "model_id": "m", "pair": "ETHUSDT/BTCUSDT", "timeframe": "soon"},
        {"e": "sw.gap"},
        {"e": "sw.gap", "gap_id": "unknown", "state": "halt"},
        {"e": "sw.never_heard_of"},
    ],
    ids=str,
)
def test_an_own_line_that_makes_no_sense_does_not_stop_landing(lab, line):
    lab.land([b"1 " + json.dumps(line).encode()], "control")
    assert lab.rows("SELECT count FROM landing_counts WHERE name = 'lines'") == [(1,)]


def test_quotes_are_there_once(lab):
    def quote(update, symbol="BTCUSDT"):
        return b'1723161300000000000 {"e":"bookTicker","u":%d,"s":"%b","b":"1.5","B":"2","a":"1.6","A":"3","T":1723161300000,"E":1}' % (
            update,
            symbol.encode(),
        )

    lab.land([quote(5), quote(7), quote(6), quote(7), quote(6), quote(5, "ETHUSDT")])
    lab.land([quote(6), quote(8), quote(4), quote(8)])
    lab.restart()
    lab.land([quote(9), quote(4), quote(5, "ETHUSDT"), quote(3)])
    found = lab.rows("SELECT symbol, update_id FROM quotes ORDER BY ALL")
    assert found == [*(("BTCUSDT", update) for update in range(3, 10)), ("ETHUSDT", 5)]


def test_capture_alone_moves_journal_time_of_a_live_profile(make_lab, trade):
    lab = make_lab(kind=Kind.LIVE)
    clock = b'1723161307000000000 {"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}'
    lab.land([trade("BTCUSDT", 1, T0, recv_ns=1_723_161_301_000_000_000)])
    lab.land([trade("BTCUSDT", 2, T0 + 1, recv_ns=1_723_161_999_000_000_000)], "repair")
    assert lab.rows("SELECT epoch_ms(journal_time) - 1723161300000 FROM journal_clock") == [(1_000,)]
    assert complete(lab) == []
    lab.land([clock])
    assert complete(lab) == [0]
    assert ids(lab) == [1, 2]


def test_a_crash_leaves_no_trace(lab, trade):
    lab.land([trade("BTCUSDT", 1, T0)])
    before = lab.picture()
    lab.crash([trade("BTCUSDT", 2, T0 + 1), trade("BTCUSDT", 9, T0 + 9)])
    assert lab.picture() == before
    lab.land([trade("BTCUSDT", 2, T0 + 1)])
    assert ids(lab) == [1, 2]


def test_a_universe_change_that_was_rolled_back_did_not_happen(lab, monkeypatch):
    def boom(_landed):
        msg = "the disk is gone"
        raise StoreError(msg)

    before = lab.engine.universe
    with monkeypatch.context() as patch:
        patch.setattr(lab.engine._alerts, "landed", boom)
        with pytest.raises(StoreError):
            lab.request("universe.add_symbol", symbol="SOLUSDT")
    assert lab.engine.universe == before
    lab.request("universe.add_symbol", symbol="SOLUSDT")
    assert lab.engine.universe.symbols == (*before.symbols, "SOLUSDT")
    assert lab.engine.universe.version == before.version + 1

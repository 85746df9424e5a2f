"""When and on what rules are evaluated inside landing: silences, bar closes, late trades, gaps, what flows measure, silenced instances."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.alerts import AlertEvent
from pipeline.profile import Kind
from pipeline.store.alert_inputs import measure_row
from pipeline.store.flow_runs import note_flow_run

T0 = 1_723_161_300_000
END = b'1723161303000000000 {"e":"sw.end"}'


def rule(**changes):
    base = {"rule_id": "r", "name": "a rule", "target": "BTCUSDT", "metric": "price", "condition": "above", "threshold": 100.0}
    return {**base, **changes}


def put(lab, **changes):
    lab.request("rule.put", rule=rule(**changes))
    outcome = lab.rows("SELECT outcome FROM request_log ORDER BY rowid")[-1][0]
    assert outcome == "applied"


def ask(lab, wanted):
    """As `put`, through the table of requests and the journal."""
    lab.warehouse.connection.execute(
        "INSERT INTO requests VALUES (?, now(), 'rule.put', ?)", [wanted["rule_id"], json.dumps({"rule": wanted})]
    )
    lab.engine.apply_requests()


def told(lab):
    """Rule, series, kind and milliseconds since the start, of each event."""
    return [(event.rule_id, event.series, event.kind.value, event.at_us // 1_000 - T0) for event in events(lab)]


def events(lab):
    return [AlertEvent.from_json(text) for (text,) in lab.rows("SELECT payload FROM alert_events ORDER BY occurred_at, rule_id, kind")]


def pair_lines(trade, seconds, start=1):
    """One trade of each leg a second: BTCUSDT wanders, ETHUSDT is two of it and a little noise."""
    lines = []
    for second in seconds:
        base = 100.0 + (second * 37 % 11) / 10
        noise = (second * 53 % 7) / 100
        lines.append(trade("BTCUSDT", start + second, T0 + 1_000 * second + 100, f"{base:.2f}"))
        lines.append(trade("ETHUSDT", start + second, T0 + 1_000 * second + 200, f"{2 * base + noise:.2f}"))
    return lines


def with_model(lab):
    lab.fit("m1", 2.0)
    lab.activate("m1")


# --- silence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [2, 200])
def test_a_silence_of_hours_in_one_batch_is_evaluated_whole_and_quickly(lab, trade, hours):
    put(lab, rule_id="old", metric="data_age", threshold=5_400.0, for_s=60.0)
    put(lab, rule_id="shut", metric="data_age", target="pipeline", threshold=5_000.0)
    put(lab, rule_id="volume", metric="volume", condition="below", threshold=0.5, timeframe="1s", window=5_000)
    put(lab, rule_id="return", metric="return", condition="outside", threshold=0.5, timeframe="5s", window=3)
    end = 3_600_000 * hours
    lines = [trade("BTCUSDT", 1, T0), trade("BTCUSDT", 2, T0 + 300), trade("BTCUSDT", 3, T0 + end)]
    began = time.process_time()
    lab.land(lines)
    assert time.process_time() - began < 3.0
    assert told(lab) == [
        ("return", "BTCUSDT", "nodata", 20_000),
        ("volume", "BTCUSDT", "firing", 5_000_000),
        ("shut", "pipeline", "firing", 5_001_000),
        ("old", "BTCUSDT", "pending", 5_401_000),
        ("old", "BTCUSDT", "firing", 5_461_000),
    ]
    lab.land([trade("BTCUSDT", 4, T0 + end + 500)])
    assert {event[:3] for event in told(lab)[5:]} == {
        ("volume", "BTCUSDT", "resolved"),
        ("shut", "pipeline", "resolved"),
        ("old", "BTCUSDT", "resolved"),
    }


def test_the_same_silence_cut_by_clock_lines_gives_the_same_events(make_lab, trade):
    found = []
    for every_s in (7_200, 600, 1):
        lab = make_lab(kind=Kind.LIVE)
        put(lab, rule_id="old", metric="data_age", threshold=4_000.5)
        with_model(lab)
        put(lab, rule_id="z", metric="zscore", target="*", timeframe="1s", condition="outside", threshold=1.7)
        lab.land(pair_lines(trade, range(8)))
        seconds = range(10, 4_020, every_s) if every_s > 1 else range(3_995, 4_020)
        for second in [*seconds, 4_020]:
            lab.land([b'%d {"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}' % ((T0 + 1_000 * second) * 10**6 + 1)])
        found.append(told(lab))
    assert found[0] == found[1] == found[2]
    assert ("old", "BTCUSDT", "firing", 4_008_000) in found[0]
    assert [event for event in found[0] if event[0] == "z" and event[2] == "nodata"]


def test_a_pair_without_data_says_which_leg_and_since_when(lab, trade):
    with_model(lab)
    put(lab, target="ETHUSDT/BTCUSDT", metric="zscore", timeframe="1s", condition="outside", threshold=1.7)
    lab.land(pair_lines(trade, range(8)))
    lab.land([trade("BTCUSDT", 100 + second, T0 + 1_000 * second + 100) for second in range(8, 14)])
    found = events(lab)[-1]
    assert (found.kind.value, found.at_us // 1_000 - T0) == ("nodata", 10_000)  # two bars may be filled
    assert found.reason == "ETHUSDT has been silent since 2024-08-08 23:55:07 UTC"
    assert found.text.startswith("nodata: ETHUSDT/BTCUSDT z-score 1s has no value: ETHUSDT has been silent since")
    assert found.model_id == "m1"


def test_what_cannot_be_computed_is_an_error_of_the_rule_and_holds_up_nothing(lab, trade):
    lab.fit("m1", 2.0)
    lab.warehouse.connection.execute("UPDATE fits SET scale = 'log'")
    lab.activate("m1")
    put(lab, target="*", metric="spread", timeframe="1s", threshold=50.0)
    lab.land(pair_lines(trade, range(4)))
    lab.land([trade("BTCUSDT", 50, T0 + 5_000, "0.0"), trade("ETHUSDT", 50, T0 + 5_000, "2.0")])
    lab.land([trade("BTCUSDT", 51, T0 + 5_300, "100.0"), trade("BTCUSDT", 52, T0 + 5_600, "100.0")])
    assert [(event.kind.value, event.phase.value) for event in events(lab)] == [("error", "error"), ("restored", "normal")]
    assert "cannot be computed: a close of 0 has no logarithm" in events(lab)[0].text


# --- bar closes -------------------------------------------------------------------------------------------------


def test_on_bar_close_the_alert_is_the_signal_of_the_complete_bar(make_lab, trade):
    lab = make_lab()
    with_model(lab)
    put(lab, target="*", metric="zscore", timeframe="1s", condition="outside", threshold=0.9, evaluate="bar_close")
    lab.land([*pair_lines(trade, range(60)), END])
    signals = {
        ts.timestamp(): (zscore, model)
        for ts, zscore, model in lab.rows("SELECT ts, zscore, model_id FROM signals WHERE timeframe = '1s' AND zscore IS NOT NULL")
    }
    found = [event for event in events(lab) if event.value is not None]
    assert len(found) > 10
    for event in found:
        zscore, model = signals[event.last_bar_us / 1e6]
        assert event.value == pytest.approx(zscore, abs=1e-9)
        assert event.model_id == model
        assert event.last_bar_us - event.first_bar_us == 4_000_000  # a window of five bars
    # at the end of the bar and lateness, except the last ones, which the end line completes
    assert [event.at_us - event.last_bar_us for event in found[:-3]] == [2_000_000] * (len(found) - 3)
    crossings = [abs(zscore) > 0.9 for _, (zscore, _) in sorted(signals.items())]
    changes = sum(before != after for before, after in zip([False, *crossings], crossings, strict=False))
    assert len(found) == changes


def test_a_late_trade_counts_before_its_bar_closes_and_changes_no_event_after_that(lab, trade):
    put(lab, rule_id="bar", timeframe="1s", evaluate="bar_close")
    put(lab, rule_id="volume", metric="volume", timeframe="1s", window=2, threshold=8.5, evaluate="bar_close")
    lab.land([trade("BTCUSDT", 1, T0 + 100, "90.0"), trade("BTCUSDT", 3, T0 + 1_200, "90.0")])
    lab.land([trade("BTCUSDT", 2, T0 + 900, "110.0")])  # late, within lateness: the close of the first bar
    lab.land([trade("BTCUSDT", 4, T0 + 2_500, "90.0")])
    assert told(lab) == [("bar", "BTCUSDT", "firing", 2_000)]
    lab.land([trade("BTCUSDT", 6, T0 + 3_500, "90.0")])
    before = told(lab)
    assert before == [("bar", "BTCUSDT", "firing", 2_000), ("bar", "BTCUSDT", "resolved", 3_000)]
    lab.land([trade("BTCUSDT", 5, T0 + 2_600, "300.0", qty="7.0")])  # the bar of second 2 is restated before its close
    lab.land([trade("BTCUSDT", 7, T0 + 4_500, "90.0"), trade("BTCUSDT", 8, T0 + 5_500, "90.0"), trade("BTCUSDT", 9, T0 + 6_500, "90.0")])
    after = told(lab)
    assert after[: len(before)] == before
    assert after[len(before) :] == [
        ("bar", "BTCUSDT", "firing", 4_000),
        ("volume", "BTCUSDT", "firing", 4_000),
        ("bar", "BTCUSDT", "resolved", 5_000),
        ("volume", "BTCUSDT", "resolved", 6_000),
    ]


# --- gaps and what flows measure --------------------------------------------------------------------------------


def test_gaps_are_counted_while_they_are_open(lab, trade):
    put(lab, rule_id="gap", metric="gaps", target="*", threshold=0)
    put(lab, rule_id="all", metric="gaps", target="pipeline", threshold=1)
    lab.land([trade("BTCUSDT", 1, T0), trade("ETHUSDT", 1, T0 + 50), trade("BTCUSDT", 5, T0 + 300), trade("ETHUSDT", 4, T0 + 700)])
    lab.restart()
    lab.land(
        [trade("BTCUSDT", 2, T0 + 800), trade("BTCUSDT", 4, T0 + 1_100), trade("BTCUSDT", 3, T0 + 1_350), trade("BTCUSDT", 6, T0 + 1_700)]
    )
    expected = [("gap", "BTCUSDT", "firing", 300), ("all", "pipeline", "firing", 700), ("gap", "ETHUSDT", "firing", 700)]
    expected += [("all", "pipeline", "resolved", 1_400), ("gap", "BTCUSDT", "resolved", 1_400)]
    assert told(lab) == expected
    (gap_id,) = lab.rows("SELECT gap_id FROM gaps WHERE state = 'open'")[0]
    lab.own("gap", gap_id=gap_id, state="unrecoverable")
    lab.land([trade("BTCUSDT", 7, T0 + 2_000)])
    assert told(lab)[-1][:3] == ("gap", "ETHUSDT", "resolved")


def measure(lab):
    """What the warehouse process journals once a second."""
    rows = [measure_row(measure) for measure in lab.engine._alerts.unmeasured()]
    if rows:
        lab.own("measured", rows=rows)


def test_what_the_flow_liquidity_measures_is_evaluated_when_its_row_lands(lab, trade):
    put(lab, metric="amihud", timeframe="5s", threshold=1e-6)
    put(lab, rule_id="quoted", metric="quoted_spread_bps", timeframe="5s", threshold=1)
    lab.land([trade("BTCUSDT", 1, T0), trade("BTCUSDT", 2, T0 + 6_000)])
    insert = """INSERT INTO liquidity (symbol, timeframe, ts, window_bars, amihud, notes)
                VALUES ('BTCUSDT', '5s', make_timestamptz(?), 20, ?, 'no quotes for these bars')"""
    for number, value in [(0, 2e-6), (1, 3e-6), (2, 1e-7)]:
        lab.warehouse.connection.execute(insert, [(T0 + 5_000 * number) * 1_000, value])
        measure(lab)
        measure(lab)  # nothing new
        if number == 1:
            lab.restart()
        lab.land([trade("BTCUSDT", 3 + number, T0 + 7_000 + 1_000 * number)])
    assert told(lab) == [("r", "BTCUSDT", "firing", 6_000), ("r", "BTCUSDT", "resolved", 8_000)]
    assert [(event.value, event.last_bar_us // 1_000 - T0) for event in events(lab)] == [(2e-6, 0), (1e-7, 10_000)]
    (state,) = lab.rows("SELECT snapshot FROM alert_states WHERE rule_id = 'quoted'")
    assert json.loads(state[0])["reason"] == "no quotes for these bars"


def test_flows_that_fail_in_a_row_are_counted_and_named(lab, trade):
    ask(lab, rule(metric="flow_failures", target="pipeline", threshold=1))
    ask(lab, rule(rule_id="fit", metric="flow_failures", target="fit_pairs", threshold=0))
    lab.land([trade("BTCUSDT", 1, T0)])
    ends = [("resample", True), ("resample", False), ("fit_pairs", True), ("resample", False), ("resample", True)]
    for number, (flow, ok) in enumerate(ends):
        at = datetime.now(UTC) + timedelta(seconds=number)
        for _ in range(2):
            note_flow_run(lab.warehouse, run=f"run{number}", flow=flow, ended_at=at, ok=ok, detail="" if ok else "the disk is full")
        lab.engine.journal_measures()
        lab.land([trade("BTCUSDT", 2 + number, T0 + 1_000 * (number + 1))])
    assert told(lab) == [("r", "pipeline", "firing", 3_000), ("r", "pipeline", "resolved", 4_000)]
    assert events(lab)[0].reason == "resample: the disk is full"
    assert "flow failures is 2, above 1 (resample: the disk is full)" in events(lab)[0].text


def test_the_hedge_ratio_and_its_change_are_those_of_the_live_model(lab, trade):
    with_model(lab)
    put(lab, rule_id="change", target="*", metric="beta_change", timeframe="1s", condition="outside", threshold=0.1)
    put(lab, rule_id="beta", target="*", metric="beta", timeframe="1s", threshold=2.1)
    lab.land(pair_lines(trade, range(4)))
    lab.fit("m2", 2.5, at=2)
    lab.activate("m2")
    lab.land(pair_lines(trade, range(4, 8)))
    assert told(lab) == [("beta", "ETHUSDT/BTCUSDT", "firing", 4_000), ("change", "ETHUSDT/BTCUSDT", "firing", 4_000)]
    assert [(event.value, event.model_id) for event in events(lab)] == [(2.5, "m2"), (0.25, "m2")]


# --- what people ask for ----------------------------------------------------------------------------------------


def test_snoozed_and_muted_instances_go_on_and_tell_nobody(lab, trade):
    put(lab, target="*")
    lab.land([trade(symbol, 1, T0, "90.0") for symbol in ("BTCUSDT", "ETHUSDT")])
    lab.request("alert.snooze", rule_id="r", series="BTCUSDT", until_us=(T0 + 3_000) * 1_000, by="ann")
    lab.request("alert.mute", rule_id="r", series="ETHUSDT", by="ann")
    for number, price in [(2, "150.0"), (3, "150.0"), (4, "150.0")]:
        lab.land([trade(symbol, number, T0 + 1_000 * (number - 1), price) for symbol in ("BTCUSDT", "ETHUSDT")])
        lab.restart()
    lab.land([trade("BTCUSDT", 5, T0 + 4_500, "150.0")])
    lab.request("alert.unmute", rule_id="r", series="ETHUSDT", by="ann")
    lab.land([trade("BTCUSDT", 6, T0 + 5_500, "90.0"), trade("BTCUSDT", 7, T0 + 5_700, "90.0")])
    sent = lab.rows("SELECT o.series, e.kind, epoch_ms(e.occurred_at) FROM outbox o JOIN alert_events e USING (event_id) ORDER BY ALL")
    sent = sorted(((series, kind, ms - T0) for series, kind, ms in sent), key=lambda row: row[2])
    assert sent == [("BTCUSDT", "reminded", 3_000), ("ETHUSDT", "reminded", 4_500), ("BTCUSDT", "resolved", 5_500)]
    kinds = [(kind, series) for _, series, kind, _ in told(lab)]
    assert kinds.count(("firing", "BTCUSDT")) == kinds.count(("firing", "ETHUSDT")) == 1
    assert {("snoozed", "BTCUSDT"), ("muted", "ETHUSDT"), ("unmuted", "ETHUSDT")} <= set(kinds)


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("alert.snooze", {"series": "BTCUSDT", "until_us": 5, "by": "me"}, "which is past"),
        ("alert.snooze", {"series": "BTCUSDT", "until_us": "soon", "by": "me"}, "until_us"),
        ("alert.mute", {"series": "NOBODY", "by": "me"}, "does not exist"),
        ("alert.mute", {"series": "BTCUSDT"}, "refused"),
        ("outbox.resend", {"event_id": "absent"}, "nothing to send again"),
    ],
    ids=str,
)
def test_what_cannot_be_done_to_an_instance_is_refused_in_words(lab, trade, kind, payload, said):
    put(lab)
    lab.land([trade("BTCUSDT", 1, T0)])
    lab.request(kind, rule_id="r", **payload) if kind != "outbox.resend" else lab.request(kind, **payload)
    outcome = lab.rows("SELECT outcome FROM request_log ORDER BY rowid")[-1][0]
    assert outcome.startswith("refused: ")
    assert said in outcome


def test_a_rule_switches_itself_off_when_it_expires(lab, trade):
    lab.land([trade("BTCUSDT", 1, T0, "90.0")])
    put(lab, expires_at_us=(T0 + 2_050) * 1_000, channels=["webhook"], labels={"desk": "a"})
    lab.land([trade("BTCUSDT", 2, T0 + 1_000, "150.0"), trade("BTCUSDT", 3, T0 + 1_500, "150.0")])
    lab.restart()
    lab.land([trade("BTCUSDT", 4, T0 + 9_000, "160.0")])
    assert told(lab) == [("r", "BTCUSDT", "firing", 1_000), ("r", "BTCUSDT", "resolved", 2_100)]
    assert events(lab)[0].labels == (("desk", "a"),)
    assert events(lab)[1].reason == "(the rule has expired)"
    assert lab.rows("SELECT enabled FROM alert_rules") == [(False,)]
    assert lab.rows("SELECT * FROM alert_states") == []
    lab.request("rule.enable", rule_id="r", enabled=True)
    assert "which is past" in lab.rows("SELECT outcome FROM request_log ORDER BY rowid")[-1][0]


def test_once_means_once_for_each_series(lab, trade):
    put(lab, target="*", evaluate="once", keep_firing_for_s=0.5)
    for number in range(12):
        lab.land(
            [trade(symbol, 1 + number, T0 + 1_000 * number, "150.0" if number % 4 > 1 else "90.0") for symbol in ("BTCUSDT", "ETHUSDT")]
        )
        if number == 5:
            lab.restart()
    assert sorted(told(lab)) == sorted(
        (("r", symbol, kind, at))
        for symbol in ("BTCUSDT", "ETHUSDT")
        for kind, at in [("firing", 2_000), ("recovering", 4_000), ("resolved", 4_500)]
    )

"""Alert rules inside landing, what people ask for, and delivery to real receivers."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.notify import configured_channels
from pipeline.profile import Kind
from pipeline.store.outbox import OutboxStore
from pipeline.warehouse.delivery import deliver_forever

T0 = 1_723_161_300_000
EVENTS = (
    "SELECT rule_id, series, kind, epoch_ms(occurred_at) - 1723161300000 AS at, value FROM alert_events ORDER BY occurred_at, rule_id, kind"
)
HEARD = []


def listen(event):
    """The Python callback of these tests."""
    HEARD.append(dict(event))


def rule(**changes):
    base = {"rule_id": "r", "name": "a rule", "target": "BTCUSDT", "metric": "price", "condition": "above", "threshold": 100.0}
    return {**base, **changes}


def outcome(lab):
    return lab.rows("SELECT outcome FROM request_log ORDER BY rowid")[-1][0]


def events(lab):
    return lab.rows(EVENTS)


def test_a_rule_fires_and_recovers_at_the_grid_point_after_the_trade(lab, trade):
    lab.request("rule.put", rule=rule())
    for number, (at, price) in enumerate([(0, "90.0"), (250, "101.0"), (300, "102.0"), (1_000, "99.0"), (1_050, "98.0")], 1):
        lab.land([trade("BTCUSDT", number, T0 + at, price)])
    lab.land([b'1723161303000000000 {"e":"sw.end"}'])
    # At the point of 300 ms the price was that of the highest id known by then; journal time was not past it at once.
    assert events(lab) == [("r", "BTCUSDT", "firing", 300, 102.0), ("r", "BTCUSDT", "resolved", 1_000, 99.0)]


def test_a_late_trade_is_not_the_price_of_the_moment(lab, trade):
    lab.request("rule.put", rule=rule())
    lab.land([trade("BTCUSDT", number, T0 + 100 * number, "90.0") for number in range(10, 20)])
    lab.land([trade("BTCUSDT", 5, T0 + 500, "150.0"), trade("BTCUSDT", 6, T0 + 600, "150.0")])
    lab.land([trade("BTCUSDT", number, T0 + 100 * number, "90.0") for number in range(20, 40)])
    assert events(lab) == []


def test_a_rule_can_be_put_acknowledged_switched_off_and_deleted(lab, trade):
    lab.request("rule.put", rule=rule())
    assert outcome(lab) == "applied"
    lab.land([trade("BTCUSDT", 1, T0, "150.0"), trade("BTCUSDT", 2, T0 + 200, "150.0")])
    lab.request("alert.ack", rule_id="r", series="BTCUSDT", by="me")
    assert lab.rows("SELECT state, acknowledged FROM alert_states") == [("firing", True)]
    lab.restart()
    lab.request("alert.ack", rule_id="r", series="BTCUSDT", by="somebody else")  # done already: no event
    lab.request("rule.enable", rule_id="r", enabled=False)
    assert lab.rows("SELECT enabled FROM alert_rules") == [(False,)]
    assert lab.rows("SELECT * FROM alert_states") == []
    lab.land([trade("BTCUSDT", 3, T0 + 400, "160.0"), trade("BTCUSDT", 4, T0 + 600, "160.0")])
    lab.request("rule.enable", rule_id="r", enabled=True)
    lab.land([trade("BTCUSDT", 5, T0 + 5_000, "160.0"), trade("BTCUSDT", 6, T0 + 5_200, "160.0")])
    lab.request("rule.delete", rule_id="r")
    assert lab.rows("SELECT * FROM alert_rules") == []
    kinds = [(kind, at) for _, _, kind, at, _ in events(lab)]
    assert kinds == [("firing", 0), ("acknowledged", 200), ("resolved", 200), ("firing", 600), ("resolved", 5_200)]


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("rule.put", {"rule": rule(target="NOBODY")}, "not configured"),
        ("rule.put", {"rule": rule(threshold=float("inf"))}, "finite"),
        ("rule.put", {"rule": rule(metric="zscore", target="*", timeframe="1s", threshold=50.0)}, "can never fire"),
        ("rule.put", {"rule": {"name": "half"}}, "refused"),
        ("rule.put", {}, "refused"),
        ("rule.delete", {"rule_id": "absent"}, "does not exist"),
        ("rule.enable", {"rule_id": "absent", "enabled": True}, "does not exist"),
        ("rule.enable", {"rule_id": "r"}, "refused"),
        ("alert.ack", {"rule_id": "absent", "series": "BTCUSDT", "by": "me"}, "does not exist"),
        ("universe.remove_symbol", {"symbol": "BTCUSDT"}, "pair"),
        ("universe.remove_symbol", {"symbol": "NOBODY"}, "not followed"),
        ("universe.add_pair", {"pair": "BTCUSDT/BTCUSDT"}, "two different"),
        ("never.heard.of", {}, "unknown"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_done_is_refused_in_words(lab, trade, kind, payload, said):
    lab.request(kind, **payload)
    assert outcome(lab).startswith("refused: ")
    assert said in outcome(lab)
    lab.land([trade("BTCUSDT", 1, T0)])


def test_a_request_that_comes_twice_is_applied_once(lab):
    payload = json.dumps({"symbol": "SOLUSDT"})
    for _ in range(2):
        lab.own("request", request_id="same", kind="universe.add_symbol", payload=payload)
        lab.restart()
    assert lab.engine.universe.version == 2
    assert lab.rows("SELECT count(*) FROM request_log") == [(1,)]


def test_a_series_that_leaves_the_universe_ends_its_alert(lab, trade):
    lab.request("universe.add_symbol", symbol="SOLUSDT")
    lab.request("rule.put", rule=rule(target="*"))
    lab.land([trade("SOLUSDT", 1, T0, "150.0"), trade("BTCUSDT", 1, T0 + 300, "150.0"), trade("BTCUSDT", 2, T0 + 600, "150.0")])
    assert {(series, kind) for _, series, kind, _, _ in events(lab)} == {("SOLUSDT", "firing"), ("BTCUSDT", "firing")}
    lab.request("universe.remove_symbol", symbol="SOLUSDT")
    assert lab.rows("SELECT series FROM alert_states WHERE state = 'firing'") == [("BTCUSDT",)]
    assert events(lab)[-1][:3] == ("r", "SOLUSDT", "resolved")


def test_a_window_longer_than_the_signals_survives_a_restart(lab, trade):
    lab.land([trade("BTCUSDT", number, T0 + 1_000 * number, "100.0", qty="1.0") for number in range(1, 40)])
    lab.request("rule.put", rule=rule(metric="volume", timeframe="1s", window=30, threshold=29.5))
    lab.restart()
    lab.land([trade("BTCUSDT", number, T0 + 1_000 * number, "100.0", qty="1.0") for number in range(40, 60)])
    # Thirty intervals, the current one included, which has no trade yet when the second begins.
    assert {round(value, 8) for _, _, kind, _, value in events(lab) if kind == "firing"} <= {30.0}
    assert [kind for _, _, kind, _, _ in events(lab)].count("nodata") == 0
    assert any(kind == "firing" for _, _, kind, _, _ in events(lab))


def test_silence_is_noticed_by_the_clock_alone(make_lab, trade):
    lab = make_lab(kind=Kind.LIVE)
    lab.request("rule.put", rule=rule(metric="data_age", threshold=3.0, condition="above"))
    lab.land([trade("BTCUSDT", 1, T0, recv_ns=T0 * 10**6)])
    for second in range(1, 9):
        lab.land([b'%d {"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}' % ((T0 + 1_000 * second) * 10**6 + 1)])
        if second == 2:
            lab.restart()
    assert [(kind, at, value) for _, _, kind, at, value in events(lab)] == [("firing", 4_000, 4.0)]


@pytest.fixture
def hook():
    """A real HTTP server that notes what it is sent; it is not well at first."""
    received, answers = [], [503]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop() if answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_events_reach_webhook_and_callback_once_each(make_lab, trade, hook, monkeypatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "spreadwatch_test_listener", __import__("types").SimpleNamespace(listen=listen))
    HEARD.clear()
    url, received = hook
    channels = configured_channels(webhook_url=url, webhook_secret=None, alert_callback="spreadwatch_test_listener:listen")
    lab = make_lab(channels=tuple(channels))
    lab.request("rule.put", rule=rule())
    lab.land([trade("BTCUSDT", 1, T0, "150.0"), trade("BTCUSDT", 2, T0 + 200, "90.0"), trade("BTCUSDT", 3, T0 + 400, "90.0")])
    made = [event_id for (event_id,) in lab.rows("SELECT event_id FROM alert_events ORDER BY occurred_at")]
    assert len(made) == 2
    assert lab.rows("SELECT count(*) FROM outbox WHERE state = 'waiting'") == [(4,)]

    def states():
        return lab.rows("SELECT channel, state, attempts FROM outbox ORDER BY rowid")

    async def deliver():
        stop = asyncio.Event()
        worker = asyncio.create_task(deliver_forever(OutboxStore(lab.warehouse.connection), channels, stop))
        async with asyncio.timeout(30):
            while any(state == "waiting" for _, state, _ in await asyncio.to_thread(states)):  # noqa: ASYNC110  the table is the only witness
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.7)  # another round, which has nothing to send
        stop.set()
        await worker

    asyncio.run(deliver())
    assert sorted(event["event_id"] for event in HEARD) == sorted(made)
    # The first try met a server that was not well, so that one event was sent twice under one id.
    assert sorted({event["event_id"] for event in received}) == sorted(made)
    assert len(received) == 3
    assert {state for _, state, _ in states()} == {"delivered"}

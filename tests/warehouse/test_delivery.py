"""The delivery worker on a real database and real servers, well and unwell."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.notify import configured_channels
from pipeline.notify.channels_file import Defaults
from pipeline.store.deliveries import count_deliveries, load_deliveries
from pipeline.store.outbox import OutboxStore
from pipeline.warehouse.delivery import deliver_forever

T0 = 1_723_161_300_000
SECRET = "s3cret-token"


class Listener(ThreadingHTTPServer):
    """Many may knock at one time."""

    request_queue_size = 128
    daemon_threads = True


class Hook:
    """A server that notes what arrives on each path; ``ill`` paths answer with a status, or are slow."""

    def __init__(self):
        self.received = {}
        self.arrived = {}
        self.ill = {}
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path = self.path.split("/")[1]
                illness = hook.ill.get(path)
                hook.arrived.setdefault(path, time.monotonic())
                if illness == "slow":
                    hook.stopping.wait(30)
                hook.received.setdefault(path, []).append((time.monotonic(), illness, body))
                try:
                    self.send_response(illness if isinstance(illness, int) else 204)
                    if illness == 302:
                        self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere/{SECRET}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.stopping = threading.Event()
        self._server = Listener(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}/{SECRET}"

    def taken(self, path):
        return [body for _, illness, body in self.received.get(path, []) if illness is None]

    def close(self):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def hook(monkeypatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    made = Hook()
    yield made
    made.close()


def rule(**changes):
    return {
        "rule_id": "dear",
        "name": "dear",
        "target": "*",
        "metric": "price",
        "condition": "above",
        "threshold": 100.0,
        "recovery_threshold": 95.0,
    } | changes


def channels_of(hook, *paths, defaults=None, **options):
    table = {path: {"url": hook.url(path), **options.get(path, {})} for path in paths}
    return configured_channels(channels=json.dumps(table), defaults=defaults or Defaults(repeat_s=0))


def work(lab, channels, until, limit_s=30.0):
    """Let the worker work until something is so, asking in its thread; and a moment longer."""

    async def run():
        stop = asyncio.Event()
        worker = asyncio.create_task(deliver_forever(OutboxStore(lab.warehouse.connection), channels, stop))
        async with asyncio.timeout(limit_s):
            while not await asyncio.to_thread(until):
                assert not worker.done(), worker.result()
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        stop.set()
        await worker

    asyncio.run(run())


def states(lab, channel):
    return [state for (state,) in lab.rows(f"SELECT state FROM outbox WHERE channel = '{channel}' ORDER BY rowid")]


def fire(lab, trade, number=1, price="150.0", symbols=("BTCUSDT", "ETHUSDT")):
    lab.land([trade(symbol, number, T0 + 200 * number, price) for symbol in symbols])
    lab.land([trade(symbol, number + 1, T0 + 200 * (number + 1), price) for symbol in symbols])


def test_an_ill_channel_delays_no_other_and_its_dead_letters_can_be_resent(make_lab, trade, hook, caplog):
    caplog.set_level(logging.DEBUG)
    illnesses = {"slow": "slow", "broken": 500, "moved": 302, "gone": 404}
    hook.ill.update(illnesses)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/closed/{SECRET}"
    options = {name: {"attempts": 2} for name in illnesses} | {"closed": {"attempts": 2, "url": nobody}}
    channels = channels_of(hook, "well", *options, **options)
    lab = make_lab(channels=tuple(channels))
    lab.request("rule.put", rule=rule(target="BTCUSDT"))
    fire(lab, trade)
    landings = []

    def land_on_and_look():
        number, begin = 100 + len(landings), time.monotonic()
        lab.land([trade("ETHUSDT", number, T0 + 200 * number)])
        landings.append((begin, time.monotonic()))
        return all(set(states(lab, name)) == {"dead"} for name in options)

    work(lab, channels, land_on_and_look, limit_s=90.0)
    begun = hook.arrived["slow"]
    meanwhile = [begin for begin, end in landings if begun < begin and end < begun + 2.9]
    assert len(meanwhile) >= 2, "landing goes on while a server keeps a request for three seconds"
    assert states(lab, "well") == ["delivered"]
    ended = dict(lab.rows("SELECT channel, done_at FROM outbox"))
    assert ended["well"] < ended["slow"]
    dead = load_deliveries(lab.warehouse, states=("dead",))
    attempts = {row["channel"]: row["attempts"] for row in dead.iter_rows(named=True)}
    assert attempts == {"slow": 2, "broken": 2, "moved": 1, "gone": 1, "closed": 2}
    counts = {row["channel"]: row for row in count_deliveries(lab.warehouse).iter_rows(named=True)}
    assert (counts["broken"]["dead"], counts["broken"]["waiting"], counts["well"]["delivered"]) == (1, 0, 1)
    assert "answered 500" in counts["broken"]["last_error"]
    assert "elsewhere" not in hook.received

    hook.ill.clear()
    lab.request("outbox.resend", event_id=dead.row(0, named=True)["event_id"], channel="broken")
    lab.request("outbox.resend", event_id="*", channel="gone")
    lab.request("outbox.resend", event_id="*", channel="well")
    outcomes = [outcome for (outcome,) in lab.rows("SELECT outcome FROM request_log WHERE kind = 'outbox.resend' ORDER BY applied_at")]
    assert outcomes[:2] == ["applied", "applied"]
    assert "was given up" in outcomes[2]
    work(lab, channels, lambda: states(lab, "broken") + states(lab, "gone") == ["delivered"] * 2)
    everywhere = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for (table,) in lab.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"):
        everywhere += str(lab.rows(f'SELECT * FROM "{table}"'))
    assert SECRET not in everywhere


def test_a_group_is_one_message_and_the_rate_holds(make_lab, trade, hook):
    channels = channels_of(hook, "desk", desk={"group_by": "rule", "group_s": 0.5, "rate_per_minute": 2})
    lab = make_lab(channels=("desk",))
    lab.request("rule.put", rule=rule())
    lab.request("rule.put", rule=rule(rule_id="dearer", severity="critical", threshold=120.0))
    lab.request("rule.put", rule=rule(rule_id="dearest", severity="info", threshold=140.0))
    fire(lab, trade)
    work(lab, channels, lambda: len(hook.taken("desk")) == 2)
    messages = hook.taken("desk")
    assert [(message["kind"], message["severity"], message["count"]) for message in messages] == [
        ("group", "critical", 2),
        ("group", "warning", 2),
    ]
    assert {event["series"] for event in messages[0]["events"]} == {"BTCUSDT", "ETHUSDT"}
    assert sorted(states(lab, "desk")) == ["delivered"] * 4 + ["waiting"] * 2
    # another process knows what was sent within the minute
    work(lab, channels, lambda: True)
    assert len(hook.taken("desk")) == 2


def test_a_firing_is_told_again_until_it_is_acknowledged(make_lab, trade, hook):
    channels = channels_of(hook, "desk", defaults=Defaults(repeat_s=0.3))
    lab = make_lab(channels=("desk",))
    lab.request("rule.put", rule=rule(target="BTCUSDT"))
    fire(lab, trade, symbols=("BTCUSDT",))
    work(lab, channels, lambda: len(hook.taken("desk")) >= 3)
    first, *repeats = hook.taken("desk")
    assert first["kind"] == "firing"
    assert {event["kind"] for event in repeats} == {"reminded"}
    assert "not acknowledged" in repeats[0]["text"]
    assert len({event["event_id"] for event in hook.taken("desk")}) == len(repeats) + 1
    assert {row[0] for row in lab.rows("SELECT repeat_of FROM outbox")} == {None, first["event_id"]}
    lab.request("alert.ack", rule_id="dear", series="BTCUSDT", by="me")
    known = len(hook.taken("desk"))
    begin = time.monotonic()
    work(lab, channels, lambda: time.monotonic() - begin > 1.5)
    assert len(hook.taken("desk")) == known
    fire(lab, trade, 5, "90.0", symbols=("BTCUSDT",))
    work(lab, channels, lambda: len(hook.taken("desk")) > known)
    assert hook.taken("desk")[-1]["kind"] == "resolved"


def test_who_mutes_or_acknowledges_before_it_was_sent_is_not_told(make_lab, trade, hook):
    channels = channels_of(hook, "desk")
    lab = make_lab(channels=("desk",))
    lab.request("rule.put", rule=rule())
    fire(lab, trade)
    lab.request("alert.mute", rule_id="dear", series="BTCUSDT", by="me")
    lab.request("alert.ack", rule_id="dear", series="ETHUSDT", by="me")
    work(lab, channels, lambda: "silenced" in states(lab, "desk"))
    assert sorted(states(lab, "desk")) == ["silenced", "waiting"]
    assert hook.taken("desk") == []
    lab.request("alert.unmute", rule_id="dear", series="BTCUSDT", by="me")
    work(lab, channels, lambda: bool(hook.taken("desk")))
    assert {(event["kind"], event["series"]) for event in hook.taken("desk")} == {("firing", "BTCUSDT")}
    fire(lab, trade, 5, "90.0")
    work(lab, channels, lambda: "waiting" not in states(lab, "desk"))
    assert [(event["kind"], event["series"]) for event in hook.taken("desk")][1:] == [("resolved", "BTCUSDT")]


def test_a_rule_chooses_its_channels(make_lab, trade, hook):
    channels = channels_of(hook, "desk", "ops")
    lab = make_lab(channels=("desk", "ops"))
    lab.request("rule.put", rule=rule(channels=["ops"], target="BTCUSDT"))
    lab.request("rule.put", rule=rule(rule_id="all", target="ETHUSDT"))
    fire(lab, trade)
    work(lab, channels, lambda: set(states(lab, "ops")) == {"delivered"} and len(hook.taken("ops")) == 2)
    assert [event["rule_id"] for event in hook.taken("desk")] == ["all"]
    assert {event["rule_id"] for event in hook.taken("ops")} == {"all", "dear"}

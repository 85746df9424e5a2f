"""The warehouse process with its delivery worker, killed with -9 at random points while alerts fire."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.alerts import Condition, Metric, Rule
from pipeline.errors import WarehouseUnavailable
from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.store import Role, connect, open_local
from pipeline.store.deliveries import count_deliveries
from pipeline.store.requests import PutRule, load_outcome, send

T0 = 1_723_161_300_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
KILLS = 3
FLIP_MS = 500


class Feed(threading.Thread):
    """Trades whose price passes the threshold again and again, and clock lines, into the journal."""

    def __init__(self, directory, trade):
        super().__init__()
        self.ended = threading.Event()
        self._trade = trade
        self._writer = JournalWriter(directory, fsync_s=0.05, segment_bytes=200_000, segment_seconds=3_600)

    def run(self):
        number = 0
        while not self.ended.wait(0.1):
            for _ in range(20):
                number += 1
                time_ms = T0 + 10 * number
                for place, symbol in enumerate(SYMBOLS):
                    high = (time_ms // FLIP_MS + place) % 2
                    line = self._trade(symbol, number, time_ms, "150.0" if high else "90.0")
                    recv_ns, _, raw = line.partition(b" ")
                    self._writer.append(int(recv_ns), raw)
            self._writer.append((time_ms + 1) * 1_000_000, b'{"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}')
            self._writer.commit()
        self._writer.close()


class Listener(ThreadingHTTPServer):
    """Many may knock at one time."""

    request_queue_size = 128
    daemon_threads = True


class Server:
    """Takes webhooks; now and then it is slow, fails, or takes one and says nothing."""

    def __init__(self):
        self.received = {"/each": [], "/grouped": []}
        chance = random.Random(5)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                luck = chance.random()
                if luck < 0.02:
                    return self._answer(500)
                server.received[self.path].append((self.headers["Idempotency-Key"], body))
                if luck < 0.04:
                    self.close_connection = True
                    return None
                time.sleep(0.05 * luck)
                return self._answer(204)

            def _answer(self, status):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:  # the sender was killed
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def start(directory, port, channels):
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | {
        "SPREADWATCH_DATA_DIR": str(directory),
        "SPREADWATCH_WAREHOUSE_PORT": str(port),
        "SPREADWATCH_METRICS_PORT": "0",
        "SPREADWATCH_CHANNELS_FILE": str(channels),
        "SPREADWATCH_TRADE_STREAM": "trade",
        "SPREADWATCH_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "pipeline.cli", "warehouse", "--profile", "kill"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ask(profile, process, question, limit_s=120):
    """The answer of a served warehouse, once there is one that is not None."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        try:
            with connect(profile, Role.OPERATOR) as warehouse:
                if (answer := question(warehouse)) is not None:
                    return answer
        except WarehouseUnavailable:
            pass
        time.sleep(0.1)
    msg = f"no answer in {limit_s} s"
    raise AssertionError(msg)


def put_rule(profile, process):
    rule = Rule(rule_id="dear", name="dear", target="*", metric=Metric.PRICE, condition=Condition.ABOVE, threshold=100.0)
    request_id = ask(profile, process, lambda warehouse: send(warehouse, PutRule(rule), now=datetime.now(UTC)))
    assert ask(profile, process, lambda warehouse: load_outcome(warehouse, request_id)) == "applied"


def delivered(warehouse):
    return warehouse.select("SELECT count(*) FROM outbox WHERE state = 'delivered'").item()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_event_arrives_and_once_by_its_key_and_in_order(tmp_path, trade):
    profile = open_profile(tmp_path, "kill", Kind.SIMULATED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server()
    channels = tmp_path / "channels.toml"
    channels.write_text(
        f'[channel.each]\nurl = "{server.url}/each"\n[channel.grouped]\nurl = "{server.url}/grouped"\ngroup_by = "rule"\ngroup_s = 0.5\n'
    )
    channels.chmod(0o600)
    feed = Feed(profile.journal / "capture", trade)
    process = start(tmp_path, port, channels)
    chance = random.Random(11)
    try:
        put_rule(profile, process)
        feed.start()
        have = 0
        for _ in range(KILLS):
            have = ask(profile, process, lambda warehouse, have=have: count if (count := delivered(warehouse)) > have else None)
            time.sleep(chance.uniform(0.0, 0.7))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            process = start(tmp_path, port, channels)
        ask(profile, process, lambda warehouse: True if delivered(warehouse) > have else None)
        feed.ended.set()
        feed.join()
        ask(profile, process, lambda warehouse: True if count_deliveries(warehouse)["waiting"].sum() == 0 else None)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
    finally:
        feed.ended.set()
        if feed.is_alive():
            feed.join()
        if process.poll() is None:
            process.kill()
            process.communicate()
        server.close()
    with open_local(profile) as tables:
        events = tables.select(
            """SELECT event_id, series, epoch_us(occurred_at) AS at_us FROM alert_events
               WHERE CAST(payload->>'notifies' AS BOOLEAN) ORDER BY occurred_at, rowid"""
        )
        assert set(count_deliveries(tables)["dead"]) == {0}
    expected = set(events["event_id"])
    assert len(expected) > 20
    for path, requests in server.received.items():
        by_key = {}
        for key, body in requests:  # as a receiver does: what has a known key was there before
            assert by_key.setdefault(key, body) == body, "one key stands for one content"
        arrived = [event for body in by_key.values() for event in (body["events"] if body["kind"] == "group" else [body])]
        ids = [event["event_id"] for event in arrived]
        assert set(ids) == expected, path
        assert len(ids) == len(expected), path
        for series in SYMBOLS:
            times = [event["at_us"] for event in arrived if event["series"] == series]
            assert times == sorted(times), path
    assert any(body["kind"] == "group" for _, body in server.received["/grouped"])

"""A real HTTP server that receives webhooks, and one real event."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.alerts import AlertState, Condition, Metric, Reading, Rule, step


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with the statuses of ``plan`` in turn, then 204; ``delay_s`` is waited before, ``drip_s`` between bytes of, an answer."""

    plan: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    requests: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook/s3cret-token"

    @property
    def keys(self):
        return [request.headers["idempotency-key"] for request in self.requests]


@pytest.fixture
def receiver(monkeypatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    state = Receiver()
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.requests.append(Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            stopping.wait(state.delay_s)
            try:
                if state.drip_s:
                    while not stopping.is_set():
                        self.wfile.write(b"H")
                        time.sleep(state.drip_s)
                self.send_response(state.plan.pop(0) if state.plan else 204)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the client went away, as it should

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def make_event():
    """Build a FIRING event of a rule for a series at a time."""

    def make(rule_id="r1", series="BTCUSDT", at_us=1_723_161_255_000_000):
        rule = Rule(
            rule_id=rule_id,
            name="dear €",
            target="*",
            metric=Metric.PRICE,
            condition=Condition.ABOVE,
            threshold=60_000,
            recovery_threshold=59_000,
        )
        _, (event,) = step(rule, AlertState(rule_id=rule_id, series=series), at_us, Reading(60_123.4))
        return event

    return make

"""The doctor, against real sockets."""

from __future__ import annotations

import http.server
import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cli.doctor import Finding, Verdict, examine
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings
from pipeline.users import UserFile, UserRole


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(tmp_path: Path, **given: object) -> Settings:
    ports = {name: free_port() for name in ("dashboard_port", "prefect_port", "warehouse_port", "simulator_port", "metrics_port")}
    return Settings(**{"data_dir": tmp_path, "rest_url": f"http://127.0.0.1:{free_port()}", **ports, **given})


def findings(chosen: Settings, kind: Kind = Kind.LIVE) -> dict[str, Finding]:
    name = f"p{time.monotonic_ns()}"
    profile = create_profile(chosen.data_dir, name, kind, TradeKind.AGGREGATE, created_at="2026-01-01")
    return {finding.subject: finding for finding in examine(profile, chosen)}


@contextmanager
def venue(*, status: int = 200, clock_ms: int = 0) -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"serverTime": int(time.time() * 1_000) + clock_ms} if self.path.endswith("time") else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def redis(password: str = "") -> Iterator[int]:
    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            known = not password
            while (head := self.rfile.readline()).startswith(b"*"):
                words = [self.rfile.readline() and self.rfile.readline().strip().decode() for _ in range(int(head[1:]))]
                if words[0] == "AUTH":
                    known = words[-1] == password
                    self.wfile.write(b"+OK\r\n" if known else b"-WRONGPASS\r\n")
                else:
                    self.wfile.write(b"+PONG\r\n" if known else b"-NOAUTH Authentication required.\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_healthy_machine(tmp_path: Path) -> None:
    with venue() as url:
        found = findings(settings(tmp_path, rest_url=url))
    assert found["Venue"].verdict is Verdict.OK
    assert found["Clock"].verdict is Verdict.OK
    assert found["DuckDB"].verdict is Verdict.OK
    assert not [finding for finding in found.values() if finding.verdict is Verdict.FAIL]
    assert "Redis" not in found


def test_a_venue_out_of_reach_fails_a_live_profile_only(tmp_path: Path) -> None:
    live = findings(settings(tmp_path))["Venue"]
    assert live.verdict is Verdict.FAIL
    assert "cannot be reached" in live.text
    assert "--kind simulated" in live.text
    assert findings(settings(tmp_path), Kind.SIMULATED)["Venue"].verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("status", "said"), [(451, "does not serve some regions"), (503, "this usually passes"), (404, "refuses the request")]
)
def test_what_the_venue_answers_is_explained(tmp_path: Path, status: int, said: str) -> None:
    with venue(status=status) as url:
        finding = findings(settings(tmp_path, rest_url=url))["Venue"]
    assert finding.verdict is Verdict.FAIL
    assert said in finding.text


def test_a_wrong_clock_is_told(tmp_path: Path) -> None:
    with venue(clock_ms=90_000) as url:
        finding = findings(settings(tmp_path, rest_url=url))["Clock"]
    assert finding.verdict is Verdict.WARN
    assert re.search(r"ours is -(89|90)\.\d s off the venue's", finding.text)  # half a round trip is the error of the measurement


def test_a_taken_port_is_told_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finding = findings(settings(tmp_path, dashboard_port=port), Kind.SIMULATED)[f"Port {port}"]
    assert finding.verdict is Verdict.FAIL
    assert "set dashboard_port (SPREADWATCH_DASHBOARD_PORT)" in finding.text


def test_what_the_journal_in_redis_can_lose_is_said(tmp_path: Path, own_redis) -> None:
    there = settings(tmp_path, journal="redis", redis_url=own_redis.url)
    found = findings(there)["Journal"]
    assert found.verdict is Verdict.OK
    assert "committed lines survive a power cut" in found.text
    for name, value in (("appendonly", "no"), ("appendonly", "yes"), ("appendfsync", "no")):
        own_redis.configure(name, value)
        if value == "no":
            assert findings(there)["Journal"].verdict is Verdict.WARN
    without = findings(settings(tmp_path, journal="redis"))["Journal"]
    assert (without.verdict, "needs redis_url" in without.text) == (Verdict.FAIL, True)


def test_redis_is_looked_at_when_it_is_set(tmp_path: Path) -> None:
    with redis() as port:
        assert findings(settings(tmp_path, redis_url=f"redis://127.0.0.1:{port}/0"))["Redis"].verdict is Verdict.OK
    with redis("secret") as port:
        assert findings(settings(tmp_path, redis_url=f"redis://:secret@127.0.0.1:{port}"))["Redis"].verdict is Verdict.OK
        wrong = findings(settings(tmp_path, redis_url=f"redis://:guess@127.0.0.1:{port}"))["Redis"]
        none = findings(settings(tmp_path, redis_url=f"redis://127.0.0.1:{port}"))["Redis"]
    absent = findings(settings(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}"))["Redis"]
    assert [wrong.verdict, none.verdict, absent.verdict] == [Verdict.FAIL] * 3
    assert "refuses the password" in wrong.text
    assert "NOAUTH" in none.text
    assert "Redis is optional" in absent.text
    assert "guess" not in wrong.text


def test_channels_of_alerts_are_named_and_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    channels = tmp_path / "channels.toml"
    channels.write_text('[channel.desk]\nurl = "https://desk.example.com/s3cret"\n')
    channels.chmod(0o600)
    found = findings(settings(tmp_path, channels_file=channels), Kind.SIMULATED)["alerts"]
    assert (found.verdict, found.text) == (Verdict.OK, "are sent to desk")
    channels.chmod(0o644)
    found = findings(settings(tmp_path, channels_file=channels), Kind.SIMULATED)["alerts"]
    assert found.verdict is Verdict.FAIL
    assert "chmod 600" in found.text
    assert "s3cret" not in found.text


def test_who_can_reach_the_dashboard(tmp_path: Path) -> None:
    assert findings(settings(tmp_path))["Access"].text == "the dashboard is for this machine only (0 users); it asks for no login"
    nobody = findings(settings(tmp_path, dashboard_origins=("https://desk.example.com",)))["Access"]
    assert nobody.verdict is Verdict.FAIL
    assert "spreadwatch user add NAME" in nobody.text
    UserFile(tmp_path).add("ann", UserRole.OPERATOR, "correct horse battery")
    proxied = findings(settings(tmp_path, dashboard_origins=("https://desk.example.com",)))["Access"]
    assert (proxied.verdict, proxied.text) == (Verdict.OK, "the dashboard asks for a login (1 user)")
    plain = findings(settings(tmp_path, dashboard_origins=("http://desk.example.com",)))["Access"]
    assert plain.verdict is Verdict.WARN
    assert "in the clear" in plain.text

"""Prefect's server as the plan starts it: with a password, and with nothing asked from outside."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from dashboards.tables.flow_runs import FlowRunsTopic
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings
from pipeline.supervisor.plan import make_plan, prefect_auth
from pipeline.supervisor.probes import is_healthy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse"
_CHROMIUM = Path("/usr/bin/chromium")
FLOW = """
from prefect import flow

@flow(name="signed_in")
def signed_in():
    return "done"

assert signed_in() == "done"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The process `prefect` of a profile with a password."""
    path = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(data_dir=path, prefect_port=port, prefect_password=PASSWORD)
    profile = create_profile(path, "mine", Kind.LIVE, TradeKind.AGGREGATE, created_at="2026-01-01")
    (spec,) = [spec for spec in make_plan(profile, settings).processes if spec.name == "prefect"]
    log = path / "prefect.log"
    started = time.time()
    with log.open("w") as out:
        process = subprocess.Popen(spec.command, env={**os.environ, **spec.env}, stdout=out, stderr=out, start_new_session=True)
        for _ in range(400):
            if asyncio.run(is_healthy(spec.probe, started_at=started)):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.25)
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", spec=spec, settings=settings, log=log, pid=process.pid)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
    assert PASSWORD not in log.read_text()


def status(url: str, auth: tuple[str, str] | None = None) -> int:
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"})
    if auth is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(auth).encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_api_answers_only_who_knows_the_password(server) -> None:
    flows = f"{server.url}/api/flows/filter"
    assert status(flows) == 401
    assert status(flows, ("spreadwatch", "wrong horse")) == 401
    assert status(flows, prefect_auth(server.settings)) == 200
    command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert PASSWORD.encode() not in command


def test_flows_still_run_and_the_dashboard_still_sees_them(server) -> None:
    client = {name: value for name, value in server.spec.env.items() if name != "PREFECT_SERVER_API_AUTH_STRING"}
    done = subprocess.run(
        [sys.executable, "-c", FLOW], env={**os.environ, **client}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    runs = FlowRunsTopic(f"{server.url}/api", prefect_auth(server.settings)).read(None, None, None)
    assert [(run.flow, run.state_type) for run in runs.runs] == [("signed_in", "COMPLETED")]
    refused = FlowRunsTopic(f"{server.url}/api").read(None, None, None)
    assert refused.problem.endswith("asks for another prefect_password")
    assert PASSWORD not in repr(FlowRunsTopic(server.url, prefect_auth(server.settings)))


FAILING = """
from prefect import flow

@flow(name="breaks")
def breaks():
    raise ValueError("out of bars")

try:
    breaks()
except ValueError:
    pass
"""


@pytest.fixture
def receiver() -> Iterator[SimpleNamespace]:
    """Somebody who is told."""
    told: list[str] = []
    arrived = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{http.server_port}/hook", told=told, arrived=arrived)
        http.shutdown()
        thread.join()


def test_the_example_automations_are_accepted_and_tell_of_a_failed_run(server, receiver) -> None:
    environment = {
        **os.environ,
        "SPREADWATCH_DATA_DIR": str(server.settings.data_dir),
        "SPREADWATCH_PREFECT_PORT": str(server.settings.prefect_port),
        "SPREADWATCH_PREFECT_PASSWORD": PASSWORD,
        "NOTIFY_URL": receiver.url,
        "COLUMNS": "1000",  # Prefect breaks even JSON at the width of the terminal
        "PYTHON": sys.executable,
    }

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for _ in range(2):
        run("deployments/automations.sh", "--profile", "mine")
    listed = json.loads(
        run(
            sys.executable,
            "-m",
            "pipeline.cli",
            "prefect",
            "--profile",
            "mine",
            "automation",
            "inspect",
            "spreadwatch: a run is late",
            "--json",
        )
    )
    assert [one["name"] for one in (listed if isinstance(listed, list) else [listed])] == ["spreadwatch: a run is late"]
    client = {name: value for name, value in server.spec.env.items() if name != "PREFECT_SERVER_API_AUTH_STRING"}
    subprocess.run([sys.executable, "-c", FAILING], env={**os.environ, **client}, capture_output=True, timeout=100, check=True)
    assert receiver.arrived.wait(60)
    assert receiver.told[0].startswith("Spreadwatch: breaks Failed: ")
    assert "out of bars" in receiver.told[0]


def test_the_deployments_are_accepted_for_a_work_pool(server) -> None:
    client = {name: value for name, value in server.spec.env.items() if name != "PREFECT_SERVER_API_AUTH_STRING"}
    environment = {**os.environ, **client, "FLOWS_CHECKOUT": str(ROOT)}
    for command in (
        ("work-pool", "create", "spreadwatch", "--type", "process"),
        ("work-pool", "set-concurrency-limit", "spreadwatch", "3"),
        ("deploy", "--all", "--no-prompt", "--prefect-file", "deployments/prefect.yaml"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    request = urllib.request.Request(f"{server.url}/api/deployments/count", data=b"{}", headers={"Content-Type": "application/json"})
    request.add_header("Authorization", "Basic " + base64.b64encode(":".join(prefect_auth(server.settings)).encode()).decode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer) == 20  # ten flows, each scheduled and by hand


@pytest.mark.browser
@pytest.mark.skipif(not _CHROMIUM.exists(), reason=f"chromium is not at {_CHROMIUM}; `apt-get install chromium`")
def test_the_ui_asks_nothing_from_outside(server) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(_CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for place in ("/", "/dashboard", "/runs", "/deployments", "/settings"):
            page.goto(f"{server.url}{place}")
            page.wait_for_timeout(1_500)
        shown = page.inner_text("body")
        browser.close()
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert shown.strip()

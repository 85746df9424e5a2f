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
from typing import Any

import pytest

from dashboards.prefect import Prefect
from dashboards.tables.flow_runs import FlowRuns, FlowRunsTopic, RunTopic
from pipeline.errors import PrefectError, PrefectUnavailable, SpreadwatchError
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings
from pipeline.supervisor.plan import HEARTBEAT_S, make_plan, prefect_auth
from pipeline.supervisor.probes import is_healthy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse"
_CHROMIUM = Path("/usr/bin/chromium")
FLOW = """
from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, create_table_artifact

@flow(name="signed_in")
def signed_in():
    create_progress_artifact(62.5, description="rows written")
    get_run_logger().debug("not worth telling")
    get_run_logger().warning("half way")
    create_table_artifact(key="signed-in", table=[{"symbol": "BTCUSDT", "new": 7}], description="7 rows")
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
        while not asyncio.run(is_healthy(spec.probe, started_at=started)):
            assert process.poll() is None, log.read_text()
            assert time.time() - started < 200, log.read_text()
            time.sleep(0.25)
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", spec=spec, settings=settings, log=log, pid=process.pid)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
    assert PASSWORD not in log.read_text()


def status(url: str, auth: tuple[str, str] | None = None) -> int:
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"})
    if auth is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(auth).encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
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
    prefect = Prefect(f"{server.url}/api", prefect_auth(server.settings))
    runs = FlowRunsTopic(prefect).read(None, None, None)
    assert [(run.flow, run.state_type, run.ok) for run in runs.runs] == [("signed_in", "COMPLETED", True)]
    assert FlowRunsTopic(prefect, flow="backfill").read(None, None, None) == FlowRuns()
    topic = RunTopic(prefect, runs.runs[0].run_id)
    one = topic.read(None, None, None)
    for _ in range(40):  # lines come a moment later
        if one.following.lines:
            break
        time.sleep(0.25)
        one = topic.read(None, None, one)
    assert (one.following.progress, one.following.progress_of) == (0.625, "rows written")
    assert (one.following.summary, list(one.following.rows)) == ("7 rows", [{"symbol": "BTCUSDT", "new": 7}])
    assert [(line.level, line.text) for line in one.following.lines if "way" in line.text] == [("warning", "half way")]
    assert not [line for line in one.following.lines if "worth" in line.text]
    with pytest.raises(PrefectError, match=r"ended already \(Completed\); there is nothing to cancel"):
        prefect.cancel_run(topic.run_id)
    refused = FlowRunsTopic(Prefect(prefect.api_url)).read(None, None, None)
    assert "asks for another password; set prefect_password" in refused.problem
    assert PASSWORD not in repr(FlowRunsTopic(prefect))


LASTING = """
import sys
from prefect import flow

@flow(name=sys.argv[1])
def lasting():
    print("began", flush=True)
    sys.stdin.read()

lasting()
"""


def client_of(server) -> dict[str, str]:
    """The environment of a client of the server."""
    return {**os.environ, **{name: value for name, value in server.spec.env.items() if name != "PREFECT_SERVER_API_AUTH_STRING"}}


def ask(server, path: str, **body: object) -> Any:
    """What the API answers."""
    sign = base64.b64encode(":".join(prefect_auth(server.settings)).encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {sign}"}
    request = urllib.request.Request(f"{server.url}/api/{path}", data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def states_of(server) -> dict[str, str]:
    """State of the newest run of each flow."""
    names = {flow["id"]: flow["name"] for flow in ask(server, "flows/filter")}
    return {names[run["flow_id"]]: run["state_type"] for run in ask(server, "flow_runs/filter", sort="START_TIME_ASC")}


def heard_of(server) -> set[str]:
    """Flows with a run that has given a sign of life."""
    events = ask(server, "events/filter", filter={"event": {"name": ["prefect.flow-run.heartbeat"]}})["events"]
    return {related["prefect.resource.name"] for event in events for related in event["related"] if "prefect.resource.name" in related}


@pytest.mark.timeout(600)
def test_a_run_that_was_killed_is_noticed_and_one_that_lasts_is_left_alone(server) -> None:
    environment = client_of(server)
    silent_s = 2 * HEARTBEAT_S  # one sign of life must come meanwhile
    watch = f"import asyncio; from flows.startup import watch_for_zombies; asyncio.run(watch_for_zombies({silent_s}))"
    made = subprocess.run(
        [sys.executable, "-c", watch], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert made.returncode == 0, made.stderr
    with (
        subprocess.Popen([sys.executable, "-c", LASTING, "lives"], env=environment, stdin=-1, stdout=-1, text=True) as lives,
        subprocess.Popen([sys.executable, "-c", LASTING, "dies"], env=environment, stdin=-1, stdout=-1, text=True) as dies,
    ):
        try:
            for process in (lives, dies):
                assert process.stdout.readline() == "began\n"
            began = time.monotonic()
            while not heard_of(server) >= {"lives", "dies"}:
                assert time.monotonic() - began < 60
                time.sleep(0.5)
            dies.kill()
            while (states := states_of(server))["dies"] != "CRASHED":
                assert states["lives"] == "RUNNING"
                assert time.monotonic() - began < 240, states
                time.sleep(1)
            while time.monotonic() - began < 1.5 * silent_s:
                time.sleep(1)
            assert states_of(server)["lives"] == "RUNNING"
        finally:
            lives.stdin.close()
            lives.wait(60)
    assert states_of(server) == {**states_of(server), "lives": "COMPLETED", "dies": "CRASHED"}


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
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer) == 20  # ten flows, each scheduled and by hand


def test_runs_are_started_once_followed_and_cancelled(server) -> None:
    """After the deployments are there; nobody works for the pool, so a run waits."""
    prefect = Prefect(f"{server.url}/api", prefect_auth(server.settings))
    asked = {"symbols": ["BTCUSDT"], "what": ["klines"]}
    first = prefect.start_run("backfill/manual", asked, key="click")
    assert prefect.start_run("backfill/manual", asked, key="click") == first
    assert prefect.start_run("backfill/manual", asked, key="another click") != first
    waiting = RunTopic(prefect, first).read(None, None, None)
    assert waiting.following.run.state_type == "SCHEDULED"
    assert {name: waiting.following.run.parameters[name] for name in asked} == asked
    assert (waiting.following.progress, waiting.following.lines, waiting.problem) == (None, (), "")
    prefect.cancel_run(first)
    assert prefect.read_run(first).state == "Cancelled"

    for deployment, parameters, said in (
        ("report/manual", {"hours": 0}, r"report/manual refuses its parameters: .*0 is less than the minimum of 1"),
        ("report/manual", {"hours": "many"}, r"report/manual refuses its parameters: .*hours.*not of type .integer."),
        ("brew/manual", {}, r"Prefect has no deployment 'brew/manual'; the process flows registers it"),
    ):
        with pytest.raises(SpreadwatchError, match=said):
            prefect.start_run(deployment, parameters, key="refused")
    for run, said in (("../admin", "is no run; expected the id"), ("00000000-0000-4000-8000-000000000000", "Prefect knows no run")):
        assert said in RunTopic(prefect, run).read(None, None, None).problem
    nobody = Prefect("http://127.0.0.1:9/api")
    with pytest.raises(PrefectUnavailable, match="does not answer at"):
        nobody.start_run("backfill/manual", asked, key="click")
    kept = RunTopic(nobody, first).read(None, None, waiting)
    assert kept.following == waiting.following
    assert "spreadwatch status tells whether it runs" in kept.problem


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

"""Prefect's server as the plan starts it: with a password, and with nothing asked from outside."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
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

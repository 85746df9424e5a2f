"""Somebody's first alert: made in the browser, seen to fire, acknowledged, found in the history. Every process is the real one.

Nobody waits for the market: the test is capture, and writes the trades that move journal time into the journal.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.store import Role, connect, open_local

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_ROOT = Path(__file__).resolve().parents[2]
_START_MS = 1_772_409_600_000


class Capture:
    """Writes trades of both legs, a second apart, and so moves the time of the journal."""

    def __init__(self, profile):
        self._writer = JournalWriter(profile.journal / "capture", fsync_s=1, segment_bytes=1 << 24, segment_seconds=86_400)
        self._second = 0

    def write(self, seconds, *, rich=0.0, every=1):
        """So many seconds of the market, in which ETHUSDT is richer by so much."""
        for _ in range(0, seconds, every):
            self._second += every
            number, at = self._second, _START_MS + 1_000 * self._second
            wiggle = (number * 37 % 101) / 50 - 1
            for symbol, price in (("BTCUSDT", 60_000 + 5 * wiggle), ("ETHUSDT", 2_500 + wiggle * (number % 7 - 3) + rich)):
                trade = {
                    "e": "aggTrade",
                    "E": at,
                    "s": symbol,
                    "a": number,
                    "p": f"{price:.2f}",
                    "q": "1",
                    "f": number,
                    "l": number,
                    "T": at,
                    "m": True,
                }
                raw = json.dumps({"stream": f"{symbol.lower()}@aggTrade", "data": trade}, separators=(",", ":"))
                self._writer.append(at * 1_000_000, raw.encode())
        self._writer.commit()

    def close(self):
        self._writer.close()


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def desk(tmp_path):
    """A profile with half an hour of market and a fitted model, its warehouse and its dashboard: address, profile, capture."""
    profile = open_profile(tmp_path, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    with open_local(profile) as opened:
        opened.connection.execute(
            """INSERT INTO fits (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n, alpha, beta)
               VALUES ('m', 'ETHUSDT', 'BTCUSDT', '1m', 500, 'ols', 'price', now(), now(), now(), 500, 0, 0.04)"""
        )
    capture = Capture(profile)
    capture.write(1_800, every=3)
    port = _free_port()
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(tmp_path),
        "SPREADWATCH_WAREHOUSE_PORT": str(_free_port()),
        "SPREADWATCH_METRICS_PORT": "0",
        "SPREADWATCH_DASHBOARD_PORT": str(port),
        "SPREADWATCH_PREFECT_PORT": str(_free_port()),
        "SPREADWATCH_LOG_LEVEL": "WARNING",
    }
    log = (tmp_path / "processes.log").open("w")
    commands = [["-m", "pipeline.cli", "warehouse", "--profile", "demo"], ["-m", "dashboards", "--profile", "demo"]]
    running = [subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log, cwd=_ROOT) for command in commands]

    def answers():
        urlopen(f"http://127.0.0.1:{port}/").close()
        with connect(profile, Role.READER) as warehouse:
            assert warehouse.select("SELECT 1 FROM activations").height

    try:
        _eventually(answers, running, tmp_path / "processes.log")
        yield f"http://127.0.0.1:{port}", profile, capture
        assert "Traceback" not in (tmp_path / "processes.log").read_text(), (tmp_path / "processes.log").read_text()
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=60)
        log.close()
        capture.close()


def _eventually(check, running, log):
    until = time.monotonic() + 60
    while True:
        assert all(process.poll() is None for process in running), log.read_text()
        try:
            return check()
        except Exception:  # whatever is not there yet
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_a_newcomer_makes_an_alert_sees_it_fire_acknowledges_it_and_finds_it(chromium, desk):
    url, profile, capture = desk
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, permissions=["notifications"])
    page = context.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(30_000)
    page.add_init_script(
        "window.shown = []; const N = function (title, more) { window.shown.push([title, more.body]) };"
        "N.permission = 'granted'; N.requestPermission = async () => 'granted'; window.Notification = N"
    )
    page.goto(f"{url}/")
    page.locator('[data-live="True"]').wait_for(state="attached")
    capture.write(60)  # the model is live from the next bar on

    page.get_by_role("tab", name="Alerts").click()
    page.get_by_role("button", name="Preferences", exact=True).click()
    page.get_by_role("checkbox", name="Browser notification").check()
    page.keyboard.press("Escape")
    page.get_by_label("Threshold").fill("2")
    page.get_by_label("Recovers at (optional)").fill("0.5")
    page.get_by_label("Held for (seconds)").fill("30")
    page.get_by_text("ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5").first.wait_for()
    page.get_by_role("button", name="Test on last 24 h").click()
    page.get_by_text("not have fired in the last 24 h").wait_for()
    page.get_by_role("button", name="Create rule").click()
    page.get_by_text("is in force").wait_for()

    now = page.get_by_role("table", name="State of every alert").locator("tr", has_text="ETHUSDT/BTCUSDT")
    capture.write(20)
    now.get_by_text("normal").wait_for()
    capture.write(10, rich=40.0)
    now.get_by_text("pending").wait_for()
    capture.write(35, rich=40.0)
    now.get_by_text("firing").wait_for()
    page.wait_for_function("window.shown.some(([title]) => title === 'ETHUSDT/BTCUSDT firing')")

    now.get_by_role("button", name="Acknowledge").click()
    now.get_by_text("acknowledged by dashboard").wait_for()
    capture.write(120, rich=-5.0)
    now.get_by_text("normal").wait_for()

    history = page.get_by_role("table", name="History of alerts")
    for kind in ("pending", "firing", "acknowledged", "resolved"):
        history.locator("tr", has_text="ETHUSDT/BTCUSDT").filter(has=page.locator(".chip", has_text=kind)).first.wait_for()
    page.get_by_role("textbox", name="Find").fill("critical")
    page.get_by_role("textbox", name="Find").press("Enter")
    page.get_by_text("Nothing found").wait_for()
    page.get_by_role("textbox", name="Find").fill("warning firing")
    page.get_by_role("textbox", name="Find").press("Enter")
    fired = history.locator("tr", has_text="warning firing: ETHUSDT/BTCUSDT")
    fired.get_by_text("model m").wait_for()
    assert history.locator("tbody tr").count() == 1
    fired.get_by_role("link").click()
    page.wait_for_url("**view=pair&pair=ETHUSDT/BTCUSDT&timeframe=1m**at=2026-03-02T00:3**")
    page.wait_for_function(
        """() => [...Bokeh.documents[0].all_models].some((m) => m.type === "Label" && m.visible && m.text.startsWith("alert 00:3"))"""
    )
    with connect(profile, Role.READER) as warehouse:
        kinds = warehouse.select("SELECT kind FROM alert_events ORDER BY occurred_at, rowid")["kind"].to_list()
    assert [kind for kind in kinds if kind not in ("pending", "cleared")] == ["firing", "acknowledged", "resolved"]
    assert errors == []
    context.close()

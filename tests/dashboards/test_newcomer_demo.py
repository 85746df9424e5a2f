"""The newcomer's alert on the demo's own market: simulator, capture, warehouse and dashboard as they are, at the pace of the clock.

The simulated market is a function of its seed, so one is taken in which the z-score goes above 2 soon, and stays there long enough.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.simulator.trades import HOUR_MS, Tape
from pipeline.simulator.universe import truth
from pipeline.store import Role, connect, open_local

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(500)]

_ROOT = Path(__file__).resolve().parents[2]
_WINDOW = 20
_SOON_S, _LATE_S, _LONG_S = 110, 200, 50
BETA = next(planted.beta for planted in truth() if (planted.y, planted.x) == ("ETHUSDT", "BTCUSDT"))


def scores(seed, start_s, seconds):
    """z-score of ETHUSDT/BTCUSDT on minute bars, that of the moment included, at each of some seconds."""
    tape, minutes = Tape(seed), start_s // 60 - _WINDOW
    at = np.arange(minutes * 60, start_s + seconds)
    spread = 0.0
    for symbol, held, unit in (("ETHUSDT", 1.0, 100.0), ("BTCUSDT", -BETA, 100.0)):
        hours = range(at[0] * 1_000 // HOUR_MS - 1, at[-1] * 1_000 // HOUR_MS + 1)
        parts = [tape.trades(symbol, hour) for hour in hours]
        times, prices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("time_ms", "price"))
        spread = spread + held * prices[np.searchsorted(times, at * 1_000, side="right") - 1] / unit
    here = np.arange(seconds) + start_s - at[0]
    ends = (here - here % 60 - 1)[:, None] - 60 * np.arange(_WINDOW - 1)  # the last second of each complete bar of the window
    closes = np.column_stack((spread[ends], spread[here]))
    return (closes[:, -1] - closes.mean(axis=1)) / closes.std(axis=1, ddof=1)


def stirring_seed(start_s):
    """The first seed whose z-score goes above 2 in two or three minutes and stays there for long enough."""
    for seed in range(1, 1_000):
        high = scores(seed, start_s, _LATE_S + _LONG_S) > 2.1
        begins = np.flatnonzero(high[1:] & ~high[:-1]) + 1
        if any(_SOON_S <= begin <= _LATE_S and high[begin : begin + _LONG_S].all() for begin in begins):
            return seed
    raise AssertionError(start_s)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def demo(tmp_path):
    """The demo without its flows: address and profile. Candles of the past and a model are there, as the flows would have left them."""
    started = datetime.now(UTC)
    profile = open_profile(tmp_path, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    with open_local(profile) as opened:
        opened.connection.execute(
            f"""INSERT INTO fits (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n, alpha, beta)
                VALUES ('m', 'ETHUSDT', 'BTCUSDT', '1m', 500, 'ols', 'price', now(), now(), now(), 500, 0, {BETA})"""
        )
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPREADWATCH_")} | {
        "SPREADWATCH_DATA_DIR": str(tmp_path),
        "SPREADWATCH_PROFILE": "demo",
        "SPREADWATCH_SIMULATOR_SEED": str(stirring_seed(int(started.timestamp()))),
        "SPREADWATCH_SIMULATOR_PORT": str(_free_port()),
        "SPREADWATCH_WAREHOUSE_PORT": str(_free_port()),
        "SPREADWATCH_METRICS_PORT": "0",
        "SPREADWATCH_DASHBOARD_PORT": str(port),
        "SPREADWATCH_PREFECT_PORT": str(_free_port()),
        "SPREADWATCH_LOG_LEVEL": "WARNING",
    }
    output = tmp_path / "processes.log"
    running = []

    def start(*command):
        with output.open("a") as log:
            running.append(subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log, cwd=_ROOT))

    def eventually(check):
        until = time.monotonic() + 90
        while True:
            assert all(process.poll() is None for process in running), output.read_text()
            try:
                return check()
            except Exception:  # whatever is not there yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def landed():
        with connect(profile, Role.READER) as warehouse:
            assert warehouse.select("SELECT count(DISTINCT symbol) AS n FROM ticks").item() == 2
            assert warehouse.select("SELECT 1 FROM activations").height

    try:
        for name in ("simulate", "warehouse", "capture"):
            start("-m", "pipeline.cli", name, "--profile", "demo")
        start("-m", "dashboards", "--profile", "demo")
        eventually(landed)
        since = (started - timedelta(hours=1)).isoformat()
        fetch = [sys.executable, "-m", "pipeline.cli", "backfill", "--profile", "demo", "--timeframe", "1m", "--from", since]
        done = subprocess.run(fetch, env=environment, capture_output=True, text=True, cwd=_ROOT, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        eventually(lambda: urlopen(f"http://127.0.0.1:{port}/").close())
        yield f"http://127.0.0.1:{port}", profile
        assert "Traceback" not in output.read_text(), output.read_text()
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(timeout=60)


def test_an_alert_made_in_the_dashboard_fires_in_the_demo(chromium, demo):
    url, profile = demo
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/?view=alerts")
    page.locator('[data-live="True"]').wait_for(state="attached")
    page.get_by_role("tab", name="Alerts").click()
    page.get_by_label("Threshold").fill("2")
    page.get_by_label("Recovers at (optional)").fill("0.5")
    page.get_by_label("Held for (seconds)").fill("30")
    page.get_by_text("ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5").first.wait_for()
    page.get_by_role("button", name="Create rule").click()
    page.get_by_text("is in force").wait_for()

    now = page.get_by_role("table", name="State of every alert").locator("tr", has_text="ETHUSDT/BTCUSDT")
    now.get_by_text("firing").wait_for(timeout=240_000)
    now.get_by_role("button", name="Acknowledge").click()
    now.get_by_text("acknowledged by").wait_for()
    history = page.get_by_role("table", name="History of alerts")
    for kind in ("pending", "firing", "acknowledged"):
        history.locator("tr", has_text="ETHUSDT/BTCUSDT").filter(has=page.locator(".chip", has_text=kind)).first.wait_for()
    with connect(profile, Role.READER) as warehouse:
        (event,) = warehouse.select("SELECT value, epoch_us(occurred_at) AS at FROM alert_events WHERE kind = 'firing'").rows(named=True)
        pending = warehouse.select("SELECT max(epoch_us(occurred_at)) AS at FROM alert_events WHERE kind = 'pending'").item()
    assert event["value"] > 2
    assert event["at"] - pending == 30_000_000
    context.close()

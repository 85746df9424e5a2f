"""`make demo` as a newcomer meets it, the Data tab as a person uses it, and every process killed in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

_CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE_MS = 240_000
SYMBOLS = 26
FLOWS = ("resample", "fit_pairs", "liquidity", "backfill", "report")
PROCESSES = ("simulate", "capture", "warehouse", "prefect", "flows", "dashboard")
CHARTS = """
    SELECT count(*) AS symbols FROM (
        SELECT symbol FROM bars WHERE timeframe = '1m' GROUP BY symbol
        HAVING count(*) >= 120 AND min(ts) <= now() - INTERVAL 2 HOUR
    )
"""
ROWS = """
    SELECT (SELECT count(*) FROM bars_resampled) AS resample, (SELECT count(*) FROM fits) AS fit_pairs,
           (SELECT count(*) FROM liquidity) AS liquidity, (SELECT count(*) FROM klines) AS backfill,
           (SELECT count(*) FROM reports) AS report
"""
DUPLICATES = "SELECT count(*) - count(DISTINCT (symbol, trade_id)) AS n FROM ticks"
UNEXPLAINED = """
    WITH steps AS (SELECT symbol, trade_id, lag(trade_id) OVER (PARTITION BY symbol ORDER BY trade_id) AS before FROM ticks)
    SELECT count(*) AS n FROM steps s
    WHERE trade_id > before + 1 AND NOT EXISTS (
        SELECT 1 FROM gaps g WHERE g.symbol = s.symbol AND g.first_missing = s.before + 1 AND g.last_missing = s.trade_id - 1)
"""
"""Steps in the ids that no row of the ledger records."""


def begun_between(port: int, state: str, since: datetime, until: datetime | None = None) -> set[str]:
    """Names of flows with a run in a state that began in a time, as the Prefect server tells it."""
    base = f"http://127.0.0.1:{port}/api"
    began = {"after_": since.isoformat()} | ({"before_": until.isoformat()} if until else {})
    body = {"flow_runs": {"state": {"type": {"any_": [state]}}, "start_time": began}, "limit": 200}
    try:
        runs = httpx.post(f"{base}/flow_runs/filter", json=body, timeout=20).raise_for_status().json()
        flows = httpx.post(f"{base}/flows/filter", json={}, timeout=20).raise_for_status().json()
    except httpx.HTTPError:
        return set()
    names = {flow["id"]: flow["name"] for flow in flows}
    return {names[run["flow_id"]] for run in runs}


def walk_through_data(demo: Any) -> None:
    """Backfill and see it finish, bring a file and fit it, repair now; nothing is asked from outside and the console stays quiet."""
    from playwright.sync_api import sync_playwright

    url = f"http://127.0.0.1:{demo.ports['dashboard_port']}"
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(_CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.route("**/*", lambda route: route.continue_() if route.request.url.startswith((url, "data:", "blob:")) else route.abort())
        backfill(demo, page, url)
        upload(demo, page, url)
        browser.close()
    assert errors == []


def backfill(demo: Any, page: Any, url: str) -> None:
    """A stretch of the past that nobody has fetched yet."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=4)
    start = end - timedelta(hours=3)
    span = f"from={start:%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}"
    held = f"SELECT count(*) AS n FROM klines WHERE symbol = 'BTCUSDT' AND timeframe = '1m' AND ts >= '{start}' AND ts < '{end}'"
    assert demo.select(held).item() == 0
    page.goto(f"{url}/?view=data&section=backfill&symbols=BTCUSDT&timeframes=1m&{span}")
    page.get_by_text("180 candlesticks would be fetched").wait_for()
    page.get_by_role("button", name="Start backfill").dblclick()
    page.get_by_text("180 rows of klines written for 1 symbols from rest").first.wait_for()
    page.get_by_text("Every candlestick and trade that the form asks for is here").wait_for()
    assert demo.select(held).item() == 180
    page.get_by_role("button", name="Show the run backfill klines 1m of BTCUSDT from rest").first.wait_for()
    assert page.get_by_role("row", name="backfill klines 1m of BTCUSDT from rest").count() == 1  # the double click has started one


def upload(demo: Any, page: Any, url: str) -> None:
    """A symbol that half of BTCUSDT explains, all but a noise that returns to its mean."""
    bars = demo.select("SELECT ts, close FROM bars WHERE symbol = 'BTCUSDT' AND timeframe = '1m' AND complete ORDER BY ts")
    noise = np.random.default_rng(7).normal(0, 2.0, bars.height)
    lines = [
        f"{ts:%Y-%m-%dT%H:%M:%SZ},{price},{price},{price},{price}"
        for ts, price in zip(bars["ts"], (bars["close"].cast(float).to_numpy() / 2 + noise).round(2), strict=True)
    ]
    page.goto(f"{url}/?view=data&section=upload")
    content = "\n".join(["time,open,high,low,close", *lines]).encode()
    page.get_by_label("Your CSV file").set_input_files({"name": "half.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_text(f"{bars.height:,} 1m bars: becomes the new symbol HALF").wait_for()
    page.get_by_role("button", name="Take as symbol").click()
    page.get_by_text(f"{bars.height} 1m bars of HALF, {bars.height} of them new, from half.csv").first.wait_for()
    page.get_by_role("row", name=f"HALF 1m bars {bars.height:,}").wait_for()
    assert not any((demo.path / "uploads").iterdir())
    page.get_by_label("Fit against").click()
    page.get_by_role("menuitem", name="BTCUSDT").click()
    page.get_by_role("button", name="Open in Pair").click()
    page.wait_for_url("**pair=HALF/BTCUSDT**")
    page.get_by_role("button", name="Compute").click()
    page.get_by_role("heading", name="Cointegrated", exact=True).wait_for()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_comes_up_survives_kills_and_leaves_nothing(platform: Callable[[str], Any]) -> None:
    demo = platform("demo")
    start = datetime.now(UTC)
    demo.up("--kind", "simulated")
    # Under test the machine does other things as well; the time on a quiet one is in the README.
    demo.until(lambda: (found := demo.select(CHARTS)).height and found.item() == SYMBOLS, "two hours of 1m candles for every symbol", 180)
    demo.until(lambda: set(demo.pids()) == set(PROCESSES), "all processes healthy", 120)
    page = httpx.get(f"http://127.0.0.1:{demo.ports['dashboard_port']}/", timeout=20, follow_redirects=True)
    assert page.status_code == 200
    assert "Spreadwatch" in page.text

    prefect = demo.ports["prefect_port"]
    demo.until(lambda: begun_between(prefect, "COMPLETED", start) >= set(FLOWS), "a completed run of each flow", 300)
    written = demo.select(ROWS).row(0, named=True)
    assert all(written.values()), written

    before = demo.select("SELECT symbol, max(event_time) AS t FROM ticks GROUP BY symbol ORDER BY symbol")
    time.sleep(5)
    after = demo.select("SELECT symbol, max(event_time) AS t FROM ticks GROUP BY symbol ORDER BY symbol")
    assert (before["t"] < after["t"]).mean() > 0.8

    status = demo.run("status")
    assert status.returncode == 0, status.stdout

    if _CHROMIUM.exists():
        walk_through_data(demo)

    for name in ("warehouse", "capture", "prefect", "dashboard", "flows"):
        pid, killed = demo.pids()[name], datetime.now(UTC)
        os.kill(pid, signal.SIGKILL)
        demo.until(lambda name=name, pid=pid: demo.pids().get(name, pid) != pid, f"{name} back after kill -9", 90)  # type: ignore[misc]
    commit = demo.select("SELECT commit_no FROM journal_clock").item()
    demo.until(
        lambda: (now := demo.select("SELECT commit_no FROM journal_clock")).height and now.item() > commit + 8, "landing to go on", 60
    )
    # Prefect's server and the runner have both been killed: nothing seems to run that does not, and runs go on.
    back = datetime.now(UTC)
    demo.until(lambda: "resample" in begun_between(prefect, "COMPLETED", back), "a completed run after the kills", 120)
    assert begun_between(prefect, "RUNNING", start, killed) == set()
    assert demo.select(DUPLICATES).item() == 0
    assert demo.select(UNEXPLAINED).item() == 0

    assert demo.stop() == 0
    assert demo.family() == []
    assert not any((demo.path / "run").iterdir())

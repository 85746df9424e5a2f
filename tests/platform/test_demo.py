"""`make demo` as a newcomer meets it, and with every process killed in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

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


def completed_flows(port: int) -> set[str]:
    """Names of flows with a completed run, as the Prefect server tells it."""
    base = f"http://127.0.0.1:{port}/api"
    body = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}, "limit": 200}
    try:
        runs = httpx.post(f"{base}/flow_runs/filter", json=body, timeout=10).json()
        flows = httpx.post(f"{base}/flows/filter", json={}, timeout=10).json()
    except httpx.HTTPError:
        return set()
    names = {flow["id"]: flow["name"] for flow in flows}
    return {names[run["flow_id"]] for run in runs}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_comes_up_survives_kills_and_leaves_nothing(platform: Callable[[str], Any]) -> None:
    demo = platform("demo")
    demo.up("--kind", "simulated")
    # Under test the machine does other things as well; the time on a quiet one is in the README.
    demo.until(lambda: (found := demo.select(CHARTS)).height and found.item() == SYMBOLS, "two hours of 1m candles for every symbol", 180)
    demo.until(lambda: set(demo.pids()) == set(PROCESSES), "all processes healthy", 120)
    page = httpx.get(f"http://127.0.0.1:{demo.ports['dashboard_port']}/", timeout=20, follow_redirects=True)
    assert page.status_code == 200
    assert "Spreadwatch" in page.text

    demo.until(lambda: completed_flows(demo.ports["prefect_port"]) >= set(FLOWS), "a completed run of each flow", 300)
    written = demo.select(ROWS).row(0, named=True)
    assert all(written.values()), written

    before = demo.select("SELECT symbol, max(event_time) AS t FROM ticks GROUP BY symbol ORDER BY symbol")
    time.sleep(5)
    after = demo.select("SELECT symbol, max(event_time) AS t FROM ticks GROUP BY symbol ORDER BY symbol")
    assert (before["t"] < after["t"]).mean() > 0.8

    status = demo.run("status")
    assert status.returncode == 0, status.stdout

    for name in ("warehouse", "capture", "prefect", "dashboard", "flows"):
        pid = demo.pids()[name]
        os.kill(pid, signal.SIGKILL)
        demo.until(lambda name=name, pid=pid: demo.pids().get(name, pid) != pid, f"{name} back after kill -9", 90)  # type: ignore[misc]
    commit = demo.select("SELECT commit_no FROM journal_clock").item()
    demo.until(
        lambda: (now := demo.select("SELECT commit_no FROM journal_clock")).height and now.item() > commit + 8, "landing to go on", 60
    )
    assert demo.select(DUPLICATES).item() == 0
    assert demo.select(UNEXPLAINED).item() == 0

    assert demo.stop() == 0
    assert demo.family() == []
    assert not any((demo.path / "run").iterdir())

"""Every benchmark runs, at sizes that say nothing about speed, and its answers equal the peers'."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "bench_alerts": "--rules 20 --rate 200 --seconds 0.3 --wire-rules 0",
    "bench_backfill": "--symbols 2 --days 1 --traded OPUSDT --rest-minutes 2 --runs 1",
    "bench_statistics": "--bars 200 --rolling-bars 2000 --symbols 8 --sampled-pairs 3 --runs 1 --no-compile",
    "bench_resample": "--ticks 4000 --runs 1",
    "bench_journal": "--lines 4000 --group 500 --runs 1",
    "bench_landing": "--lines 11000 --rows 20 --runs 1",
    "bench_latency": "--seconds 1 --rates 200",
    "bench_capture": "--messages 4000 --rate 2000 --seconds 1 --runs 1 --no-peers",
    "bench_flow_run": "--runs 1",
    "bench_dashboard": "--pages 1 --seconds 6 --viewers 2 --viewer-seconds 1 --opened 4 --settle 0",
}

Run = Callable[[str], str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run_it(name: str) -> str:
        importlib.import_module(name).main(SMALL[name].split())
        return capsys.readouterr().out

    return run_it


def test_every_benchmark_is_here() -> None:
    assert {path.stem for path in BENCHMARKS.glob("bench_*.py")} == SMALL.keys()


@pytest.mark.slow
def test_statistics_beside_statsmodels_scikit_learn_and_scipy(run: Run) -> None:
    printed = run("bench_statistics")
    assert "cores" in printed.splitlines()[1]
    for peer in ("statsmodels adfuller", "RollingOLS", "scikit-learn", "scipy theilslopes", "coint loop (3 pairs, scaled)"):
        assert re.search(rf"{re.escape(peer)}.* [\d.,]+x", printed), peer


def test_resampling_beside_pandas_and_a_bare_group_by(run: Run) -> None:
    printed = run("bench_resample")
    for timeframe in ("1s", "1m", "5m"):
        assert len(re.findall(rf"^{timeframe} bars .*x: (?:reached|MISSED)$", printed, re.MULTILINE)) == 3


def test_both_journals_beside_bare_writing(run: Run, need_redis: None) -> None:
    printed = run("bench_journal")
    assert len(re.findall(r"^(?:files|Redis): .* line/s .* line/s +[\d.]+x$", printed, re.MULTILINE)) == 4


def test_landing_beside_bare_appends(run: Run) -> None:
    printed = run("bench_landing")
    assert len(re.findall(r"^landing, everything in it .* msg/s .* msg/s +[\d.]+x$", printed, re.MULTILINE)) == 2


def test_alert_rules_beside_landing_without_them(run: Run) -> None:
    printed = run("bench_alerts")
    assert re.search(r"^20 rules: a batch landed, p50 .* without rules .* [\d.]+x$", printed, re.MULTILINE)
    assert "distinct watches" in printed


@pytest.mark.slow
def test_backfill_by_rest_and_from_files_beside_pandas(run: Run) -> None:
    before = set(psutil.Process().children(recursive=True))
    printed = run("bench_backfill")
    assert "equal tables: yes" in printed
    assert len(re.findall(r"^parsing .* pandas\.read_csv of the same file .* [\d.]+x$", printed, re.MULTILINE)) == 2
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.slow
def test_capture_beside_the_bare_library(run: Run) -> None:
    before = set(psutil.Process().children(recursive=True))
    printed = run("bench_capture")
    assert re.search(r"^received and durable +[\d,]+ msg/s .* msg/s +[\d.]+x$", printed, re.MULTILINE)
    assert "steady 2,000 msg/s for 1 s" in printed
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.slow
def test_latency_of_real_processes_that_all_end(run: Run) -> None:
    before = set(psutil.Process().children(recursive=True))
    printed = run("bench_latency")
    assert re.search(r"^200 msg/s: pushed -> seen by a reader, p99 +[\d.]+ (?:ms|s)$", printed, re.MULTILINE)
    sent, landed = re.findall(r"sent ([\d,]+), landed ([\d,]+), gaps 0", printed)[0]
    assert sent == landed
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.slow
def test_a_flow_run_beside_prefects_own_way_of_starting_it() -> None:
    # In a process of its own: it changes how Prefect starts runs.
    script = BENCHMARKS / "bench_flow_run.py"
    told = subprocess.run(
        [sys.executable, script, *SMALL["bench_flow_run"].split()], capture_output=True, text=True, timeout=230, check=True
    )
    assert len(re.findall(r"^(?:wall|processor) time of a run .* [\d.]+x$", told.stdout, re.MULTILINE)) == 2


@pytest.mark.slow
@pytest.mark.browser
def test_the_dashboard_from_the_wire_to_chromium_and_with_several_viewers() -> None:
    # In a process of its own: Playwright and pytest would share an event loop.
    before = set(psutil.Process().children(recursive=True))
    script = BENCHMARKS / "bench_dashboard.py"
    told = subprocess.run(
        [sys.executable, script, *SMALL["bench_dashboard"].split()], capture_output=True, text=True, timeout=230, check=False
    )
    for what in ("first paint", "receipt of a trade to its candle painted, p95", "processor, 2 sessions", "queries a second, 2 sessions"):
        assert re.search(rf"^{what}.* +[\d.,]+ \S+ +target", told.stdout, re.MULTILINE), told.stdout + told.stderr
    assert set(psutil.Process().children(recursive=True)) <= before

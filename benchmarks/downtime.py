"""The platform stopped for a while and started again: which runs of flows catch up, and whether they have.

Starts the simulated platform in a directory of its own, waits for one run of every flow, stops it as Ctrl-C does, stays away,
starts it again and waits for one run of every flow that began after that. Prints every run since the start. Fails when a run of
the time away was made up for on its own, waits still or has failed, when a flow has run more often than its schedule says, or
when candlesticks or trades of the time away are missing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from chaos_processes import Process, free_ports

from flows.schedule import plans
from pipeline.errors import SpreadwatchError
from pipeline.profile import load_profile
from pipeline.settings import Settings
from pipeline.store import Role, connect

PROFILE = "away"
_PORTS = ("dashboard_port", "prefect_port", "warehouse_port", "simulator_port", "metrics_port")
_LOOK_S = 2.0
_FIRST_RUN_WITHIN_S = 900.0
_STATES = ("COMPLETED", "FAILED", "CRASHED")
_AGAIN = 2
"""Runs of a flow that belong to a start: the first, and for backfill one more."""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A run as Prefect's server tells it."""

    flow: str
    name: str
    state: str
    planned: datetime
    began: datetime | None
    ended: datetime | None
    why: str


class Platform:
    """The platform, in a directory of its own and on free ports."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPREADWATCH_", "PREFECT_"))}
        chosen = {f"SPREADWATCH_{name.upper()}": str(port) for name, port in self._ports.items()}
        environment = {**inherited, **chosen, "SPREADWATCH_DATA_DIR": str(directory)}
        command = ["-m", "pipeline.cli", "up", "--profile", PROFILE, "--kind", "simulated"]
        self.process = Process("the platform", command, environment, directory / "console.log")

    def runs(self) -> list[FlowRun]:
        """Every run, oldest plan first; none while the server does not answer."""
        base = f"http://127.0.0.1:{self._ports['prefect_port']}/api"
        try:
            flows = {flow["id"]: flow["name"] for flow in _pages(f"{base}/flows/filter", {})}
            found = _pages(f"{base}/flow_runs/filter", {"sort": "ID_DESC"})
            return sorted((_run(row, flows) for row in found), key=lambda run: run.planned)
        except (httpx.HTTPError, KeyError):
            return []

    def select(self, sql: str, **given: object) -> list[tuple[Any, ...]]:
        """Ask the running warehouse."""
        with connect(load_profile(self.directory, PROFILE), Role.READER) as warehouse:
            return warehouse.select(sql, **given).rows()

    def until(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        """Wait for something.

        Raises:
            AssertionError: when it does not come, or the platform ends.
        """
        deadline = time.monotonic() + within_s
        while not condition():
            self.process.require()
            assert time.monotonic() < deadline, f"{what} has not come in {within_s:g} s; see {self.directory}"
            time.sleep(_LOOK_S)


def _pages(url: str, body: dict[str, object]) -> Iterator[dict[str, Any]]:
    offset = 0
    while page := httpx.post(url, json=body | {"limit": 200, "offset": offset}, timeout=30).raise_for_status().json():
        yield from page
        offset += len(page)


def _run(row: dict[str, Any], flows: dict[str, str]) -> FlowRun:
    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(row[name]) if row[name] else None

    why = "schedule" if row["auto_scheduled"] else "start" if "start" in row["tags"] else "hand"
    planned = moment("expected_start_time") or datetime.max.replace(tzinfo=UTC)
    return FlowRun(flows[row["flow_id"]], row["name"], row["state_type"], planned, moment("start_time"), moment("end_time"), why)


def round_done(runs: Sequence[FlowRun], flows: frozenset[str], since: datetime) -> bool:
    """Whether each flow has a run that began after a moment and has ended."""
    return {run.flow for run in runs if run.began and run.began >= since and run.state in _STATES} >= flows


def wrong_runs(runs: Sequence[FlowRun], every_s: dict[str, int], *, stopped: datetime, started: datetime, now: datetime) -> Iterator[str]:
    """What is not as it must be after a start."""
    for run in runs:
        told = f"{run.flow} planned for {run.planned:%H:%M:%S} ({run.state.lower()})"
        if stopped < run.planned < started and run.began and run.began >= started:
            yield f"{told} was made up for"
        if run.state == "SCHEDULED" and run.planned < now - timedelta(seconds=60):
            yield f"{told} still waits"
        if run.began and run.began >= started and run.state in _STATES[1:]:
            yield f"{told} did not end well"
    for flow, seconds in every_s.items():
        done = sum(run.flow == flow and run.began is not None and run.began >= started for run in runs)
        most = _AGAIN + (now - started).total_seconds() // seconds + 1
        if done > most:
            yield f"{flow} has run {done} times; its schedule and the start make {most:.0f} at most"


_MINUTES = """
    SELECT s.symbol, count(k.ts) AS held FROM (SELECT DISTINCT symbol FROM bars_1s) s
    LEFT JOIN klines k ON k.symbol = s.symbol AND k.timeframe = '1m' AND k.ts >= $since AND k.ts < $until
    GROUP BY s.symbol HAVING count(k.ts) <> $minutes ORDER BY 1
"""
_OPEN = "SELECT symbol, first_missing, last_missing, detail FROM gaps WHERE state = 'open' AND to_time >= $since AND from_time < $until"
_REFILLED = "SELECT count(*) FROM ticks WHERE source = 'repair' AND event_time >= $since AND event_time < $until"


def wrong_data(platform: Platform, *, stopped: datetime, started: datetime) -> Iterator[str]:
    """What of the time away is missing."""
    since, until = (moment.replace(second=0, microsecond=0) for moment in (stopped, started))
    minutes = (until - since) // timedelta(minutes=1)
    for symbol, held in platform.select(_MINUTES, since=since, until=until, minutes=minutes):
        yield f"{symbol} has {held} of the {minutes} candlesticks of the time away"
    for symbol, first, last, detail in platform.select(_OPEN, since=since, until=until):
        yield f"{symbol} misses {first}..{last}{f' ({detail})' if detail else ''}"


def tell(runs: Sequence[FlowRun], started: datetime) -> None:
    """Print the runs since the start."""
    print(f"{'planned':<9} {'began':<9} {'took':>7}  {'why':<9} {'flow':<14} {'state':<10} name")
    for run in runs:
        if run.began is None or run.began < started:
            continue
        took = f"{(run.ended - run.began).total_seconds():.1f} s" if run.ended else ""
        print(f"{run.planned:%H:%M:%S}  {run.began:%H:%M:%S}  {took:>7}  {run.why:<9} {run.flow:<14} {run.state.lower():<10} {run.name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Stop, stay away, start, look; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--away-minutes", type=float, default=15.0, help="how long it stays stopped")
    parser.add_argument("--directory", type=Path, help="where everything is kept; a temporary directory when left out")
    chosen = parser.parse_args(argv)
    directory = chosen.directory or Path(tempfile.mkdtemp(prefix="spreadwatch-downtime-"))
    directory.mkdir(parents=True, exist_ok=True)
    every_s = {plan.flow.name: plan.every_s for plan in plans(Settings())}
    flows = frozenset(every_s)
    platform = Platform(directory)
    with platform.process as process:
        began = datetime.now(UTC)
        process.start()
        platform.until(lambda: round_done(platform.runs(), flows, began), "a run of every flow", _FIRST_RUN_WITHIN_S)
        process.stop()
        stopped = datetime.now(UTC)
        print(f"stopped at {stopped:%H:%M:%S} UTC after one run of every flow; away for {chosen.away_minutes:g} minutes", flush=True)
        time.sleep(chosen.away_minutes * 60)
        started = datetime.now(UTC)
        process.start()
        platform.until(lambda: round_done(platform.runs(), flows, started), "a run of every flow after the start", _FIRST_RUN_WITHIN_S)
        runs = platform.runs()
        now = datetime.now(UTC)
        print(f"started at {started:%H:%M:%S}; each flow has run once more {(now - started).total_seconds():.0f} s later:\n")
        tell(runs, started)
        wrong = list(wrong_runs(runs, every_s, stopped=stopped, started=started, now=now))
        try:
            platform.until(lambda: not list(wrong_data(platform, stopped=stopped, started=started)), "what was missed", _FIRST_RUN_WITHIN_S)
        except (AssertionError, SpreadwatchError) as error:
            wrong += [str(error), *wrong_data(platform, stopped=stopped, started=started)]
        else:
            ((refilled,),) = platform.select(_REFILLED, since=stopped, until=started)
            took = (datetime.now(UTC) - started).total_seconds()
            print(f"\nEvery candlestick, and {refilled:,} trades of the time away, were there {took:.0f} s after the start.")
        process.stop()
    for line in wrong:
        print(f"WRONG: {line}")
    print("All is as it must be." if not wrong else f"{len(wrong)} things are wrong; see {directory}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A chaos run: real processes in a storm of faults and kills, then calm, repair, and the comparison with the simulator's ledger.

The one home of what `make chaos` runs for minutes and the test suite for seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from chaos_faults import Storm, begun
from chaos_order import CAPTURE, REPAIR, SIMULATOR, WAREHOUSE, Kill, Order, Told, planned_kills
from chaos_processes import Process, free_ports, run_command, wait_until_answering
from chaos_tending import TIMEFRAMES, Tending
from chaos_verdict import Verdict, judge, read_ledger

from pipeline.errors import WarehouseUnavailable
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.store import Role, connect, open_local

PROFILE = "chaos"
SYMBOLS = (
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LINKUSDT", "LTCUSDT", "AVAXUSDT",
)  # fmt: skip
_LEAST = 10
"""Gaps and restatements that a run must have seen to say anything."""
_LOOK_S = 0.1
_MOST_MORE = 3
_AWAY_S = 2.5
_REPAIRED_S = 180.0

_KEPT = ("SPREADWATCH_JOURNAL", "SPREADWATCH_REDIS_URL")  # which journal it is, `chaos_redis.py` says


class Run:
    """The processes of one run, and what is done to them.

    Attributes:
        profile: where everything lands.
    """

    def __init__(self, order: Order, say: Callable[[str], None]) -> None:
        self._order = order
        self._say = say
        self._symbols = SYMBOLS[: order.symbols]
        order.directory.mkdir(parents=True, exist_ok=True)
        self.profile = create_profile(order.directory, PROFILE, Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        warehouse_port, simulator_port = free_ports(2)
        self._answers = {
            SIMULATOR: f"http://127.0.0.1:{simulator_port}/fapi/v1/ping",
            WAREHOUSE: f"http://127.0.0.1:{warehouse_port}/",
        }
        self._environment = self._chosen_environment(warehouse_port, simulator_port)
        self._ledger = order.directory / "ledger.jsonl"
        self._storm = Storm(order.directory, order.seed, order.seconds, order.fury)
        self._processes: dict[str, Process] = {}
        self._began = 0.0
        self._told = Told()

    def tell(self) -> Told:
        """Run, and compare.

        Raises:
            AssertionError: when a process ends that was not killed, or things do not come to rest.
        """
        began = self._began = time.monotonic()
        self._storm.begin(0.0)
        with ExitStack() as held:
            for name in (SIMULATOR, WAREHOUSE, CAPTURE):
                process = Process(name, self._command(name), self._environment, self._order.directory / f"{name}.log")
                self._processes[name] = held.enter_context(process)
                self._start(name)
            tending = held.enter_context(Tending(self._order, self.profile, self._symbols, self._environment, self._told))
            self._storm_through(tending)
            tending.end()
            tending.require()
            if self._order.comes_and_goes:
                tending.bring_back()
            self._deepen(tending)
            self._calm(tending)
        for name, process in self._processes.items():
            self._told.kills[name] += process.kills
        self._told.faults = begun(self._order.directory / f"{SIMULATOR}.log")
        with open_local(self.profile) as warehouse:
            for name, count in warehouse.select('SELECT name, CAST(sum("count") AS BIGINT) FROM landing_counts GROUP BY name').iter_rows():
                self._told.counts[name] = count
        self._told.verdict = self.judged()
        self._require_substance()
        if self._order.rebuild:
            self._say("everything anew from the journal")
            done = run_command(
                ["-m", "pipeline.cli", "profile", "rebuild", PROFILE], self._environment, self._order.directory / "rebuild.log"
            )
            assert done.code == 0, done.output
            self._told.verdict.wrong += [f"after the rebuild, {wrong}" for wrong in self.judged().wrong]
        self._told.took_s = time.monotonic() - began
        return self._told

    def judged(self) -> Verdict:
        """The tables beside the ledger, which nobody has read before; for when everything has ended."""
        with open_local(self.profile) as warehouse:
            return judge(read_ledger(self._ledger), lambda sql: warehouse.select(sql).rows(), self._symbols)

    # ------------------------------------------------------------------ the storm

    def _storm_through(self, tending: Tending) -> None:
        began = self._began
        kills = planned_kills(self._order)
        while kills or time.monotonic() - began < self._order.seconds:
            tending.require()
            for process in self._processes.values():
                process.require()
            if kills and time.monotonic() - began >= kills[0].at_s:
                self._kill(kills.pop(0), tending)
            time.sleep(_LOOK_S)

    def _kill(self, kill: Kill, tending: Tending) -> None:
        self._say(f"kill -9 of {' and '.join(kill.targets)}, back after {kill.away_s:.1f} s{', and again' if kill.again_s else ''}")
        if REPAIR in kill.targets:
            tending.kill_next(0.5 + kill.away_s)
            return
        if kill.stalled_s is not None:
            self._told.stalls += len(kill.targets)
            for name in kill.targets:
                self._processes[name].stall(kill.stalled_s)
        self._kill_once(kill)
        if kill.again_s is not None:
            time.sleep(kill.again_s)
            self._kill_once(kill)

    def _kill_once(self, kill: Kill) -> None:
        for name in kill.targets:
            self._processes[name].kill()
        time.sleep(kill.away_s)
        for name in kill.targets:
            if name == SIMULATOR:
                self._storm.begin(time.monotonic() - self._began)
                self._processes[name].command = self._command(name)
            self._processes[name].start()

    def _deepen(self, tending: Tending) -> None:
        """On a machine that hardly moves few bars were there to be restated: some more kills of capture then."""
        for _ in range(_MOST_MORE):
            gaps, restated = self._rows("SELECT (SELECT count(*) FROM gaps), (SELECT count(*) FROM bars_1s WHERE revision > 0)")[0]
            if gaps >= _LEAST and restated >= _LEAST:
                return
            self._say(f"{gaps} gaps and {restated} restated bars so far: another kill -9 of capture")
            self._processes[CAPTURE].kill()
            time.sleep(_AWAY_S)
            self._processes[CAPTURE].start()
            self._wait_for_trades()
            tending.repair()
            tending.resample()

    # ------------------------------------------------------------------ the calm after it

    def _calm(self, tending: Tending) -> None:
        self._say("no more faults")
        simulator, capture, warehouse = (self._processes[name] for name in (SIMULATOR, CAPTURE, WAREHOUSE))
        simulator.stop()
        self._storm.end()
        simulator.command = self._command(SIMULATOR)
        self._start(SIMULATOR)
        self._wait_for_trades()
        time.sleep(self._order.calm_s)
        capture.stop()
        self._say("capture has stopped, repairing")
        wait_until_answering(warehouse, self._answers[WAREHOUSE])
        self._until(self._landed, "landing of the whole journal", 60)
        tending.resample()
        deadline = time.monotonic() + _REPAIRED_S + self._order.settled_after_s
        while still := self._rows("SELECT * FROM gaps WHERE state = 'open'"):
            assert time.monotonic() < deadline, f"gaps stay open: {still}"
            said = tending.repair()
            self._say(said.splitlines()[-1] if said else "repair says nothing")
        tending.resample()
        warehouse.stop()
        simulator.stop()

    def _wait_for_trades(self) -> None:
        since_ms = time.time_ns() // 1_000_000
        self._until(lambda: self._newest_ms() > since_ms, "a trade of every symbol since then", 90)

    def _newest_ms(self) -> int:
        """Event time of the newest trade of the symbol that is furthest behind."""
        newest = dict(self._rows("SELECT symbol, epoch_ms(max(event_time)) FROM ticks GROUP BY symbol"))
        return min(newest.get(symbol, 0) for symbol in self._symbols)

    def _landed(self) -> bool:
        from pipeline.jobs.landed import wait_until_landed
        from pipeline.journal import open_journal
        from pipeline.settings import Settings

        with connect(self.profile, Role.READER) as warehouse:
            wait_until_landed(warehouse, open_journal(self.profile, Settings()), "capture", patience_s=30)
        return True

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse, which may just be starting."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with connect(self.profile, Role.READER) as warehouse:
                    return warehouse.select(sql).rows()
            except WarehouseUnavailable:
                self._processes[WAREHOUSE].require()
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_S)

    def _until(self, condition: Callable[[], object], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            for process in self._processes.values():
                process.require()
            assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s\n{self._processes[CAPTURE].tail()}"
            time.sleep(_LOOK_S)

    def _require_substance(self) -> None:
        verdict = self._told.verdict
        gaps, restated = sum(verdict.gaps.values()), sum(verdict.restated.values())
        if gaps < _LEAST or restated < _LEAST:
            verdict.wrong.append(f"{gaps} gaps and {restated} restated bars say nothing; at least {_LEAST} of each are needed")

    # ------------------------------------------------------------------ how it all is started

    def _start(self, name: str) -> None:
        self._processes[name].start()
        if name in self._answers:
            wait_until_answering(self._processes[name], self._answers[name])

    def _command(self, name: str) -> list[str]:
        if name == SIMULATOR:
            return [
                "-m",
                "pipeline.cli",
                "simulate",
                "--seed",
                str(self._order.seed),
                *self._storm.arguments,
                "--ledger",
                str(self._ledger),
            ]
        return ["-m", "pipeline.cli", name]

    def _chosen_environment(self, warehouse_port: int, simulator_port: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(("SPREADWATCH_", "PREFECT_"))}
        chosen = {
            "DATA_DIR": str(self._order.directory),
            "PROFILE": PROFILE,
            "WAREHOUSE_PORT": str(warehouse_port),
            "SIMULATOR_PORT": str(simulator_port),
            "SYMBOLS": ",".join(self._symbols),
            "TIMEFRAMES": ",".join(TIMEFRAMES),
            # Silence and lost connections are acted on in seconds, segments and batches are small: a short run meets what a long one does.
            "BATCH_MAX_LINES": "100",
            "METRICS_PORT": "0",
            "STALE_AFTER_S": "4",
            "RECONNECT_MAX_S": "2",
            "SEGMENT_MB": "1",
            "SEGMENT_MINUTES": "1",
        }
        return kept | {f"SPREADWATCH_{name}": value for name, value in chosen.items()}

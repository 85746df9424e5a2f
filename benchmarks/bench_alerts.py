"""Alert rules: what they add to each landed batch, and from a trade on the wire to the committed event."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from bench_latency import HERE, _environment, _process, _served
from timing import Table, machine_line, stopwatch
from wire import SYMBOLS, agg_trade, clock

from pipeline.journal import Position
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.profile import Kind, Profile, create_profile
from pipeline.settings import Settings
from pipeline.store import Role, Warehouse, connect, open_local
from pipeline.venues import venue
from pipeline.warehouse import Engine

START_NS = 1_772_000_000_000_000_000
FRAMES = ("1s", "1m", "5m")
PAIRS = tuple(f"{y}/{x}" for at, y in enumerate(SYMBOLS) for x in SYMBOLS[:at])
_BATCH_S = 0.1
_SEEN = "SELECT event_id FROM alert_events WHERE occurred_at >= make_timestamptz($since)"
# The trade that made an event: the newest of that price in the tenth of a second before the event's grid point.
_SENT = """
    SELECT e.event_id, epoch_ms(max(t.event_time)) AS sent_ms FROM alert_events e
    JOIN ticks t ON t.symbol = e.series AND CAST(t.price AS DOUBLE) = e.value AND t.recv_time <= e.occurred_at
                AND t.recv_time > e.occurred_at - INTERVAL 100 MILLISECOND
    WHERE e.occurred_at >= make_timestamptz($since) GROUP BY e.event_id
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Print what rules cost, and how late events are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, nargs="+", default=[10, 1_000, 10_000], help="how many rules, one run each")
    parser.add_argument("--rate", type=int, default=10_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long is measured")
    parser.add_argument("--wire-rules", type=int, default=1_000, help="rules of the run from the wire; 0 leaves it out")
    chosen = parser.parse_args(argv)
    table = Table(f"Alert rules on {len(SYMBOLS)} symbols and {len(PAIRS)} pairs at {chosen.rate:,} msg/s", machine_line("duckdb"))
    table.begin()
    bare_s = float(np.median(_landed(table, 0, chosen.rate, chosen.seconds, None)))
    for count in chosen.rules:
        _landed(table, count, chosen.rate, chosen.seconds, bare_s)
    if not chosen.wire_rules:
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="bench-alerts-") as directory, ExitStack() as processes:
            _from_the_wire(table, Path(directory), processes, chosen.wire_rules, chosen.rate, chosen.seconds)
    finally:
        signal.signal(signal.SIGTERM, before)


def rules(count: int, *, pairs: Sequence[str] = PAIRS, seed: int = 1) -> list[dict[str, object]]:
    """Rules as people have them: one in a hundred near what it watches, so that it fires now and then, the others far from it."""
    rng = random.Random(seed)
    made: list[dict[str, object]] = []
    for number in range(count):
        near = number % 100 == 0
        frame = rng.choice(FRAMES)
        kind = number % 8
        rule: dict[str, object] = {
            "rule_id": f"r{number}",
            "name": f"rule {number}",
            "condition": "above",
            "for_s": rng.choice([0.0, 1.0, 30.0]),
        }
        if kind < 3 or not pairs:
            rule |= {"metric": "price", "target": rng.choice(SYMBOLS), "threshold": 60_190.0 if near else rng.uniform(61_000.0, 90_000.0)}
            rule |= {"for_s": 0.0} if near else {}
        elif kind == 3:
            rule |= {"metric": "data_age", "target": rng.choice(SYMBOLS), "threshold": rng.uniform(5.0, 600.0)}
        elif kind == 4:
            rule |= {
                "metric": "return",
                "target": rng.choice(SYMBOLS),
                "timeframe": frame,
                "window": rng.choice([1, 5, 15]),
                "threshold": rng.uniform(0.05, 0.5),
            }
        elif kind == 5:
            rule |= {"metric": "volume", "target": rng.choice(SYMBOLS), "timeframe": frame, "threshold": rng.uniform(1e6, 1e7)}
        else:
            rule |= {
                "metric": "zscore",
                "target": rng.choice(pairs),
                "timeframe": frame,
                "threshold": 3.5 if near else rng.uniform(3.9, 4.2),
            }
            rule |= {"condition": "outside", "recovery_threshold": 0.5} | ({"evaluate": "bar_close"} if number % 16 == 7 else {})
        made.append(rule)
    return made


# ---------------------------------------------------------------------- what landing pays


def _landed(table: Table, count: int, rate: int, wanted_s: float, bare_s: float | None) -> list[float]:
    """Land batches of a tenth of a second each; seconds of each."""
    with tempfile.TemporaryDirectory(prefix="bench-alerts-") as directory:
        profile = create_profile(Path(directory), "bench", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        settings = Settings(symbols=SYMBOLS, pairs=PAIRS, timeframes=FRAMES)
        with open_local(profile) as warehouse:
            engine = Engine(profile, settings, warehouse, channels=("webhook",))
            try:
                return _measured(table, engine, warehouse.connection, count, rate, wanted_s, bare_s)
            finally:
                engine.close()


def _measured(  # noqa: PLR0917  one run
    table: Table, engine: Engine, connection: object, count: int, rate: int, wanted_s: float, bare_s: float | None
) -> list[float]:
    feed = Feed(engine, rate)
    feed.land()
    _models(connection)
    for at, pair in enumerate(PAIRS):
        for frame in FRAMES:
            feed.own("activate", model_id=f"m{at}-{frame}", pair=pair, timeframe=frame)
    wanted = rules(count)
    put_s, _ = stopwatch(lambda: feed.requests(wanted))
    alerts_s: list[float] = []
    alerts = engine._alerts  # noqa: SLF001  its share is what is measured
    landed = alerts.landed

    def timed(batch: object) -> None:
        spent_s, _ = stopwatch(lambda: landed(batch))  # type: ignore[arg-type]
        alerts_s.append(spent_s)

    alerts.landed = timed  # type: ignore[method-assign,assignment]
    for _ in range(int(min(3.0, wanted_s) / _BATCH_S)):
        feed.land()
    alerts_s.clear()
    whole_s = [feed.land() for _ in range(int(wanted_s / _BATCH_S))]
    p50, p99 = (float(np.percentile(whole_s, share)) for share in (50, 99))
    own50, own99 = (float(np.percentile(alerts_s, share)) for share in (50, 99))
    if bare_s is None:
        table.row(f"{rate * _BATCH_S:,.0f} messages landed, no rules", p50)
    else:
        table.row(f"{count:,} rules: a batch landed, p50", p50, "without rules", bare_s)
        table.row(f"{count:,} rules: the rules' share of it, p50", own50)
        table.row(f"{count:,} rules: the rules' share of it, p99", own99)
        events = connection.execute("SELECT count(*) FROM alert_events").fetchone()[0]  # type: ignore[attr-defined]
        table.note(f"p99 of a batch {p99 * 1e3:,.0f} ms; {events:,} events; {alerts.watches:,} distinct watches")
        table.note(f"the rules were put in {put_s:.1f} s, {put_s / count * 1e3:.2f} ms each")
    return whole_s


class Feed:
    """Lines of trades at a rate, landed in batches as group fsyncs would cut them."""

    def __init__(self, engine: Engine, rate: int) -> None:
        self._engine = engine
        self._rate = rate
        self._number = 0
        self._batch = 0
        self._ends = {"capture": 0, "control": 0}

    def land(self) -> float:
        """Land the next batch; seconds it took."""
        lines = []
        for _ in range(max(int(self._rate * _BATCH_S), 1)):
            recv_ns = START_NS + self._number * 1_000_000_000 // self._rate
            lines.append(b"%d %b\n" % (recv_ns, agg_trade(self._number, recv_ns // 1_000_000).encode()))
            self._number += 1
        if self._batch % 10 == 0:
            lines.append(b"%d %b\n" % (recv_ns, clock(self._number, recv_ns)))
        self._batch += 1
        return self._block("capture", b"".join(lines))

    def own(self, name: str, **content: object) -> None:
        """Land one line of the warehouse's own."""
        self._block("control", _own(name, content))

    def requests(self, wanted: Sequence[dict[str, object]]) -> None:
        """Land requests for rules, a hundred at a time."""
        lines = [
            _own("request", {"request_id": f"q{number}", "kind": "rule.put", "payload": json.dumps({"rule": rule})})
            for number, rule in enumerate(wanted)
        ]
        for at in range(0, len(lines), 100):
            self._block("control", b"".join(lines[at : at + 100]))

    def _block(self, source: str, block: bytes) -> float:
        batch = venue().decode_batch(block)
        self._ends[source] += len(block)
        return stopwatch(lambda: self._engine.land_block(source, batch, Position(1, self._ends[source])))[0]


def _own(name: str, content: dict[str, object]) -> bytes:
    return b"%d %b\n" % (START_NS, json.dumps({"e": f"sw.{name}", **content}).encode())


def _models(connection: object) -> None:
    for at, text in enumerate(PAIRS):
        pair = Pair.parse(text)
        for frame in FRAMES:
            connection.execute(  # type: ignore[attr-defined]
                """INSERT INTO fits (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n, alpha,
                                     beta)
                   VALUES (?, ?, ?, ?, 500, 'ols', 'price', now(), now(), now(), 500, 0, 1.0)""",
                [f"m{at}-{frame}", pair.y, pair.x, frame],
            )


# ---------------------------------------------------------------------- from the wire


def _from_the_wire(  # noqa: PLR0917  one run
    table: Table, directory: Path, processes: ExitStack, count: int, rate: int, wanted_s: float
) -> None:
    """A real venue, capture and warehouse; a reader that asks which events are committed."""
    profile = create_profile(directory, "bench", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    source = processes.enter_context(_process([str(HERE / "loopback_venue.py"), str(rate)], directory, dict(os.environ)))
    assert source.stdout is not None
    environment = _environment(directory, int(source.stdout.readline()))
    warehouse = processes.enter_context(_process(["-m", "pipeline.cli", "warehouse", "--profile", profile.name], directory, environment))
    reader = processes.enter_context(_served(profile, warehouse))
    _ask_for(profile, reader, rules(count, pairs=()))
    processes.enter_context(_process(["-m", "pipeline.cli", "capture", "--profile", profile.name], directory, environment))
    delays_s = _delays_s(reader, min(wanted_s, 5.0), wanted_s)
    if not delays_s.size:
        table.note("from the wire: no event in that time")
        return
    for share in (50, 99, 100):
        table.row(f"wire -> committed event, {count:,} rules, p{share}", float(np.percentile(delays_s, share)))
    verdict = "reached" if np.percentile(delays_s, 99) < 0.5 else "MISSED"
    table.note(f"{delays_s.size:,} events; target p99 under 500 ms: {verdict}")


def _ask_for(profile: Profile, reader: Warehouse, wanted: Sequence[dict[str, object]]) -> None:
    now = datetime.now(UTC)
    with connect(profile, Role.OPERATOR) as operator:
        payloads = [json.dumps({"rule": rule}) for rule in wanted]
        ids = [f"q{number:06d}" for number in range(len(wanted))]
        columns = {"request_id": ids, "requested_at": [now] * len(ids), "kind": ["rule.put"] * len(ids), "payload": payloads}
        operator.request(pl.DataFrame(columns))
    deadline = time.monotonic() + 60.0
    while reader.select("SELECT count(*) AS n FROM request_log WHERE outcome = 'applied'").item() < len(wanted):
        assert time.monotonic() < deadline, "the rules were not applied"
        time.sleep(0.1)


def _delays_s(reader: Warehouse, ahead_s: float, wanted_s: float) -> np.ndarray:
    """Seconds from the sending of the trade to the moment at which a poll first saw its event, of events in the measured time."""
    time.sleep(ahead_s)  # the first batches land what waited while the processes started
    began_us, deadline = time.time_ns() // 1_000, time.monotonic() + wanted_s
    seen_s: dict[str, float] = {}
    while time.monotonic() < deadline:
        since = time.time_ns() // 1_000 - 5_000_000
        for (event_id,) in reader.select(_SEEN, since=max(since, began_us)).iter_rows():
            seen_s.setdefault(event_id, time.time_ns() / 1e9)
        time.sleep(0.005)
    sent = reader.select(_SENT, since=began_us).iter_rows()
    return np.array([seen_s[event_id] - sent_ms / 1e3 for event_id, sent_ms in sent if event_id in seen_s])


if __name__ == "__main__":
    main()

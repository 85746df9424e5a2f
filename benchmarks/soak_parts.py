"""The processes of a compressed day that are not the platform's own commands: the market, the journal's writer, the batch jobs.

``python soak_parts.py market|writer|jobs|warehouse ...``; `soak_day` starts them.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HOUR_MS = 3_600_000
SLICE_MS = 60_000
QUERIES = (
    "SELECT symbol, count(*) AS n, max(price) AS high FROM ticks GROUP BY symbol",
    "SELECT * FROM bars WHERE timeframe = '1m' ORDER BY ts DESC LIMIT 500",
    "SELECT * FROM signals ORDER BY ts DESC LIMIT 500",
    "SELECT * FROM stream_health",
)


def market(symbols: Sequence[str], start_ms: int, end_ms: int, speed: float, seed: int) -> None:
    """Write the seeded market's trades and quotes to standard output as journal lines, a clock line each second, at a pace."""
    from pipeline.simulator.trades import Tape

    tape = Tape(seed)
    out = sys.stdout.buffer
    began = time.monotonic()
    for hour in range(start_ms // HOUR_MS, (end_ms - 1) // HOUR_MS + 1):
        sources = [source for symbol in symbols for source in _sources(tape, symbol, hour)]
        for slice_ms in range(max(hour * HOUR_MS, start_ms), min((hour + 1) * HOUR_MS, end_ms), SLICE_MS):
            lines = [(second * 1_000, _clock_line(symbols)) for second in range(slice_ms // 1_000, (slice_ms + SLICE_MS) // 1_000)]
            for source in sources:
                lines += source(slice_ms, slice_ms + SLICE_MS)
            lines.sort(key=lambda line: line[0])
            out.write(b"".join(b"%d %b\n" % (ms * 1_000_000 + at, line) for at, (ms, line) in enumerate(lines)))
            out.flush()
            time.sleep(max(0.0, began + (slice_ms + SLICE_MS - start_ms) / 1_000 / speed - time.monotonic()))


def _sources(tape: Any, symbol: str, hour: int) -> Iterator[Any]:
    """Trades and quotes of an hour, each as a function from a stretch of time to lines."""
    from dataclasses import fields

    from pipeline.simulator import frames
    from pipeline.simulator.quotes import Quotes, quotes
    from pipeline.simulator.universe import BY_SYMBOL

    instrument = BY_SYMBOL[symbol].instrument
    trades, books = tape.trades(symbol, hour), quotes(tape, symbol, hour)

    def part(found: Any, first_ms: int, end_ms: int) -> tuple[int, int]:
        first, end = found.event_ms.searchsorted([first_ms, end_ms])
        # what is pushed just after the hour still belongs to its last slice
        return int(first), len(found.event_ms) if end_ms % HOUR_MS == 0 else int(end)

    def traded(first_ms: int, end_ms: int) -> list[tuple[int, bytes]]:
        some = trades.part(*part(trades, first_ms, end_ms))
        made = frames.agg_trade_frames(instrument, some)
        stream = f"{symbol.lower()}@aggTrade"
        return [(ms, frames.wrapped(stream, text).encode()) for ms, text in zip(some.event_ms.tolist(), made, strict=True)]

    def quoted(first_ms: int, end_ms: int) -> list[tuple[int, bytes]]:
        at = slice(*part(books, first_ms, end_ms))
        some = Quotes(*(getattr(books, field.name)[at] for field in fields(Quotes)))
        stream = f"{symbol.lower()}@bookTicker"
        made = frames.quote_frames(instrument, some)
        return [(ms, frames.wrapped(stream, text).encode()) for ms, text in zip(some.event_ms.tolist(), made, strict=True)]

    yield traded
    yield quoted


def _clock_line(symbols: Sequence[str]) -> bytes:
    streams = {f"{symbol.lower()}@{kind}": {"n": 1, "last_ns": None} for symbol in symbols for kind in ("aggTrade", "bookTicker")}
    return json.dumps(
        {"e": "sw.clock", "connected": True, "streams": streams, "reconnects": 0, "conns": []}, separators=(",", ":")
    ).encode()


def writer(data_dir: Path, name: str) -> None:
    """Put the lines of standard input into the journal of a profile, as capture does; print how many, by kind, at the end."""
    from pipeline.journal import open_journal
    from pipeline.profile import load_profile
    from pipeline.settings import settings

    counts = {"trades": 0, "quotes": 0, "clocks": 0}
    with open_journal(load_profile(data_dir, name), settings()).writer("capture") as journal:
        due = time.monotonic()
        for line in sys.stdin.buffer:
            recv_ns, _, raw = line.partition(b" ")
            journal.append(int(recv_ns), raw[:-1])
            counts["trades" if b"aggTrade" in raw[:40] else "quotes" if b"bookTicker" in raw[:40] else "clocks"] += 1
            if time.monotonic() >= due:
                journal.commit()
                due = time.monotonic() + 0.1
    print(json.dumps(counts), flush=True)


def jobs(data_dir: Path, name: str, every_s: float) -> None:
    """What the flows do, and a reader's queries, again and again until asked to end."""
    from pipeline.errors import SpreadwatchError
    from pipeline.jobs.archive import Ages, archive
    from pipeline.jobs.fit_pairs import fit_pairs, model_specs
    from pipeline.jobs.resample import resample
    from pipeline.model.pair import Pair
    from pipeline.model.universe import PairSpec
    from pipeline.profile import load_profile
    from pipeline.settings import settings
    from pipeline.store import Role, connect

    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    chosen, profile = settings(), load_profile(data_dir, name)
    hour = timedelta(hours=1)
    ages = Ages(ticks=hour, quotes=hour, bars_1s=2 * hour, kept=8 * hour)
    done = {"archived": 0, "expired": 0, "rounds": 0}
    frames = chosen.parsed_timeframes
    specs = model_specs([PairSpec(Pair.parse(text), chosen.primary_method, 60) for text in chosen.pairs], frames, ())
    with connect(profile, Role.WRITER) as warehouse:
        while not ended:
            try:
                resample(warehouse, frames, run="soak")
                fit_pairs(warehouse, specs, max_fill=5, significance=0.05, now=datetime.now(UTC), run="soak", keep_days=1)
                for one in archive(warehouse, profile, ages, run="soak"):
                    done[one.action] = done.get(one.action, 0) + 1
                for sql in QUERIES:
                    warehouse.select(sql)
            except SpreadwatchError as error:
                print(f"jobs: {error}", file=sys.stderr, flush=True)
            done["rounds"] += 1
            print(json.dumps(done), flush=True)
            time.sleep(every_s)


def warehouse(name: str, memory: str) -> None:
    """The platform's own command, with less memory for DuckDB: its cache is full early, and what grows after that is something else."""
    from pipeline.cli import main
    from pipeline.store import connection

    connection._MEMORY_LIMIT = memory  # noqa: SLF001  no setting: the platform's own figure is measured elsewhere
    threading.Thread(target=_count_objects, daemon=True).start()
    main(["warehouse", "--profile", name])


def _count_objects() -> None:
    """Print how many objects Python holds, again and again: what grows beyond them is memory of libraries."""
    while True:
        print(json.dumps({"blocks": sys.getallocatedblocks()}), flush=True)
        time.sleep(1.0)


def main(arguments: Sequence[str]) -> None:
    """Be one of the processes."""
    part, *given = arguments
    if part == "market":
        symbols, start_ms, end_ms, speed, seed = given
        market(symbols.split(","), int(start_ms), int(end_ms), float(speed), int(seed))
    elif part == "writer":
        writer(Path(given[0]), given[1])
    elif part == "jobs":
        jobs(Path(given[0]), given[1], float(given[2]))
    else:
        warehouse(given[0], given[1])


if __name__ == "__main__":
    main(sys.argv[1:])

"""Faults on the wire and kill -9, for minutes: what has landed in the end is compared with everything that the simulator made."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos_order import Order, Told
from chaos_story import Run
from timing import machine_line


def main(argv: Sequence[str] | None = None) -> None:
    """Run, print a summary, exit with 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long faults and kills go on")
    parser.add_argument("--kills", type=int, default=28, help="moments at which something is killed with -9")
    parser.add_argument("--seed", type=int, default=1, help="of faults, kills and market")
    parser.add_argument("--symbols", type=int, default=10, help="how many are followed")
    parser.add_argument("--fury", type=float, default=1.0, help="how often faults happen; 1 is about fifteen a minute")
    parser.add_argument("--repair-every", type=float, default=15.0, metavar="S", help="pause between runs of repair and resample")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write everything to this new directory, and leave it there")
    chosen = parser.parse_args(argv)

    # Asked to end from outside, we leave as from an error: through the blocks that end our processes.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = chosen.keep or Path(tempfile.mkdtemp(prefix="spreadwatch-chaos-"))
    began = time.monotonic()
    print(machine_line("duckdb", "websockets"))
    print(
        f"chaos for {chosen.minutes:g} min with {chosen.kills} kills, seed {chosen.seed}, {chosen.symbols} symbols, in {directory}",
        flush=True,
    )
    order = Order(
        directory,
        chosen.minutes * 60,
        chosen.kills,
        chosen.seed,
        symbols=chosen.symbols,
        fury=chosen.fury,
        repair_every_s=chosen.repair_every,
        settled_after_s=30.0,
        comes_and_goes=True,
        rebuild=True,
    )
    well = False
    try:
        told = Run(order, lambda what: print(f"{time.monotonic() - began:7.1f} s  {what}", flush=True)).tell()
        print("\n".join(summary(told)))
        well = not told.verdict.wrong
    finally:
        signal.signal(signal.SIGTERM, before)
        if well and not chosen.keep:
            shutil.rmtree(directory)
        elif not well:
            print(f"everything that was written is in {directory}")
    sys.exit(0 if well else 1)


def summary(told: Told) -> list[str]:
    """What a run came to, in lines."""
    verdict, counts = told.verdict, told.counts
    ended = "every tick and every bar is what the ledger says" if not verdict.wrong else f"{len(verdict.wrong)} things are WRONG"
    return [
        f"kills:      {sum(told.kills.values())} ({_told(told.kills)}), and {told.stalls} stalls",
        f"universe:   a symbol taken out or put back {told.universe_changes} times",
        f"faults:     {sum(told.faults.values())} ({_told(told.faults)})",
        f"journal:    {counts['lines']:,} lines, {counts['quotes']:,} quotes in them, {counts['malformed']:,} malformed",
        f"trades:     {counts['trades']:,} landed, {counts['duplicate_trades']:,} more that were known already",
        f"gaps:       {sum(verdict.gaps.values())} ({_told(verdict.gaps)}); {verdict.missing} ids that the venue never had",
        f"refilled:   {verdict.refilled:,} trades over REST in {told.repairs} runs of repair",
        f"restated:   {sum(verdict.restated.values())} bars ({_told(verdict.restated)}) in {told.resamples} runs of resample",
        f"compared:   {_told(verdict.compared)} rows, each column",
        f"took:       {told.took_s:.0f} s",
        *(f"WRONG:      {wrong}" for wrong in verdict.wrong),
        f"verdict:    {ended}",
    ]


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    main()

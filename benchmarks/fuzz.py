"""Broken and hostile messages through both decoders, for minutes: each is refused, or says what a plain reference decoder finds in it.

``python benchmarks/fuzz.py --seconds 300`` prints how many messages of which outcome there were, and exits with 1 at the first
difference, showing the message. ``--check-bounds`` compiles the scanner with checks of every array index.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz_mutate import Mutator, corpus
from fuzz_reference import REFUSED, TOO_DEEP, Outcome, judge

if TYPE_CHECKING:
    from pipeline.model.event import Event

BLOCK = 96
SLOWEST_S = 5.0
MOST_GROWTH_MB = 600  # a 10 MB text is copied some times, on its way through two decoders and the reference
HEADS = [b"1723161255088176367", b"1723161255088176368", b"0000000000000000001", b"9223372036854775807"]
ODD_HEADS = [
    b"5",
    b"9223372036854775808",
    b"9999999999999999999",
    b"17231612550881763670",
    b"172316125508817636x",
    b"",
    b"-1",
    b"1_0",
    b"\xb2",
    b"0" * 5_000,
]


class Difference(AssertionError):
    """A decoder said something else than the reference, or was too slow, or broke."""


@dataclass(slots=True)
class Found:
    """What a campaign came to."""

    messages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused_though_json_allows_it: int = 0
    slowest_s: float = 0.0


def told(event: Event) -> Outcome:
    """An event as the reference's tuple."""
    from pipeline.model import event as events

    match event:
        case events.Trade():
            return (
                "trade", str(event.kind), event.symbol, event.trade_id, Decimal(event.price), Decimal(event.qty), event.event_time_ms,
                event.buyer_is_maker, event.first_id, event.last_id, event.market,
            )  # fmt: skip
        case events.Quote():
            amounts = (event.bid, event.bid_qty, event.ask, event.ask_qty)
            return ("quote", event.symbol, event.update_id, *map(Decimal, amounts), event.event_time_ms)
        case events.Kline():
            texts = (event.open, event.high, event.low, event.close, event.volume, event.quote_volume, event.taker_buy_volume)
            amounts = map(Decimal, (*texts, event.taker_buy_quote_volume))
            times = (event.open_time_ms, event.close_time_ms, event.trades)
            return ("kline", event.symbol, event.interval, *times, *amounts, event.first_id, event.last_id, event.closed)
        case events.Unused() | events.Unknown():
            return (type(event).__name__.lower(), event.name)
        case events.Control():
            return ("control", event.request_id, event.error is None)
        case events.Shutdown():
            return ("shutdown", event.event_time_ms)
        case events.Own():
            return ("own", event.name)
        case _:
            return (type(event).__name__.lower(),)


def check_message(raw: bytes, found: Found) -> None:
    """One message through the one-by-one decoder.

    Raises:
        Difference: see `Difference`.
    """
    from pipeline.errors import MalformedMessage
    from pipeline.venues.binance import decode

    began = time.perf_counter()
    try:
        outcome = told(decode(raw, 1))
    except MalformedMessage:
        outcome = REFUSED
    except Exception as error:
        msg = f"decode raised {error!r} for {_shown(raw)}"
        raise Difference(msg) from error
    took = time.perf_counter() - began
    found.slowest_s = max(found.slowest_s, took)
    if took > SLOWEST_S:
        msg = f"decode took {took:.1f} s for {_shown(raw)}"
        raise Difference(msg)
    expected, plain = judge(raw)
    found.messages += 1
    found.outcomes[outcome[0]] += 1
    if expected in (outcome, TOO_DEEP):
        return
    # our own clock line has fields that are no business of the venue's documents
    if outcome == REFUSED and (not plain or expected == ("clock",)):
        found.refused_though_json_allows_it += 1
        return
    msg = f"decode says {_shown(outcome)}, the reference {_shown(expected)}, of {_shown(raw)}"
    raise Difference(msg)


def check_block(block: bytes) -> None:
    """A block of lines through the bulk decoder: it says of every line what the one-by-one decoder says.

    Raises:
        Difference: see `Difference`.
    """
    from pipeline.venues.batch import decode_lines
    from pipeline.venues.binance import decode, decode_batch

    try:
        batch = decode_batch(block)
    except Exception as error:
        msg = f"decode_batch raised {error!r} for {_shown(block)}"
        raise Difference(msg) from error
    expected = decode_lines(block, decode)
    if said(batch) != said(expected):
        parts = [(a, b) for a, b in zip(said(batch), said(expected), strict=True) if a != b]
        msg = f"decode_batch and decode differ: {_shown(parts)} in {_shown(block)}"
        raise Difference(msg)


def said(batch: Any) -> tuple[Any, ...]:
    """Everything that a batch says, in plain values."""
    rows = [
        *zip(batch.trades.line.tolist(), batch.trades.recv_ns.tolist(), map(told, batch.trades.events()), strict=True),
        *zip(batch.quotes.line.tolist(), batch.quotes.recv_ns.tolist(), map(told, batch.quotes.events()), strict=True),
    ]
    reasons = [(sample.line, sample.text) for sample in batch.samples]
    counts = (batch.lines, batch.last_recv_ns, batch.malformed, batch.unused, batch.unknown)
    return (*counts, reasons, batch.others, rows)


def as_block(messages: Sequence[bytes], chosen: random.Random) -> bytes:
    """The messages as journal lines, some with a head that is none; now and then without the last line end."""
    lines = [chosen.choice(ODD_HEADS if chosen.random() < 0.02 else HEADS) + b" " + message for message in messages]
    return b"\n".join(lines) + (b"" if chosen.random() < 0.2 else b"\n")


def campaign(messages: list[bytes], *, seed: int, seconds: float, found: Found | None = None) -> Found:
    """Fuzz for some seconds.

    Raises:
        Difference: at the first.
    """
    found = found or Found()
    mutator = Mutator(messages, seed)
    chosen = random.Random(seed)
    until = time.monotonic() + seconds
    grown = _peak_mb()
    while time.monotonic() < until:
        block = [mutator.message() for _ in range(BLOCK)]
        for raw in block:
            check_message(raw, found)
        check_block(as_block(block, chosen))
    growth = _peak_mb() - grown
    if growth > MOST_GROWTH_MB:
        msg = f"memory grew by {growth:.0f} MB, the bound is {MOST_GROWTH_MB} MB"
        raise Difference(msg)
    return found


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 4_000 else f"{text[:2_000]} ... {text[-1_500:]} ({len(text)} characters)"


def main(argv: Sequence[str] | None = None) -> None:
    """Run a campaign and print its counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=None, help="default: the time, printed")
    parser.add_argument("--check-bounds", action="store_true", help="compile the scanner anew, with checks of array indices (slower)")
    options = parser.parse_args(argv)
    if options.check_bounds:
        os.environ["NUMBA_BOUNDSCHECK"] = "1"
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="fuzz-numba-")
    seed = time.time_ns() % 2**32 if options.seed is None else options.seed
    here = Path(os.environ.get("MARKET_DATA") or Path(__file__).resolve().parents[2] / "shared" / "market-data")
    messages = corpus(here if here.is_dir() else None)
    print(
        f"{len(messages)} messages to begin with ({'real ones among them' if here.is_dir() else 'no real ones'}), seed {seed}", flush=True
    )
    try:
        found = campaign(messages, seed=seed, seconds=options.seconds)
    except Difference as difference:
        print(difference)
        sys.exit(1)
    print(f"{found.messages} messages in {options.seconds:g} s, each also in bulk")
    print(f"  slowest {found.slowest_s * 1_000:.0f} ms, peak memory {_peak_mb():.0f} MB")
    for outcome, count in found.outcomes.most_common():
        print(f"  {outcome:10} {count:>9}")
    print(f"  refused though JSON allows it (names twice, 7.0 for 7, half surrogates, depth): {found.refused_though_json_allows_it}")


if __name__ == "__main__":
    main()

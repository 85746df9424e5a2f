r"""A block of journal lines as columns, ready for landing, and the venue-independent way to make it.

A journal line is ``<recv_ns> <json>\n``. Every line of a block is accounted for exactly once: as a trade
row, a quote row, one of `Batch.others`, or a count (malformed, unused, unknown).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from pipeline.errors import MalformedMessage
from pipeline.model.event import Event, Quote, Trade, Unknown, Unused
from pipeline.venues.columns import QuoteColumns, TradeColumns

MAX_SAMPLES: Final = 10
"""Most malformed lines, and most lines of unknown types, that a batch keeps for show."""
_SAMPLE_BYTES: Final = 300
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sample:
    """A line that could not be used: its position in the block, its first 300 bytes, and why."""

    line: int
    text: bytes
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What a block of journal lines holds.

    ``others`` has every event that is neither trade, quote, unused nor unknown, as (line, recv_ns, event).
    ``last_recv_ns`` is the receive time of the last line that has one, None when no line has.
    """

    lines: int
    last_recv_ns: int | None
    trades: TradeColumns
    quotes: QuoteColumns
    others: list[tuple[int, int, Event]]
    malformed: int
    samples: list[Sample]
    unused: dict[str, int]
    unknown: dict[str, int]


@dataclass(slots=True)
class Tally:
    """Collects what does not go into columns while a block is read."""

    others: list[tuple[int, int, Event]] = field(default_factory=list)
    malformed: int = 0
    samples: list[Sample] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, line: int, recv_ns: int, event: Event, text: bytes) -> None:
        """Take an event that is neither trade nor quote."""
        if isinstance(event, Unused):
            self.unused[event.name] += 1
        elif isinstance(event, Unknown):
            self.unknown[event.name] += 1
            self._sample(line, text, f"unknown message type {event.name!r}")
        else:
            self.others.append((line, recv_ns, event))

    def refuse(self, line: int, text: bytes, error: MalformedMessage) -> None:
        """Take a line that does not decode."""
        self.malformed += 1
        self._sample(line, text, str(error))

    def _sample(self, line: int, text: bytes, reason: str) -> None:
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append(Sample(line, text[:_SAMPLE_BYTES], reason))

    def batch(self, lines: int, last_recv_ns: int | None, trades: TradeColumns, quotes: QuoteColumns) -> Batch:
        """Everything together; columns and lists in the order of the lines."""
        self.others.sort(key=lambda other: other[0])
        self.samples.sort(key=lambda sample: sample.line)
        return Batch(
            lines=lines,
            last_recv_ns=last_recv_ns,
            trades=trades,
            quotes=quotes,
            others=self.others,
            malformed=self.malformed,
            samples=self.samples,
            unused=dict(self.unused),
            unknown=dict(self.unknown),
        )


def split_block(block: bytes) -> list[bytes]:
    """The lines of a block, without their line ends; a last line without one counts too."""
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def split_line(line: bytes) -> tuple[int, bytes]:
    """Receive time in nanoseconds, and message, of one journal line.

    Raises:
        MalformedMessage: when the line does not begin with 1 to 19 digits that fit an int64 and a blank.
    """
    head, blank, body = line.partition(b" ")
    if not blank or not head.isdigit() or len(head) > 19 or (recv_ns := int(head)) > _INT64_MAX:
        msg = f"line {line[:60]!r} does not begin with a receive time in nanoseconds and a blank"
        raise MalformedMessage(msg)
    return recv_ns, body


def decode_each(
    lines: Iterable[tuple[int, bytes]], decode: Callable[[bytes, int], Event], tally: Tally
) -> tuple[TradeColumns, QuoteColumns, tuple[int, int] | None]:
    """Decode numbered lines one by one; what is neither trade nor quote goes to the tally.

    Returns:
        Trades, quotes, and number and receive time of the last line that has a receive time (None when no line has).
    """
    trades: list[Trade] = []
    trade_lines: list[int] = []
    quotes: list[Quote] = []
    quote_lines: list[int] = []
    last: tuple[int, int] | None = None
    for at, line in lines:
        try:
            recv_ns, body = split_line(line)
            last = at, recv_ns
            event = decode(body, recv_ns)
        except MalformedMessage as error:
            tally.refuse(at, line, error)
            continue
        if isinstance(event, Trade):
            trades.append(event)
            trade_lines.append(at)
        elif isinstance(event, Quote):
            quotes.append(event)
            quote_lines.append(at)
        else:
            tally.add(at, recv_ns, event, line)
    return TradeColumns.of(trades, trade_lines), QuoteColumns.of(quotes, quote_lines), last


def decode_lines(block: bytes, decode: Callable[[bytes, int], Event]) -> Batch:
    """A batch made line by line with any venue's ``decode``: right for every venue, and the measure of faster ways."""
    tally = Tally()
    lines = split_block(block)
    trades, quotes, last = decode_each(enumerate(lines), decode, tally)
    return tally.batch(len(lines), last[1] if last else None, trades, quotes)

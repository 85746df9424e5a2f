"""A first look through recordings: which symbols trade in them, on which of the two trade streams, and from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import MalformedMessage, RecordingError
from pipeline.journal import Damage, read_recording
from pipeline.model.event import Trade, TradeKind
from pipeline.venues.binance import decode

# Both names end so; everything else (book tickers and depth are most of a recording) need not be decoded.
_TRADE_MARK = b'rade"'


@dataclass(frozen=True, slots=True)
class Scan:
    """What recordings hold.

    ``symbols`` are those with trades, alphabetically. ``kinds`` counts their trades by stream; only the more frequent
    kind can be landed into one profile. ``damage`` tells which lines cannot be read; of those that can, none has been judged.
    """

    symbols: tuple[str, ...]
    kinds: dict[TradeKind, int]
    first_recv_ns: int
    last_recv_ns: int
    damage: Damage = field(default_factory=Damage, compare=False)

    @property
    def kind(self) -> TradeKind:
        """The kind with most trades."""
        return max(self.kinds, key=lambda kind: self.kinds[kind])


def scan_recordings(paths: Iterable[Path]) -> Scan:
    """Read recordings once. Lines that do not decode are passed over: they are counted where they are landed.

    Raises:
        RecordingError: when there is no trade in any of them.
    """
    given = list(paths)
    damage = Damage()
    symbols: set[str] = set()
    kinds: dict[TradeKind, int] = {}
    times: list[int] = []
    for path in given:
        last = None
        for recv_ns, raw in read_recording(path, on_bad=damage.note):
            damage.kept[path] += 1
            if last is None:
                times.append(recv_ns)
            last = recv_ns
            if _TRADE_MARK not in raw:
                continue
            try:
                event = decode(raw, recv_ns)
            except MalformedMessage:
                continue
            if isinstance(event, Trade):
                symbols.add(event.symbol)
                kinds[event.kind] = kinds.get(event.kind, 0) + 1
        if last is not None:
            times.append(last)
    if not kinds:
        reason = f" ({damage.told()})" if damage else "" if times else " (empty)"
        msg = f"there is no trade in {', '.join(map(str, given))}{reason}; expected recordings of Binance USD-M aggTrade or trade streams"
        raise RecordingError(msg)
    return Scan(tuple(sorted(symbols)), kinds, min(times), max(times), damage)

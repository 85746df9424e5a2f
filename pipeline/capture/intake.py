"""The hot path: a raw message goes to the journal with its receive time, and its stream is counted. Nothing is decoded."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import JournalError
from pipeline.journal import Writer
from pipeline.venues import Venue

_PREFIX = b'{"stream":"'
_NAME_AT = len(_PREFIX)


@dataclass(slots=True)
class Seen:
    """What one stream has delivered since capture started."""

    n: int = 0
    last_ns: int | None = None


@dataclass(slots=True)
class Lost:
    """Messages that were received and could not be kept, because the journal could not be written and its buffer was full."""

    lines: int = 0
    size: int = 0
    first_ns: int | None = None
    last_ns: int | None = None


class Intake:
    """Where every connection puts what it receives."""

    def __init__(self, writer: Writer, venue: Venue) -> None:
        self._writer = writer
        self._venue = venue
        self._streams: dict[bytes, Seen] = {}
        self.lost = Lost()

    @property
    def buffered_bytes(self) -> int:
        """Bytes received and not yet durable."""
        return self._writer.buffered_bytes

    def watch(self, streams: Iterable[str]) -> None:
        """Count exactly these streams from now on; a stream that stays keeps its count."""
        known = self._streams
        self._streams = {name: known.get(name) or Seen() for name in map(str.encode, streams)}

    def seen(self) -> dict[str, Seen]:
        """Every watched stream, by name."""
        return {name.decode(): seen for name, seen in self._streams.items()}

    def take(self, raw: bytes) -> bool:
        """Journal one message of the venue; whether it came from a watched stream.

        Answers to commands, notices of the venue and messages of streams that are no longer watched are journaled
        too and give False.
        """
        now_ns = time.time_ns()
        try:
            self._writer.append(now_ns, raw)
        except JournalError:
            self._lose(now_ns, len(raw))
        seen = self._streams.get(raw[_NAME_AT : raw.find(b'"', _NAME_AT)])
        if seen is None:  # not one of the streams, or of a venue that wraps its messages otherwise
            name = self._venue.stream_of(raw)
            seen = self._streams.get(name.encode()) if name is not None else None
            if seen is None:
                return False
        seen.n += 1
        seen.last_ns = now_ns
        return True

    def note(self, recv_ns: int, raw: bytes) -> bool:
        """Journal a line of our own; False when there is no room for it."""
        try:
            self._writer.append(recv_ns, raw)
        except JournalError:
            return False
        return True

    def _lose(self, now_ns: int, size: int) -> None:
        lost = self.lost
        lost.lines += 1
        lost.size += size
        lost.first_ns = lost.first_ns or now_ns
        lost.last_ns = now_ns

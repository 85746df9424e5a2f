"""Reading a source in Redis while it is written: published blocks only."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import zstandard

from pipeline.errors import JournalError
from pipeline.journal.interface import MAX_BYTES
from pipeline.journal.position import START, Position
from pipeline.journal.reader import end_of_line
from pipeline.journal.redis_streams import scripts
from pipeline.journal.redis_streams.server import Keys, Server, decode, encode

_log = logging.getLogger(__name__)

_FEWEST, _MOST = 4, 512
_FETCH_BYTES = 8 << 20
"""About how much is asked for at once, compressed."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One block as it is kept."""

    behind: Position
    end: Position
    size: int
    packed: bytes

    @property
    def start(self) -> Position:
        """Where its first byte lies."""
        return Position(self.end.seq, self.end.offset - self.size)


class RedisReader:
    """One reader of a source, which need not exist yet. Where it stands is the caller's to keep. Not to be shared between threads."""

    def __init__(self, server: Server, prefix: str, source: str) -> None:
        self.missing_segments = 0
        self._server = server
        self._prefix = prefix
        self._source = source
        self._keys = Keys.of(prefix, source)
        self._client: Any = server.connect()
        self._ahead: deque[_Entry] = deque()
        self._count = _FEWEST
        self._unpack = zstandard.ZstdDecompressor().decompress
        self._last: tuple[Position, bytes] = (START, b"")

    def read(self, position: Position, max_lines: int, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, Position]:
        """Whole durable lines from ``position`` on, and the position behind them.

        The block holds at most ``max_lines`` lines and ``max_bytes`` bytes (one line at least) of one segment.
        It is empty when nothing more is durable. Lines that are gone are passed over, logged and counted in
        ``missing_segments`` (once for each hole); before the oldest one kept, that is the normal case and not counted.

        Raises:
            JournalUnavailable: when Redis does not answer.
            JournalError: when a block is damaged, or Redis has no such journal any more.
        """
        end = self.durable()
        if position >= end or max_lines <= 0:
            return b"", position
        pieces: list[bytes] = []
        size = lines = 0
        here = position
        with self._server.translated("read"):
            while (entry := self._next(here, end)) is not None:
                if not entry.start <= here < entry.end:
                    if pieces:
                        break
                    self._passed_over(here, entry)
                    here = entry.start
                piece, full = _fit(self._lines(entry, here), max_lines - lines, max_bytes - size, first=not pieces)
                if piece:
                    pieces.append(piece)
                    here = Position(here.seq, here.offset + len(piece))
                    size += len(piece)
                    lines += piece.count(b"\n")
                if full:
                    break
        return b"".join(pieces), here

    def _lines(self, entry: _Entry, here: Position) -> bytes:
        """What the block holds from ``here`` on; the block read last is kept, so that going on in it costs nothing."""
        if self._last[0] != entry.end:
            try:
                self._last = (entry.end, self._unpack(entry.packed))
            except zstandard.ZstdError as error:
                raise self._damaged(encode(entry.end), error) from error
        return self._last[1][here.offset - entry.start.offset :]

    def _size_of(self, identity: bytes, packed: bytes) -> int:
        try:
            return zstandard.frame_content_size(packed)
        except zstandard.ZstdError as error:
            raise self._damaged(identity.decode(), error) from error

    def _damaged(self, identity: str, error: zstandard.ZstdError) -> JournalError:
        return JournalError(f"block {identity} of {self._keys.lines} is damaged ({error}); XDEL it, its ticks will show as gaps")

    def _passed_over(self, here: Position, entry: _Entry) -> None:
        if here in (START, entry.behind, entry.start):
            return
        self.missing_segments += 1
        facts = {"source": self._source, "from": encode(here), "to": encode(entry.start)}
        _log.error("journal lines are gone", extra=facts)

    def _next(self, here: Position, end: Position) -> _Entry | None:
        """The first block that ends behind ``here`` and not behind ``end``."""
        ahead = self._ahead
        while ahead and ahead[0].end <= here:
            ahead.popleft()
        if not ahead or not (ahead[0].start <= here or ahead[0].behind == here):
            self._fetch(here, end)
        return ahead[0] if ahead else None

    def _fetch(self, here: Position, end: Position) -> None:
        self._ahead.clear()
        total = 0
        for identity, fields in self._client.xrange(self._keys.lines, f"({encode(here)}", encode(end), count=self._count):
            packed = fields[b"b"]
            total += len(packed)
            self._ahead.append(_Entry(decode(fields[b"p"]), decode(identity), self._size_of(identity, packed), packed))
        if self._ahead:  # as many as are likely to make up the bytes that are wanted
            self._count = max(_FEWEST, min(_MOST, self._count * 2, _FETCH_BYTES * len(self._ahead) // max(1, total)))

    def durable(self) -> Position:
        """How far the source is durable; ``START`` when it does not exist.

        Raises:
            JournalUnavailable: when Redis does not answer.
            JournalError: when Redis has no such journal any more.
        """
        with self._server.translated("read"):
            head = self._client.hget(self._keys.state, "head")
            if head is None:
                self._server.require_journal(self._client, self._prefix)
                return START
            return decode(head)

    def backlog_bytes(self, position: Position) -> int:
        """Durable uncompressed bytes behind ``position``; 0 when it lies at or beyond the end.

        Raises:
            JournalError: as ``read``.
        """
        end = self.durable()
        if position >= end:
            return 0
        total = 0
        for seq, (size, _) in self._segments().items():
            if position.seq <= seq <= end.seq:
                whole = end.offset if seq == end.seq else size
                total += max(0, whole - position.offset) if seq == position.seq else whole
        return total

    def prune(self, older_than_ns: int, up_to: Position) -> int:
        """Drop the oldest segments that lie wholly before ``up_to`` and were last written before ``older_than_ns``.

        The segments of ``up_to`` and of the durable position always stay.

        Returns:
            How many segments were dropped.

        Raises:
            JournalError: as ``read``.
        """
        first_kept = min(up_to.seq, self.durable().seq)
        gone: list[int] = []
        for seq, (_, written_ns) in sorted(self._segments().items()):
            if seq >= first_kept or written_ns >= older_than_ns:
                first_kept = min(first_kept, seq)
                break
            gone.append(seq)
        if gone:
            with self._server.translated("prune"):
                self._client.eval(scripts.PRUNE, 5, *self._keys.all(), first_kept, *gone)
        return len(gone)

    def _segments(self) -> dict[int, tuple[int, int]]:
        """Size and time of last change of each segment."""
        with self._server.translated("read"):
            found = self._client.hgetall(self._keys.segments)
        return {int(seq): (int(size), int(written)) for seq, (size, written) in ((seq, told.split()) for seq, told in found.items())}

    def close(self) -> None:
        """Release the connection; the reader can be used again."""
        self._ahead.clear()
        self._last = (START, b"")
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _fit(block: bytes, max_lines: int, max_bytes: int, *, first: bool) -> tuple[bytes, bool]:
    """The leading whole lines of ``block`` for which there is room, one at least when they are the ``first``; whether that is all."""
    cut = False
    if len(block) > max_bytes:
        stop = block.rfind(b"\n", 0, max(0, max_bytes)) + 1
        block = block[: stop or (block.index(b"\n") + 1 if first else 0)]
        cut = True
    count = block.count(b"\n")
    if count > max_lines:
        return block[: end_of_line(block, max_lines)], True
    return block, cut or count == max_lines

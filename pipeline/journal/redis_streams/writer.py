"""The writer of one source: lines are gathered in memory and added as blocks, all or nothing each."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline.errors import JournalError, JournalUnavailable, WriterFenced
from pipeline.journal.buffered import BUFFER_BYTES, BufferedWriter, group_end
from pipeline.journal.position import START, Position
from pipeline.journal.redis_streams import scripts
from pipeline.journal.redis_streams.durability import Durability, judge
from pipeline.journal.redis_streams.lease import LEASE_S, Lease
from pipeline.journal.redis_streams.server import Keys, Server, decode, encode

_log = logging.getLogger(__name__)

_BLOCK = 256 << 10
"""Most bytes of a block, before it is compressed, unless one line is longer."""
_TOGETHER = 16
"""Blocks that are sent without waiting for the answer to each."""
_LEVEL = 1
_CONFIRM_MS = 8_000
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_BEAT_S = 5.0


@dataclass(slots=True)
class _Block:
    """Whole lines on their way: from ``behind`` (the end before them) to ``end``."""

    behind: Position
    end: Position
    size: int
    packed: bytes
    added: bool = False


class RedisWriter(BufferedWriter):
    """The one writer of a source in Redis.

    While Redis is away lines wait in memory, up to ``buffer_bytes``; a commit then fails at once, and tries to reach it
    after growing pauses. A commit whose answer was lost is not repeated blindly: the server is asked how far it came.

    Args:
        server: where Redis is.
        prefix: of the journal's keys.
        source: name of the source, made when absent.
        fsync_s: Interval after which ``due`` asks for a commit, in seconds.
        segment_bytes: Size at which the next segment is begun.
        segment_seconds: Age at which the same happens, looked at when something is committed.
        buffer_bytes: Most bytes that wait in memory.
        lease_s: How long a writer that is not heard of keeps its right.
        beat: A file that is touched every few seconds while lines are committed.

    Raises:
        JournalError: when another process writes this source, or Redis cannot be used.
    """

    def __init__(
        self,
        server: Server,
        prefix: str,
        source: str,
        *,
        fsync_s: float,
        segment_bytes: int,
        segment_seconds: float,
        buffer_bytes: int = BUFFER_BYTES,
        lease_s: float = LEASE_S,
        beat: Path | None = None,
    ) -> None:
        super().__init__(f"journal source {source!r} in Redis at {server.where}", fsync_s=fsync_s, buffer_bytes=buffer_bytes)
        self._server = server
        self._keys = Keys.of(prefix, source)
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._beat = beat
        self._beat_at = float("-inf")
        self._queue: deque[_Block] = deque()
        self._began: float | None = None  # when the segment that grows was begun; None: the next line begins one
        self._at = self._tail = self._has = START  # where a block begins, what came before it, what the server has
        self._uncertain = False
        self._attempts = 0
        self._retry_at = 0.0
        self._fenced: WriterFenced | None = None
        self._pack = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress
        self._client: Any = server.connect()
        try:
            with server.translated("open"):
                server.require_journal(self._client, prefix)
                self._durability = judge(self._client, server.where)
                self._lease = Lease(self._client, self._keys, source, life_s=lease_s, lost=self._fence)
                try:
                    self._open(self._lease.end)
                except BaseException:
                    self._lease.close()
                    raise
        except BaseException:
            self._client.close()
            raise
        if not self._durability.firm:
            _log.warning("Redis can lose committed lines", extra={"redis": server.where, "why": self._durability.value})

    def _open(self, end: Position) -> None:
        """What an earlier writer added is durable now, whether it lived to publish it or not."""
        self._end = self._tail = self._has = end
        if self._durability is Durability.CONFIRMED:
            self._confirmed(self._touched().execute(raise_on_error=False)[-1])
        self._publish(end)
        self._alive()

    def append(self, recv_ns: int, raw: bytes) -> None:
        """Take one line into memory; line breaks inside ``raw`` (JSON white space) become spaces.

        Raises:
            WriterFenced: when another process has become the writer.
            DiskFull: when the buffer is full because Redis has no room.
            JournalError: when the buffer is full for another reason, or the writer is closed. The line is not taken.
        """
        super().append(recv_ns, raw)

    def close(self) -> None:
        """Commit and release the source. Closing twice does nothing.

        Raises:
            JournalError: as ``commit``; the source is released all the same and what waited is lost.
        """
        self._retry_at = 0.0
        super().close()

    def _refusal(self) -> JournalError:
        return self._fenced or super()._refusal()

    def _fence(self) -> None:
        msg = f"{self._name} has another writer now, or is gone; this one stops, and {self.buffered_bytes} bytes are not kept"
        self._fenced = WriterFenced(msg)
        self._buffer_bytes = -1  # so that `append` refuses without looking at anything more

    # -- what goes out --------------------------------------------------------------------

    def _write_out(self, lines: bytes) -> None:
        self._enqueue(lines)
        if self._fenced is not None:
            raise self._fenced
        if not self._queue:
            return
        wait_s = self._retry_at - time.monotonic()
        if wait_s > 0:
            msg = f"Redis at {self._server.where} cannot be reached; {self.buffered_bytes} bytes wait, the next try is in {wait_s:.1f} s"
            raise JournalUnavailable(msg)
        try:
            self._drain()
        except RedisError as error:
            self._uncertain = True
            self._attempts += 1
            self._retry_at = time.monotonic() + min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** min(self._attempts, 10))
            raise self._server.said(error, "write") from error
        self._attempts = 0
        self._alive()

    def _enqueue(self, lines: bytes) -> None:
        start = 0
        while start < len(lines):
            stop = group_end(lines, start, _BLOCK)
            if self._must_begin():
                self._begin_segment()
            behind, at = self._tail, self._at
            self._at = self._tail = Position(at.seq, at.offset + stop - start)
            self._queue.append(_Block(behind, self._tail, stop - start, self._pack(lines[start:stop])))
            start = stop

    def _must_begin(self) -> bool:
        if self._began is None:
            return True
        return self._tail.offset >= self._segment_bytes or time.monotonic() - self._began >= self._segment_seconds

    def _begin_segment(self) -> None:
        self._at = Position(max(time.time_ns() // 1_000_000, self._tail.seq + 1), 0)
        self._began = time.monotonic()

    def _finish_segment(self) -> None:
        self._began = None

    def _drain(self) -> None:
        for _ in range(3):
            try:
                if self._uncertain:
                    self._find_out()
                while self._queue:
                    self._send(list(itertools.islice(self._queue, _TOGETHER)))
            except ResponseError as error:
                if str(error).startswith(scripts.FENCED):
                    self._fence()
                    raise self._refusal() from error
                if not str(error).startswith(scripts.BEHIND):
                    raise
                self._uncertain = True
            else:
                return
        msg = f"{self._name} keeps changing under its writer; restart the process that writes it"
        raise JournalError(msg)

    def _send(self, blocks: list[_Block]) -> None:
        """Add, have it made durable, publish."""
        confirm = self._durability is Durability.CONFIRMED
        fresh = [block for block in blocks if not block.added]
        batch = self._client.pipeline(transaction=False)
        has = self._has
        for block in fresh:
            batch.eval(scripts.ADD, 5, *self._keys.all(), *self._lease.arguments, encode(has), *_told(block), "0" if confirm else "1")
            has = block.end
        if confirm:
            self._touched(batch)
        answers = batch.execute(raise_on_error=False)
        for block, answer in zip(fresh, answers, strict=False):
            if isinstance(answer, Exception):
                raise answer
            self._has = block.end
            block.added = True
            if not confirm:
                self._done(block)
        if confirm:
            self._confirmed(answers[-1])
            self._publish(blocks[-1].end)
            for block in blocks:
                self._done(block)

    def _touched(self, batch: Any = None) -> Any:
        """A batch that ends in waiting for an fsync; Redis waits for what the same connection has written, so something is."""
        batch = self._client.pipeline(transaction=False) if batch is None else batch
        batch.eval(scripts.RENEW, 5, *self._keys.all(), *self._lease.arguments)
        batch.execute_command("WAITAOF", 1, 0, _CONFIRM_MS)
        return batch

    def _confirmed(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            raise answer
        if int(answer[0]) < 1:
            msg = f"no fsync confirmed within {_CONFIRM_MS / 1_000:g} s"
            raise RedisTimeoutError(msg)

    def _publish(self, position: Position) -> None:
        self._client.eval(scripts.PUBLISH, 5, *self._keys.all(), *self._lease.arguments, encode(position))

    def _done(self, block: _Block) -> None:
        self._queue.popleft()
        self._end = block.end
        self._written += block.size

    def _find_out(self) -> None:
        """How far the server came with what it was sent, when the answer was lost."""
        self._durability = judge(self._client, self._server.where)
        writer, ended = self._client.hmget(self._keys.state, "writer", "end")
        if writer != self._lease.token:
            self._fence()
            raise self._refusal()
        end = decode(ended)
        if end in {block.end for block in self._queue}:
            for block in self._queue:
                block.added = block.end <= end
        elif end == self._end:
            for block in self._queue:
                block.added = False
        else:
            self._number_anew(end)
        self._has = end
        self._uncertain = False
        if self._durability is not Durability.CONFIRMED:
            while self._queue and self._queue[0].added:
                self._done(self._queue[0])

    def _number_anew(self, end: Position) -> None:
        """The server has come back without lines that it had acknowledged: what waits goes behind the place where they were."""
        facts = {"redis": self._server.where, "acknowledged": encode(self._end), "there": encode(end)}
        _log.error("Redis has lost committed lines", extra=facts)
        self._tail = self._end
        self._begin_segment()
        for block in self._queue:
            block.behind, at = self._tail, self._at
            self._at = self._tail = block.end = Position(at.seq, at.offset + block.size)
            block.added = False

    def _alive(self) -> None:
        if self._beat is not None and time.monotonic() - self._beat_at >= _BEAT_S:
            self._beat_at = time.monotonic()
            try:
                self._beat.touch()
            except OSError as error:
                _log.warning("cannot show that the journal is written", extra={"file": str(self._beat), "why": str(error)})

    def _release(self) -> None:
        self._lease.close()
        self._client.close()


def _told(block: _Block) -> tuple[str, str, bytes, int, int, int]:
    return encode(block.end), encode(block.behind), block.packed, block.end.seq, block.end.offset, time.time_ns()

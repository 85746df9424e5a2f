"""Where landing gets its blocks: the next one of a source is read and decoded while the one before it is landed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from pipeline.journal import Position, Reader
from pipeline.venues import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Journal lines of one source, decoded; the source goes on at ``position``. ``behind``: more of it was durable already."""

    batch: Batch
    position: Position
    behind: bool


class Intake:
    """The blocks of one source in their order.

    Reading ahead begins only where more was durable than the block had, so live lines, which come as they are, take no
    detour; and never goes further than one block, so that memory is bounded. A block read ahead for a position that is
    not asked for, because a transaction did not commit, is dropped.

    Args:
        reader: of the source, and nobody else's; used by one thread at a time.
        decode: journal lines to columns.
        executor: where a block is read ahead.
    """

    def __init__(self, reader: Reader, decode: Callable[[bytes], Batch], executor: Executor) -> None:
        self._reader = reader
        self._decode = decode
        self._executor = executor
        self._ahead: tuple[Position, Future[Block | None]] | None = None

    def take(self, position: Position, max_lines: int) -> Block | None:
        """The block that begins at ``position``, of about ``max_lines`` at most; None when nothing more is durable.

        A block that was read ahead keeps the limit of the call that began it.

        Raises:
            JournalError: when the journal is damaged.
        """
        begins, block = self._settled()
        if block is None or begins != position:
            block = self._read(position, max_lines)
        if block is not None and block.behind:
            self._ahead = block.position, self._executor.submit(self._read, block.position, max_lines)
        return block

    def close(self) -> None:
        """Release the reader."""
        if self._ahead is not None:
            self._ahead[1].exception()
        self._reader.close()

    def _settled(self) -> tuple[Position | None, Block | None]:
        """Where the block read ahead begins, and the block."""
        if self._ahead is None:
            return None, None
        (begins, future), self._ahead = self._ahead, None
        return begins, future.result()

    def _read(self, position: Position, max_lines: int) -> Block | None:
        lines, after = self._reader.read(position, max_lines)
        return Block(self._decode(lines), after, after < self._reader.durable()) if lines else None

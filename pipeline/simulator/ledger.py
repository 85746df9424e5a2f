"""The truth, for checking: every trade of the symbols that somebody has listened to, written before anybody hears of it.

JSON lines. A trade is ``{"s":"BTCUSDT","a":1,"p":"60000.10","q":"0.001","f":1,"l":2,"T":1,"m":true}``, in order of id for each
symbol, from the first one that the first subscriber to its trades could hear. Ids that nobody will ever be given stand in lines
``{"s":"BTCUSDT","hole":[7,9]}``, written when the hole is made, which is before its place is reached.

Lines are handed to the operating system before their trades are sent: a ``kill -9`` of the simulator loses none that was heard, and
cuts at most the last line, which is removed at the next start. The market being a function of its seed, what was produced between two
runs is written at that start too.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from pipeline.errors import RunError, UsageError
from pipeline.simulator import frames
from pipeline.simulator.holes import HoledTape
from pipeline.simulator.live import TradeCursor
from pipeline.simulator.trades import HOUR_MS
from pipeline.simulator.universe import BY_SYMBOL


class _Line(msgspec.Struct, gc=False):
    s: str
    a: int = 0
    hole: tuple[int, int] | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Ledger:
    """An open ledger of one market. Nobody else may write the file.

    Args:
        path: the file; made when it is not there, continued when it is.
        tape: the market; it is told of the holes that the file knows of.

    Raises:
        UsageError: when the file is no ledger, belongs to another market, or is being written by another simulator.
    """

    def __init__(self, path: Path, tape: HoledTape) -> None:
        self._tape = tape
        self._path = path
        self._cursors: dict[str, TradeCursor] = {}
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            msg = f"ledger {path} cannot be written ({error.strerror}); name a file in a directory that exists"
            raise UsageError(msg) from error
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                msg = f"ledger {path} is being written by another simulator; stop that one or name another file"
                raise UsageError(msg) from error
            self._continue()
        except BaseException:
            self._file.close()
            raise

    def _continue(self) -> None:
        last: dict[str, bytes] = {}
        passed: dict[str, int] = {}
        for number, raw in _whole_lines(self._file):
            try:
                line = _decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise self._foreign(number) from error
            if line.s not in BY_SYMBOL:
                raise self._foreign(number)
            if line.hole is not None:
                self._tape.add(line.s, *line.hole)
            else:
                last[line.s], passed[line.s] = raw, line.a
        for symbol, raw in last.items():
            before = TradeCursor.after(self._tape, symbol, passed[symbol] - 1)
            trade = before.trades.part(before.index, before.index + 1)
            if frames.ledger_lines(BY_SYMBOL[symbol].instrument, trade).encode() != raw:
                msg = f"ledger {self._path} tells another {symbol} {passed[symbol]} than this market; use its seed or name another file"
                raise UsageError(msg)
            self._cursors[symbol] = TradeCursor.after(self._tape, symbol, passed[symbol])

    def _foreign(self, number: int) -> UsageError:
        return UsageError(f"ledger {self._path}: line {number} is not one of a simulator's ledger; name another file")

    async def catch_up(self, now_ms: int) -> None:
        """Write what was produced since the last line, giving way to other work after each hour."""
        behind = [cursor.hour * HOUR_MS for cursor in self._cursors.values()]
        for hour_ms in range(min(behind, default=now_ms) + HOUR_MS, now_ms, HOUR_MS):
            self.witness(hour_ms)
            await asyncio.sleep(0)
        self.witness(now_ms)

    def follow(self, symbol: str, passed_id: int) -> None:
        """Keep a symbol from the trade after ``passed_id`` on, unless it is kept already."""
        if symbol not in self._cursors:
            self._cursors[symbol] = TradeCursor.after(self._tape, symbol, passed_id)

    def witness(self, now_ms: int) -> None:
        """Write what has a push time up to now."""
        lines = []
        for symbol, cursor in self._cursors.items():
            lines += [frames.ledger_lines(BY_SYMBOL[symbol].instrument, part) for part in cursor.advance(now_ms)]
        if lines:
            self._write("".join(lines))

    def hole(self, symbol: str, first: int, last: int) -> None:
        """Write that nobody will ever be given these ids."""
        self._write(f'{{"s":"{symbol}","hole":[{first},{last}]}}\n')

    def reload(self, symbol: str) -> None:
        """Take note that the tape has a new hole."""
        if symbol in self._cursors:
            self._cursors[symbol].reload()

    def close(self) -> None:
        """Let go of the file; everything is in it."""
        self._file.close()

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            msg = f"ledger {self._path} cannot be written ({error.strerror}); without it nothing is sent: make room and start again"
            raise RunError(msg) from error


def _whole_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line; a last one without its end is cut off the file."""
    file.seek(0)
    whole = 0
    with os.fdopen(os.dup(file.fileno()), "rb") as reader:
        for number, raw in enumerate(reader, 1):
            if not raw.endswith(b"\n"):
                file.truncate(whole)
                break
            whole += len(raw)
            yield number, raw

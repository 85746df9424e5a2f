"""Exports over HTTP, from the same server, sent while they are read: the first bytes leave with the first slice of rows.

Each has a thread and a connection to the warehouse of its own, so that a slow browser holds up nobody, and as much in memory as one
slice. What goes wrong before the first byte is told in words; after it the connection is cut, which every browser shows as a failed
download and never as a short file.

The gate in front of every route (``dashboards/access/gate.py``) has seen to it that the request comes from a page of ours, from
somebody who is logged in.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from dashboards.views.view import Context
from pipeline.errors import SpreadwatchError, UsageError
from pipeline.profile import Profile
from pipeline.store import Role, connect
from pipeline.store.export import Format, Selection, write_export

_log = logging.getLogger(__name__)

_PIECE = 256 << 10
_PIECES_AHEAD = 4
_STALLED_S = 120.0
_AT_ONCE = threading.BoundedSemaphore(4)


class OwnHandler(RequestHandler):
    """A route of ours that reads; one that changes something calls ``permit`` first."""

    def initialize(self, context: Context) -> None:
        """What the server passes on."""
        self._context = context

    def permit(self, what: str) -> None:
        """The gate in front of whatever changes something, with words that follow "may".

        Raises:
            NotAllowed: when the user is a viewer.
        """
        self._context.access.permit(self.request.account, what)

    def refuse(self, status: int, text: str) -> None:
        """Answer with one line of what is wrong."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(f"{text}\n")


class DownloadHandler(OwnHandler):
    """``GET /download?table=bars&symbol=BTCUSDT&timeframe=1m&from=...&to=...&format=csv``."""

    async def get(self) -> None:
        """Send the file."""
        try:
            selection, form = self._asked()
            selection.check()
        except (UsageError, ValueError) as error:
            self.refuse(400, str(error))
            return
        if not _AT_ONCE.acquire(blocking=False):
            self.set_header("Retry-After", "10")
            self.refuse(503, "as many downloads as there may be are running; try again when one is done")
            return
        pieces = Pieces(asyncio.get_running_loop())
        ended = _start(self._context.profile, selection, form, pieces)
        try:
            piece = await pieces.next()
            if piece is None and (error := ended.exception()) is not None:
                self.refuse(503, str(error) or type(error).__name__)
                return
            self.set_header("Content-Type", form.media_type)
            self.set_header("Content-Disposition", f'attachment; filename="{selection.file_name(form)}"')
            self.set_header("Cache-Control", "no-store")
            self.set_header("X-Content-Type-Options", "nosniff")
            while piece is not None:
                self.write(piece)
                await asyncio.wait_for(self.flush(), _STALLED_S)
                piece = await pieces.next()
            if ended.exception() is not None:
                self.request.connection.stream.close()
        except (StreamClosedError, TimeoutError):
            _log.info("download was given up", extra={"table": selection.table})
            self.request.connection.stream.close()
        finally:
            pieces.leave()

    def _asked(self) -> tuple[Selection, Format]:
        def text(name: str) -> str | None:
            return self.get_query_argument(name, "").strip() or None

        def time(name: str) -> datetime | None:
            value = text(name)
            return datetime.fromisoformat(value) if value else None

        form = Format(text("format") or "csv")
        return Selection(text("table") or "", text("symbol"), text("timeframe"), time("from"), time("to")), form


class Pieces(io.RawIOBase):
    """A file that one thread writes and the event loop reads piece by piece; the writer waits when a few pieces lie ready.

    ``left`` tells that nobody reads any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._ready: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(_PIECES_AHEAD)
        self._buffer = bytearray()
        self.left = False

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes; wait while the reader is behind.

        Raises:
            BrokenPipeError: when the reader has gone.
        """
        self._buffer += data
        while len(self._buffer) >= _PIECE:
            self._hand_over(bytes(self._buffer[:_PIECE]))
            del self._buffer[:_PIECE]
        return len(data)

    def end(self) -> None:
        """Nothing more comes."""
        if self._buffer and not self.left:
            self._hand_over(bytes(self._buffer))
        self._buffer.clear()
        self._loop.call_soon_threadsafe(self._ready.put_nowait, None)

    async def next(self) -> bytes | None:
        """The next piece; None after the last."""
        piece = await self._ready.get()
        self._room.release()
        return piece

    def leave(self) -> None:
        """Read no more: the writer ends."""
        self.left = True
        self._room.release()

    def _hand_over(self, piece: bytes) -> None:
        self._room.acquire()
        if self.left:
            raise BrokenPipeError
        self._loop.call_soon_threadsafe(self._ready.put_nowait, piece)


def _start(profile: Profile, selection: Selection, form: Format, pieces: Pieces) -> Future[int]:
    """Write an export into pieces in a thread; the future tells how it ended, before the last piece is read."""
    ended: Future[int] = Future()

    def run() -> None:
        try:
            with connect(profile, Role.READER) as warehouse:
                ended.set_result(write_export(warehouse, selection, form, pieces))
        except SpreadwatchError as error:
            _log.warning("export failed", extra={"table": selection.table, "error": str(error)})
            ended.set_exception(error)
        except Exception as error:  # noqa: BLE001  a thread's boundary; libraries wrap the end of writing in errors of their own
            if not pieces.left:
                _log.exception("export failed", extra={"table": selection.table})
            ended.set_exception(error)
        finally:
            _AT_ONCE.release()
            pieces.end()

    threading.Thread(target=run, name="download", daemon=True).start()
    return ended

"""A user's own file over HTTP: straight from the socket to the disk, never through the page's websocket, never whole in memory.

The gate in front of every route has seen to it that the request comes from a page of ours; who may not change things is refused here.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

from tornado.web import stream_request_body

from dashboards.downloads import OwnHandler
from dashboards.spool import Spool
from pipeline.errors import NotAllowed, UsageError

_log = logging.getLogger(__name__)

ROUTE = r"/upload"


@stream_request_body
class UploadHandler(OwnHandler):
    """``POST /upload?name=my_bars.csv.gz`` with the file as the body; answers ``{"id": ..., "name": ..., "bytes": ...}``."""

    def prepare(self) -> None:
        """Decide before the first byte is taken."""
        super().prepare()
        self._file: BinaryIO | None = None
        self._spool = Spool(self._context.profile.uploads)
        self._taken = 0
        self._limit = self._context.settings.upload_max_mb * 1_000_000
        try:
            self.permit("upload files")
        except NotAllowed as error:
            self._turn_away(403, str(error))
            return
        told = self.request.headers.get("Content-Length", "")
        if self.request.method != "POST" or not told.isdecimal():
            self._turn_away(411, "expected POST with the file as the body and its length")
            return
        if int(told) > self._limit:
            self._turn_away(413, too_large(int(told), self._limit))
            return
        try:
            self._id, self._path = self._spool.open(self.get_query_argument("name", ""))
            self._file = self._path.open("xb")
        except UsageError as error:
            self._turn_away(400, str(error))
        except OSError as error:
            _log.warning("an upload cannot be kept", extra={"error": str(error)})
            self._turn_away(507, f"the file cannot be kept here ({error.strerror}); make room, then try again")

    def data_received(self, chunk: bytes) -> None:
        """Write what has come."""
        if self._file is None:
            return
        self._taken += len(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            self._drop()
            self._turn_away(507, f"the file cannot be kept here ({error.strerror}); make room, then try again")

    def post(self) -> None:
        """All is here."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if not self._taken:
            self._spool.remove(self._id)
            self.refuse(400, "the file is empty; expected CSV text")
            return
        self.set_header("Cache-Control", "no-store")
        self.finish({"id": self._id, "name": Path(self._path).name, "bytes": self._taken})

    def on_connection_close(self) -> None:
        """Half a file is none."""
        super().on_connection_close()
        self._drop()

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._spool.remove(self._id)

    def _turn_away(self, status: int, text: str) -> None:
        """Answer, and take no more of the body."""
        self.set_header("Connection", "close")
        self.refuse(status, text)


def too_large(size: int, limit: int) -> str:
    """Why a file is not taken."""
    return f"the file has {size / 1e6:.1f} MB and the limit is {limit / 1e6:.0f} MB; compress it (.gz, .zst), or raise upload_max_mb"

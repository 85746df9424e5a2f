"""Exports over HTTP, from the same server: written to a temporary file beside the event loop, then sent in pieces.

Only requests that name one of our own addresses are answered, so that a page of another site cannot read through a name that it
points here (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from datetime import datetime
from typing import IO

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from dashboards.views.view import Context
from pipeline.errors import SpreadwatchError, UsageError
from pipeline.store.export import Format, Selection, write_export

_log = logging.getLogger(__name__)
_PIECE = 1 << 20


class OwnHandler(RequestHandler):
    """Answers only under the dashboard's own addresses."""

    def initialize(self, context: Context, hosts: frozenset[str]) -> None:
        """What the server passes on."""
        self._context = context
        self._hosts = hosts

    def prepare(self) -> None:
        """Refuse names that are not ours."""
        if self.request.host not in self._hosts:
            self.set_status(403)
            self.finish("this address is not one of the dashboard's own\n")


class DownloadHandler(OwnHandler):
    """``GET /download?table=bars&symbol=BTCUSDT&timeframe=1m&from=...&to=...&format=csv``."""

    async def get(self) -> None:
        """Send the file."""
        try:
            selection, form = self._asked()
            selection.check()
        except (UsageError, ValueError) as error:
            self.set_status(400)
            self.finish(f"{error}\n")
            return
        with tempfile.TemporaryFile() as file:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._context.workers, self._write, selection, form, file)
            except SpreadwatchError as error:
                _log.warning("export failed", extra={"table": selection.table, "error": str(error)})
                self.set_status(503)
                self.finish(f"{error}\n")
                return
            self.set_header("Content-Type", form.media_type)
            self.set_header("Content-Disposition", f'attachment; filename="{selection.file_name(form)}"')
            self.set_header("Content-Length", str(file.tell()))
            self.set_header("Cache-Control", "no-store")
            self.set_header("X-Content-Type-Options", "nosniff")
            file.seek(0)
            try:
                while piece := file.read(_PIECE):
                    self.write(piece)
                    await self.flush()
            except StreamClosedError:
                _log.info("download was given up", extra={"table": selection.table})

    def _asked(self) -> tuple[Selection, Format]:
        def text(name: str) -> str | None:
            return self.get_query_argument(name, "").strip() or None

        def time(name: str) -> datetime | None:
            value = text(name)
            return datetime.fromisoformat(value) if value else None

        form = Format(text("format") or "csv")
        return Selection(text("table") or "", text("symbol"), text("timeframe"), time("from"), time("to")), form

    def _write(self, selection: Selection, form: Format, file: IO[bytes]) -> int:
        return self._context.link.use(lambda warehouse: write_export(warehouse, selection, form, file))

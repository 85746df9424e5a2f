"""The reports of the profile over HTTP, from the same server: to open, or to keep."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from dashboards.downloads import OwnHandler

ROUTE = r"/reports/([^/]*)"

_NAME = re.compile(r"report-[A-Za-z0-9-]+\.html")
# A report needs no script, and may not have one; nothing on it may ask anybody.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class ReportHandler(OwnHandler):
    """``GET /reports/report-20261122T1000Z-24h.html``, with ``?download=1`` as a file to keep."""

    async def get(self, name: str) -> None:
        """Send the report."""
        directory = self._context.profile.reports
        content = await asyncio.get_running_loop().run_in_executor(self._context.workers, read_report, directory, name)
        if content is None:
            self.set_status(404)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish("there is no such report any more; the Data tab lists those there are\n")
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        if self.get_query_argument("download", ""):
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(content)


def read_report(directory: Path, name: str) -> bytes | None:
    """A report by its file name; None for any other name, and for what is not a plain file right in the directory of reports."""
    if _NAME.fullmatch(name) is None:
        return None
    path = directory / name
    if path.is_symlink():
        return None
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None

"""The bell in the header: what fires while a page is open, as a browser notification for who asked, and as a message in the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.tables.alerts import News
from dashboards.theme import BASE_CSS

_ESM = asset("bell.js")
_CSS = asset("bell.css")
_MOST = 3


class Bell(JSComponent):
    """A button that asks for the browser's permission when it is clicked, and ``news`` that it shows."""

    news = param.List(default=[], doc="What to show now: {id, title, text}.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, *, toast: Callable[[str, str], None], opened: Callable[[], None], **params: Any) -> None:
        super().__init__(**{"margin": 0, "width": 36, "height": 36, **params})
        self._toast = toast
        self._opened = opened
        self._known: set[str] | None = None

    def hear(self, news: News) -> None:
        """Tell what is new since the page was opened."""
        ids = set(news.events["event_id"])
        known, self._known = self._known, ids
        if known is None:
            return
        fresh = [row for row in reversed(news.events.to_dicts()) if row["event_id"] not in known]
        firing = [row for row in fresh if row["kind"] != "resolved"]
        for row in fresh[-_MOST:]:
            kind = "success" if row["kind"] == "resolved" else "error" if row["severity"] == "critical" else "warning"
            self._toast(kind, row["message"])
        if len(fresh) > _MOST:
            self._toast("info", f"{len(fresh) - _MOST} more alerts: see Alerts")
        if firing:
            self.news = [
                {"id": row["event_id"], "title": f"{row['series']} {row['kind']}", "text": row["message"]} for row in firing[-_MOST:]
            ]

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict) and "open" in data:
            self._opened()

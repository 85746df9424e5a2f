"""The bell: how what fires while a page is open reaches who looks at it, or away from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.preferences import Preferences
from dashboards.tables.alerts import News

_ESM = asset("bell.js")
_MOST = 3


class Bell(JSComponent):
    """Nothing to see: a message in the page, a sound and a notification of the browser, each for who wants it."""

    news = param.List(default=[], doc="What to tell now: {id, severity, title, text}.")
    sound = param.Boolean(default=False, doc="Whether it is heard.")
    notify = param.Boolean(default=False, doc="Whether the browser shows it.")

    _esm = _ESM

    def __init__(self, preferences: Preferences, *, toast: Callable[[str, str], None], opened: Callable[[], None], **params: Any) -> None:
        super().__init__(sound=preferences.sound, notify=preferences.notify, **{"margin": 0, "width": 0, "height": 0, **params})
        self._toasts = preferences.toasts
        self._toast = toast
        self._opened = opened
        self._known: set[str] | None = None

    def prefer(self, preferences: Preferences) -> None:
        """Tell it otherwise from now on."""
        self._toasts = preferences.toasts
        self.param.update(sound=preferences.sound, notify=preferences.notify)

    def hear(self, news: News) -> None:
        """Tell what is new since the page was opened."""
        ids = set(news.events["event_id"])
        known, self._known = self._known, ids
        if known is None:
            return
        fresh = [row for row in reversed(news.events.to_dicts()) if row["event_id"] not in known]
        if self._toasts:
            self._show(fresh)
        firing = [row for row in fresh if row["kind"] != "resolved"]
        if firing:
            self.news = [
                {"id": row["event_id"], "severity": row["severity"], "title": f"{row['series']} {row['kind']}", "text": row["message"]}
                for row in firing[-_MOST:]
            ]

    def _show(self, fresh: list[dict[str, Any]]) -> None:
        for row in fresh[-_MOST:]:
            kind = "success" if row["kind"] == "resolved" else "error" if row["severity"] == "critical" else "warning"
            self._toast(kind, row["message"])
        if len(fresh) > _MOST:
            self._toast("info", f"{len(fresh) - _MOST} more alerts: see Alerts")

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict) and "open" in data:
            self._opened()

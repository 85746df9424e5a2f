"""A place to drop a file or choose one: it goes to the server over HTTP, with its progress shown, and the page hears its id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.theme import BASE_CSS

_ESM = asset("file_drop.js")
_CSS = asset("file_drop.css")


class FileDrop(JSComponent):
    """``on_file`` is called with id, name and bytes of a file that has arrived, ``on_problem`` with what went wrong.

    The size is judged in the browser first, so that nobody waits for an upload that will be refused; the server judges it again.
    """

    most_bytes = param.Integer(default=0, doc="How large a file may be.")
    disabled = param.Boolean(default=False, doc="Whether nothing is taken.")
    note = param.String(default="", doc="What stands below.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, *, on_file: Callable[[str, str, int], Any], on_problem: Callable[[str], Any], **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._on_file = on_file
        self._on_problem = on_problem

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        if isinstance(data.get("id"), str):
            self._on_file(data["id"], str(data.get("name")), int(data.get("bytes") or 0))
        elif data.get("problem"):
            self._on_problem(str(data["problem"])[:500])

"""A table that moves: rows are keyed, only cells that changed are touched, changed numbers flash, columns sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.theme import BASE_CSS

_ESM = asset("table.js")

_CSS = asset("table.css")


class LiveTable(JSComponent):
    """Rows of cells, pushed whole and drawn by difference.

    A column is ``{title, align, width, flash, sortable, hide}`` (``hide``: ``s`` below 640 px, ``m`` below 1100 px); a row is
    ``{id, cells, c}``; a cell is text or ``{t text, s value to sort by and to flash on, c class, sub, title, chip, href, a action of a
    plain click on href, spark, actions: [{a name, l label, c class, title, menu: [[value, text]]}]}``; a choice from a menu is the
    action ``name:value``.
    """

    columns = param.List(default=[], doc="What the columns are.")
    rows = param.List(default=[], doc="The rows, in the order to show them.")
    selected = param.String(default="", doc="Id of the row that stands out.")
    clickable = param.Boolean(default=False, doc="Whether a click on a row is an action, `open`.")
    hide_empty = param.Boolean(default=True, doc="Whether the header goes too when there is no row.")
    label = param.String(default="", doc="What a screen reader calls the table.")
    empty = param.String(default="", doc="HTML shown when there is no row: what it means and what to do.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, *, on_action: Callable[[str, str], Any] | None = None, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._on_action = on_action

    def _handle_msg(self, data: Any) -> None:
        if self._on_action is None or not isinstance(data, dict):
            return
        self._on_action(str(data.get("action")), str(data.get("id")))

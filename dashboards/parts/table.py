"""A table that moves: rows are keyed, only cells that changed are touched, changed numbers flash, columns sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.parts.difference import difference
from dashboards.theme import BASE_CSS

_ESM = asset("table.js")

_CSS = asset("table.css")


class LiveTable(JSComponent):
    """Rows of cells, pushed whole and drawn by difference.

    A column is ``{title, key, align, width, flash, sortable, by, hint, hide}`` (``hide``: ``s`` below 640 px, ``m`` below 1100 px; ``key``:
    what ``sort`` calls it, its title when there is none; ``by``: its head is the action ``sort`` of that name, for rows that are sorted
    before they are sent, and ``hint`` says what it is); a row is
    ``{id, cells, c}``; a cell is text or ``{t text, s value to sort by and to flash on, c class, sub, title, chip, href, a action of a
    plain click on href, spark, actions: [{a name, l label, c class, title, sure, menu: [[value, text]]}]}``; a choice from a menu is
    the action ``name:value``, and one with ``sure`` asks that first and wants a second click.
    """

    columns = param.List(default=[], doc="What the columns are.")
    rows = param.List(default=[], doc="The rows, in the order to show them.")
    selected = param.String(default="", doc="Id of the row that stands out.")
    order = param.String(default="", doc="The column, by its `by`, that the rows are sorted by; with a minus, largest first.")
    clickable = param.Boolean(default=False, doc="Whether a click on a row is an action, `open`.")
    sort = param.String(default="", doc="Key of the column that rows are sorted by, with a minus in front for the largest first.")
    searchable = param.Boolean(default=False, doc="Whether rows can be narrowed down by typing a part of their id.")
    search = param.String(default="", doc="What was typed.")
    changes = param.Dict(default={}, doc="What `show` sends of rows that are there already.")
    hide_empty = param.Boolean(default=True, doc="Whether the header goes too when there is no row.")
    label = param.String(default="", doc="What a screen reader calls the table.")
    empty = param.String(default="", doc="HTML shown when there is no row: what it means and what to do.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, *, on_action: Callable[[str, str], Any] | None = None, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._on_action = on_action
        self._shown: list[dict[str, Any]] = []
        self._whole = True

    def show(self, rows: list[dict[str, Any]]) -> None:
        """Show rows as ``rows`` does, but send only the cells that changed since the last call."""
        changes = None if self._whole else difference(self._shown, rows)
        self._shown = rows
        if changes is None:
            self._whole = False
            self.rows = rows
        elif changes:
            self.changes = changes

    def renew(self) -> None:
        """Send everything with the next ``show``: a browser that draws the table anew begins with the rows that were last sent whole."""
        self._whole = True

    def _handle_msg(self, data: Any) -> None:
        if self._on_action is None or not isinstance(data, dict):
            return
        self._on_action(str(data.get("action")), str(data.get("id")))

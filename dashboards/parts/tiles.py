"""Small tiles in a row that scrolls: one for each symbol or pair, each a button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.parts.difference import difference
from dashboards.theme import BASE_CSS

_ESM = asset("tiles.js")
_CSS = asset("tiles.css")


class Tiles(JSComponent):
    """Tiles, pushed by difference; ``on_open`` hears the id of one that was chosen.

    A tile is ``{id, name, value, side up|down|"", more (beside the value), foot, end (right of it), flag (a word that stands out,
    such as stale), gauge (from -1 to 1, drawn from a middle), spark, say (what a screen reader is told)}``.
    """

    tiles = param.List(default=[], doc="The tiles, in the order to show them.")
    changes = param.Dict(default={}, doc="What `show` sends of tiles that are there already.")
    selected = param.String(default="", doc="Id of the tile that stands out.")
    label = param.String(default="", doc="What a screen reader calls the row.")
    kind = param.Selector(default="symbols", objects=["symbols", "pairs"], doc="How high and how wide the tiles are.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, *, on_open: Callable[[str], Any], **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._on_open = on_open
        self._shown: list[dict[str, Any]] = []
        self._whole = True

    def show(self, tiles: list[dict[str, Any]]) -> None:
        """Show these; only what changed since the last call is sent."""
        changes = None if self._whole else difference(self._shown, tiles)
        self._shown = tiles
        if changes is None:
            self._whole = False
            self.tiles = tiles
        elif changes:
            self.changes = changes

    def renew(self) -> None:
        """Send everything with the next ``show``: a browser that draws the tiles anew begins with what was last sent whole."""
        self._whole = True

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict) and isinstance(data.get("open"), str):
            self._on_open(data["open"])

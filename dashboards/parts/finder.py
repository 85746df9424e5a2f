"""Finding by keyboard: views by number, symbols, pairs and views by name, and the list of keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.theme import BASE_CSS
from pipeline.model.universe import Universe

_ESM = asset("finder.js")
_CSS = asset("dialog.css") + asset("finder.css")

Go = Callable[[str, dict[str, str] | None], None]


class Finder(JSComponent):
    """Two buttons in the header with their dialogs; ``go`` hears of a view and, when something was found, of parts of its state.

    Keys are heard everywhere on the page but where somebody types or chooses.
    """

    views = param.List(default=[], doc="[name, text] of each view, in the order of its number.")
    symbols = param.List(default=[], doc="Symbols that can be found.")
    pairs = param.List(default=[], doc="Pairs that can be found.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, universe: Universe, *, go: Go, **params: Any) -> None:
        super().__init__(**{"margin": 0, **params})
        self._go = go
        self.follow(universe)

    def follow(self, universe: Universe) -> None:
        """What can be found is another."""
        self.param.update(symbols=list(universe.known), pairs=[str(spec.pair) for spec in universe.pairs])

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict) or data.get("view") not in [name for name, _ in self.views]:
            return
        query = data.get("query")
        self._go(data["view"], {str(k): str(v) for k, v in query.items()} if isinstance(query, dict) and query else None)

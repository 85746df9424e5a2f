"""Text to take along: commands and lines of code, each with a button that copies it."""

from __future__ import annotations

from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.theme import BASE_CSS

_ESM = asset("snippets.js")
_CSS = asset("snippets.css")


class Snippets(JSComponent):
    """A text is ``{label, text}``; the label says what it is to whoever hears the page."""

    items = param.List(default=[], doc="The texts.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})

"""A heat map of pairs: one cell for each, told by pointer and keyboard, opened by a click."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import param
from numpy.typing import NDArray
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.theme import BASE_CSS, Palette

_ESM, _CSS = asset("heat_map.js"), asset("heat_map.css")
_UNIT = 10_000
_NONE = -32_768


class HeatMap(JSComponent):
    """Rows are y, columns x. ``correlation`` runs from -1 to 1, ``cointegration`` shows q-values, smaller is stronger.

    Values travel as whole ten-thousandths, 100 KB for 200 symbols. A click on a cell, or Enter, is the action ``open`` of ``Y/X``.
    """

    kind = param.Selector(default="correlation", objects=["correlation", "cointegration"], doc="What is drawn, and on which scale.")
    names = param.List(default=[], doc="Symbols, in the order of rows and columns.")
    values = param.String(default="", doc="Values by row, as encode() makes them.")
    more = param.String(default="", doc="Values that are told beside them; empty for none.")
    title = param.String(default="", doc="What a value is.")
    more_title = param.String(default="", doc="What a further value is.")
    level = param.Number(default=0.05, doc="Up to which q-value a pair passes.")
    label = param.String(default="", doc="What a screen reader calls it.")
    words = param.String(default="", doc="What it shows, in words.")
    colours = param.Dict(default={}, doc="Colours of the theme.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, colours: Palette, *, on_open: Callable[[str], Any], **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, "colours": _colours(colours), **params})
        self._on_open = on_open

    def restyle(self, colours: Palette) -> None:
        """Take on the colours of a theme."""
        self.colours = _colours(colours)

    def show(self, names: Sequence[str], values: NDArray[np.float64], *, more: NDArray[np.float64] | None = None, words: str) -> None:
        """Show a matrix, row y and column x; NaN is a pair without a figure."""
        # The values last: the browser draws when they come.
        self.param.update(names=list(names), words=words, more="" if more is None else encode(more))
        self.values = encode(values)

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict) and data.get("action") == "open":
            self._on_open(str(data.get("id")))


def encode(values: NDArray[np.float64]) -> str:
    """Values between -1 and 1 as base64 of little-endian 16-bit ten-thousandths; NaN is the smallest of them."""
    known = np.isfinite(values)
    whole = np.where(known, np.round(np.where(known, values, 0.0) * _UNIT), _NONE).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode("ascii")


def _colours(colours: Palette) -> dict[str, str]:
    """A scale that nobody takes for another: neutral in the middle, blue one way and amber the other, lightness along with the hue."""
    return {
        "low": colours.second, "mid": colours.raised, "high": colours.accent, "panel": colours.panel, "line": colours.line,
        "text": colours.text,
    }  # fmt: skip

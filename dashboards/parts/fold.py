"""A part of a view that can be folded away: a heading that is a button, and what is under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.parts.html import card
from dashboards.theme import BASE_CSS


class FoldHead(JSComponent):
    """The heading; ``unfolded`` changes with a click, Enter or the space bar."""

    text = param.String(default="", doc="The heading.")
    note = param.String(default="", doc="A remark beside it.")
    unfolded = param.Boolean(default=True, doc="Whether what is under it is shown.")

    _esm = asset("fold.js")
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + asset("fold.css")]


class Fold:
    """An outlined card with a heading that shows and hides the rest. ``on_toggle`` hears of every change."""

    def __init__(self, text: str, *parts: Viewable, unfolded: bool, note: str = "", on_toggle: Callable[[bool], Any] | None = None) -> None:
        self._head = FoldHead(text=text, note=note, unfolded=unfolded, sizing_mode="stretch_width", margin=0)
        self._body = pn.Column(*parts, sizing_mode="stretch_width", margin=0, visible=unfolded, stylesheets=[_BODY_CSS])
        self.model = card(self._head, self._body)
        self._on_toggle = on_toggle
        self._head.param.watch(self._toggled, "unfolded")

    @property
    def unfolded(self) -> bool:
        """Whether the body is shown."""
        return bool(self._head.unfolded)

    def unfold(self, *, unfolded: bool) -> None:
        """Show or hide the body."""
        self._head.unfolded = unfolded

    def remark(self, note: str) -> None:
        """Say something else beside the heading."""
        if self._head.note != note:
            self._head.note = note

    def _toggled(self, event: Any) -> None:
        self._body.visible = event.new
        if self._on_toggle is not None:
            self._on_toggle(event.new)


_BODY_CSS = ".scroll-button { display: none; } :host { flex: none !important; height: auto !important; max-height: none !important; }"

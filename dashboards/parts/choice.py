"""A row of choices, one of them taken: timeframes, views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.theme import BASE_CSS

_ESM = asset("choice.js")

_CSS = asset("choice.css")


class Segments(JSComponent):
    """Options side by side; ``on_pick`` hears of a user's choice and of a program's alike."""

    options = param.List(default=[], doc="Values, or [value, text].")
    value = param.String(default="", doc="The one that is taken.")
    label = param.String(default="", doc="What a screen reader calls it.")
    kind = param.Selector(default="segments", objects=["segments", "tabs"], doc="How it looks.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, *, on_pick: Callable[[str], Any] | None = None, **params: Any) -> None:
        super().__init__(**{"margin": 0, **params})
        if on_pick is not None:
            self.param.watch(lambda event: on_pick(event.new), "value")

"""The menu of preferences in the header: theme, colours, time zone, and how alerts are told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.assets import asset
from dashboards.clock import zones
from dashboards.preferences import Preferences
from dashboards.theme import BASE_CSS, Signs, palette

_ESM = asset("preferences.js")
_CSS = asset("dialog.css") + asset("preferences.css")
_SIGNS = {Signs.STANDARD: "Green and red", Signs.COLOUR_BLIND: "Blue and orange"}


class PreferencesMenu(JSComponent):
    """A button and its dialog. The browser keeps what is chosen; ``changed`` hears of all but the zone, which opens the page anew."""

    words = param.Dict(default={}, doc="What is chosen, as cookie and address have it.")
    signs = param.List(default=[[signs.value, text] for signs, text in _SIGNS.items()], doc="[value, text] of the pairs of colours.")
    zones = param.List(default=[], doc="Names of time zones to choose from.")
    swatches = param.Dict(default={}, doc="The colours of up and down, by theme and pair.")

    _esm = _ESM
    _stylesheets: ClassVar[list[str]] = [BASE_CSS + _CSS]

    def __init__(self, preferences: Preferences, *, changed: Callable[[Preferences], None], **params: Any) -> None:
        swatches = {
            f"{'dark' if dark else 'light'} {signs.value}": [getattr(palette(dark=dark, signs=signs), side) for side in ("up", "down")]
            for dark, signs in product((True, False), Signs)
        }
        super().__init__(
            words=preferences.words(), swatches=swatches, zones=list(zones()), **{"margin": 0, "width": 36, "height": 36, **params}
        )
        self._preferences = preferences
        self._changed = changed

    def _handle_msg(self, data: Any) -> None:
        name, value = (str(data.get(part)) for part in ("name", "value")) if isinstance(data, dict) else ("", "")
        if name in self.words:
            self._preferences = self._preferences.changed(name, value)
            self.words = self._preferences.words()
            self._changed(self._preferences)

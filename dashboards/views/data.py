"""Data: taken out, brought in, filled up, and told in reports. One part at a time is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import panel as pn
from panel.viewable import Viewable

from dashboards.parts.choice import Segments
from dashboards.parts.html import card, stack
from dashboards.theme import Palette
from dashboards.views.backfill import BackfillPart
from dashboards.views.export import ExportPart
from dashboards.views.reports import ReportsPart
from dashboards.views.upload import UploadPart
from dashboards.views.view import Desk
from pipeline.model.universe import Universe


class Part(Protocol):
    """One of the four. Each method means what it means in :class:`~dashboards.views.view.View`."""

    panel: Viewable

    def shown(self) -> None:
        """It is looked at."""
        ...

    def hidden(self) -> None:
        """It is not looked at any more."""
        ...

    def follow(self, universe: Universe) -> None:
        """Symbols or pairs were added or removed."""
        ...

    def opened(self, query: Mapping[str, str]) -> None:
        """It was asked for with parts of its state."""
        ...

    def state(self) -> dict[str, str]:
        """What belongs into the address."""
        ...


_PARTS: Mapping[str, tuple[str, Any]] = {
    "export": ("Export", ExportPart),
    "upload": ("Upload", UploadPart),
    "backfill": ("Backfill", BackfillPart),
    "reports": ("Reports", ReportsPart),
}


class DataView:
    """The tab; a part is made when it is first looked at."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._made: dict[str, Part] = {}
        self._looked_at = False
        self._choice = Segments(
            options=[[name, text] for name, (text, _) in _PARTS.items()], value="export", label="What to do", on_pick=self._picked
        )
        self._place = pn.Column(sizing_mode="stretch_width", margin=0, stylesheets=[".scroll-button { display: none; }"])
        self._panel = stack(card(pn.Row(self._choice, margin=(6, 10))), self._place)
        self.opened(desk.query)

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the part."""
        self._looked_at = True
        self._part.shown()

    def hidden(self) -> None:
        """Look at nothing."""
        self._looked_at = False
        self._part.hidden()

    def restyle(self, colours: Palette) -> None:
        """Nothing here is drawn on a canvas."""

    def follow(self, universe: Universe) -> None:
        """Every part offers what there is now."""
        for part in self._made.values():
            part.follow(universe)

    def opened(self, query: dict[str, str]) -> None:
        """``section`` (export, upload, backfill, reports) and what the section takes."""
        name = query.get("section", "")
        if name in _PARTS:
            self._choice.value = name
        self._place_part()
        self._part.opened(query)

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {"section": self._choice.value, **self._part.state()}

    # ------------------------------------------------------------------------------------------------ parts

    @property
    def _part(self) -> Part:
        name = self._choice.value
        if name not in self._made:
            self._made[name] = _PARTS[name][1](self._desk, self._remember)
        return self._made[name]

    def _remember(self) -> None:
        if self._looked_at:
            self._desk.remember(self.state())

    def _picked(self, _name: str) -> None:
        for part in self._made.values():
            part.hidden()
        self._place_part()
        if self._looked_at:
            self._part.shown()
            self._remember()

    def _place_part(self) -> None:
        if self._place.objects != [self._part.panel]:
            self._place.objects = [self._part.panel]

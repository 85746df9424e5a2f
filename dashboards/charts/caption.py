"""The line above a figure: what it shows, and the values under the pointer or the newest ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.models import ColumnDataSource, Div, InlineStyleSheet

from dashboards.assets import asset
from dashboards.charts.zoned import zoned
from dashboards.clock import Clock
from dashboards.format import escape


@dataclass(frozen=True, slots=True)
class Value:
    """A column of the source as it is told: its name, its decimals (-1: as many as its size asks for), and the class of its swatch."""

    column: str
    name: str
    decimals: int = -1
    swatch: str = ""


class Caption:
    """Drawn in the browser, so that nothing is sent while the pointer moves.

    ``pointer`` is a model whose ``tags[0]`` is the row under the pointer, None for the newest. ``moving`` is the bar that is still moving,
    told in place of the newest row when it has a value.
    """

    def __init__(
        self,
        title: str,
        values: Sequence[Value],
        source: ColumnDataSource,
        *,
        clock: Clock,
        pointer: Div,
        moving: ColumnDataSource | None = None,
        timed: bool = False,
    ) -> None:
        self.model = Div(text="", sizing_mode="stretch_width", margin=0, stylesheets=[InlineStyleSheet(css=asset("caption.css"))])
        self._state = Div(visible=False, tags=[_title(title)])
        listed = [[value.column, escape(value.name), value.decimals, value.swatch] for value in values]
        self.script = zoned(
            clock,
            asset("caption.js"),
            source=source,
            moving=moving,
            pointer=pointer,
            div=self.model,
            state=self._state,
            values=listed,
            timed=timed,
        )
        for each in (source, moving):
            if each is not None:
                for event in ("change:data", "patching", "streaming"):
                    each.js_on_change(event, self.script)
        pointer.js_on_change("tags", self.script)
        self._state.js_on_change("tags", self.script)

    @property
    def parts(self) -> tuple[Any, Any]:
        """What has to be in the layout."""
        return self.model, self._state

    def retitle(self, title: str) -> None:
        """Say something else in front of the values."""
        tags = [_title(title)]
        if self._state.tags != tags:
            self._state.tags = tags


def _title(text: str) -> str:
    return escape(text)

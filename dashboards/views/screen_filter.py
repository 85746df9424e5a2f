"""Which rows of a screen are wanted: as fields, as part of an address, as the order of columns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.format import escape
from dashboards.parts.fields import FIELD
from dashboards.parts.html import grid, html
from dashboards.tables.screens import SORTABLE, Wanted
from pipeline.errors import UsageError

_PART = re.compile(r"[A-Z0-9_/]+")
_LARGEST_FIRST = frozenset({"liquidity", "correlation", "crossings_per_day"})
_NUMBERS = {
    "q": "q_most", "halflife_from": "half_life_least", "halflife_to": "half_life_most", "correlation": "correlation_least",
    "volume": "liquidity_least",
}  # fmt: skip
"""Of each number its name in the address, and the field of ``Wanted``."""
_CHECK = {"& .MuiTypography-root, & .MuiFormControlLabel-label": {"fontSize": "13px", "color": "var(--sw-text)"}}
_BOUNDS = {"q_most": 1.0, "correlation_least": 1.0}


class ScreenFilter:
    """The fields above the table, for one session; ``changed`` is called when what is wanted is another thing."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._setting = False
        self.wanted = Wanted()
        self._find = pmui.TextInput(label="Symbols", placeholder="ETH, or ETH/BTC", value="", css_classes=["wide"], **FIELD)
        labels = ("q up to", "Half-life from (bars)", "Half-life to (bars)", "Correlation from (±)", "Volume from")
        self._numbers = {
            name: pmui.TextInput(label=label, placeholder="any", value="", **FIELD)
            for name, label in zip(_NUMBERS.values(), labels, strict=True)
        }
        self._one = pmui.Checkbox(label="One direction only", value=False, margin=0, size="small", sx=_CHECK)
        self._reset = pmui.Button(label="Reset", variant="text", size="small", margin=0)
        self._say = html(css=".down { padding: 0 14px 10px; font-size: 12.5px; }", visible=False)
        fields = grid(
            self._find, *self._numbers.values(), self._one, self._reset, css=asset("screen_filter.css"), name="sw-filter"
        )  # fmt: skip
        self.parts: tuple[Viewable, ...] = (fields, self._say)
        self._find.param.watch(self._typed, "value_input")
        for widget in (self._find, *self._numbers.values(), self._one):
            widget.param.watch(self._typed, "value")
        self._reset.on_click(lambda _event: self.take({}))

    def take(self, query: Mapping[str, str]) -> None:
        """Show what an address says; what it leaves out, or what makes no sense, is any."""
        numbers = {field: query.get(name, "") for name, field in _NUMBERS.items()}
        bounds = {field: text for field, text in numbers.items() if _is_number(text, _BOUNDS.get(field))}
        sort = query.get("sort", "")
        name = sort.removeprefix("-")
        self._setting = True
        find = " ".join(_PART.findall(query.get("find", "").upper()))
        self._find.param.update(value=find, value_input=find)
        for field, widget in self._numbers.items():
            widget.value = bounds.get(field, "")
        self._one.value = query.get("one") == "1"
        self._setting = False
        order = {"sort": name, "descending": sort.startswith("-")} if name in SORTABLE else {}
        self.wanted = replace(self._read(), left_out=query.get("left") == "1", **order)
        self._say.visible = False
        self._changed()

    def state(self) -> dict[str, str]:
        """The other way round: what ``take`` takes."""
        wanted = self.wanted
        numbers = {name: _text(getattr(wanted, field)) for name, field in _NUMBERS.items()}
        sort = "" if wanted.sort == "rank" and not wanted.descending else ("-" if wanted.descending else "") + wanted.sort
        flags = {"one": "1" if wanted.one_direction else "", "left": "1" if wanted.left_out else ""}
        return {**numbers, "find": ",".join(wanted.find), **flags, "sort": sort}

    @property
    def order(self) -> str:
        """What the table marks."""
        return ("-" if self.wanted.descending else "") + self.wanted.sort

    def sort(self, name: str) -> None:
        """A column's head was clicked: by it, then the other way round, then by rank again."""
        if name not in SORTABLE:
            return
        first = name in _LARGEST_FIRST
        wanted = self.wanted
        if wanted.sort != name:
            self.wanted = replace(wanted, sort=name, descending=first)
        elif wanted.descending is first:
            self.wanted = replace(wanted, descending=not first)
        else:
            self.wanted = replace(wanted, sort="rank", descending=False)
        self._changed()

    def show_left_out(self, *, left_out: bool) -> None:
        """The pairs without a test, or those with one."""
        if self.wanted.left_out is not left_out:
            self.wanted = replace(self.wanted, left_out=left_out)
            self._changed()

    def _typed(self, _event: Any = None) -> None:
        if self._setting:
            return
        try:
            wanted = self._read()
        except UsageError as error:
            self._say.param.update(object=f'<div class="down" role="status">{escape(str(error))}</div>', visible=True)
            return
        self._say.visible = False
        wanted = replace(wanted, left_out=self.wanted.left_out, sort=self.wanted.sort, descending=self.wanted.descending)
        if wanted != self.wanted:
            self.wanted = wanted
            self._changed()

    def _read(self) -> Wanted:
        """What the fields say.

        Raises:
            UsageError: when one is no number, or none that can be meant.
        """
        numbers = {field: _number(widget.value, widget.label, _BOUNDS.get(field)) for field, widget in self._numbers.items()}
        text = self._find.value_input or ""  # what is typed, before Enter
        return Wanted(**numbers, find=tuple(_PART.findall(text.upper())), one_direction=self._one.value)


def _number(text: str, label: str, most: float | None) -> float | None:
    text = (text or "").strip()
    if not text:
        return None
    if not _is_number(text, most):
        bound = "" if most is None else f" of at most {most:g}"
        msg = f"{label}: {text!r} is not understood; expected a number{bound}, or nothing for any"
        raise UsageError(msg)
    return float(text)


def _is_number(text: str, most: float | None) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and value >= 0 and (most is None or value <= most)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"

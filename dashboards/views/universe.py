"""The universe: which symbols are followed and which pairs are modelled, and how; changed by whoever may."""

from __future__ import annotations

import json
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.asking import outcome_text
from dashboards.assets import asset
from dashboards.format import NONE, escape
from dashboards.parts.cards import METHODS
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, title
from dashboards.parts.table import LiveTable
from dashboards.views.view import Desk
from pipeline.errors import UsageError
from pipeline.model.pair import Pair, parse_symbol
from pipeline.model.universe import Method, PairSpec, Scale, Universe
from pipeline.store.requests import AddPair, AddSymbol, Change, RemovePair, RemoveSymbol, describe_change, parse_change
from pipeline.warehouse.control import changed_universe

_SCALES = {"prices": Scale.PRICE.value, "logarithms": Scale.LOG.value}
_CHANGES = (AddSymbol, RemoveSymbol, AddPair, RemovePair)
_SCROLL = {"max-height": "340px", "overflow-y": "auto", "scrollbar-width": "thin"}
_SAY_CSS = (
    ".say { padding: 0 14px 12px; font-size: 12.5px; line-height: 1.5; color: var(--sw-faint); } .say.down { color: var(--sw-down); }"
)


class UniversePart:
    """Two tables and, for operators, the forms that change them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        self._universe = self._context.universe
        act = [{"title": "", "align": "right"}] if desk.operator else []
        self._symbols = LiveTable(
            columns=[{"title": "Symbol", "sortable": True}, {"title": "Data", "hide": "s"},
                     {"title": "Pairs", "align": "right", "sortable": True}, *act],
            label="Symbols of the universe", on_action=self._acted, styles=_SCROLL,
            empty="<b>No symbols</b>Add one: capture follows it at once.",
        )  # fmt: skip
        self._pairs = LiveTable(
            columns=[{"title": "Pair", "sortable": True}, {"title": "Method"}, {"title": "Lookback", "align": "right", "sortable": True},
                     {"title": "Spread on", "hide": "s"}, *act],
            label="Pairs of the universe", clickable=True, on_action=self._acted, styles=_SCROLL,
            empty="<b>No pairs</b>Add one here, or press Model beside a pair of the screen.",
        )  # fmt: skip
        self._make_forms()
        note = "" if desk.operator else "only operators change it"
        symbols = card(title("Symbols", note or "followed at the venue, or uploaded"), *self._symbol_form, self._symbols)
        pairs = card(title("Modelled pairs", note or "each with the model that is live"), *self._pair_form, self._pairs)
        self.panel: Viewable = grid(symbols, pairs, css=asset("universe.css"), name="sw-universe")
        self.draw(self._universe)

    def _make_forms(self) -> None:
        chosen = self._context.settings
        flat: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "height": 38, "variant": "outlined"}
        self._symbol = pmui.TextInput(label="Symbol", placeholder="LTCUSDT", value="", **FIELD)
        self._add_symbol = pmui.Button(label="Add symbol", disabled=True, **flat)
        self._symbol_say = html(css=_SAY_CSS)
        self._pair = pmui.TextInput(label="Pair (y/x)", placeholder="ETHUSDT/BTCUSDT", value="", css_classes=["wide"], **FIELD)
        self._method = pmui.Select(
            label="Method", options={METHODS[m.value]: m.value for m in Method}, value=chosen.primary_method.value, **FIELD
        )  # fmt: skip
        self._lookback = pmui.IntInput(label="Lookback (bars)", value=chosen.lookback, start=30, end=100_000, step=50, **FIELD)
        self._scale = pmui.Select(label="Spread on", options=_SCALES, value=Scale.PRICE.value, **FIELD)
        self._add_pair = pmui.Button(label="Add pair", disabled=True, **flat)
        self._pair_say = html(css=_SAY_CSS)
        symbol = grid(self._symbol, self._add_symbol, css=asset("universe_form.css"), name="sw-symbol")
        pair = grid(
            self._pair, self._method, self._lookback, self._scale, self._add_pair, css=asset("universe_form.css"), name="sw-pair"
        )  # fmt: skip
        self._symbol_form: tuple[Viewable, ...] = (symbol, self._symbol_say) if self._desk.operator else ()
        self._pair_form: tuple[Viewable, ...] = (pair, self._pair_say) if self._desk.operator else ()
        for widget in (self._symbol, self._pair):
            widget.param.watch(self._judge, "value_input")
        for widget in (self._symbol, self._pair, self._method, self._lookback, self._scale):
            widget.param.watch(self._judge, "value")
        self._add_symbol.on_click(lambda _event: self._submit(self._symbol_change(), self._add_symbol))
        self._add_pair.on_click(lambda _event: self._submit(self._pair_change(), self._add_pair))

    # ------------------------------------------------------------------------------------------------ showing

    def draw(self, universe: Universe) -> None:
        """Show what there is now."""
        self._universe = universe
        legs = [leg for spec in universe.pairs for leg in (spec.pair.y, spec.pair.x)]
        self._symbols.rows = [self._symbol_row(symbol, legs.count(symbol)) for symbol in universe.known]
        self._pairs.rows = [self._pair_row(spec) for spec in universe.pairs]
        self._judge()

    def _symbol_row(self, symbol: str, pairs: int) -> dict[str, Any]:
        uploaded = symbol in self._universe.uploaded and symbol not in self._universe.symbols
        what = {"t": "uploaded", "c": "faint"} if uploaded else {"t": "followed", "c": "faint"}
        return {
            "id": symbol,
            "cells": [
                {"t": symbol, "c": "strong", "s": symbol},
                what,
                {"t": str(pairs) if pairs else NONE, "s": pairs},
                *self._acts(symbol),
            ],
        }

    def _pair_row(self, spec: PairSpec) -> dict[str, Any]:
        name = str(spec.pair)
        scale = next(text for text, value in _SCALES.items() if value == spec.scale.value)
        lookback = {"t": f"{spec.lookback:,} bars", "s": spec.lookback}
        cells = [{"t": name, "c": "strong", "s": name}, METHODS[spec.method.value], lookback, scale, *self._acts(name, edit=True)]
        return {"id": name, "cells": cells}

    def _acts(self, name: str, *, edit: bool = False) -> list[dict[str, Any]]:
        """The buttons of a row; removing wants a second click."""
        if not self._desk.operator:
            return []
        change = [{"a": "edit", "l": "Change", "title": f"Change the model of {name}"}] if edit else []
        remove = {"a": "remove", "l": "Remove", "c": "danger", "title": f"Remove {name}", "sure": "Really?"}
        return [{"actions": [*change, remove], "c": "acts two" if edit else ""}]

    # ------------------------------------------------------------------------------------------------ choosing

    def _acted(self, action: str, name: str) -> None:
        match action:
            case "open":
                self._desk.go("pair", {"pair": name})
            case "edit":
                self._edit(name)
            case "remove":
                self._remove(name)
            case _:
                pass

    def _remove(self, name: str) -> None:
        """A pair, or a symbol that no pair needs."""
        if "/" in name:
            self._submit(RemovePair(Pair.parse(name)))
            return
        needed = ", ".join(str(spec.pair) for spec in self._universe.pairs if name in (spec.pair.y, spec.pair.x))
        if needed:
            self._desk.toast("error", f"{name} is a leg of {needed}; remove that first, then the symbol.")
            return
        self._submit(RemoveSymbol(parse_symbol(name)))

    def _edit(self, name: str) -> None:
        for spec in self._universe.pairs:
            if str(spec.pair) == name:
                self._pair.param.update(value=name, value_input=name)
                self._method.value, self._lookback.value, self._scale.value = spec.method.value, spec.lookback, spec.scale.value

    def model(self, pair: Pair) -> None:
        """Model a pair from now on, as the settings say."""
        chosen = self._context.settings
        self._submit(AddPair(PairSpec(pair, chosen.primary_method, chosen.lookback)))

    # ------------------------------------------------------------------------------------------------ asking for changes

    def _symbol_change(self) -> AddSymbol:
        return AddSymbol(parse_symbol(_typed(self._symbol)))

    def _pair_change(self) -> AddPair:
        spec = PairSpec(Pair.parse(_typed(self._pair)), Method(self._method.value), self._lookback.value or 0, Scale(self._scale.value))
        return AddPair(spec)

    def _judge(self, _event: Any = None) -> None:
        """Say beside each form what it would do, or why it cannot be done."""
        for field, change, button, say in (
            (self._symbol, self._symbol_change, self._add_symbol, self._symbol_say),
            (self._pair, self._pair_change, self._add_pair, self._pair_say),
        ):
            if not _typed(field):
                button.disabled = True
                say.object = ""
                continue
            try:
                text, css = self._effect(change()), ""
            except (UsageError, ValueError) as error:
                text, css = str(error), "down"
            button.disabled = css == "down"
            say.object = f'<div class="say {css}" role="status">{escape(text)}</div>'
        there = any(str(spec.pair) == _typed(self._pair) for spec in self._universe.pairs)
        self._add_pair.label = "Change pair" if there else "Add pair"

    def _effect(self, change: AddSymbol | AddPair) -> str:
        """What a change would do.

        Raises:
            UsageError: when it cannot be done.
        """
        parse_change(*_as_sent(change))  # the bounds that the warehouse holds it to
        after = changed_universe(self._universe, change)
        new = [symbol for symbol in after.symbols if symbol not in self._universe.symbols]
        follows = f"{' and '.join(new)} will be followed too; what the venue does not know stays silent in Health" if new else ""
        match change:
            case AddSymbol(symbol):
                return f"{follows.replace(' too', '')}." if new else f"{symbol} is followed already."
            case AddPair(spec):
                known = spec.pair in {other.pair for other in self._universe.pairs}
                begin = "The model changes with the next fit" if known else "It is fitted within a minute, where there are bars enough"
                return f"{begin}{f'; {follows}' if follows else ''}."

    def _submit(self, change: Change, button: Any = None) -> None:
        """Ask for a change and say what became of it."""
        try:
            if isinstance(change, _CHANGES):
                changed_universe(self._universe, change)
            parse_change(*_as_sent(change))
        except UsageError as error:
            self._desk.toast("error", str(error))
            return
        if button is not None:
            button.loading = True

        def told(outcome: str | None, problem: str) -> None:
            kind, text = ("error", problem) if problem else outcome_text(outcome, _done(change))
            if button is not None:
                button.loading = False
                if kind != "error":
                    for field in (self._symbol, self._pair):
                        field.param.update(value="", value_input="")
            self._desk.toast(kind, text)

        self._desk.work(lambda: self._desk.ask(change), told)


def _typed(field: Any) -> str:
    """What stands in a field, before Enter."""
    return (field.value_input or "").strip().upper()


def _as_sent(change: Change) -> tuple[str, str]:
    kind, payload = describe_change(change)
    return kind.value, json.dumps(payload)


def _done(change: Change) -> str:
    match change:
        case AddSymbol(symbol):
            return f"{symbol} is followed"
        case RemoveSymbol(symbol):
            return f"{symbol} is followed no more; what was kept of it stays"
        case AddPair(spec):
            return f"{spec.pair} is modelled from now on: {METHODS[spec.method.value]} over {spec.lookback:,} bars"
        case RemovePair(pair):
            return f"{pair} is modelled no more; its history stays"
        case _:
            return "Done"

"""What the Pair tab can be asked: legs and timeframe, thresholds, live or computed, and everything that a computation takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.order import ENTRY, HEDGE_WINDOW, LEAST_BARS, LEAVE, METHODS, MOST_BARS, MOST_WINDOW, Order, address_of, thresholds_of
from dashboards.parts.choice import Segments
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html
from dashboards.views.view import Context, Desk
from pipeline.errors import UsageError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Scale, Universe

_ANY = "any two symbols"
_SCALES = {"prices": Scale.PRICE.value, "logarithms": Scale.LOG.value}
LIVE, COMPUTED = "live", "computed"

_CSS = asset("pair_form.css")


class PairForm:
    """The fields, what they mean together, and how the address has them.

    ``on_pair`` hears that another pair, timeframe or source is looked at, ``on_thresholds`` that the thresholds are others,
    ``on_compute`` and ``on_cancel`` that a button was pressed.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        on_pair: Callable[[], Any],
        on_source: Callable[[], Any],
        on_thresholds: Callable[[], Any],
        on_compute: Callable[[], Any],
        on_cancel: Callable[[], Any],
    ) -> None:
        self._context: Context = desk.context
        self._clock = desk.clock
        self._on_pair, self._on_source, self._on_thresholds = on_pair, on_source, on_thresholds
        self._setting = False
        self._timeframes = {timeframe.name: timeframe for timeframe in self._context.timeframes}
        universe, chosen = self._context.universe, self._context.settings
        self._specs: dict[Pair, PairSpec] = {spec.pair: spec for spec in universe.pairs}
        symbols = list(universe.known)
        first = universe.pairs[0].pair if universe.pairs else Pair(symbols[1 % len(symbols)], symbols[0])
        spec = self._specs.get(first)
        frame = "1m" if "1m" in self._timeframes else next(iter(self._timeframes))
        zone = self._clock.name
        self._preset = pmui.Select(label="Pair", options=self._presets(universe), value=str(first) if universe.pairs else _ANY, **FIELD)
        self._y = pmui.Select(label="y (dependent)", options=symbols, value=first.y, **FIELD)
        self._x = pmui.Select(label="x (hedge)", options=symbols, value=first.x, **FIELD)
        self._frame = pmui.Select(label="Timeframe", options=list(self._timeframes), value=frame, **FIELD)
        self._entry = pmui.FloatInput(label="Enter at z", value=ENTRY, start=0.1, end=20.0, step=0.1, **FIELD)
        self._leave = pmui.FloatInput(label="Leave at z", value=LEAVE, start=0.0, end=19.9, step=0.1, **FIELD)
        self._source = Segments(
            options=[[LIVE, "Live model"], [COMPUTED, "Computed"]], value=LIVE, label="What is shown", on_pick=self._source_picked
        )
        lookback = spec.lookback if spec else chosen.lookback
        self._lookback = pmui.IntInput(label="Lookback (bars)", value=lookback, start=LEAST_BARS, end=MOST_BARS, step=50, **FIELD)
        self._from = pmui.TextInput(label=f"From ({zone})", placeholder="newest bars", value="", **FIELD)
        self._to = pmui.TextInput(label=f"Before ({zone})", placeholder="YYYY-MM-DD HH:MM", value="", **FIELD)
        self._window = pmui.IntInput(label="z window (bars)", value=chosen.zscore_window, start=3, end=MOST_WINDOW, step=5, **FIELD)
        self._hedge = pmui.IntInput(label="Hedge window (bars)", value=HEDGE_WINDOW, start=3, end=MOST_WINDOW, step=10, **FIELD)
        method = (spec.method if spec else chosen.primary_method).value
        self._method = pmui.Select(label="Method", options={name: key for key, name in METHODS.items()}, value=method, **FIELD)
        self._scale = pmui.Select(label="Spread on", options=_SCALES, value=(spec.scale if spec else Scale.PRICE).value, **FIELD)
        self._least = pmui.FloatInput(label="Least quote volume", value=0.0, start=0.0, step=1000.0, **FIELD)
        big: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "height": 38}
        self._button = pmui.Button(name="Compute", variant="contained", color="primary", **big)
        self._cancel = pmui.Button(name="Cancel", variant="outlined", visible=False, **big)
        self._hint = html(css=_HINT_CSS)
        self._button.on_click(lambda _event: on_compute())
        self._cancel.on_click(lambda _event: on_cancel())
        self._watch()
        legs = (self._preset, self._y, self._x, self._frame, self._entry, self._leave)
        fields = grid(
            self._lookback, self._from, self._to, self._window, self._hedge, self._method, self._scale, self._least,
            self._button, self._cancel,
            css=_CSS, name="sw-more",
        )  # fmt: skip
        # Hidden by what is around it: the grid's own display has the last word on itself.
        self._more = pn.Column(fields, sizing_mode="stretch_width", margin=0, visible=False)
        self._source.margin = (0, 0, 12, 14)
        self.model: Viewable = card(
            grid(*legs, css=_CSS, name="sw-legs"), pn.Row(self._source, sizing_mode="stretch_width", margin=0), self._more, self._hint
        )

    def _watch(self) -> None:
        self._preset.param.watch(self._preset_picked, "value")
        for widget in (self._y, self._x):
            widget.param.watch(self._legs_picked, "value")
        self._frame.param.watch(self._pair_picked, "value")
        for widget in (self._entry, self._leave):
            widget.param.watch(self._thresholds_picked, "value")

    # ------------------------------------------------------------------------------------------------ what is chosen

    @property
    def pair(self) -> Pair | None:
        """The legs; None while both are the same."""
        return Pair(self._y.value, self._x.value) if self._y.value != self._x.value else None

    @property
    def timeframe(self) -> Timeframe:
        """The bar length."""
        return self._timeframes[self._frame.value]

    @property
    def live(self) -> bool:
        """Whether the live model is looked at."""
        return bool(self._source.value == LIVE)

    @property
    def configured(self) -> bool:
        """Whether the pair has a live model, or will have one."""
        return self.pair in self._specs

    @property
    def thresholds(self) -> tuple[float, float]:
        """At which z to enter, and to leave; the usual ones while what is typed makes no sense."""
        entry, leave = self._entry.value, self._leave.value
        return (entry, leave) if entry is not None and leave is not None and 0 <= leave < entry else (ENTRY, LEAVE)

    @property
    def threshold_problem(self) -> str:
        """What is wrong with the thresholds; empty when nothing is."""
        entry, leave = self._entry.value, self._leave.value
        if entry is None or leave is None or not 0 <= leave < entry:
            return f"Leave at a z below that of entering, such as 0.5 and 2. Until then {ENTRY:g} and {LEAVE:g} are drawn."
        return ""

    def live_order(self) -> Order | None:
        """What the live model is looked at with: the windows of the settings, which signals and alerts have too."""
        chosen = self._context.settings
        if self.pair is None:
            return None
        return Order(
            pair=self.pair, timeframe=self.timeframe, lookback=chosen.lookback, zscore_window=chosen.zscore_window,
            correlation_window=chosen.correlation_window, max_fill=chosen.max_fill, significance=chosen.adf_significance,
        )  # fmt: skip

    def order(self) -> Order:
        """What Compute computes.

        Raises:
            UsageError: when the fields make no sense together.
        """
        chosen = self._context.settings
        if self.pair is None:
            msg = "choose two different symbols: a spread needs two legs"
            raise UsageError(msg)
        order = Order(
            pair=self.pair,
            timeframe=self.timeframe,
            lookback=self._lookback.value or chosen.lookback,
            zscore_window=self._window.value or chosen.zscore_window,
            correlation_window=chosen.correlation_window,
            max_fill=chosen.max_fill,
            method=self._method.value,
            scale=self._scale.value,
            significance=chosen.adf_significance,
            start=self._clock.typed(self._from.value, "From"),
            end=self._clock.typed(self._to.value, "Before"),
            hedge_window=self._hedge.value or HEDGE_WINDOW,
            least_volume=self._least.value or 0.0,
        )
        order.check()
        return order

    # ------------------------------------------------------------------------------------------------ what happens

    def busy(self, *, busy: bool) -> None:
        """Whether something is being computed: it can be given up, not asked for twice."""
        self._button.loading = busy
        self._button.disabled = busy or self.pair is None
        self._cancel.visible = busy

    def show_source(self, source: str) -> None:
        """Look at the live model, or at what was computed, without telling anybody."""
        was, self._setting = self._setting, True
        self._source.value = source
        self._more.visible = source == COMPUTED
        self._setting = was

    def explain(self, words: str, *, wrong: bool = False) -> None:
        """Say something under the fields; nothing takes no room."""
        text = f'<div class="hint{" down" if wrong else ""}"{" role=alert" if wrong else ""}>{words}</div>' if words else ""
        if self._hint.object != text:
            self._hint.object = text

    def follow(self, universe: Universe) -> bool:
        """Offer what there is in a universe; what is chosen stays. Whether the chosen pair's model is another now."""
        pair = self.pair
        before = self._specs.get(pair) if pair else None
        self._setting = True
        self._offer(universe)
        self._preset.value = str(pair) if self.configured else _ANY
        self._setting = False
        return pair is not None and self._specs.get(pair) != before

    def _offer(self, universe: Universe) -> None:
        self._specs = {spec.pair: spec for spec in universe.pairs}
        self._preset.options = self._presets(universe)
        self._y.options = self._x.options = list(dict.fromkeys((*universe.known, self._y.value, self._x.value)))

    def take(self, query: dict[str, str]) -> None:
        """Set the fields from an address; what cannot be used is left as it is."""
        self._setting = True
        try:
            self._take(query)
        finally:
            self._setting = False

    def _take(self, query: dict[str, str]) -> None:
        self._offer(self._context.universe)
        y, _, x = query.get("pair", "").partition("/")
        if y != x and y in self._y.options and x in self._x.options:
            self._y.value, self._x.value = y, x
        self._preset.value = str(self.pair) if self.configured else _ANY
        if query.get("timeframe") in self._timeframes:
            self._frame.value = query["timeframe"]
        for name, widget in (("lookback", self._lookback), ("window", self._window), ("hedge", self._hedge)):
            text = query.get(name, "")
            if text.isdecimal() and widget.start <= int(text) <= widget.end:
                widget.value = int(text)
        for name, field in (("from", self._from), ("to", self._to)):
            if name in query:
                field.value = self._typed(query[name])
        if query.get("method") in METHODS:
            self._method.value = query["method"]
        if query.get("scale") in set(Scale):
            self._scale.value = query["scale"]
        with contextlib.suppress(UsageError, ValueError):
            self._entry.value, self._leave.value = thresholds_of(query)
            self._least.value = float(query.get("least") or 0.0)
        source = query.get("show") or (COMPUTED if not self.configured or query.get("from") else LIVE)
        self.show_source(source if source in {LIVE, COMPUTED} else LIVE)

    def _typed(self, text: str) -> str:
        """A time of an address as somebody would type it here; what is not understood stays, and is refused with words when it is used."""
        try:
            time = self._clock.typed(text, "time")
        except UsageError:
            return text
        return "" if time is None else self._clock.text(time).removesuffix(":00")

    def state(self) -> dict[str, str]:
        """What ``take`` takes."""
        entry, leave = self.thresholds
        parts = {
            "pair": f"{self._y.value}/{self._x.value}",
            "timeframe": self._frame.value,
            "lookback": str(self._lookback.value),
            "window": str(self._window.value),
            "method": self._method.value,
            "scale": self._scale.value,
        }
        if not self.live:
            parts["show"] = COMPUTED
            with contextlib.suppress(UsageError):
                parts |= address_of(self.order())
        if (entry, leave) != (ENTRY, LEAVE):
            parts |= {"entry": f"{entry:g}", "exit": f"{leave:g}"}
        return parts

    # ------------------------------------------------------------------------------------------------ choosing

    @staticmethod
    def _presets(universe: Universe) -> list[str]:
        return [*(str(spec.pair) for spec in universe.pairs), _ANY]

    def _preset_picked(self, event: Any) -> None:
        if self._setting or "/" not in event.new:
            return
        self._setting = True
        pair = Pair.parse(event.new)
        self._y.value, self._x.value = pair.y, pair.x
        spec = self._specs.get(pair)
        if spec is not None:
            self._lookback.value, self._method.value, self._scale.value = spec.lookback, spec.method.value, spec.scale.value
        self._setting = False
        self._pair_picked()

    def _legs_picked(self, _event: Any) -> None:
        if self._setting:
            return
        self._setting = True
        self._preset.value = str(self.pair) if self.configured else _ANY
        self._setting = False
        self._pair_picked()

    def _pair_picked(self, _event: Any = None) -> None:
        if not self._setting:
            self.show_source(LIVE if self.configured else COMPUTED)
            self._on_pair()

    def _source_picked(self, value: str) -> None:
        self._more.visible = value == COMPUTED
        if not self._setting:
            self._on_source()

    def _thresholds_picked(self, _event: Any) -> None:
        if not self._setting:
            self._on_thresholds()


_HINT_CSS = (
    ".hint { padding: 0 14px 12px; font-size: 12.5px; line-height: 1.5; color: var(--sw-faint); } .hint.down { color: var(--sw-down); }"
)

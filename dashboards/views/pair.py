"""Pair: one spread, live under its stored model or computed on demand, and what the tests say about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.charts.moment import moment_text, parse_moment
from dashboards.charts.spread import SpreadChart
from dashboards.compute import Computed, Order, compute
from dashboards.format import escape, number, time_text
from dashboards.hub import Topic
from dashboards.parts.cards import CSS, METHODS, Figures, fitted_text, tiles, verdict_card
from dashboards.parts.choice import Segments
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html, stack
from dashboards.tables.pairs import PairNow, PairTopic
from dashboards.theme import Palette
from dashboards.views.view import Desk
from pipeline.model.pair import Pair
from pipeline.model.universe import Method, Scale

_SHORT = 240
_SCALES = {"prices": Scale.PRICE.value, "logarithms": Scale.LOG.value}

_BAR_CSS = """
.bar { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; padding: 9px 14px; min-height: 40px; font-size: 12.5px; }
.bar .what { color: var(--sw-strong); font-weight: 500; } .bar .faint b { font-weight: 500; color: var(--sw-text); }
"""

FORM_CSS = asset("pair_form.css")


class PairView:
    """The second tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._context = desk.context
        chosen = self._context.settings
        universe = self._context.universe
        self._specs = {spec.pair: spec for spec in universe.pairs}
        self._timeframes = {timeframe.name: timeframe for timeframe in self._context.timeframes}
        self._now: PairNow | None = None
        self._computed: Computed | None = None
        self._problem = ""
        self._busy = False
        self._setting = False
        self._at: datetime | None = None
        symbols = list(universe.known)
        first = universe.pairs[0].pair if universe.pairs else Pair(symbols[1 % len(symbols)], symbols[0])
        spec = self._specs.get(first)
        frame = "1m" if "1m" in self._timeframes else next(iter(self._timeframes))
        named = [str(pair) for pair in self._specs]
        self._preset = pmui.Select(
            label="Pair", options=[*named, "any two symbols"], value=str(first) if named else "any two symbols", **FIELD
        )
        self._y = pmui.Select(label="y (dependent)", options=symbols, value=first.y, **FIELD)
        self._x = pmui.Select(label="x (hedge)", options=symbols, value=first.x, **FIELD)
        self._frame = pmui.Select(label="Timeframe", options=list(self._timeframes), value=frame, **FIELD)
        self._lookback = pmui.IntInput(
            label="Lookback (bars)", value=spec.lookback if spec else chosen.lookback, start=30, end=20_000, step=50, **FIELD
        )
        self._window = pmui.IntInput(label="z window (bars)", value=chosen.zscore_window, start=3, end=10_000, step=5, **FIELD)
        method = spec.method if spec else chosen.primary_method
        self._method = pmui.Select(label="Method", options={METHODS[m.value]: m.value for m in Method}, value=method.value, **FIELD)
        self._scale = pmui.Select(label="Spread on", options=_SCALES, value=spec.scale.value if spec else Scale.PRICE.value, **FIELD)
        self._button = pmui.Button(name="Compute", variant="contained", color="primary", margin=0, sizing_mode="stretch_width", height=38)
        self._source = Segments(
            options=[["live", "Live model"], ["computed", "Computed"]], value="live", label="What is shown", on_pick=self._switched
        )
        self._line = html(css=_BAR_CSS, styles={"flex": "1 1 320px"})
        self._tiles = html(tiles(None), css=CSS)
        self._verdict = html(css=CSS)
        self._back = pmui.Button(name="Back to now", variant="text", size="small", margin=(7, 8, 0, 0), visible=False)
        self._chart = SpreadChart(desk.colours)
        self._panel = self._layout()
        self._watch()
        self.opened(desk.query)

    def _layout(self) -> Viewable:
        form = grid(
            self._preset, self._y, self._x, self._frame, self._lookback, self._window, self._method, self._scale, self._button,
            css=FORM_CSS, name="sw-form",
        )  # fmt: skip
        self._source.margin = (8, 0, 0, 12)
        shown = pn.Row(
            self._source, self._line, self._back, sizing_mode="stretch_width", margin=0, stylesheets=[":host { flex-wrap: wrap; }"]
        )
        chart = card(shown, pn.pane.Bokeh(self._chart.model, sizing_mode="stretch_width", margin=0))
        split = grid(chart, card(self._verdict), css=_SPLIT_CSS, name="sw-split")
        return stack(card(form), card(self._tiles), split)

    def _watch(self) -> None:
        self._preset.param.watch(self._preset_picked, "value")
        self._y.param.watch(self._legs_picked, "value")
        self._x.param.watch(self._legs_picked, "value")
        self._frame.param.watch(self._pair_changed, "value")
        self._button.on_click(self._compute)
        self._back.on_click(self._pair_changed)

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the chosen pair."""
        pair = self._pair
        if pair is None:
            self._desk.session.want(self._show, [])
            return
        chosen = self._context.settings
        topic = PairTopic(
            pair, self._timeframes[self._frame.value], chosen.zscore_window, chosen.correlation_window, chosen.max_fill, self._at
        )
        self._desk.session.want(self._show, [topic])

    def hidden(self) -> None:
        """Look at nothing."""
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """Only the canvas needs to be told."""
        self._chart.restyle(colours)

    def opened(self, query: dict[str, str]) -> None:
        """``pair``, ``timeframe``, ``lookback``, ``window``, ``method``, ``scale``, ``at``; what cannot be used is left out."""
        self._setting = True
        try:
            self._take(query)
        finally:
            self._setting = False
        self._pair_changed(at=parse_moment(query.get("at")))

    def _take(self, query: dict[str, str]) -> None:
        y, _, x = query.get("pair", "").partition("/")
        if y != x and y in self._y.options and x in self._x.options:
            self._y.value, self._x.value = y, x
        pair = self._pair
        self._preset.value = str(pair) if pair in self._specs else "any two symbols"
        if query.get("timeframe") in self._timeframes:
            self._frame.value = query["timeframe"]
        for name, widget in (("lookback", self._lookback), ("window", self._window)):
            text = query.get(name, "")
            if text.isdecimal() and widget.start <= int(text) <= widget.end:
                widget.value = int(text)
        if query.get("method") in set(Method):
            self._method.value = query["method"]
        if query.get("scale") in set(Scale):
            self._scale.value = query["scale"]

    def state(self) -> dict[str, str]:
        """What ``opened`` takes."""
        return {
            "pair": f"{self._y.value}/{self._x.value}",
            "timeframe": self._frame.value,
            "lookback": str(self._lookback.value),
            "window": str(self._window.value),
            "method": self._method.value,
            "scale": self._scale.value,
            "at": moment_text(self._at) if self._at else "",
        }

    # ------------------------------------------------------------------------------------------------ choosing

    @property
    def _pair(self) -> Pair | None:
        return Pair(self._y.value, self._x.value) if self._y.value != self._x.value else None

    def _preset_picked(self, event: Any) -> None:
        if self._setting or "/" not in event.new:
            return
        self._setting = True
        pair = Pair.parse(event.new)
        self._y.value, self._x.value = pair.y, pair.x
        spec = self._specs[pair]
        self._lookback.value, self._method.value, self._scale.value = spec.lookback, spec.method.value, spec.scale.value
        self._setting = False
        self._pair_changed()

    def _legs_picked(self, _event: Any) -> None:
        if self._setting:
            return
        self._setting = True
        self._preset.value = str(self._pair) if self._pair in self._specs else "any two symbols"
        self._setting = False
        self._pair_changed()

    def _pair_changed(self, _event: Any = None, *, at: datetime | None = None) -> None:
        if self._setting:
            return
        self._at = at
        self._back.visible = at is not None
        self._chart.mark(at, self._timeframes[self._frame.value].ms)
        self._now, self._computed, self._problem = None, None, ""
        if self._pair is None:
            self._problem = "Choose two different symbols: a spread needs two legs."
        self._button.disabled = self._pair is None
        configured = self._pair in self._specs
        self._source.value = "live" if configured else "computed"
        self._draw()
        self.shown()
        self._desk.remember(self.state())
        if self._pair is not None and not configured:
            self._desk.session.later(self._compute)

    def _switched(self, _value: str) -> None:
        self._draw()

    # ------------------------------------------------------------------------------------------------ computing

    def _compute(self, _event: Any = None) -> None:
        pair = self._pair
        if pair is None or self._busy:
            return
        self._desk.remember(self.state())
        chosen = self._context.settings
        order = Order(
            pair=pair,
            timeframe=self._timeframes[self._frame.value],
            lookback=self._lookback.value or chosen.lookback,
            zscore_window=self._window.value or chosen.zscore_window,
            correlation_window=chosen.correlation_window,
            method=self._method.value,
            scale=self._scale.value,
            significance=chosen.adf_significance,
            max_fill=chosen.max_fill,
        )
        self._busy = True
        self._button.loading = True
        self._desk.work(lambda: self._run(order), self._finished)

    def _run(self, order: Order) -> Computed:
        return self._context.link.use(lambda warehouse: compute(warehouse, order, now=datetime.now(UTC)))

    def _finished(self, done: Computed | None, problem: str) -> None:
        self._busy = False
        self._button.loading = False
        self._computed, self._problem = done, problem
        self._source.value = "computed"
        self._draw()

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, PairNow) and value.pair == self._pair and value.timeframe.name == self._frame.value:
            self._now = value
            if self._source.value == "live":
                self._draw()

    def _draw(self) -> None:
        if self._source.value == "live":
            self._draw_live()
        else:
            self._draw_computed()

    def _draw_live(self) -> None:
        now, timeframe = self._now, self._timeframes[self._frame.value]
        if now is None or now.model is None:
            self._blank(timeframe.ms)
            waits = "Looking for the live model…" if now is None else (
                f"<b>No live model of {escape(str(self._pair))} on {timeframe} yet</b>The flow fit_pairs makes one each minute,"
                " as soon as there are bars enough; Compute does not wait for it."
            )  # fmt: skip
            self._set(
                self._line,
                f'<div class="bar"><span class="faint">{"Loading" if now is None else "No live model yet: press Compute"}</span></div>',
            )
            self._set(self._verdict, verdict_card(None, 0.05, waits))
            return
        model = now.model
        last = len(now.ts) - 1
        z = now.now_zscore if now.now_zscore is not None else _at(now.zscore, last)
        figures = Figures(
            method=model.method, scale=model.scale, n=model.n, beta=model.beta, alpha=model.alpha, r_squared=model.r_squared,
            half_life=model.half_life, hurst=model.hurst, adf_stat=model.adf_stat, adf_p=model.adf_p, eg_stat=model.eg_stat,
            eg_p=model.eg_p, zscore=z, correlation=now.now_correlation if now.now_correlation is not None else _at(now.correlation, last),
            timeframe_s=timeframe.seconds, notes=tuple(note for note in model.notes.split("; ") if note) if model.notes else (),
        )  # fmt: skip
        looking_back = '<span class="faint">faint z: before the first signal</span>' if last + 1 < _SHORT and now.past is not None else ""
        past = self._at is not None and now.now_ms is None
        settled = f"last full bar <b>{number(_at(now.zscore, last))}</b>" if last >= 0 else "no full bar yet"
        current = f"z now <b>{number(now.now_zscore if past else z)}</b> (provisional){'' if past else f', {settled}'}"
        where = f'<span class="warn">shown around {time_text(self._at)} UTC</span>' if past else looking_back
        self._set(
            self._line,
            f'<div class="bar"><span class="what">{now.pair} {timeframe}</span><span class="faint">{current}</span>'
            f'{where}<span class="faint">model of <b>{time_text(model.fitted_at)}</b> UTC</span></div>',
        )
        self._set(self._tiles, tiles(figures))
        basis = fitted_text(model.window_start, model.window_end, model.n) + " This is the live model: it feeds signals and alerts."
        self._set(self._verdict, verdict_card(figures, self._context.settings.adf_significance, basis))
        columns, before = _series(now)
        moving = None
        if now.now_ms is not None and (last < 0 or now.now_ms > now.ts[last]):
            moving = {"ts": now.now_ms, "spread": now.now_spread, "zscore": now.now_zscore, "correlation": now.now_correlation}
        self._chart.show(("live", str(now.pair), timeframe.name), timeframe.ms, columns, moving, past=before)

    def _draw_computed(self) -> None:
        timeframe = self._timeframes[self._frame.value]
        done = self._computed
        if done is None:
            self._blank(timeframe.ms)
            state = "Computing…" if self._busy else escape(self._problem) or "Nothing computed yet"
            colour = "down" if self._problem else "faint"
            self._set(self._line, f'<div class="bar"><span class="{colour}">{state}</span></div>')
            hint = (
                escape(self._problem)
                if self._problem
                else "<b>Nothing computed yet</b>Choose legs, timeframe, lookback and method, then press Compute."
            )
            self._set(self._verdict, verdict_card(None, 0.05, hint))
            return
        fit, order, series = done.fit, done.order, done.signals
        last = len(done.legs) - 1
        figures = Figures(
            method=fit.method, scale=fit.scale, n=fit.n, beta=fit.beta, alpha=fit.alpha, r_squared=fit.r_squared, half_life=fit.half_life,
            hurst=fit.hurst, adf_stat=fit.adf_stat, adf_p=fit.adf_p, eg_stat=fit.eg_stat, eg_p=fit.eg_p, zscore=_at(series.zscore, last),
            correlation=_at(series.correlation, last), timeframe_s=order.timeframe.seconds, adf_lag=fit.adf_lag, eg_lag=fit.eg_lag,
            notes=fit.notes,
        )  # fmt: skip
        filled = f", {done.filled:,} carried forward" if done.filled else ""
        self._set(
            self._line,
            f'<div class="bar"><span class="what">{order.pair} {order.timeframe}</span>'
            f'<span class="faint"><b>{len(done.legs):,}</b> bars{filled},'
            f' {METHODS[order.method]}, z over <b>{order.zscore_window}</b></span><span class="faint">at <b>{done.at:%H:%M:%S}</b> UTC in'
            f" {done.took_s * 1000:.0f} ms, not stored</span></div>",
        )
        self._set(self._tiles, tiles(figures))
        start, end = (datetime.fromtimestamp(float(done.ts[at]) / 1000, UTC) for at in (0, -1))
        basis = (
            fitted_text(start, end, fit.n)
            + " The series is drawn under this one beta, fitted on the same bars: a look back, not a track record."
        )
        self._set(self._verdict, verdict_card(figures, order.significance, basis))
        columns = {"ts": done.ts, "spread": series.spread, "zscore": series.zscore, "correlation": series.correlation}
        self._chart.show(("computed", done.at.isoformat()), timeframe.ms, columns, shown=max(60, len(done.legs)))

    def _blank(self, bar_ms: float) -> None:
        self._set(self._tiles, tiles(None))
        empty = np.empty(0)
        self._chart.show(("none",), bar_ms, {"ts": empty, "spread": empty, "zscore": empty, "correlation": empty})

    @staticmethod
    def _set(pane: pn.pane.HTML, text: str) -> None:
        if pane.object != text:
            pane.object = text


_SPLIT_CSS = """
:host(.sw-split) { display: grid !important; grid-template-columns: minmax(0, 1fr) 360px; gap: 12px; align-items: start; }
@media (max-width: 1100px) { :host(.sw-split) { grid-template-columns: minmax(0, 1fr); } }
"""


def _at(values: Any, at: int) -> float | None:
    return float(values[at]) if 0 <= at < len(values) and np.isfinite(values[at]) else None


def _series(now: PairNow) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What is drawn firmly, and faintly: the spread under the live model, z-scores as stored, before them a look back."""
    stored = {"ts": now.ts, "spread": now.spread, "zscore": now.zscore, "correlation": now.correlation}
    past = now.past
    if past is None or not past.ts.size:
        return stored, None
    at = np.searchsorted(past.ts, now.ts)
    there = (at < past.ts.size) & (past.ts[np.minimum(at, past.ts.size - 1)] == now.ts)
    nothing = np.full(past.ts.size, np.nan)
    zscore = nothing.copy()
    zscore[at[there]] = now.zscore[there]
    before = past.ts <= now.ts[0] if now.ts.size else np.ones(past.ts.size, bool)
    faint = {"ts": past.ts, "spread": nothing, "zscore": np.where(before, past.zscore, np.nan), "correlation": nothing}
    return {"ts": past.ts, "spread": past.spread, "zscore": zscore, "correlation": past.correlation}, faint if before.any() else None

"""Pair: one spread, live under its stored model or computed on demand, and what the tests say about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import panel_material_ui as pmui
from numpy.typing import NDArray
from panel.viewable import Viewable

from dashboards.charts.moment import moment_text, parse_moment
from dashboards.compute import compute
from dashboards.format import escape, number
from dashboards.hub import Topic
from dashboards.order import METHODS
from dashboards.parts.html import stack
from dashboards.study import Study
from dashboards.tables.pairs import PairNow, PairTopic
from dashboards.theme import Palette
from dashboards.views.pair_form import COMPUTED, PairForm
from dashboards.views.pair_page import OPEN_FIRST, SECTIONS, PairPage
from dashboards.views.view import Desk
from pipeline.errors import UsageError
from pipeline.model.universe import Universe

FloatArray = NDArray[np.float64]

_SHORT = 240


class PairView:
    """The second tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._now: PairNow | None = None
        self._computed: Study | None = None
        self._problem = ""
        self._asked = 0
        self._busy = False
        self._at: datetime | None = None
        self._form = PairForm(
            desk,
            on_pair=self._changed,
            on_source=self._switched,
            on_thresholds=self._rethought,
            on_compute=self._compute,
            on_cancel=self._cancelled,
        )
        self._back = pmui.Button(name="Back to now", variant="text", size="small", margin=(7, 8, 0, 0), visible=False)
        self._back.on_click(lambda _event: self._changed())
        self._page = PairPage(desk.colours, desk.clock, on_fold=self._remember)
        self._panel = stack(self._form.model, *self._page.layout(self._back))
        self._ready = True
        self.opened(desk.query)

    # ------------------------------------------------------------------------------------------------ the tab

    def panel(self) -> Viewable:
        """The contents."""
        return self._panel

    def shown(self) -> None:
        """Look at the chosen pair."""
        order = self._form.live_order()
        self._desk.session.want(self._show, [] if order is None else [PairTopic(order, self._at)])

    def hidden(self) -> None:
        """Look at nothing."""
        self._desk.session.want(self._show, [])

    def restyle(self, colours: Palette) -> None:
        """Only the canvases need to be told."""
        self._page.restyle(colours)

    def follow(self, universe: Universe) -> None:
        """Offer what there is now; a pair that is modelled from now on, or no more, is shown anew."""
        if self._form.follow(universe):
            self._changed()

    def opened(self, query: dict[str, str]) -> None:
        """What ``state`` gives; what cannot be used is left out."""
        self._ready = False
        self._form.take(query)
        if "open" in query:
            self._page.unfold(tuple(name for name in query["open"].split(".") if name in SECTIONS))
        self._ready = True
        self._changed(parse_moment(query.get("at")))

    def state(self) -> dict[str, str]:
        """The fields, the moment that is marked, and which sections are open."""
        unfolded = self._page.unfolded()
        parts = {**self._form.state(), "at": moment_text(self._at) if self._at else ""}
        return parts if unfolded == OPEN_FIRST else {**parts, "open": ".".join(unfolded) or "none"}

    def _remember(self) -> None:
        if self._ready:
            self._desk.remember(self.state())

    # ------------------------------------------------------------------------------------------------ choosing

    def _changed(self, at: datetime | None = None) -> None:
        """Another pair or timeframe."""
        self._at = at
        self._back.visible = at is not None
        self._page.mark(at, self._form.timeframe.ms)
        self._now, self._computed, self._problem = None, None, ""
        self._forget()
        if self._form.pair is None:
            self._problem = "Choose two different symbols: a spread needs two legs."
        self._draw()
        self.shown()
        self._remember()
        if self._form.pair is not None and not self._form.live:
            self._desk.session.later(self._compute)

    def _switched(self) -> None:
        """The live model, or what was computed."""
        if not self._form.live and self._computed is None and not self._busy:
            self._compute()
        self._draw()
        self._remember()

    def _rethought(self) -> None:
        """Other thresholds."""
        self._draw()
        self._remember()

    # ------------------------------------------------------------------------------------------------ computing

    def _compute(self) -> None:
        if self._busy:
            return
        try:
            order = self._form.order()
        except UsageError as error:
            self._computed, self._problem = None, str(error)
            self._draw()
            return
        self._asked += 1
        asked, self._problem, self._busy = self._asked, "", True
        self._form.busy(busy=True)
        self._form.show_source(COMPUTED)
        self._draw()
        self._remember()

        def finished(done: Study | None, problem: str) -> None:
            if asked != self._asked:  # given up, or another pair by now
                return
            self._forget()
            self._computed, self._problem = done, problem
            self._draw()

        link = self._desk.context.link
        self._desk.work(lambda: link.use(lambda warehouse: compute(warehouse, order, now=datetime.now(UTC))), finished)

    def _cancelled(self) -> None:
        self._forget()
        self._draw()

    def _forget(self) -> None:
        """Whatever is being computed is not waited for."""
        self._asked += 1
        self._busy = False
        self._form.busy(busy=False)

    # ------------------------------------------------------------------------------------------------ showing

    def _show(self, _topic: Topic, value: Any) -> None:
        if isinstance(value, PairNow) and value.pair == self._form.pair and value.timeframe == self._form.timeframe:
            self._now = value
            if self._form.live:
                self._draw()

    def _draw(self) -> None:
        wrong = self._problem if not self._form.live or self._form.pair is None else ""
        self._form.explain(escape(wrong or self._form.threshold_problem), wrong=True)
        if self._form.pair is None:
            self._page.blank(self._form.timeframe.ms, escape(self._problem), _line("down", "Nothing to show"))
        elif self._form.live:
            self._draw_live()
        else:
            self._draw_computed()

    def _draw_live(self) -> None:
        now, pair, timeframe = self._now, self._form.pair, self._form.timeframe
        if now is None:
            self._page.blank(timeframe.ms, "Looking for the live model\u2026", _line("faint", "Loading"))
        elif not now.has_model:
            words = (
                f"<b>No live model of {escape(str(pair))} on {timeframe} yet</b>The flow fit_pairs makes one each minute, as soon as there"
                " are bars enough. Choose Computed to compute one now."
            )
            if not self._form.configured:
                words = f"<b>{escape(str(pair))} is not among the followed pairs</b>It has no live model; choose Computed to compute one."
            self._page.blank(timeframe.ms, words, _line("faint", "No live model yet: choose Computed"))
        elif now.study is None:
            self._page.blank(
                timeframe.ms, f"<b>The live model cannot be drawn</b>{escape(now.problem)}", _line("warn", escape(now.problem))
            )
        else:
            self._draw_model(now, now.study)

    def _draw_model(self, now: PairNow, study: Study) -> None:
        clock, stored, line = self._desk.clock, now.stored, study.line
        zscore, past = _with_stored(study, stored.ts, stored.zscore)
        last = _finite(stored.zscore[-1]) if stored.ts.size else None
        settled = "no full bar yet" if last is None else f"last full bar <b>{number(last)}</b>"
        if now.past:
            where = f'<span class="warn">shown around {clock.text(self._at)} {clock.name}</span>'
        else:
            z = now.moving.zscore if now.moving else None
            where = f'<span class="faint">z now <b>{number(z)}</b> (provisional), {settled}</span>'
        looking_back = '<span class="faint">faint z: before the first signal</span>' if not now.past and stored.ts.size < _SHORT else ""
        fitted = f'<span class="faint">model of <b>{clock.text(line.fitted_at)}</b> {clock.name}</span>'
        what = f'<span class="what">{now.pair} {now.timeframe}</span>'
        self._page.show(
            study,
            key=("live", str(now.pair), now.timeframe.name, self._at if now.past else None),
            line=f'<div class="bar">{what}{where}{_silence(study)}{looking_back}{fitted}</div>',
            basis=self._fitted_text(study)
            + " This is the live model: it feeds signals and alerts. Spread and hedge ratio are drawn under it.",
            thresholds=self._form.thresholds,
            zscore=zscore,
            past=past,
            moving=now.moving if now.moving is None or now.moving.ms > study.ts[-1] else None,
            fits=now.fits,
        )

    def _draw_computed(self) -> None:
        study, timeframe = self._computed, self._form.timeframe
        if study is None:
            if self._problem:
                self._page.blank(timeframe.ms, escape(self._problem), _line("down", "Could not be computed"))
            elif self._busy:
                self._page.blank(timeframe.ms, "Computing\u2026", _line("faint", "Computing\u2026"))
            else:
                words = "<b>Nothing computed yet</b>Choose range, windows and method, then press Compute."
                self._page.blank(timeframe.ms, words, _line("faint", "Nothing computed yet"))
            return
        order, clock = study.order, self._desk.clock
        z = "" if study.drifts else f", z over <b>{order.zscore_window}</b>"
        made = f"at <b>{clock.local(study.at):%H:%M:%S}</b> {clock.name} in {study.took_s * 1000:.0f} ms, not stored"
        if self._busy:
            made = "computing anew\u2026"
        elif self._problem:
            made = f"as before: {escape(self._problem)}"
        basis = (
            " Each prediction knows the bars before it only, but for the two noises: a look back, not a track record."
            if study.drifts
            else " The series are drawn under this one hedge ratio, fitted on the same bars: a look back, not a track record."
        )
        what = f'<span class="what">{order.pair} {order.timeframe}</span>'
        how = f'<span class="faint"><b>{len(study.stretch):,}</b> bars, {METHODS[study.line.method]}{z}</span>'
        self._page.show(
            study,
            key=("computed", study.at.isoformat()),
            line=f'<div class="bar">{what}{how}{_silence(study)}{_thin(study)}<span class="faint">{made}</span></div>',
            basis=self._fitted_text(study) + basis,
            thresholds=self._form.thresholds,
            whole=True,
        )

    def _fitted_text(self, study: Study) -> str:
        """On how many bars, from when to when, in words."""
        line, clock = study.line, self._desk.clock
        return f"Fitted on <b>{line.n:,}</b> bars, <b>{clock.text(line.start)}</b> to <b>{clock.text(line.end)}</b> {clock.name}."


def _line(colour: str, words: str) -> str:
    return f'<div class="bar"><span class="{colour}" role="status">{words}</span></div>'


def _silence(study: Study) -> str:
    """Which leg had no bars of its own, and whether it has none now."""
    legs, pair, said = study.stretch, study.order.pair, []
    for symbol, filled in ((pair.y, legs.y_filled), (pair.x, legs.x_filled)):
        count = int(filled.sum())
        if not count:
            continue
        own = np.flatnonzero(~filled)
        silent = filled.size - 1 - int(own[-1]) if own.size else filled.size
        now = f", silent for the last {silent:,}" if silent else ""
        said.append(f"{escape(symbol)} carried forward over {count:,} of {filled.size:,} bars{now}")
    return f'<span class="warn">{"; ".join(said)}</span>' if said else ""


def _thin(study: Study) -> str:
    thin = sum(study.legs.thin)
    return f'<span class="faint">{thin:,} thin bars left out</span>' if thin else ""


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _with_stored(study: Study, ts: FloatArray, zscore: FloatArray) -> tuple[FloatArray, dict[str, FloatArray] | None]:
    """The z-score as it was stored, each value under the model of its time; and faintly a look back to before the first one."""
    at = np.searchsorted(study.ts, ts)
    there = (at < study.ts.size) & (study.ts[np.minimum(at, study.ts.size - 1)] == ts)
    firm = np.full(study.ts.size, np.nan)
    firm[at[there]] = zscore[there]
    before = study.ts <= ts[0] if ts.size else np.ones(study.ts.size, bool)
    faint = {"ts": study.ts, "zscore": np.where(before, study.series.zscore, np.nan)}
    return firm, faint if before.any() else None

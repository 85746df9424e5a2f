"""How a study looks: tiles, charts on one axis of time, the verdict, and what can be folded away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import panel as pn
from bokeh.layouts import column
from numpy.typing import NDArray
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.charts.axis import SHOWN, Axis
from dashboards.charts.legs import LegCharts, VolumeChart
from dashboards.charts.residuals import ResidualChart
from dashboards.charts.spread import SpreadCharts
from dashboards.clock import Clock
from dashboards.parts.cards import CSS, tiles
from dashboards.parts.fold import Fold
from dashboards.parts.html import card, grid, html, stack
from dashboards.parts.leg_liquidity import CSS as LIQUIDITY_CSS
from dashboards.parts.leg_liquidity import liquidity_table
from dashboards.parts.residuals import CSS as RESIDUALS_CSS
from dashboards.parts.residuals import residual_figures
from dashboards.parts.statistics_table import StatisticsTable
from dashboards.parts.verdict import CSS as VERDICT_CSS
from dashboards.parts.verdict import no_verdict, verdict_card
from dashboards.study import Study
from dashboards.tables.models import PastFits
from dashboards.tables.pairs import Moving
from dashboards.theme import Palette

FloatArray = NDArray[np.float64]

COLUMNS = ("spread", "zscore", "correlation", "y", "x", "beta", "rolling_beta", "r_squared", "y_volume", "x_volume")
SECTIONS = ("legs", "residuals", "liquidity", "statistics")
OPEN_FIRST = ("legs", "residuals")

_SPLIT_CSS = asset("pair_split.css")

_NOTE = "Marks show where the z-score crossed the thresholds, under {beta}. No advice and no track record: costs are left out{seen}."


class PairPage:
    """Everything below the form. ``on_fold`` hears that a section was folded or unfolded."""

    def __init__(self, colours: Palette, clock: Clock, *, on_fold: Callable[[], Any]) -> None:
        self._clock = clock
        self._on_fold = on_fold
        self._study: Study | None = None
        self._drawn: tuple[Any, ...] = ()
        self._thresholds = (0.0, 0.0)
        self._base: tuple[Any, ...] = ()
        self.line = html(css=asset("pair_line.css"), styles={"flex": "1 1 320px"})
        self._tiles = html(tiles(None), css=CSS)
        self._verdict = html(css=VERDICT_CSS)
        self._note = html(css=asset("pair_line.css"))
        self._axis = Axis(COLUMNS, clock)
        self._spread, self._legs, self._volumes = SpreadCharts(self._axis), LegCharts(self._axis), VolumeChart(self._axis)
        self._axis.finish()
        self._residuals = ResidualChart()
        self._moments = html(css=RESIDUALS_CSS)
        self._liquidity = html(css=LIQUIDITY_CSS)
        self._table = StatisticsTable(clock)
        self._folds = {
            "legs": self._fold("Legs and hedge ratio", "legs", _charts(self._legs.parts)),
            "residuals": self._fold("Residuals", "residuals", _charts([self._residuals.model]), self._moments),
            "liquidity": self._fold("Liquidity", "liquidity", _charts(self._volumes.parts), self._liquidity),
            "statistics": self._fold("Statistics", "statistics", self._table.model),
        }
        self.restyle(colours)

    def _fold(self, text: str, name: str, *parts: Viewable) -> Fold:
        return Fold(text, *parts, unfolded=name in OPEN_FIRST, on_toggle=lambda _open: self._toggled())

    def layout(self, back: Viewable) -> list[Viewable]:
        """The cards from top to bottom; ``back`` stands beside the line that says what is shown."""
        shown = pn.Row(self.line, back, sizing_mode="stretch_width", margin=0, stylesheets=[":host { flex-wrap: wrap; }"])
        core = card(shown, _charts([self._axis.pointer, *self._spread.parts]), self._note)
        side = stack(card(self._verdict), self._folds["residuals"].model)
        rest = stack(*(self._folds[name].model for name in ("legs", "liquidity", "statistics")))
        return [card(self._tiles), grid(core, side, rest, css=_SPLIT_CSS, name="sw-split")]

    # ------------------------------------------------------------------------------------------------ folding

    def unfolded(self) -> tuple[str, ...]:
        """Names of the sections that are open."""
        return tuple(name for name in SECTIONS if self._folds[name].unfolded)

    def unfold(self, names: tuple[str, ...]) -> None:
        """Open exactly these sections."""
        for name, fold in self._folds.items():
            fold.unfold(unfolded=name in names)

    def _toggled(self) -> None:
        self._fill()
        self._on_fold()

    # ------------------------------------------------------------------------------------------------ drawing

    def restyle(self, colours: Palette) -> None:
        """Only the canvases need to be told."""
        self._axis.restyle(colours)
        for part in (self._spread, self._legs, self._volumes, self._residuals):
            part.restyle(colours)

    def mark(self, moment: datetime | None, bar_ms: float) -> None:
        """Mark a moment in every chart."""
        self._axis.mark(moment, bar_ms)

    def blank(self, bar_ms: float, verdict: str, line: str) -> None:
        """Show nothing, and say why: ``verdict`` and ``line`` are HTML."""
        self._study, self._drawn = None, ()
        self._set(self.line, line)
        self._set(self._tiles, tiles(None))
        self._set(self._verdict, no_verdict(verdict))
        self._set(self._note, "")
        self._axis.clear(bar_ms)
        self._residuals.show(None)
        self._fill()

    def show(
        self,
        study: Study,
        *,
        key: tuple[Any, ...],
        line: str,
        basis: str,
        thresholds: tuple[float, float],
        zscore: FloatArray | None = None,
        past: dict[str, FloatArray] | None = None,
        moving: Moving | None = None,
        fits: PastFits | None = None,
        whole: bool = False,
    ) -> None:
        """Draw a study under a key: while the key stays, the series move on and the zoom is kept.

        Args:
            study: what to draw.
            key: whose series they are.
            line: HTML above the charts.
            basis: HTML under the verdict.
            thresholds: at which z to enter and leave.
            zscore: in place of the study's own.
            past: a z-score from before it, drawn faintly.
            moving: the bar that is still moving.
            fits: past fits.
            whole: whether all bars are shown at first, not only the newest.
        """
        order = study.order
        columns = self._columns(study, key, zscore)
        values = (
            None
            if moving is None
            else {"ts": moving.ms, "spread": moving.spread, "zscore": moving.zscore, "correlation": moving.correlation}
        )
        self._set(self.line, line)
        z, c = (values["zscore"], values["correlation"]) if values else (_last(columns["zscore"]), _last(columns["correlation"]))
        self._set(self._tiles, tiles(study, z, c))
        self._axis.show(key, order.timeframe.ms, columns, values, shown=max(60, len(study.stretch)) if whole else SHOWN)
        nothing = {"ts": np.empty(0), "zscore": np.empty(0)}
        drawn = (id(study), thresholds, None if zscore is None else zscore.tobytes())
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._spread.show(columns, past or nothing, thresholds)
        method = "total least squares" if order.method == "tls" else "least squares"
        rolling = f"the last {order.hedge_window:,} bars ({method})"
        self._legs.show(columns, order.pair, rolling, fits or PastFits.none(), drifts=study.drifts)
        self._volumes.show(columns, order.pair, order.least_volume)
        self._set(self._verdict, verdict_card(study, self._clock, basis))
        beta = "a hedge ratio that was predicted bar by bar" if study.drifts else "one hedge ratio"
        seen = "" if study.drifts else ", and the hedge ratio was fitted on bars like these"
        self._set(self._note, f'<div class="under">{_NOTE.format(beta=beta, seen=seen)}</div>')
        if study is not self._study:
            self._residuals.show(study.residuals)
        self._study, self._thresholds = study, thresholds
        self._fill()

    def _columns(self, study: Study, key: tuple[Any, ...], zscore: FloatArray | None) -> dict[str, FloatArray]:
        legs, series = study.stretch, study.series
        if self._base[:1] != (key,):  # while the series move on, 100 stays where it was
            self._base = (key, float(legs.y[0]), float(legs.x[0]))
        return {
            "ts": study.ts, "spread": series.spread, "zscore": series.zscore if zscore is None else zscore,
            "correlation": series.correlation, "y": 100 * legs.y / self._base[1], "x": 100 * legs.x / self._base[2], "beta": series.beta,
            "rolling_beta": series.rolling_beta, "r_squared": series.rolling_r_squared, "y_volume": study.legs.quote_volumes(0),
            "x_volume": study.legs.quote_volumes(1),
        }  # fmt: skip

    def _fill(self) -> None:
        """What is folded away is not made."""
        study = self._study
        if self._folds["residuals"].unfolded:
            self._set(self._moments, residual_figures(study))
        if self._folds["liquidity"].unfolded:
            self._set(self._liquidity, liquidity_table(study, self._clock))
        if self._folds["statistics"].unfolded:
            self._table.show(study, self._thresholds if study else (2.0, 0.5))

    @staticmethod
    def _set(pane: pn.pane.HTML, text: str) -> None:
        if pane.object != text:
            pane.object = text


def _charts(parts: list[Any]) -> pn.pane.Bokeh:
    return pn.pane.Bokeh(column(*parts, sizing_mode="stretch_width", spacing=0, margin=0), sizing_mode="stretch_width", margin=0)


def _last(values: FloatArray) -> float | None:
    return float(values[-1]) if values.size and np.isfinite(values[-1]) else None

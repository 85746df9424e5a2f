"""How easily both legs trade, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.format import NONE, compact, escape, number, percent
from dashboards.study import Study
from pipeline.analytics import Liquidity

CSS = asset("leg_liquidity.css")


def _bps(value: float) -> str:
    return NONE if not math.isfinite(value) else f"{number(value * 10_000)} bp"


def _last(values: np.ndarray) -> float:
    return float(values[-1]) if values.size else math.nan


_ROWS: tuple[tuple[str, str, Callable[[Liquidity], str]], ...] = (
    ("Quote volume", "of all bars", lambda leg: compact(float(np.nansum(leg.quote_volume)))),
    ("Trades", "of all bars", lambda leg: compact(float(np.nansum(leg.trades)))),
    ("Taker imbalance", "of the last bar: +100 % all bought", lambda leg: percent(_last(leg.taker_imbalance), 0)),
    ("Volume percentile", "of the last bar among all", lambda leg: NONE if not math.isfinite(_last(leg.volume_percentile))
     else f"{_last(leg.volume_percentile) * 100:.0f} %"),
    ("Amihud", "price move for a million traded", lambda leg: _bps(_last(leg.amihud) * 1e6)),
    ("Roll spread", "from successive returns", lambda leg: _bps(_last(leg.roll_spread))),
    ("Corwin-Schultz spread", "from highs and lows", lambda leg: _bps(_last(leg.corwin_schultz))),
)  # fmt: skip


def liquidity_table(study: Study | None, clock: Clock) -> str:
    """Both legs over the stretch, the quoted spread as the flow measured it, and what the filter left out."""
    if study is None:
        return '<div class="liq"><div class="empty">Nothing computed yet</div></div>'
    pair, legs = study.order.pair, study.liquidity
    cells = [(name, note, *(NONE if leg is None else tell(leg) for leg in legs)) for name, note, tell in _ROWS]
    quoted = [NONE if bps is None else f"{number(bps)} bp" for bps in study.beside.quoted_bps]
    at = "" if study.beside.measured_at is None else f", {clock.short(study.beside.measured_at)} {clock.name}"
    cells.append(("Quoted spread", f"as last measured{at}", *quoted))
    rows = "".join(f'<tr><td>{name} <span class="note">{note}</span></td><td>{y}</td><td>{x}</td></tr>' for name, note, y, x in cells)
    head = f"<tr><th>over {len(study.stretch):,} bars</th><th>{escape(pair.y)}</th><th>{escape(pair.x)}</th></tr>"
    return f'<div class="liq"><table><thead>{head}</thead><tbody>{rows}</tbody></table><div class="foot note">{_filter(study)}</div></div>'


def _filter(study: Study) -> str:
    pair, thin, least = study.order.pair, study.legs.thin, study.order.least_volume
    if not least:
        return "No bar was left out for being thin. Compute with a least quote volume to see whether thin bars make the result."
    if not sum(thin):
        return f"No bar has a quote volume under {compact(least)}: nothing was left out."
    return (
        f"Bars with a quote volume under {compact(least)} were left out: <b>{thin[0]:,}</b> of {escape(pair.y)} and <b>{thin[1]:,}</b> of"
        f" {escape(pair.x)}; their last close is carried forward, at most {study.order.max_fill} bars."
    )

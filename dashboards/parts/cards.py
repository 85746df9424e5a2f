"""Figures of a pair as tiles, each with the line that says how to read it."""

from __future__ import annotations

from dashboards.assets import asset
from dashboards.format import NONE, age, compact, escape, number, significant
from dashboards.order import METHODS
from dashboards.study import Study
from pipeline.analytics.reading import read_correlation, read_half_life, read_r_squared, read_zscore

CSS = asset("cards.css")


def tiles(study: Study | None, zscore: float | None = None, correlation: float | None = None) -> str:
    """Hedge ratio, R2, half-life, z-score, correlation, observations."""
    if study is None:
        names = ("Hedge ratio", "R\u00b2", "Half-life", "z-score", "Correlation", "Observations")
        return '<div class="tiles">' + "".join(_tile(name, NONE, "") for name in names) + "</div>"
    line, z, c, bar_s = study.line, zscore, correlation, study.order.timeframe.seconds
    z_side = "" if z is None else "down" if z > 2 else "up" if z < -2 else ""
    half = NONE if line.half_life is None else f"{line.half_life:.1f} <small>bars, {age(line.half_life * bar_s)}</small>"
    error = "" if line.beta_se is None else f" <small>\u00b1 {significant(line.beta_se, 2)}</small>"
    unit, scale = ("money", "log prices") if line.scale == "log" else ("units", "prices")
    now = "; now sell" if study.drifts else ": sell"
    hedge = f"{METHODS.get(line.method, line.method)} on {scale}{now} {significant(line.beta, 4)} {unit} of x for 1 of y."
    hedge += "" if line.alpha is None else f" Intercept {significant(line.alpha, 4)}."
    observed = compact(line.n) if line.n >= 100_000 else f"{line.n:,}"
    drifting = "Not defined for a hedge ratio that drifts; that of the rolling line is below."
    always = "Not told: a spread whose hedge ratio drifts reverts by construction."
    parts = (
        _tile("Hedge ratio", significant(line.beta) + error, hedge),
        _tile("R\u00b2", number(line.r_squared, 3), drifting if study.drifts else _after(read_r_squared(line.r_squared))),
        _tile("Half-life", half, always if study.drifts else _after(read_half_life(line.half_life))),
        _tile("z-score", number(z), _after(read_zscore(z)), z_side),
        _tile("Correlation", number(c), _after(read_correlation(c))),
        _tile("Observations", observed, f"bars, {age(line.n * bar_s)} of market"),
    )
    return '<div class="tiles">' + "".join(parts) + "</div>"


def _tile(name: str, value: str, reading: str, side: str = "") -> str:
    return f'<div class="tile"><h3>{name}</h3><div class="v {side}">{value}</div><p>{reading}</p></div>'


def _after(sentence: str) -> str:
    """A reading without the number that stands above it already."""
    head, mark, rest = sentence.partition(", ") if "," in sentence.partition(":")[0] else sentence.partition(": ")
    text = rest if mark else head
    return escape(text[:1].upper() + text[1:])

"""Figures of a pair as cards, each with the line that says how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashboards.assets import asset
from dashboards.format import NONE, age, compact, escape, number, p_value, significant, time_text
from pipeline.analytics.reading import read_correlation, read_half_life, read_r_squared, read_zscore
from pipeline.analytics.verdict import Outcome, verdict

CSS = asset("cards.css")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is shown of a model, wherever it comes from. None where undefined."""

    method: str
    scale: str
    n: int
    beta: float | None
    alpha: float | None
    r_squared: float | None
    half_life: float | None
    hurst: float | None
    adf_stat: float | None
    adf_p: float | None
    eg_stat: float | None
    eg_p: float | None
    zscore: float | None
    correlation: float | None
    timeframe_s: int
    adf_lag: int | None = None
    eg_lag: int | None = None
    notes: tuple[str, ...] = ()


METHODS = {"ols": "OLS", "huber": "Huber", "theil_sen": "Theil-Sen", "tls": "TLS", "min_half_life": "Least half-life", "kalman": "Kalman"}


def tiles(figures: Figures | None) -> str:
    """Hedge ratio, R2, half-life, z-score, correlation, observations."""
    if figures is None:
        names = ("Hedge ratio", "R²", "Half-life", "z-score", "Correlation", "Observations")
        return '<div class="tiles">' + "".join(_tile(name, NONE, "") for name in names) + "</div>"
    z, c = figures.zscore, figures.correlation
    z_side = "" if z is None else "down" if z > 2 else "up" if z < -2 else ""
    half = (
        NONE
        if figures.half_life is None
        else f"{figures.half_life:.1f} <small>bars, {age(figures.half_life * figures.timeframe_s)}</small>"
    )
    hedge = f"sell {significant(figures.beta, 4)} {_unit(figures.scale)} of x for 1 of y. Intercept {significant(figures.alpha, 4)}."
    method = METHODS.get(figures.method, figures.method)
    observed = compact(figures.n) if figures.n >= 100_000 else f"{figures.n:,}"
    parts = (
        _tile("Hedge ratio", significant(figures.beta), f"{method} on {_scale(figures.scale)}: {hedge}"),
        _tile("R²", number(figures.r_squared, 3), _after(read_r_squared(figures.r_squared))),
        _tile("Half-life", half, _after(read_half_life(figures.half_life))),
        _tile("z-score", number(z), _after(read_zscore(z)), z_side),
        _tile("Correlation", number(c), _after(read_correlation(c))),
        _tile("Observations", observed, f"bars, {age(figures.n * figures.timeframe_s)} of market"),
    )  # fmt: skip
    return '<div class="tiles">' + "".join(parts) + "</div>"


def verdict_card(figures: Figures | None, significance: float, basis: str) -> str:
    """The judgement by Engle-Granger, the ADF beside it with its caveat, and what both were computed on."""
    if figures is None:
        return f'<div class="verdict"><div class="empty">{basis}</div></div>'
    told = verdict(figures.eg_p, figures.adf_p, significance)
    mark, colour, head = {
        Outcome.COINTEGRATED: ("✓", "up", "Cointegrated"),
        Outcome.NOT_COINTEGRATED: ("✕", "down", "Not shown to be cointegrated"),
        Outcome.UNDEFINED: ("?", "faint", "Cannot be judged"),
    }[told.outcome]
    notes = "".join(f"<li>{escape(note)}</li>" for note in figures.notes)
    hurst = f" Hurst <b>{figures.hurst:.2f}</b>." if figures.hurst is not None else ""
    return (
        f'<div class="verdict"><div class="head {colour}"><span class="mark" aria-hidden="true">{mark}</span><h2>{head}</h2></div>'
        f'<p class="say">{escape(told.text)}</p>'
        + _test(_Test("Engle-Granger", "decides", figures.eg_stat, figures.eg_p, figures.eg_lag, _EG_READING), significance)
        + _test(
            _Test("ADF of the spread", "shown, not decisive", figures.adf_stat, figures.adf_p, figures.adf_lag, escape(told.adf_text)),
            significance,
        )
        + f'<div class="basis">{basis}{hurst}{f"<ul>{notes}</ul>" if notes else ""}</div></div>'
    )  # fmt: skip


def _tile(name: str, value: str, reading: str, side: str = "") -> str:
    return f'<div class="tile"><h3>{name}</h3><div class="v {side}">{value}</div><p>{reading}</p></div>'


_EG_READING = "H₀: no cointegration. Its critical values allow for the estimated hedge ratio."


@dataclass(frozen=True, slots=True)
class _Test:
    """One test as it is shown."""

    name: str
    role: str
    statistic: float | None
    p: float | None
    lag: int | None
    reading: str


def _test(test: _Test, significance: float) -> str:
    if test.p is None:
        finding, colour = "undefined", "faint"
    else:
        finding, colour = ("stationary", "up") if test.p < significance else ("no evidence", "down")
    values = [("statistic", number(test.statistic, 3)), ("p-value", p_value(test.p))]
    if test.lag is not None:
        values.append(("lags (AIC)", str(test.lag)))
    listed = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in values)
    return (
        f'<div class="test"><div class="name"><span>{test.name} <span class="faint">{test.role}</span></span>'
        f'<span class="chip {colour}">{finding}</span></div><dl>{listed}</dl><div class="note">{test.reading}</div></div>'
    )


def _after(sentence: str) -> str:
    """A reading without the number that stands above it already."""
    head, mark, rest = sentence.partition(", ") if "," in sentence.partition(":")[0] else sentence.partition(": ")
    text = rest if mark else head
    return escape(text[:1].upper() + text[1:])


def _scale(scale: str) -> str:
    return "log prices" if scale == "log" else "prices"


def _unit(scale: str) -> str:
    return "money" if scale == "log" else "units"


def fitted_text(start: datetime, end: datetime, n: int) -> str:
    """On how many bars, from when to when, in words."""
    return f"Fitted on <b>{n:,}</b> bars, <b>{time_text(start)}</b> to <b>{time_text(end)}</b> UTC."

"""What is written of a screen: the tiles above the table, its rows, the words below the maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from dashboards.clock import Clock
from dashboards.format import NONE, age, compact, count, escape, number, p_value, significant
from dashboards.tables.screens import Kept, Screened, left_out
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe

_R = {"align": "right"}
_RANK = {"title": "#", "by": "rank", **_R, "hide": "s", "hint": "By the strength of the case: smallest p first"}
_PAIR = {"title": "Pair (y/x)", "by": "y", "hint": "y is the dependent leg, x the hedge"}
_CORRELATION = {"title": "Corr.", "by": "correlation", **_R, "hide": "s", "hint": "Correlation of one-bar log returns"}
_VOLUME = {"title": "Volume", "by": "liquidity", **_R, "hide": "s", "hint": "Median quote volume of a bar, of the thinner leg"}
COLUMNS: list[dict[str, Any]] = [
    _RANK,
    _PAIR,
    {"title": "q", "by": "q_value", **_R, "hint": "Share of chance finds to expect among pairs up to here"},
    {"title": "p", "by": "p_value", **_R, "hide": "s", "hint": "Engle-Granger, MacKinnon's critical values for an estimated hedge ratio"},
    {"title": "Statistic", "by": "statistic", **_R, "hide": "m", "hint": "Engle-Granger statistic, the more negative the stronger"},
    {"title": "Half-life", "by": "half_life", **_R, "hint": "Bars until half of a deviation is gone"},
    {"title": "as time", **_R, "hide": "s"},
    {"title": "Beta", "by": "beta", **_R, "hide": "s", "hint": "Hedge ratio: units of x for one of y"},
    {"title": "Hurst", "by": "hurst", **_R, "hide": "m", "hint": "Below 0.5 the residual reverts"},
    {"title": "Crossings/day", "by": "crossings_per_day", **_R, "hide": "m", "hint": "How often a day the residual crosses its mean"},
    _CORRELATION,
    _VOLUME,
    {"title": "Lag", "by": "used_lag", **_R, "hide": "m", "hint": "Lagged differences in the test, chosen by AIC"},
]
"""Columns of pairs that were tested."""
LEFT_OUT_COLUMNS: list[dict[str, Any]] = [
    _RANK, _PAIR, {"title": "Why", "by": "outcome"}, {**_VOLUME, "hide": ""},
]  # fmt: skip
"""Columns of pairs that were not."""

WHY = {
    "illiquid": "a leg trades less than the least volume that was asked for",
    "too short": "the legs have too few bars in common",
    "constant": "a leg does not move",
    "collinear": "one leg is a multiple of the other, so that there is nothing to test",
}
"""Of each outcome without a test what it means."""


def table_rows(
    rows: pl.DataFrame, *, timeframe: Timeframe, level: float, modelled: Iterable[Pair], operator: bool, shown_left_out: bool
) -> list[dict[str, Any]]:
    """Rows of the table of pairs; who may change the universe gets a button to model a pair."""
    known = frozenset(modelled)
    return [
        _left_out_row(row) if shown_left_out else _row(row, timeframe, level, Pair(row["y"], row["x"]) in known, operator=operator)
        for row in rows.iter_rows(named=True)
    ]


def _row(row: Mapping[str, Any], timeframe: Timeframe, level: float, modelled: bool, *, operator: bool) -> dict[str, Any]:  # noqa: FBT001
    q, half = row["q_value"], row["half_life"]
    passes = q is not None and q <= level
    if modelled:
        action: dict[str, Any] | str = {"t": "modelled", "chip": "accent"}
    elif operator:
        title = f"Model {row['y']}/{row['x']} from now on"
        action = {"actions": [{"a": "model", "l": "Model", "title": title}]}
    else:
        action = ""
    return {
        "id": f"{row['y']}/{row['x']}",
        "cells": [
            {"t": count(row["rank"]), "c": "faint"},
            {"t": f"{row['y']}/{row['x']}", "c": "strong"},
            {"t": p_value(q), "chip": "up", "title": "passes"} if passes else p_value(q),
            p_value(row["p_value"]),
            number(row["statistic"]),
            {"t": "none", "c": "faint", "title": "The residual does not revert"} if half is None else f"{half:,.1f} bars",
            {"t": NONE if half is None else age(half * timeframe.seconds), "c": "faint"},
            significant(row["beta"], 4),
            number(row["hurst"]),
            number(row["crossings_per_day"], 1),
            number(row["correlation"]),
            compact(row["liquidity"]),
            {"t": count(row["used_lag"]), "c": "faint"},
            action,
        ],
    }  # fmt: skip


def _left_out_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{row['y']}/{row['x']}",
        "cells": [
            {"t": count(row["rank"]), "c": "faint"},
            {"t": f"{row['y']}/{row['x']}", "c": "strong"},
            {"t": f"{row['outcome']}: {WHY.get(row['outcome'], 'no test')}", "c": "wraps"},
            compact(row["liquidity"]),
            "",
        ],
    }


def choice_text(kept: Kept, clock: Clock) -> str:
    """A kept screen, as one of many to choose from."""
    end = f"{clock.local(kept.window_end):%d %b %H:%M}"
    return f"{end}, {kept.bars:,} bars, {kept.symbols} symbols, {kept.found} pass"


def tiles(kept: Kept | None, level: float, clock: Clock) -> str:
    """What the screen looked at and found."""
    if kept is None:
        parts = [(name, NONE, "") for name in (f"Pairs with q ≤ {level:g}", "Tested", "Symbols", "Bars")]
    else:
        ways = "both directions of each" if kept.both else "one direction of each, fixed beforehand"
        out = kept.pairs - kept.tests
        start, end = (f"{clock.local(time):%d %b %H:%M}" for time in (kept.window_start, kept.window_end))
        passing = f"{kept.found / kept.tests:.1%} of those tested" if kept.tests else "nothing could be tested"
        parts = [
            (f"Pairs with q ≤ {level:g}", count(kept.found), passing),
            ("Tested", count(kept.tests), f"{ways}{f'; {out:,} left out' if out else ''}"),
            ("Symbols", count(kept.symbols), f"made {clock.text(kept.made_at)} {clock.name}"),
            ("Bars", f"{kept.bars:,} <small>of {kept.timeframe}</small>", f"{start} to {end} {clock.name}"),
        ]
    cells = "".join(f'<div class="tile low"><h3>{name}</h3><div class="v">{value}</div><p>{note}</p></div>' for name, value, note in parts)
    return f'<div class="tiles">{cells}</div>'


def explanation(kept: Kept, level: float, screened: Screened | None, missing: Mapping[str, str]) -> str:
    """What q means here, and who is left out and why."""
    chance = f"about {level * kept.found:.1f} of these {kept.found}" if kept.found else "none of these"
    meaning = (
        f"<b>What q means.</b> Of all pairs with q up to {level:g}, at most {level:.0%} are there by chance, on average: {chance}."
        f" It counts that {kept.tests:,} pairs were tried; p, which looks at one pair alone, does not."
    )
    reasons = left_out(screened.rows) if screened is not None else []
    said = [meaning, *(f"<b>{pairs:,} pairs {escape(outcome)}</b>: {WHY.get(outcome, 'no test')}." for outcome, pairs in reasons)]
    said += [f"<b>{escape(symbol)}</b> is not in it: {escape(why)}." for symbol, why in missing.items()]
    return '<div class="about">' + "".join(f"<p>{line}</p>" for line in said) + "</div>"


def correlation_words(screened: Screened) -> str:
    """The strongest and the weakest of the map, as text."""
    upper = np.triu_indices(len(screened.symbols), 1)
    values = screened.correlation[upper]
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return "No pair has a correlation."
    ranked = known[np.argsort(values[known])]

    def told(at: Iterable[int]) -> str:
        return ", ".join(f"{screened.symbols[upper[0][i]]} and {screened.symbols[upper[1][i]]} {number(values[i])}" for i in at)

    middle = number(float(np.median(values[known])))
    return f"Most alike: {told(ranked[::-1][:3])}. Least: {told(ranked[:1])}. Median {middle}. Symbols that move together stand together."


def cointegration_words(screened: Screened, level: float) -> str:
    """The strongest of the map, as text."""
    rows = screened.rows.filter(pl.col("q_value").is_not_null()).sort("rank")
    if rows.is_empty():
        return "No pair was tested."
    found = rows.filter(pl.col("q_value") <= level)
    best = ", ".join(f"{row['y']}/{row['x']} {p_value(row['q_value'])}" for row in rows.head(3).iter_rows(named=True))
    return f"{found.height:,} of {rows.height:,} pass at q ≤ {level:g}. Strongest: {best}. The table has the same numbers."

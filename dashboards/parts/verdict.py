"""The verdict on a pair: the judgement, each test with what it asks and what it found, and what all of it was computed on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.format import escape, number, p_value
from dashboards.study import Study
from dashboards.tables.beside import Screened
from pipeline.analytics import Adf, EngleGranger, Johansen, Kpss, PValueIs
from pipeline.analytics.johansen import LEVELS
from pipeline.analytics.verdict import Outcome, verdict

CSS = asset("verdict.css")


@dataclass(frozen=True, slots=True)
class _Test:
    """One test as it is shown: ``good`` when it speaks for the pair, None when it says nothing."""

    name: str
    role: str
    good: bool | None
    finding: str
    figures: tuple[tuple[str, str], ...]
    critical: str
    reading: str


def no_verdict(words: str) -> str:
    """What stands in the card while there is none; ``words`` are HTML."""
    return f'<div class="verdict"><div class="empty">{words}</div></div>'


def verdict_card(study: Study, clock: Clock, basis: str) -> str:
    """The judgement by Engle-Granger, the other tests beside it with their caveats, and the q-value of the newest screen."""
    tests, level = study.evidence, study.order.significance
    eg_p = tests.engle_granger.p_value if tests.engle_granger else None
    told = verdict(eg_p, tests.adf.p_value if tests.adf else None, level)
    mark, colour, head = {
        Outcome.COINTEGRATED: ("\u2713", "up", "Cointegrated"),
        Outcome.NOT_COINTEGRATED: ("\u2715", "down", "Not shown to be cointegrated"),
        Outcome.UNDEFINED: ("?", "faint", "Cannot be judged"),
    }[told.outcome]
    shown = [
        _engle_granger(tests.engle_granger, level),
        *([] if study.drifts else [_adf(tests.adf, level, told.adf_text), _kpss(tests.kpss, level)]),
        _johansen(tests.johansen, level),
    ]
    notes = dict.fromkeys((*tests.notes, *study.line.notes))  # each once
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    hurst = f" Hurst exponent <b>{study.line.hurst:.2f}</b> (0.5 is a random walk, less reverts)." if study.line.hurst is not None else ""
    return (
        f'<div class="verdict"><div class="head {colour}"><span class="mark" aria-hidden="true">{mark}</span><h2>{head}</h2></div>'
        f'<p class="say">{escape(told.text)}</p>'
        + "".join(_block(test) for test in shown)
        + _screened(study.beside.screened, level, clock)
        + f'<div class="basis">{basis}{hurst}{f"<ul>{listed}</ul>" if listed else ""}</div></div>'
    )  # fmt: skip


def _engle_granger(test: EngleGranger | None, level: float) -> _Test:
    reading = "Asks whether no spread of the two reverts. Its p-value allows for the hedge ratio having been estimated, so it decides."
    if test is None:
        return _undefined("Engle-Granger", "decides", reading)
    good = test.p_value < level
    critical = test.critical_values
    return _Test(
        "Engle-Granger", "decides", good, "cointegrated" if good else "no evidence",
        (("statistic", number(test.statistic, 3)), ("p-value", p_value(test.p_value)), ("lags", str(test.used_lag))),
        "" if critical is None else _below(critical.pct1, critical.pct5, critical.pct10), reading,
    )  # fmt: skip


def _adf(test: Adf | None, level: float, reading: str) -> _Test:
    if test is None:
        return _undefined("ADF of the spread", "shown, not decisive", reading)
    good = test.p_value < level
    critical = test.critical_values
    return _Test(
        "ADF of the spread", "shown, not decisive", good, "stationary" if good else "no evidence",
        (("statistic", number(test.statistic, 3)), ("p-value", p_value(test.p_value)), ("lags", str(test.used_lag))),
        _below(critical.pct1, critical.pct5, critical.pct10), reading,
    )  # fmt: skip


def _kpss(test: Kpss | None, level: float) -> _Test:
    reading = "Asked the other way round: it takes the spread to be stationary until shown otherwise, so a small p speaks against the pair."
    if test is None:
        return _undefined("KPSS of the spread", "the counter-check", reading)
    bound = {PValueIs.AT_LEAST: "\u2265 ", PValueIs.AT_MOST: "\u2264 ", PValueIs.INTERPOLATED: ""}[test.p_is]
    good = test.p_value > level or (test.p_is is PValueIs.AT_LEAST and test.p_value >= level)
    critical = test.critical_values
    return _Test(
        "KPSS of the spread", "the counter-check", good, "does not object" if good else "not stationary",
        (("statistic", number(test.statistic, 3)), ("p-value", f"{bound}{test.p_value:.3f}"), ("lags", str(test.lags))),
        f"rejects above {number(critical.pct1, 3)} (1 %), {number(critical.pct5, 3)} (5 %), {number(critical.pct10, 3)} (10 %)", reading,
    )  # fmt: skip


def _johansen(test: Johansen | None, level: float) -> _Test:
    reading = "Counts the relations that hold the two together, whichever is called y. One is a cointegrated pair; two: each reverts alone."
    if test is None:
        return _undefined("Johansen (trace)", "both directions", reading)
    nearest = min(LEVELS, key=lambda known: abs(known - level))
    rank, column = test.rank(nearest), LEVELS.index(nearest)
    figures = tuple(
        (f"{null} relations" if at == 0 else f"at most {null}", f"{stat:.2f} <small>of {critical:.2f}</small>")
        for at, (null, stat, critical) in enumerate(zip((0, 1), test.trace_stat, test.trace_critical[:, column], strict=True))
    )
    found = {0: "no relation", 1: "one relation", 2: "both stationary"}[rank]
    return _Test("Johansen (trace)", "both directions", rank == 1, found, figures, f"critical values at {nearest * 100:g} %", reading)


def _undefined(name: str, role: str, reading: str) -> _Test:
    return _Test(name, role, None, "undefined", (), "", reading)


def _below(pct1: float, pct5: float, pct10: float) -> str:
    return f"rejects below {number(pct1)} (1 %), {number(pct5)} (5 %), {number(pct10)} (10 %)"


def _block(test: _Test) -> str:
    colour, sign = ("faint", "?") if test.good is None else ("up", "\u2713") if test.good else ("down", "\u2715")
    listed = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in test.figures)
    critical = f'<div class="critical">{test.critical}</div>' if test.critical else ""
    return (
        f'<div class="test"><div class="name"><span>{test.name} <span class="faint">{test.role}</span></span>'
        f'<span class="chip {colour}"><span aria-hidden="true">{sign} </span>{test.finding}</span></div>'
        + (f"<dl>{listed}</dl>" if listed else "")
        + f"{critical}<details><summary>How to read it</summary>{escape(test.reading)}</details></div>"
    )


def _screened(found: Screened | None, level: float, clock: Clock) -> str:
    name = '<span>q-value <span class="faint">when screened</span></span>'
    if found is None:
        return (
            f'<div class="test"><div class="name">{name}<span class="chip faint">not screened</span></div>'
            '<div class="critical">No screen that is kept has this pair in this direction and timeframe.</div></div>'
        )
    if found.q_value is None or not math.isfinite(found.q_value):
        chip, figures = f'<span class="chip faint">{escape(found.outcome)}</span>', ""
    else:
        good = found.q_value <= level
        word = f"\u2713 found at {level * 100:g} %" if good else "\u2715 not found"
        chip = f'<span class="chip {"up" if good else "down"}">{word}</span>'
        rows = (("q-value", p_value(found.q_value)), ("p-value", p_value(found.p_value)), ("rank", f"{found.rank:,} of {found.tests:,}"))
        figures = "<dl>" + "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in rows) + "</dl>"
    made, until = (clock.text(time, seconds=False) for time in (found.made_at, found.window_end))
    return (
        f'<div class="test"><div class="name">{name}{chip}</div>{figures}<div class="critical">Screen '
        f"{escape(found.screen_id[:8])} of {made}, bars to {until}"
        f" {escape(clock.name)}, {found.tests:,} tests as one family (Benjamini-Hochberg).</div></div>"
    )

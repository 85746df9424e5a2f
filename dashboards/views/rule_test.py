"""A rule tried on the last 24 hours, told in a few lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from dashboards.charts.moment import moment_text
from dashboards.clock import Clock
from dashboards.format import age, escape, significant
from dashboards.views.alert_rows import chart_of
from pipeline.alerts import Rule
from pipeline.errors import UsageError
from pipeline.model.universe import Universe
from pipeline.profile import Kind, Profile
from pipeline.settings import Settings
from pipeline.store import Warehouse
from pipeline.warehouse.backtest import Backtest, Episode, backtest

_SHOWN = 6
_MOST_TICKS = 400_000  # seconds of one core, beside what the page needs
_DAY = timedelta(days=1)
_FROM = {"ticks": "trades", "1s": "1s bars", "1m": "1m candles"}


def try_rule(  # noqa: PLR0917  where, what, as of when, and for whom
    warehouse: Warehouse, rule: Rule, profile: Profile, universe: Universe, settings: Settings, now: datetime | None, clock: Clock
) -> str:
    """When a rule would have fired in the last 24 hours, as HTML with times by ``clock``; nothing is stored.

    Raises:
        UsageError: when it cannot be tried.
    """
    if now is None:
        msg = "the warehouse has landed nothing yet; wait for the first trades"
        raise UsageError(msg)
    recorded = profile.kind is Kind.RECORDED
    return _told(backtest(warehouse, rule, universe, settings, start=now - _DAY, end=now, recorded=recorded, most_ticks=_MOST_TICKS), clock)


def _told(found: Backtest, clock: Clock) -> str:
    times = len(found.episodes)
    often = "once" if times == 1 else f"{times} times"
    share = found.firing / (found.end - found.start)
    length = f", {age(found.firing.total_seconds())} in all ({share:.1%} of the time)" if times else ""
    head = f"Would have fired <b>{often}</b> in the last 24 h{length}." if times else "Would <b>not</b> have fired in the last 24 h."
    rows = "".join(f"<li>{_episode(one, found, clock)}</li>" for one in reversed(found.episodes[-_SHOWN:]))
    more = f"<li><span class='faint'>and {times - _SHOWN} before</span></li>" if times > _SHOWN else ""
    fine = f"Run by the engine that runs live, over {_FROM[found.grain.value]}; times are {clock.name}, nothing is stored."
    note = f" {escape(found.note[:1].upper() + found.note[1:])}." if found.note else ""
    return f"{head}{f'<ul>{rows}{more}</ul>' if rows else ''}<p class='fine'>{fine}{note}</p>"


def _episode(one: Episode, found: Backtest, clock: Clock) -> str:
    rule = found.rule
    row = {
        "occurred_at": one.start,
        "series": one.series,
        "metric": rule.metric.value,
        "timeframe": rule.timeframe.name if rule.timeframe else None,
    }
    view, query = chart_of(row)
    href = "?" + urlencode({"view": view, **query, "at": moment_text(one.start)}, safe="/:")
    lasted = age(((one.end or found.end) - one.start).total_seconds()) + ("" if one.end else ", still")
    series = f" {one.series}" if rule.target == "*" else ""
    value = "" if one.value is None else f" at {significant(one.value, 4)}"
    return f'<a href="{escape(href)}">{clock.short(one.start, found.end)}</a><span>{escape(series)}{value}</span><span>{lasted}</span>'

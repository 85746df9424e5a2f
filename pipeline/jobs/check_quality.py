"""Is the data fit to be built on? Looks at what is new, judges it, and keeps what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from pipeline.errors import QualityError, VenueError
from pipeline.jobs.quality_look import AskOffset, Before, Look, Scope, scope_of
from pipeline.jobs.venue_rest import VenueRest
from pipeline.quality import Finding, Severity, State, unknown
from pipeline.store import quality as store
from pipeline.store.health import load_clock
from pipeline.store.protocol import Warehouse

__all__ = ["Report", "Scope", "check_quality", "scope_of", "venue_offset"]


@dataclass(slots=True)
class Report:
    """What a run found: ``findings``, the worst first, and how long each check took (seconds)."""

    findings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, state: State) -> list[Finding]:
        """Findings in one state."""
        return [finding for finding in self.findings if finding.state is state]

    @property
    def summary(self) -> str:
        """One line: how many checks, and how they stand."""
        counts = ", ".join(f"{len(self.of(state))} {state.value}" for state in (State.ERROR, State.WARN, State.UNKNOWN) if self.of(state))
        return f"{len(self.findings)} checks: {counts or 'all ok'}"

    def require_sound(self) -> None:
        """Raise when a check of severity error fails.

        Raises:
            QualityError: naming the first of them.
        """
        failed = self.of(State.ERROR)
        if failed:
            one = failed[0]
            where = f"{one.subject} {one.timeframe}".strip()
            more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
            msg = f"{one.name} of {where} fails: {one.detail}{more}; `spreadwatch quality` lists all"
            raise QualityError(msg)


def venue_offset(rest: VenueRest) -> AskOffset:
    """How to ask a venue for the time: our clock minus its in milliseconds, and how good that is; None with the reason if it is away."""

    def ask() -> tuple[float | None, str]:
        try:
            before = time.time()
            theirs_ms = rest.server_time_ms()
            after = time.time()
        except VenueError as error:
            return None, str(error)
        return (before + after) * 500 - theirs_ms, f"asked by REST, +-{(after - before) * 500:.0f} ms"

    return ask


def check_quality(
    warehouse: Warehouse,
    scope: Scope,
    *,
    now: datetime,
    run: str,
    ask_offset: AskOffset | None = None,
) -> Report:
    """Run every check and save what was found.

    Bars are judged from the last run on, and as far back as models look: a bad bar counts until it is put right, or no model
    sees it any more.

    Args:
        warehouse: what is judged, and where findings go.
        scope: what to look at.
        now: the time of the run.
        run: who runs it, kept with the findings.
        ask_offset: how to ask the venue for its time; None when there is none to ask.

    Returns:
        The findings. Whether they are bad enough to fail is the caller's to ask (``require_sound``).
    """
    before = {(row["name"], row["subject"], row["timeframe"]): row for row in store.newest_checks(warehouse).iter_rows(named=True)}
    clock = load_clock(warehouse)
    report = Report()
    if clock is None:
        report.findings = [unknown("freshness", "journal", "", Severity.ERROR, "nothing has been landed yet")]
    else:
        look = Look(warehouse, scope, clock, now, before)
        checks: dict[str, Callable[[], Iterable[Finding]]] = {
            "freshness": look.freshness,
            "gaps": look.gaps,
            "duplicates": look.duplicates,
            "bars": look.bars,
            "klines": look.klines,
            "clock": lambda: [look.clock_offset(ask_offset)],
            "model": look.models,
        }
        for name, check in checks.items():
            began = time.perf_counter()
            report.findings += check()
            report.seconds[name] = time.perf_counter() - began
    upto = clock.journal_time if clock else None
    closed = _no_longer_followed(before, scope, report.findings) if clock else []
    store.save_checks(warehouse, _rows([*report.findings, *closed], before, now, run, upto))
    worst = [State.ERROR, State.WARN, State.UNKNOWN, State.OK]
    report.findings.sort(key=lambda found: (worst.index(found.state), found.name, found.subject, found.timeframe))
    return report


def _no_longer_followed(before: Before, scope: Scope, found: Sequence[Finding]) -> list[Finding]:
    """Findings about what is not looked at any more (a symbol or a timeframe that was removed), closed so that none stands for ever."""
    if not scope.everything:
        return []
    seen = {(one.name, one.subject, one.timeframe) for one in found}
    return [
        unknown(name, subject, timeframe, Severity(str(row["severity"])), "not followed any more", blocking=bool(row["blocking"]))
        for (name, subject, timeframe), row in before.items()
        if (name, subject, timeframe) not in seen and row["state"] != State.UNKNOWN.value
    ]


def _rows(found: Sequence[Finding], before: Before, now: datetime, run: str, upto: datetime | None) -> pl.DataFrame:
    """Rows of ``quality_checks``: one that goes on keeps the time since when."""
    rows = []
    for one in found:
        last = before.get((one.name, one.subject, one.timeframe))
        since = last["since"] if last is not None and last["state"] == one.state.value else now
        rows.append(
            {
                "checked_at": now,
                "name": one.name,
                "subject": one.subject,
                "timeframe": one.timeframe,
                "severity": one.severity.value,
                "state": one.state.value,
                "value": one.value,
                "threshold": one.threshold,
                "blocking": one.blocking,
                "detail": one.detail,
                "since": since,
                "run": run,
                "upto": upto,
            }
        )
    return pl.DataFrame(rows, schema=_SCHEMA)


_TIME = pl.Datetime("us", "UTC")
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "checked_at": _TIME,
    "name": pl.String,
    "subject": pl.String,
    "timeframe": pl.String,
    "severity": pl.String,
    "state": pl.String,
    "value": pl.Float64,
    "threshold": pl.Float64,
    "blocking": pl.Boolean,
    "detail": pl.String,
    "since": _TIME,
    "run": pl.String,
    "upto": _TIME,
}

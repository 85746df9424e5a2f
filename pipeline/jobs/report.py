"""The report of a profile as one HTML file: its pairs, the quality of its data, the health of its pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.alerts.event import EventKind
from pipeline.analytics.verdict import Outcome
from pipeline.errors import UsageError
from pipeline.jobs.choice import chosen_pairs
from pipeline.jobs.page import Chip, Tile, heading, masthead, page, paragraph, table, tiles
from pipeline.jobs.report_health import State, health_section, look, quality_section, reading_section
from pipeline.jobs.report_pair import GLANCE_COLUMNS, Facts, PairStudy, fired_alerts, glance_rows, pair_section, study_pair, summary_of
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, Profile, write_atomically
from pipeline.settings import Settings
from pipeline.store.alerts import events_between
from pipeline.store.health import load_clock
from pipeline.store.liquidity import newest_liquidity
from pipeline.store.models import newest_models
from pipeline.store.notices import Notice, send_notice
from pipeline.store.partitions import Made, put_partitions
from pipeline.store.protocol import Warehouse
from pipeline.store.reports import ReportRow, list_reports, prune_reports, save_report
from pipeline.store.screens import screened_pairs

LONGEST_HOURS = 24 * 366
LONGEST_TITLE = 120

_MINUTE = timedelta(minutes=1)
_EVERY_REPORT = 1_000_000
_TOLD = frozenset(kind.value for kind in EventKind if kind.notifies)
_KINDS = {
    Kind.LIVE: (Chip("live", "good"), "Live data of Binance USD-M Futures."),
    Kind.SIMULATED: (Chip("simulated", "warn"), "Simulated data: none of these prices were ever traded."),
    Kind.RECORDED: (Chip("recorded"), "Recorded data, replayed."),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a report is to be about.

    Attributes:
        start: first moment of the period.
        end: its end, which does not belong to it; whole minutes both.
        pairs: which pairs.
        title: what stands at the top.
        report_id: the same for the same period, pairs and title.
    """

    start: datetime
    end: datetime
    pairs: tuple[PairSpec, ...]
    title: str
    report_id: str

    @property
    def period(self) -> str:
        """The period in words."""
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def make_order(
    profile: Profile,
    universe: Universe,
    *,
    now: datetime,
    hours: int = 24,
    start: datetime | None = None,
    end: datetime | None = None,
    pairs: Sequence[str] | None = None,
    title: str | None = None,
) -> Order:
    """Check what was asked for, and put in what was not.

    Args:
        profile: whose report.
        universe: its pairs.
        now: end of the period unless ``end`` is given: of a recording the end of the recording.
        hours: length of the period unless ``start`` is given.
        start: first moment of the period.
        end: its end.
        pairs: which pairs of the universe; all of them when None.
        title: what stands at the top; the profile's name when None.

    Raises:
        UsageError: when a pair is not in the universe, the period is empty or too long, or the title is.
    """
    until = (end or now).astimezone(UTC).replace(second=0, microsecond=0)
    since = start.astimezone(UTC).replace(second=0, microsecond=0) if start else until - timedelta(hours=hours)
    if since >= until:
        msg = f"the period from {since:%Y-%m-%dT%H:%MZ} to {until:%Y-%m-%dT%H:%MZ} is empty; the end must be after the start"
        raise UsageError(msg)
    if until - since > timedelta(hours=LONGEST_HOURS):
        msg = f"the period of {(until - since).days} days is too long; expected at most {LONGEST_HOURS // 24} days"
        raise UsageError(msg)
    given = " ".join((title or "").split())
    if len(given) > LONGEST_TITLE:
        msg = f"the title has {len(given)} characters; expected at most {LONGEST_TITLE}"
        raise UsageError(msg)
    specs = chosen_pairs(pairs, universe)
    minutes = (until - since) // _MINUTE
    length = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    own = "\x1f".join(["" if pairs is None else ",".join(str(spec.pair) for spec in specs), given])
    suffix = f"-{hashlib.sha256(own.encode()).hexdigest()[:6]}" if own != "\x1f" else ""
    return Order(since, until, specs, given or f"Profile {profile.name}", f"{until:%Y%m%dT%H%MZ}-{length}{suffix}")


def report_time(warehouse: Warehouse, profile: Profile, now: datetime) -> datetime:
    """The time that reports end at: now, or of a recording the time that it has reached."""
    clock = load_clock(warehouse)
    return clock.journal_time if clock is not None and profile.kind is Kind.RECORDED else now


def write_report(
    warehouse: Warehouse,
    profile: Profile,
    universe: Universe,
    settings: Settings,
    order: Order,
    *,
    now: datetime,
    run: str,
    deliver: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ReportRow:
    """Write a report under the profile, list it, and let the oldest go.

    The same order has the same name, so a run that is repeated replaces the file and its row.

    Args:
        warehouse: what it is about, and where it is listed.
        profile: where the file goes.
        universe: symbols that are followed.
        settings: as they hold for the profile.
        order: what it is about.
        now: ``created_at`` of the row; nothing in the file depends on it.
        run: who made it, for the ledger.
        deliver: tell of it over the notification channels, once for each order.
        progress: called with pairs done and pairs in all.

    Returns:
        The row of ``reports``.
    """
    facts = _facts(warehouse, order, settings)
    state = look(warehouse, profile, settings, universe.symbols, start=order.start, end=order.end)
    studies = []
    for done, spec in enumerate(order.pairs):
        if progress is not None:
            progress(done, len(order.pairs))
        studies.append(study_pair(warehouse, spec, facts, settings))
    text = page(f"{order.title}, {order.period}", _body(profile, order, facts, state=state, studies=studies, settings=settings))
    path = profile.reports / f"report-{order.report_id}.html"
    write_atomically(path, text)
    row = ReportRow(order.report_id, f"{order.title}, {order.period}", now, order.start, order.end, path.name, len(text.encode()))
    save_report(warehouse, row)
    put_partitions(warehouse, [_partition(order, studies, text)], run=run)
    if deliver:
        send_notice(warehouse, _notice(profile, order, state, studies, path.resolve().as_posix()), now=now)
    _let_go(warehouse, profile, settings.report_keep)
    if progress is not None:
        progress(len(order.pairs), len(order.pairs))
    return row


def _facts(warehouse: Warehouse, order: Order, settings: Settings) -> Facts:
    # A fit or screen of the minute that the period ends in belongs to it.
    until = order.end + _MINUTE
    timeframes = settings.parsed_timeframes
    return Facts(
        start=order.start,
        end=order.end,
        models=newest_models(warehouse, list(timeframes), until=until),
        screens={timeframe.name: screened_pairs(warehouse, timeframe, until=until) for timeframe in timeframes},
        liquidity={timeframe.name: newest_liquidity(warehouse, timeframe) for timeframe in timeframes if timeframe.seconds > 1}
        | {timeframe.name: pl.DataFrame(schema={"symbol": pl.String}) for timeframe in timeframes if timeframe.seconds == 1},
        events=events_between(warehouse, start=order.start, end=order.end).filter(pl.col("kind").is_in(sorted(_TOLD))),
    )


def _body(profile: Profile, order: Order, facts: Facts, *, state: State, studies: Sequence[PairStudy], settings: Settings) -> Iterator[str]:
    badge, words = _KINDS[profile.kind]
    yield masthead(order.title, badge, [order.period, words])
    yield tiles(_tiles(facts, state, studies))
    yield heading(2, "Pairs at a glance")
    yield table(GLANCE_COLUMNS, glance_rows(studies), empty="No pair is configured; add one with `spreadwatch universe add`.")
    if studies:
        yield paragraph("Times are UTC. A bar is labelled by its opening. See the end for how to read the numbers.", "soft")
    for study in studies:
        yield pair_section(study, facts, settings)
    yield quality_section(state)
    yield health_section(state)
    yield reading_section()


def _tiles(facts: Facts, state: State, studies: Sequence[PairStudy]) -> Iterator[Tile]:
    judged = [one for study in studies for one in study.timeframes]
    good = sum(1 for one in judged if one.verdict.outcome is Outcome.COINTEGRATED)
    yield Tile("Cointegrated", f"{good} of {len(judged)}", "pairs and timeframes with a model", "good" if good else "")
    fired = fired_alerts(facts.events)
    yield Tile("Alerts fired", str(fired), "in the period, of any symbol or pair", "warn" if fired else "")
    yield Tile("Open gaps", str(state.open_gaps), "in the trade ids", "bad" if state.open_gaps else "")
    errors, warns = state.failing("error"), state.failing("warn")
    if state.checks.is_empty():
        yield Tile("Quality checks", "none", "no check has run yet")
    else:
        value = f"{errors} failing" if errors else f"{warns} to look at" if warns else "all well"
        yield Tile("Quality checks", value, f"{state.checks.height} subjects checked", "bad" if errors else "warn" if warns else "good")
    if state.clock is None:
        yield Tile("Data until", "none", "nothing landed yet")
    else:
        yield Tile("Data until", f"{state.clock.journal_time:%H:%M:%S}", f"{state.clock.journal_time:%Y-%m-%d} UTC")


def _partition(order: Order, studies: Sequence[PairStudy], text: str) -> Made:
    return Made(
        asset="reports",
        partition=order.report_id,
        complete=True,
        rows=len(studies),
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:32],
        day=order.end.date(),
        first_ts=order.start,
        last_ts=order.end,
        inputs=tuple(f"models/{study.spec.pair}/{one.timeframe}" for study in studies for one in study.timeframes),
    )


def _notice(profile: Profile, order: Order, state: State, studies: Sequence[PairStudy], path: str) -> Notice:
    told = [summary_of(study) for study in studies]
    told.append(f"{state.open_gaps} open gaps, {state.failing('error')} failing checks")
    return Notice(
        topic="report",
        key=f"{profile.name}/{order.report_id}",
        title=f"Spreadwatch report: {order.title}, {order.period}",
        summary=". ".join(told),
        path=path,
        at=order.end,
    )


def _let_go(warehouse: Warehouse, profile: Profile, keep: int) -> None:
    """Remove reports beyond the newest ``keep``: first from the list, then the files that the list does not have."""
    prune_reports(warehouse, keep=keep)
    listed = {row.path for row in list_reports(warehouse, most=_EVERY_REPORT)}
    for file in profile.reports.glob("report-*.html"):
        if file.name not in listed:
            file.unlink(missing_ok=True)

"""The parts of a report that are about everything: data quality, gaps, streams, partitions, sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import JournalError, SettingsError
from pipeline.jobs.page import Chip, cell, definitions, heading, paragraph, section, table
from pipeline.journal import open_journal
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store.bars import bar_spans
from pipeline.store.flow_runs import flow_outcomes
from pipeline.store.health import JournalClock, gap_totals, load_clock, load_gaps, load_streams, row_counts
from pipeline.store.partitions import freshness, load_partitions, missing_days
from pipeline.store.protocol import Warehouse
from pipeline.store.quality import newest_checks

_MOST_GAPS = 20
_MOST_CHECKS = 40
_MOST_STREAMS = 24
_MOST_PARTITIONS = 20
_MOST_SPANS = 30
_NO_DAY = date(1970, 1, 1)
_STATES = {"ok": "good", "warn": "warn", "error": "bad", "unknown": ""}


@dataclass(frozen=True, slots=True)
class State:
    """How the data and the platform are when the report is made."""

    clock: JournalClock | None
    checks: pl.DataFrame
    gap_totals: pl.DataFrame
    gaps: pl.DataFrame
    streams: pl.DataFrame
    flows: pl.DataFrame
    assets: pl.DataFrame
    unfinished: pl.DataFrame
    missing: pl.DataFrame
    spans: list[tuple[Any, ...]]
    rows: pl.DataFrame
    sizes: list[tuple[str, int]]

    @property
    def open_gaps(self) -> int:
        """Holes in the trade ids that nobody has filled or judged."""
        return int(self.gap_totals["open"].sum()) if self.gap_totals.height else 0

    def failing(self, state: str) -> int:
        """Checks that are in this state."""
        return self.checks.filter(state=state).height


def look(warehouse: Warehouse, profile: Profile, settings: Settings, symbols: tuple[str, ...], *, start: datetime, end: datetime) -> State:
    """See how everything is."""
    timeframes = [timeframe.name for timeframe in settings.parsed_timeframes if timeframe.seconds >= 2]
    # Not the reports: what is written must not depend on its having been written before.
    assets = freshness(warehouse).filter(pl.col("asset") != "reports")
    began = assets.filter(asset="bars")
    # Only from the first day on of which anything is known, and the day that is running is never whole.
    held = load_partitions(warehouse, asset=["bars", "klines"], start=start - timedelta(days=1), end=end + timedelta(days=1))
    first = held["day"].min() if held.height else None
    missing = missing_days(
        warehouse,
        symbols if began.height else (),
        timeframes,
        start=max(start.date(), first) if isinstance(first, type(start.date())) else end.date(),
        end=end.date(),
    )
    return State(
        clock=load_clock(warehouse),
        checks=newest_checks(warehouse),
        gap_totals=gap_totals(warehouse),
        gaps=load_gaps(warehouse, most=1_000).filter((pl.col("to_time") >= start) & (pl.col("from_time") < end)),
        streams=load_streams(warehouse),
        flows=flow_outcomes(warehouse, start=start, end=end),
        assets=assets,
        # The day that is running is never whole.
        unfinished=load_partitions(warehouse).filter(~pl.col("complete") & (pl.col("day").fill_null(_NO_DAY) < end.date())),
        missing=missing,
        spans=[(timeframe.name, *row) for timeframe in settings.parsed_timeframes for row in bar_spans(warehouse, timeframe).iter_rows()],
        rows=row_counts(warehouse).filter(pl.col("name") != "reports"),
        sizes=[
            ("database", size_of(profile.database)),
            ("journal", _journal_bytes(profile, settings)),
            ("archive", size_of(profile.archive)),
        ],
    )


def _journal_bytes(profile: Profile, settings: Settings) -> int:
    """Where it is kept, files or Redis; 0 when that cannot be asked."""
    try:
        journal = open_journal(profile, settings)
        return sum(journal.stored_bytes(source) for source in journal.sources())
    except (JournalError, SettingsError):
        return 0


_STREAM_COLUMNS = {
    "stream": "stream",
    "state": "state",
    "messages": "messages",
    "rate": "per second",
    "last_message_at": "last message (UTC)",
    "wire_p50_ms": "wire p50, ms",
    "visible_p50_ms": "visible p50, ms",
    "visible_p99_ms": "visible p99, ms",
    "duplicates": "duplicates",
    "reconnects": "reconnects",
}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files under a directory; 0 when there is none."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(directory) / name).stat().st_size
            except FileNotFoundError:  # sealed or pruned at this moment
                continue
    return total


def quality_section(state: State) -> str:
    """Checks and gaps."""
    return section(_quality(state), new_page=True)


def health_section(state: State) -> str:
    """Streams, partitions and sizes."""
    return section(_health(state))


def reading_section() -> str:
    """How to read the numbers."""
    return section([heading(2, "How to read this", anchor="reading"), definitions(_WORDS)])


def _quality(state: State) -> Iterator[str]:
    yield heading(2, "Data quality", anchor="quality", note="as it is when the report is made")
    bad = state.checks.filter(pl.col("state") != "ok")
    good = state.checks.height - bad.height
    columns = ["state", "check", "of", "bars", "since (UTC)", "value", "limit", "detail"]
    if state.checks.is_empty():
        yield paragraph("No check has run yet.", "none")
    else:
        said = f"{good} of {state.checks.height} checks are well."
        yield paragraph(said if bad.is_empty() else f"{said} These are not:", "soft")
        if bad.height:
            yield table(columns, (_check_row(row) for row in bad.head(_MOST_CHECKS).iter_rows(named=True)), empty="")
        by_name = state.checks.group_by("name").agg(
            pl.len().alias("n"), (pl.col("state") == "ok").sum().alias("ok"), pl.col("checked_at").max()
        )
        yield table(["check", "subjects", "well", "last run (UTC)"], by_name.sort("name").iter_rows(), empty="")
    yield heading(3, "Gaps in the trade ids")
    yield table(
        ["symbol", "open", "refilled", "unrecoverable", "never given", "halts"],
        state.gap_totals.iter_rows(),
        empty="None: every trade id from the first to the last is here.",
    )
    if state.gaps.height:
        yield paragraph(
            "Of the period:" if state.gaps.height <= _MOST_GAPS else f"Of the period, the newest {_MOST_GAPS} of {state.gaps.height}:",
            "soft",
        )
        shown = ["symbol", "first_missing", "missing", "from_time", "to_time", "state", "detail"]
        names = ["symbol", "first missing id", "ids", "from (UTC)", "to (UTC)", "state", "detail"]
        yield table(names, state.gaps.head(_MOST_GAPS).select(shown).iter_rows(), empty="")
    yield heading(3, "Bars")
    spans = state.spans if len(state.spans) <= _MOST_SPANS else list(_over_symbols(state.spans))
    yield table(["bars", "symbol", "first (UTC)", "last (UTC)", "bars", "complete", "of them candlesticks"], spans, empty="No bar yet.")


def _over_symbols(spans: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """One row for each timeframe."""
    for timeframe in dict.fromkeys(span[0] for span in spans):
        of = [span for span in spans if span[0] == timeframe]
        counts = [sum(int(span[index]) for span in of) for index in (4, 5, 6)]
        yield (timeframe, f"{len(of)} symbols", min(span[2] for span in of), max(span[3] for span in of), *counts)


def _health(state: State) -> Iterator[str]:
    yield heading(2, "Pipeline health", anchor="health", note="as it is when the report is made")
    if state.clock is None:
        yield paragraph("Nothing has been landed yet.", "none")
    else:
        ended = "; the recording has ended" if state.clock.ended else ""
        yield paragraph(f"Landed up to {cell(state.clock.journal_time)} UTC in {state.clock.commit_no:,} transactions{ended}.")
    yield heading(3, "Streams")
    silent = state.streams.filter(pl.col("state") != "open")
    shown = state.streams if state.streams.height <= _MOST_STREAMS else silent.head(_MOST_STREAMS)
    if silent.height and shown.height < state.streams.height:
        yield paragraph(f"{state.streams.height - silent.height} of {state.streams.height} streams are open; the others:", "soft")
    if silent.is_empty() and shown.is_empty() and state.streams.height:
        yield paragraph(f"All {state.streams.height} streams are open.")
    else:
        yield table(
            list(_STREAM_COLUMNS.values()),
            shown.select(list(_STREAM_COLUMNS)).iter_rows(),
            empty="No stream has been seen.",
        )
    yield heading(3, "Flows", note="runs that ended in the period")
    yield table(
        ["flow", "runs", "failed", "newest (UTC)", "newest failure (UTC)", "what it said"],
        state.flows.iter_rows(),
        empty="No run has ended in the period.",
    )
    yield heading(3, "Assets", note="what the flows have made")
    yield table(
        ["asset", "bars", "partitions", "incomplete", "newest day", "data until (UTC)", "rows", "restated", "last made by"],
        _asset_rows(state.assets),
        empty="No flow has made anything yet.",
    )
    if state.unfinished.height:
        shown_unfinished = state.unfinished.sort("made_at", descending=True).head(_MOST_PARTITIONS)
        more = f", the newest {_MOST_PARTITIONS} of {state.unfinished.height}" if state.unfinished.height > _MOST_PARTITIONS else ""
        told = ", ".join(f"{asset}/{part}" for asset, part in shown_unfinished.select("asset", "partition").iter_rows())
        yield paragraph(f"Incomplete partitions of past days{more}: {told}.", "soft")
    if state.missing.height:
        days = state.missing.group_by("day").len().sort("day")
        said = ", ".join(f"{day} ({count})" for day, count in days.iter_rows())
        yield paragraph(f"Days of the period without whole bars, and for how many symbols and timeframes: {said}.", "soft")
    yield heading(3, "Sizes")
    rows = [(name, _bytes(size), None) for name, size in state.sizes]
    yield table(["part", "on disk", "rows"], [*rows, *((f"table {name}", None, count) for name, count in state.rows.iter_rows())], empty="")


def _check_row(row: dict[str, Any]) -> list[object]:
    words = row["state"] + (", blocking" if row["blocking"] and row["state"] == "error" else "")
    return [
        Chip(words, _STATES.get(row["state"], "")),
        row["name"],
        row["subject"],
        row["timeframe"],
        row["since"],
        row["value"],
        row["threshold"],
        row["detail"],
    ]


def _asset_rows(assets: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Over all symbols."""
    if assets.is_empty():
        return
    found = assets.group_by("asset", "timeframe").agg(
        pl.col("partitions").sum(),
        pl.col("incomplete").sum(),
        pl.col("newest_day").max(),
        pl.col("last_ts").max(),
        pl.col("rows").sum(),
        pl.col("restated").sum(),
        pl.col("run").sort_by("made_at").last(),
    )
    yield from found.sort("asset", "timeframe").iter_rows()


def _bytes(value: int) -> str:
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value} B"


_WORDS = (
    ("Spread", "y - hedge ratio times x of the closes (of their logarithms on the log scale); the intercept is not taken off."),
    ("z-score", "The spread's distance from its mean over the window, in standard deviations. Above 2: y is rich; below -2: y is cheap."),
    (
        "Engle-Granger",
        "Null hypothesis: the spread wanders. A p-value below the level rejects it. Its critical values allow for a fitted hedge ratio.",
    ),
    (
        "q-value",
        "The share of false discoveries to expect among all pairs of the screen with a q-value as small as this one (Benjamini-Hochberg).",
    ),
    ("Half-life", "Bars until half of a deviation is expected to be gone; none when the spread does not revert."),
    ("Not shown", "The test does not reject. That is no proof that the legs are unrelated: the window may be too short."),
)

"""The data's own health, for `status`: how far behind it is, which streams are silent, what is missing, what was not understood."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from pipeline.errors import JournalError, StoreError
from pipeline.journal import START, Position, open_journal
from pipeline.profile import Kind, Profile
from pipeline.settings import settings
from pipeline.store import Role, connect
from pipeline.store.health import gap_totals, landing_counts, landing_offsets, load_clock, load_streams, malformed_samples, row_counts
from pipeline.store.quality import newest_checks

_LATE_S = 10.0
"""Journal time further behind than this is not healthy: landing takes a quarter of a second."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is said of the data, line by line, and whether all of it is well."""

    healthy: bool
    lines: tuple[tuple[str, str], ...]


def take_vitals(profile: Profile) -> Vitals:
    """Ask the running warehouse; one that does not answer is said so, not raised."""
    try:
        with connect(profile, Role.READER) as warehouse:
            clock = load_clock(warehouse)
            streams, gaps = load_streams(warehouse), gap_totals(warehouse)
            counts, rows = landing_counts(warehouse), row_counts(warehouse)
            offsets, samples = landing_offsets(warehouse), malformed_samples(warehouse, most=1)
            checks = newest_checks(warehouse)
    except StoreError as error:
        return Vitals(False, (("warehouse", str(error)),))
    lines = []
    healthy = True
    if clock is None:
        return Vitals(False, (("journal", "nothing has been landed yet"),))
    lag_s = (datetime.now(UTC) - clock.journal_time).total_seconds()
    if profile.kind is Kind.RECORDED:
        lines.append(("journal time", f"{clock.journal_time:%Y-%m-%d %H:%M:%S} UTC{', ended' if clock.ended else ''}"))
    else:
        healthy = lag_s < _LATE_S
        lines.append(
            ("journal time", f"{lag_s:.1f} s behind" + ("" if healthy else "; capture or warehouse is not keeping up: see their logs"))
        )
        well, text = _streams(streams)
        healthy = healthy and well
        lines.append(("streams", text))
    lines.append(("backlog", _backlog(profile, offsets)))
    lines.append(("rows", ", ".join(f"{row['rows']:,} {row['name']}" for row in rows.iter_rows(named=True) if row["rows"])))
    open_gaps = int(gaps["open"].sum()) if gaps.height else 0
    lines.append(
        (
            "gaps",
            f"{open_gaps} open of {int(gaps.select('open', 'refilled', 'halts', 'unrecoverable').sum().sum_horizontal().item())}"
            if gaps.height
            else "none",
        )
    )
    lines.append(("quality", _quality(checks)))
    malformed = int(counts.filter(pl.col("name") == "malformed")["count"].sum())
    sample = f"; the last: {samples.item(0, 'line')[:100]}" if samples.height else ""
    lines.append(("malformed", f"{malformed} lines{sample}"))
    return Vitals(healthy, tuple(lines))


def _streams(streams: pl.DataFrame) -> tuple[bool, str]:
    connections = streams.filter(pl.col("stream").str.starts_with("connection:"))
    others = streams.filter(~pl.col("stream").str.starts_with("connection:"))
    down = connections.filter(pl.col("state") != "open")["stream"].str.strip_prefix("connection:").to_list()
    ok = others.filter(pl.col("state") == "open").height
    text = f"{ok} of {others.height} delivering, {float(others['rate'].sum() or 0):.0f} messages/s"
    if down:
        return False, f"{text}; not connected: {', '.join(down)} (capture keeps trying; `spreadwatch doctor` says what to do)"
    return connections.height > 0, text


def _quality(checks: pl.DataFrame) -> str:
    """How the newest quality checks stand, and the worst of them."""
    if checks.is_empty():
        return "not checked yet"
    told = ", ".join(f"{count} {state}" for state in ("error", "warn", "unknown", "ok") if (count := checks.filter(state=state).height))
    worst = checks.row(0, named=True)
    if worst["state"] not in ("error", "warn"):
        return told
    return (
        f"{told}; {worst['name']} of {worst['subject']} {worst['timeframe']}".rstrip()
        + f": {worst['detail'][:100]} (`spreadwatch quality`)"
    )


def _backlog(profile: Profile, offsets: pl.DataFrame) -> str:
    landed = {row["source"]: Position(row["seq"], row["offset"]) for row in offsets.iter_rows(named=True)}
    total = 0
    try:
        journal = open_journal(profile, settings())
        for source in journal.sources():
            with journal.reader(source) as reader:
                total += reader.backlog_bytes(landed.get(source, START))
    except JournalError as error:
        return str(error)
    return f"{total / 1e6:.1f} MB of the journal not landed yet"

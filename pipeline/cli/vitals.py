"""The data's own health, for `status`: how far behind it is, which streams are silent, what is missing, what was not understood."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipeline.errors import JournalError, SettingsError, StoreError
from pipeline.journal import START, Position, open_journal
from pipeline.profile import Kind, Profile
from pipeline.settings import settings
from pipeline.store import Role, connect
from pipeline.store.health import (
    CaptureHealth,
    JournalClock,
    gap_totals,
    landing_counts,
    landing_offsets,
    load_capture,
    load_clock,
    load_streams,
    malformed_samples,
    row_counts,
)
from pipeline.store.quality import newest_checks

_LATE_S = 10.0
"""Journal time further behind than this is not healthy: landing takes a quarter of a second."""
_SHOWN = 4
_STAGES = ("wire", "landing", "visible")


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is said of the data, line by line, and whether all of it is well; ``facts`` is the same for programs, ready for JSON."""

    healthy: bool
    lines: tuple[tuple[str, str], ...]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the tables tell."""

    clock: JournalClock
    capture: CaptureHealth | None
    streams: pl.DataFrame
    gaps: pl.DataFrame
    counts: pl.DataFrame
    rows: pl.DataFrame
    samples: pl.DataFrame
    checks: pl.DataFrame
    backlog: dict[str, int] | str


def take_vitals(profile: Profile) -> Vitals:
    """Ask the running warehouse; one that does not answer is said so, not raised."""
    try:
        with connect(profile, Role.READER) as warehouse:
            clock = load_clock(warehouse)
            if clock is None:
                return _trouble("journal", "nothing has been landed yet")
            offsets = landing_offsets(warehouse)
            seen = _Seen(
                clock=clock,
                capture=load_capture(warehouse),
                streams=load_streams(warehouse),
                gaps=gap_totals(warehouse),
                counts=landing_counts(warehouse),
                rows=row_counts(warehouse),
                samples=malformed_samples(warehouse, most=1),
                checks=newest_checks(warehouse),
                backlog=_backlog(profile, offsets),
            )
    except StoreError as error:
        return _trouble("warehouse", str(error))
    return _judge(profile.kind, seen, datetime.now(UTC))


def _trouble(where: str, what: str) -> Vitals:
    return Vitals(False, ((where, what),), {where: {"trouble": what}})


def _judge(kind: Kind, seen: _Seen, now: datetime) -> Vitals:
    clock = seen.clock
    lines = []
    healthy = True
    lag_s = (now - clock.journal_time).total_seconds()
    if kind is Kind.RECORDED:
        lines.append(("journal time", f"{clock.journal_time:%Y-%m-%d %H:%M:%S} UTC{', ended' if clock.ended else ''}"))
    else:
        healthy = lag_s < _LATE_S
        lines.append(
            ("journal time", f"{lag_s:.1f} s behind" + ("" if healthy else "; capture or warehouse is not keeping up: see their logs"))
        )
        well, text = _streams(seen.streams)
        healthy = healthy and well
        lines.append(("streams", text))
        if seen.capture is not None:
            healthy = healthy and seen.capture.state != "blocked"
            lines.append(("capture", _capture(seen.capture)))
    lines.append(("lag", _lag(seen.streams, seen.capture)))
    behind = seen.backlog
    lines.append(("backlog", behind if isinstance(behind, str) else f"{sum(behind.values()) / 1e6:.1f} MB of the journal not landed yet"))
    lines.append(("rows", ", ".join(f"{row['rows']:,} {row['name']}" for row in seen.rows.iter_rows(named=True) if row["rows"])))
    lines.append(("gaps", _gaps(seen.gaps)))
    duplicates = _counted(seen.counts, "duplicate_trades")
    lines.append(("duplicates", f"{duplicates:,} trades came more than once, and are there once"))
    lines.append(("quality", _quality(seen.checks)))
    malformed = _counted(seen.counts, "malformed")
    sample = f"; the last: {seen.samples.item(0, 'line')[:100]}" if seen.samples.height else ""
    lines.append(("malformed", f"{malformed} lines{sample}"))
    return Vitals(healthy, tuple(lines), _facts(seen, lag_s if kind is not Kind.RECORDED else None))


def _facts(seen: _Seen, behind_s: float | None) -> dict[str, Any]:
    clock = seen.clock
    connections = seen.streams.filter(pl.col("stream").str.starts_with("connection:"))
    others = seen.streams.filter(~pl.col("stream").str.starts_with("connection:"))
    known = asdict(seen.capture) if seen.capture is not None else None
    facts: dict[str, Any] = {
        "journal": {
            "time": clock.journal_time,
            "behind_s": behind_s,
            "ended": clock.ended,
            "commits": clock.commit_no,
            "committed_at": clock.committed_at,
            "backlog_bytes": seen.backlog if isinstance(seen.backlog, dict) else None,
        },
        "capture": known,
        "connections": [
            {"connection": row["stream"].removeprefix("connection:"), "state": row["state"], "since": row["last_message_at"]}
            for row in connections.iter_rows(named=True)
        ],
        "streams": others.to_dicts(),
        "gaps": seen.gaps.to_dicts(),
        "landed": {},
        "rows": dict(seen.rows.iter_rows()),
        "checks": {state: seen.checks.filter(state=state).height for state in ("error", "warn", "unknown", "ok")},
    }
    for source, name, count in seen.counts.iter_rows():
        facts["landed"].setdefault(source, {})[name] = count
    return {name: _plain(value) for name, value in facts.items()}


def _plain(value: Any) -> Any:
    """Times as ISO 8601 text, in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _streams(streams: pl.DataFrame) -> tuple[bool, str]:
    connections = streams.filter(pl.col("stream").str.starts_with("connection:"))
    others = streams.filter(~pl.col("stream").str.starts_with("connection:"))
    down = connections.filter(pl.col("state") != "open")["stream"].str.strip_prefix("connection:").to_list()
    ok = others.filter(pl.col("state") == "open").height
    text = f"{ok} of {others.height} delivering, {float(others['rate'].sum() or 0):.0f} messages/s"
    silent = others.filter(pl.col("silent_since").is_not_null()).sort("silent_since")
    if silent.height:
        told = ", ".join(
            f"{row['stream']} since {row['silent_since'].astimezone(UTC):%H:%M:%S}" for row in silent.head(_SHOWN).iter_rows(named=True)
        )
        text += f"; silent: {told} UTC" + (f" and {silent.height - _SHOWN} more" if silent.height > _SHOWN else "")
    if down:
        return False, f"{text}; not connected: {', '.join(down)} (capture keeps trying; `spreadwatch doctor` says what to do)"
    return connections.height > 0, text


def _capture(capture: CaptureHealth) -> str:
    blocked = f"the journal cannot be written: {capture.detail}; " if capture.state == "blocked" else ""
    return (
        f"{blocked}{capture.reconnects} reconnects, {capture.dropped:,} messages lost for want of room "
        f"(ever: {capture.reconnects_total}, {capture.dropped_total:,}), "
        f"{capture.buffered_bytes / 1e3:.1f} kB and {capture.waiting_frames} frames waiting"
    )


def _lag(streams: pl.DataFrame, capture: CaptureHealth | None) -> str:
    """The worst stream's of each."""
    said = []
    for stage in _STAGES:
        columns = [f"{stage}_{stat}_ms" for stat in ("p50", "p99", "max")]
        worst: tuple[float | None, ...] = streams.select(columns).max().row(0)
        if None not in worst:
            said.append(f"{stage} {' / '.join(f'{value:.0f}' for value in worst)} ms")
    if not said:
        return "no message in the last minute"
    text = f"{', '.join(said)} (p50 / p99 / max of the last minute, worst stream)"
    if capture is None or capture.clock_offset_ms is None:
        return f"{text}; the venue's clock has not been measured"
    return f"{text}, net of the venue's clock, {capture.clock_offset_ms:+.1f} ms"


def _gaps(gaps: pl.DataFrame) -> str:
    if gaps.is_empty():
        return "none"
    total = gaps.drop("symbol").sum().row(0, named=True)
    ever = total["open"] + total["refilled"] + total["unrecoverable"] + total["never_given"]
    said = f"{total['open']} open of {ever}"
    if total["unrecoverable"]:
        said += f", {total['unrecoverable']} unrecoverable"
    if total["never_given"]:
        said += f", {total['never_given']} of ids that the venue does not have"
    return said + (f"; {total['halts']} halts of the venue" if total["halts"] else "")


def _counted(counts: pl.DataFrame, name: str) -> int:
    return int(counts.filter(pl.col("name") == name)["count"].sum())


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


def _backlog(profile: Profile, offsets: pl.DataFrame) -> dict[str, int] | str:
    """Bytes of each source that are not landed; why that is not known, when it is not."""
    landed = {row["source"]: Position(row["seq"], row["offset"]) for row in offsets.iter_rows(named=True)}
    found = {}
    try:
        journal = open_journal(profile, settings())
        for source in journal.sources():
            with journal.reader(source) as reader:
                found[source] = reader.backlog_bytes(landed.get(source, START))
    except (JournalError, SettingsError) as error:
        return str(error)
    return found

"""One-shot ingest of recordings: into the journal, landed, resampled, done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ProvenanceError, RecordingError, WarehouseUnavailable
from pipeline.jobs.resample import resample
from pipeline.jobs.turn import turn
from pipeline.journal import Position, Writer, merge_recordings, open_journal
from pipeline.profile import Kind, Profile
from pipeline.settings import Settings
from pipeline.store import Role, Warehouse, connect, open_local
from pipeline.store.counts import Totals, load_offset, load_totals
from pipeline.warehouse.engine import Engine

SOURCE = "ingest"
END_LINE = b'{"e":"sw.end"}'
_GROUP_LINES = 20_000
_POLL_S = 0.05

Progress = Callable[[str, int], None]
"""Called with what is being done and how many lines of it are."""


@dataclass(slots=True)
class IngestReport:
    """What an ingest came to: lines read, rows added by this run, lines that could not be used."""

    lines: int = 0
    added: Totals = field(default_factory=lambda: Totals(0, 0, 0, 0))
    bad_lines: list[str] = field(default_factory=list)


def ingest(profile: Profile, settings: Settings, paths: Sequence[Path], progress: Progress) -> IngestReport:
    """Append recordings to the journal by receive time, land them, resample.

    Works beside a running warehouse (which then lands) and without one (then this process does).

    Raises:
        ProvenanceError: when the profile is not for recordings.
        RecordingError: when a file cannot be opened.
        WarehouseBusy: when somebody holds the database and does not serve it.
    """
    if profile.kind is not Kind.RECORDED:
        msg = f"profile {profile.name!r} holds {profile.kind} data; ingest recordings into a recorded profile, such as --profile replay"
        raise ProvenanceError(msg)
    try:
        served = connect(profile, Role.WRITER)
    except WarehouseUnavailable:
        return _ingest_alone(profile, settings, paths, progress)
    with served:
        before = load_totals(served)
        report = IngestReport()
        _wait_until_landed(served, _journalled(profile, settings, paths, report, progress), progress)
        return _finished(profile, report, served, settings, before)


def _ingest_alone(profile: Profile, settings: Settings, paths: Sequence[Path], progress: Progress) -> IngestReport:
    with open_local(profile) as warehouse:
        engine = Engine(profile, settings, warehouse)
        try:
            before = load_totals(warehouse)
            report = IngestReport()
            _journalled(profile, settings, paths, report, progress)
            progress("landed", engine.land_everything())
        finally:
            engine.close()
        return _finished(profile, report, warehouse, settings, before)


def _journalled(profile: Profile, settings: Settings, paths: Sequence[Path], report: IngestReport, progress: Progress) -> Position:
    def bad(error: RecordingError) -> None:
        report.bad_lines.append(str(error))

    writer: Writer = open_journal(profile, settings).writer(SOURCE)
    try:
        last_ns = 0
        for recv_ns, raw in merge_recordings(paths, on_bad=bad):
            writer.append(recv_ns, raw)
            last_ns = recv_ns
            report.lines += 1
            if report.lines % _GROUP_LINES == 0:
                writer.commit()
                progress("journalled", report.lines)
        if not report.lines:
            reason = report.bad_lines[0] if report.bad_lines else f"{', '.join(map(str, paths))}: empty"
            msg = f"there is nothing to ingest: {reason}"
            raise RecordingError(msg)
        writer.append(last_ns, END_LINE)
        position = writer.commit()
    finally:
        writer.close()
    progress("journalled", report.lines)
    return position


def _wait_until_landed(warehouse: Warehouse, end: Position, progress: Progress) -> None:
    while True:
        seq, offset, lines = load_offset(warehouse, SOURCE)
        if Position(seq, offset) >= end:
            progress("landed", lines)
            return
        time.sleep(_POLL_S)


def _finished(profile: Profile, report: IngestReport, warehouse: Warehouse, settings: Settings, before: Totals) -> IngestReport:
    with turn(profile, "resample"):
        resample(warehouse, settings.parsed_timeframes, run="cli:ingest")
    report.added = load_totals(warehouse).since(before)
    return report

"""One-shot ingest of recordings: into the journal, landed, resampled, done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import MalformedMessage, ProvenanceError, RecordingError, WarehouseUnavailable
from pipeline.jobs.resample import resample
from pipeline.jobs.turn import turn
from pipeline.journal import Damage, Position, Writer, merge_numbered, open_journal
from pipeline.journal.recording import NumberedLine
from pipeline.profile import Kind, Profile
from pipeline.settings import Settings
from pipeline.store import Role, Warehouse, connect, open_local
from pipeline.store.counts import Totals, load_offset, load_totals
from pipeline.venues import venue
from pipeline.warehouse.engine import Engine

SOURCE = "ingest"
END_LINE = b'{"e":"sw.end"}'
_GROUP_LINES = 20_000
_POLL_S = 0.05

Progress = Callable[[str, int], None]
"""Called with what is being done and how many lines of it are."""


@dataclass(slots=True)
class IngestReport:
    """What an ingest came to: lines taken, rows added by this run, and what was wrong with the recordings."""

    lines: int = 0
    added: Totals = field(default_factory=lambda: Totals(0, 0, 0, 0))
    damage: Damage = field(default_factory=Damage)


def ingest(profile: Profile, settings: Settings, paths: Sequence[Path], progress: Progress) -> IngestReport:
    """Append recordings to the journal by receive time, land them, resample.

    Works beside a running warehouse (which then lands) and without one (then this process does). Damage of a recording stops nothing:
    everything else is landed, and ``IngestReport.damage`` tells what was wrong, where, and what was kept.

    Raises:
        ProvenanceError: when the profile is not for recordings.
        RecordingError: when there is nothing in the recordings that could be landed.
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
    writer: Writer = open_journal(profile, settings).writer(SOURCE)
    judge = _Judge(report.damage)
    try:
        last_ns = 0
        for recv_ns, raw, path, number in merge_numbered(paths, on_bad=report.damage.note):
            writer.append(recv_ns, raw)
            judge.add(recv_ns, raw, path, number)
            last_ns = recv_ns
            report.lines += 1
            if report.lines % _GROUP_LINES == 0:
                writer.commit()
                judge.look()
                progress("journalled", report.lines)
        if not report.lines:
            reason = report.damage.first[0] if report.damage else f"{', '.join(map(str, paths))}: empty"
            msg = f"there is nothing to ingest: {reason}"
            raise RecordingError(msg)
        judge.look()
        writer.append(last_ns, END_LINE)
        position = writer.commit()
    finally:
        writer.close()
    progress("journalled", report.lines)
    return position


class _Judge:
    """Finds the lines that hold no usable message: they stay in the journal, and landing counts them, but nobody there knows the file."""

    def __init__(self, damage: Damage) -> None:
        self._damage = damage
        self._lines: list[NumberedLine] = []

    def add(self, recv_ns: int, raw: bytes, path: Path, number: int) -> None:
        """Take a line."""
        self._lines.append((recv_ns, raw, path, number))

    def look(self) -> None:
        """Judge the lines taken, all at once, and one by one only when one of them is bad."""
        lines, self._lines = self._lines, []
        self._damage.kept.update(Counter(path for _, _, path, _ in lines))
        if not venue().decode_batch(b"".join(b"%d %b\n" % line[:2] for line in lines)).malformed:
            return
        for recv_ns, raw, path, number in lines:
            try:
                venue().decode(raw, recv_ns)
            except MalformedMessage as error:
                self._damage.kept[path] -= 1
                self._damage.note(RecordingError(f"{path}:{number}: {error}", path, number))


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

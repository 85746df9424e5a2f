"""The platform's own state: streams, gaps, landing, flow runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from dashboards.hub import Moment
from pipeline.errors import JournalError, SettingsError
from pipeline.journal import Position, open_journal
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import Warehouse
from pipeline.store.health import (
    CaptureHealth,
    gap_totals,
    landing_counts,
    landing_offsets,
    load_capture,
    load_gaps,
    load_streams,
    malformed_samples,
    row_counts,
)


@dataclass(frozen=True, slots=True, eq=False)
class Health:
    """One look at everything, at a journal time."""

    time: datetime
    capture: CaptureHealth | None
    streams: pl.DataFrame
    gaps: pl.DataFrame
    gap_totals: pl.DataFrame
    landed: pl.DataFrame
    offsets: pl.DataFrame
    malformed: pl.DataFrame
    rows: pl.DataFrame
    backlog: dict[str, int]
    """Durable bytes of each journal source that are not landed yet; empty where the journal is on another machine."""


@dataclass(frozen=True, slots=True)
class HealthTopic:
    """The state of a profile's platform."""

    profile: Profile
    settings: Settings
    every_s: float = 1.8
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """The state now."""
        if warehouse is None or moment is None:
            return before
        offsets = landing_offsets(warehouse)
        return Health(
            time=moment.time,
            capture=load_capture(warehouse),
            streams=load_streams(warehouse),
            gaps=load_gaps(warehouse),
            gap_totals=gap_totals(warehouse),
            landed=landing_counts(warehouse),
            offsets=offsets,
            malformed=malformed_samples(warehouse),
            rows=row_counts(warehouse),
            backlog=_backlog(self.profile, self.settings, offsets),
        )


def _backlog(profile: Profile, settings: Settings, offsets: pl.DataFrame) -> dict[str, int]:
    landed = {row["source"]: Position(row["seq"], row["offset"]) for row in offsets.iter_rows(named=True)}
    found: dict[str, int] = {}
    try:
        journal = open_journal(profile, settings)
        there = journal.sources()
    except (JournalError, SettingsError):  # the table shows what it knows
        return found
    for source in there:
        if source in landed:
            try:
                with journal.reader(source) as reader:
                    found[source] = reader.backlog_bytes(landed[source])
            except (JournalError, OSError):  # a segment that is being sealed at this moment: next time
                continue
    journal.close()
    return found

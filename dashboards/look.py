"""A look at a user's file before it is taken: what it is, its first rows, and whether the name fits. Nothing is written to the tables."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from pipeline.jobs.upload import may_take, notes_of, times_of
from pipeline.jobs.upload_file import Judged, judge_file
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Profile
from pipeline.store import Warehouse
from pipeline.venues.user_csv import Form

_FIRST = 8


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a file is.

    Attributes:
        judged: the file as it was read.
        first: time of the first row that would be written.
        last: time of the last.
        notes: what was tolerated, and what is to know.
        sample: the first rows as they would be written.
    """

    judged: Judged
    first: datetime
    last: datetime
    notes: tuple[str, ...]
    sample: pl.DataFrame

    @property
    def what(self) -> str:
        """Bars of which timeframe, or trades."""
        return f"{self.judged.timeframe} bars" if self.judged.layout.form is Form.BARS else "trades"


def look_at(path: Path, timeframe: Timeframe | None, configured: tuple[Timeframe, ...], now: datetime) -> Look:
    """Read a file to its end and judge it; what was read stays beside it, for :func:`refuse_name`.

    Raises:
        UploadError: when it cannot be taken, with the line that is at fault.
    """
    spool = path.parent / "judged"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    judged = judge_file(path, spool, timeframe=timeframe, configured=configured, now_us=round(now.timestamp() * 1e6))
    rows = next((stretch for stretch in judged.stretches() if stretch.height), pl.DataFrame())
    first, last = times_of(judged)
    return Look(judged, first, last, notes_of(judged), _shown(rows.head(_FIRST)))


def judge_name(warehouse: Warehouse, profile: Profile, look: Look, symbol: str, universe: Universe) -> str:
    """What taking the file as ``symbol`` would mean, in words.

    Raises:
        UsageError: when the name is not usable, or belongs to a symbol that the exchange feeds.
        UploadError: when other trades are there under it.
    """
    own = may_take(profile, warehouse, look.judged, symbol, universe)
    if not own:
        return f"goes to {symbol}, as what backfill would have fetched"
    return f"adds to {symbol}, what is there already stays" if symbol in universe.uploaded else f"becomes the new symbol {symbol}"


def _shown(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns that mean something to people."""
    if rows.is_empty():
        return rows
    kept = rows.drop("line").with_columns(pl.col("time_us").cast(pl.Datetime("us", "UTC")).alias("time"))
    names = [name for name in kept.columns if name not in ("time_us", "time") and kept[name].null_count() < kept.height]
    return kept.select("time", *names)

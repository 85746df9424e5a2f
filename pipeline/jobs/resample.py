"""Bars of the larger timeframes: what trades have touched since the last run, in chunks of a day, and the ledger of their days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.protocol import Warehouse
from pipeline.store.resampling import enter_days, resample_chunk, resample_done, resample_due, touched_days, unsettled_days


@dataclass(frozen=True, slots=True)
class Resampled:
    """What was written of one timeframe: bars, symbols that they belong to, and chunks (days) that it took."""

    timeframe: str
    bars: int
    symbols: int
    days: int


def resample(warehouse: Warehouse, timeframes: Iterable[Timeframe], *, run: str = "direct") -> list[Resampled]:
    """Write every bar that is due, enter the days into the ledger, then move each timeframe's cursor.

    One run does what many would; repeating changes nothing. A run that is stopped midway has moved no cursor, so the next
    one does the same bars and days again.

    Args:
        warehouse: where bars come from and go to.
        timeframes: which; 1s bars are made as trades land, and only entered into the ledger here.
        run: who asks, for the ledger.
    """
    done = []
    every_due = [resample_due(warehouse, timeframe) for timeframe in timeframes if timeframe.seconds > 1]
    for due in every_due:
        chunks = due.keys.with_columns(pl.col("ts").dt.date().alias("day")).partition_by("day", maintain_order=True)
        bars = sum(resample_chunk(warehouse, due.timeframe, chunk) for chunk in chunks)
        done.append(Resampled(due.timeframe.name, bars, due.keys["symbol"].n_unique(), len(chunks)))
    enter_days(warehouse, touched_days([*(due.keys for due in every_due), unsettled_days(warehouse)]), run=run)
    for due in every_due:
        resample_done(warehouse, due)
    return done

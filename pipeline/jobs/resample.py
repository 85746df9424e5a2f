"""Bars of the larger timeframes, from ticks: what trades have touched since the last run, in chunks of a day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import resample_chunk, resample_done, resample_due
from pipeline.store.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class Resampled:
    """What was written of one timeframe: bars, symbols that they belong to, and chunks (days) that it took."""

    timeframe: str
    bars: int
    symbols: int
    days: int


def resample(warehouse: Warehouse, timeframes: Iterable[Timeframe]) -> list[Resampled]:
    """Write every bar that is due, then move each timeframe's cursor. One run does what many would; repeating changes nothing.

    A run that is stopped midway has moved no cursor, so the next one does the same bars again.
    """
    done = []
    for timeframe in timeframes:
        if timeframe.seconds == 1:
            continue  # made as trades land
        due = resample_due(warehouse, timeframe)
        chunks = due.keys.with_columns(pl.col("ts").dt.date().alias("day")).partition_by("day", maintain_order=True)
        bars = sum(resample_chunk(warehouse, timeframe, chunk) for chunk in chunks)
        resample_done(warehouse, due)
        done.append(Resampled(timeframe.name, bars, due.keys["symbol"].n_unique(), len(chunks)))
    return done

"""What the flows have made and how good it is: partitions and quality checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from dashboards.hub import Moment
from pipeline.store import Warehouse
from pipeline.store.partitions import freshness, load_partitions, missing_days
from pipeline.store.quality import newest_checks

_LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True, eq=False)
class Upkeep:
    """One look.

    Attributes:
        time: journal time of the look.
        assets: see ``freshness``.
        missing: days without whole bars of the last 30, by symbol and timeframe; none before the first day that anything is known of.
        checks: see ``newest_checks``.
    """

    time: datetime
    assets: pl.DataFrame
    missing: dict[tuple[str, str], list[date]]
    checks: pl.DataFrame


@dataclass(frozen=True, slots=True)
class UpkeepTopic:
    """What the flows have made. ``timeframes`` are those whose bars are made by the day."""

    timeframes: tuple[str, ...]
    every_s: float = 5.0
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """How it is now."""
        if warehouse is None or moment is None:
            return before
        assets = freshness(warehouse)
        return Upkeep(
            time=moment.time,
            assets=assets,
            missing=self._missing(warehouse, assets, moment.time),
            checks=newest_checks(warehouse),
        )

    def _missing(self, warehouse: Warehouse, assets: pl.DataFrame, now: datetime) -> dict[tuple[str, str], list[date]]:
        held = load_partitions(warehouse, asset=["bars", "klines"], start=now - _LOOK_BACK)
        if held.is_empty():
            return {}
        first = held.select(pl.col("day").min()).item()
        symbols = assets.filter(pl.col("asset").is_in(["bars", "klines"]))["symbol"].drop_nulls().unique().sort().to_list()
        # The day that is running is never whole.
        found = missing_days(warehouse, symbols, self.timeframes, start=first, end=now.date())
        days: dict[tuple[str, str], list[date]] = {}
        for symbol, timeframe, day in found.select("symbol", "timeframe", "day").iter_rows():
            days.setdefault((symbol, timeframe), []).append(day)
        return days


def by_asset(assets: pl.DataFrame) -> pl.DataFrame:
    """How far each asset has come, over all of its symbols and timeframes.

    Returns:
        asset, newest_day, last_ts, made_at, partitions, incomplete, rows.
    """
    return (
        assets.group_by("asset")
        .agg(pl.col("newest_day", "last_ts", "made_at").max(), pl.col("partitions", "incomplete", "rows").sum())
        .sort("asset")
    )

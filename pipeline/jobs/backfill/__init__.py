"""The exchange's past: candlesticks and aggregate trades, from its REST API or its archive of files, where there are none yet.

A partition is a UTC day of a symbol (and timeframe). Only days that are missing or not whole are fetched, newest first, the legs of
configured pairs before other symbols, candlesticks before trades. What was written stays when a run is stopped at any point, and the
next one does what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import DataError
from pipeline.jobs.backfill.feed import SOURCE, TradeFeed
from pipeline.jobs.backfill.kline_files import fetch_archive
from pipeline.jobs.backfill.klines import backfill_klines, count_whole_days, fetch_rest, plan_klines
from pipeline.jobs.backfill.order import (
    INTERVALS,
    PAGE,
    Backfilled,
    Meter,
    Order,
    Progress,
    Source,
    What,
    default_start,
    from_ms,
    legs_first,
    to_ms,
    turn_of,
    venue_timeframes,
)
from pipeline.jobs.backfill.trades import Files, landed_rows, plan_trades, trades_by_archive, trades_by_rest
from pipeline.jobs.venue_archive import VenueArchive
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import Journal
from pipeline.profile import Profile
from pipeline.store.protocol import Warehouse

__all__ = [
    "INTERVALS",
    "PAGE",
    "SOURCE",
    "Backfilled",
    "Order",
    "Place",
    "Progress",
    "Source",
    "TradeFeed",
    "What",
    "backfill",
    "backfill_klines",
    "default_start",
    "legs_first",
    "turn_of",
    "venue_timeframes",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a backfill works.

    Attributes:
        profile: whose data.
        warehouse: its warehouse, as a writer.
        journal: its journal.
        rest: the venue.
        archive: the venue's files.
        run: who works, for the ledger.
        land: lands what the journal has, where no warehouse process does.
    """

    profile: Profile
    warehouse: Warehouse
    journal: Journal
    rest: VenueRest
    archive: VenueArchive
    run: str
    land: Callable[[], object] | None = None


def backfill(place: Place, order: Order, progress: Progress | None = None) -> list[Backfilled]:
    """Fetch what is missing of what was ordered.

    Args:
        place: where.
        order: what.
        progress: called with steps done, steps in all, and rows written.

    Returns:
        One row for each symbol and timeframe, and one for each symbol's trades, with what was odd about the data.

    Raises:
        UsageError: when it cannot be fetched, see :meth:`Order.check`.
        VenueError: when the venue does not answer as needed.
        DataError: at the end, when files do not fit their checksums or cannot be read; everything else is there then.
        WarehouseUnavailable: when the warehouse does not answer, or does not land.
    """
    rest = order.source is Source.REST
    now_ms = place.rest.server_time_ms() if rest else to_ms(datetime.now(UTC))
    now = from_ms(now_ms)
    order.check(place.profile, now)
    meter = Meter(progress)
    run = place.run
    klines = plan_klines(place.warehouse, order, now_ms) if What.KLINES in order.what else None
    trades = plan_trades(place.warehouse, order, now) if What.TRADES in order.what else None
    meter.expect((klines.steps if klines else 0) + (trades.steps if trades else 0))
    told: list[Backfilled] = []
    failures: list[str] = []
    if klines is not None:
        if rest:
            fetch_rest(place.warehouse, place.rest, klines, now_ms, meter, run=run)
        else:
            fetch_archive(place.warehouse, place.archive, klines, now.date(), meter, run=run)
        count_whole_days(place.warehouse, klines)
        told += klines.told.values()
        failures += klines.failures
    if trades is not None:
        before = landed_rows(place.warehouse, trades)
        with TradeFeed(place.warehouse, place.journal, land=place.land) as feed:
            if rest:
                trades_by_rest(place.warehouse, place.rest, feed, trades, meter, run=run)
            else:
                trades_by_archive(Files(place.warehouse, place.archive, feed, meter, run), trades, now.date())
        after = landed_rows(place.warehouse, trades)
        for symbol, row in trades.told.items():
            row.written = after[symbol] - before[symbol]
        told += trades.told.values()
        failures += trades.failures
    if failures:
        more = f" (and {len(failures) - 1} more files)" if len(failures) > 1 else ""
        msg = f"{failures[0]}{more}; everything else has been fetched"
        raise DataError(msg)
    return told

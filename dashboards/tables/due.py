"""What a backfill would fetch: its own plan, made without fetching anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pipeline.jobs.backfill.klines import plan_klines
from pipeline.jobs.backfill.order import Order, What, to_ms
from pipeline.jobs.backfill.trades import plan_trades
from pipeline.store import Warehouse


@dataclass(frozen=True, slots=True)
class DueLine:
    """Of one symbol: what is missing of a timeframe's candlesticks, or in how many days of its trades."""

    symbol: str
    of: str
    missing: int
    days: str


@dataclass(frozen=True, slots=True)
class Due:
    """All of it, the most wanted first; ``sums`` are numbers and what they count."""

    lines: tuple[DueLine, ...]
    sums: tuple[tuple[int, str], ...]


def load_due(warehouse: Warehouse, order: Order, now: datetime) -> Due:
    """What a run of ``order`` would fetch at ``now``."""
    lines: list[DueLine] = []
    sums: list[tuple[int, str]] = []
    if What.KLINES in order.what:
        klines = plan_klines(warehouse, order, to_ms(now))
        days: dict[tuple[str, str], set[date]] = {}
        for part in klines.parts:
            days.setdefault(part.key, set()).update(part.newest - timedelta(days=back) for back in range(part.days))
        lines += [DueLine(*key, row.missing, _spans(days.get(key, set()))) for key, row in klines.told.items() if row.missing]
        sums.append((sum(row.missing for row in klines.told.values()), "candlesticks"))
    if What.TRADES in order.what:
        trades = plan_trades(warehouse, order, now)
        due: dict[str, set[date]] = {}
        for one in trades.days:
            due.setdefault(one.symbol, set()).add(one.day)
        lines += [DueLine(symbol, "trades", len(found), _spans(found)) for symbol, found in due.items()]
        sums.append((len(trades.days), "days of trades"))
    return Due(tuple(lines), tuple(sums))


def _spans(days: set[date], most: int = 4) -> str:
    """Days in words, runs of them as one: ``11-02 to 11-05, 11-09``; the newest ``most`` runs."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and (day - runs[-1][-1]).days == 1:
            runs[-1][1:] = [day]
        else:
            runs.append([day])
    this_year = datetime.now(UTC).year

    def told(day: date) -> str:
        return f"{day:%m-%d}" if day.year == this_year else str(day)

    words = [" to ".join(told(day) for day in run) for run in runs]
    return ", ".join(words[-most:]) + (f" and {len(words) - most} more spans before" if len(words) > most else "")

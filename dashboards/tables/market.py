"""Every symbol at a glance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dashboards.format import decimals_of
from dashboards.hub import Moment
from pipeline.model.timeframe import Timeframe
from pipeline.store import Warehouse
from pipeline.store.liquidity import newest_liquidity
from pipeline.store.market import last_prices, recent_market
from pipeline.store.quotes import last_quotes

_DAY_EVERY = timedelta(seconds=30)
_FIRST_LOOK = timedelta(hours=1)
_STEP_S = 900


@dataclass(frozen=True, slots=True)
class Liquidity:
    """The newest measurement of a symbol. None where a metric is not defined.

    ``amihud``: mean relative move of a bar per unit of quote currency traded in it. ``quoted_bps``: the quoted spread, weighted by time.
    """

    amihud: float | None
    quoted_bps: float | None
    bars: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """One symbol now. None where nothing is known.

    ``change`` is the fraction since the first bar of the last 24 hours that are there, ``span_s`` how much that is; ``volume`` (in the
    base asset), ``quote_volume`` and ``trades`` are of the same time.
    """

    name: str
    decimals: int
    price: float | None
    at: datetime | None
    bid: float | None
    ask: float | None
    change: float | None
    high: float | None
    low: float | None
    volume: float | None
    quote_volume: float | None
    trades: int | None
    span_s: float
    spark: tuple[float, ...]
    liquidity: Liquidity | None = None

    @property
    def spread(self) -> float | None:
        """Best ask minus best bid."""
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    @property
    def spread_bps(self) -> float | None:
        """The spread in basis points of the mid; None without quotes."""
        if self.bid is None or self.ask is None or self.ask + self.bid <= 0:
            return None
        return (self.ask - self.bid) / ((self.ask + self.bid) / 2) * 1e4

    def age_s(self, time: datetime) -> float | None:
        """Journal time since the second of the last trade."""
        return None if self.at is None else max(0.0, (time - self.at).total_seconds())


@dataclass(frozen=True, slots=True)
class Market:
    """All symbols, by name, at a journal time."""

    time: datetime
    day_read: datetime
    symbols: dict[str, Symbol]


@dataclass(frozen=True, slots=True)
class MarketTopic:
    """The market, its day figures taken from bars of ``timeframe``."""

    symbols: tuple[str, ...]
    timeframe: Timeframe
    every_s: float = 0.4
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:
        """Prices and quotes since the last look; the day every half minute."""
        if warehouse is None or moment is None:
            return before
        known: Market | None = before
        since = (known.time - timedelta(seconds=5)) if known else moment.time - _FIRST_LOOK
        prices = {row[0]: (float(row[1]), row[2]) for row in last_prices(warehouse, since=since).iter_rows()}
        quotes = {row["symbol"]: row for row in last_quotes(warehouse, since=since).iter_rows(named=True)}
        fresh_day = known is None or moment.time - known.day_read >= _DAY_EVERY or moment.time < known.day_read
        days = self._days(warehouse, moment.time) if fresh_day else {}
        measured = self._measured(warehouse) if fresh_day else {}
        symbols: dict[str, Symbol] = {}
        for name in self.symbols:
            old = known.symbols.get(name) if known else None
            symbols[name] = _merged(name, old, days.get(name), prices.get(name), quotes.get(name))
            if name in measured:
                symbols[name] = replace(symbols[name], liquidity=measured[name])
        return Market(moment.time, moment.time if fresh_day or known is None else known.day_read, symbols)

    def _measured(self, warehouse: Warehouse) -> dict[str, Liquidity]:
        rows = newest_liquidity(warehouse, self.timeframe).iter_rows(named=True)
        return {row["symbol"]: Liquidity(row["amihud"], row["quoted_spread_bps"], row["window_bars"]) for row in rows}

    def _days(self, warehouse: Warehouse, time: datetime) -> dict[str, dict[str, Any]]:
        frame = recent_market(warehouse, self.timeframe, start=time - timedelta(days=1), step_s=_STEP_S)
        days: dict[str, dict[str, Any]] = {}
        for row in frame.iter_rows(named=True):
            day = days.setdefault(
                row["symbol"],
                {
                    "open": float(row["open"]),
                    "from": row["first_ts"],
                    "high": 0.0,
                    "low": float("inf"),
                    "volume": 0.0,
                    "quote_volume": 0.0,
                    "trades": 0,
                    "closes": [],
                },
            )
            day["high"] = max(day["high"], float(row["high"]))
            day["low"] = min(day["low"], float(row["low"]))
            day["volume"] += float(row["volume"])
            day["quote_volume"] += float(row["quote_volume"])
            day["trades"] += row["trades"] or 0
            day["closes"].append(float(row["close"]))
            day["to"] = row["last_ts"]
        return days


def _merged(
    name: str, old: Symbol | None, day: dict[str, Any] | None, price: tuple[float, datetime] | None, quote: dict[str, Any] | None
) -> Symbol:
    last, at = price or ((old.price, old.at) if old else (None, None))
    closes: tuple[float, ...] = tuple(day["closes"]) if day else (old.spark if old else ())
    if last is None and day:
        last, at = closes[-1], day["to"]
    bid, ask = (float(quote["bid"]), float(quote["ask"])) if quote else ((old.bid, old.ask) if old else (None, None))
    first = day["open"] if day else (old.price / (1 + old.change) if old and old.price and old.change is not None else None)
    seen = [value for value in (last, bid, ask, *closes[-20:]) if value is not None]
    return Symbol(
        name=name,
        decimals=max(decimals_of(seen), old.decimals if old else 0),
        price=last,
        at=at,
        bid=bid,
        ask=ask,
        change=last / first - 1 if last is not None and first else None,
        high=day["high"] if day else (old.high if old else None),
        low=day["low"] if day else (old.low if old else None),
        volume=day["volume"] if day else (old.volume if old else None),
        quote_volume=day["quote_volume"] if day else (old.quote_volume if old else None),
        trades=day["trades"] if day else (old.trades if old else None),
        span_s=(day["to"] - day["from"]).total_seconds() if day else (old.span_s if old else 0.0),
        spark=closes,
        liquidity=old.liquidity if old else None,
    )

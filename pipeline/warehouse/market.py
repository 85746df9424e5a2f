"""The market as alert rules see it: the book of the moment, fed by landing and from the tables, and the value of every metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipeline.alerts import GRID_US, Metric, Rule, TargetKind
from pipeline.analytics import align, signal_series
from pipeline.bars import Book, LastPrice, Update
from pipeline.errors import AnalyticsError, RuleError
from pipeline.model.fixed import UNIT
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import load_bars
from pipeline.store.live import ActiveModel, LiveStore
from pipeline.store.protocol import Warehouse
from pipeline.warehouse.landing import Landed
from pipeline.warehouse.signals import SignalWindows

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_AHEAD_US = 3_600 * _SECOND_US


class Market:
    """Book and live models of the series that rules watch."""

    def __init__(self, store: LiveStore, bars: Warehouse, windows: SignalWindows) -> None:
        self._store = store
        self._bars = bars
        self._windows = windows
        self._models: dict[tuple[Pair, Timeframe], list[ActiveModel]] = {}
        self.book = Book(windows.reach)

    def follow(self, watched: Iterable[tuple[str, Timeframe | None]], *, longest: int, now_us: int | None) -> None:
        """Keep what rules need, reading from the tables what is new: symbols with their timeframes, the longest window in bars."""
        watched = list(watched)
        unknown = {symbol for symbol, _ in watched}.difference(self.book.prices)
        if unknown:
            for symbol, price, last_id, ts_us in self._store.last_prices():
                if symbol in unknown:
                    self.book.prices[symbol] = LastPrice(price, last_id, ts_us)
        fresh = [(symbol, frame) for symbol, frame in watched if frame is not None and self.book.follow(symbol, frame)]
        if longest + 1 > self.book.reach:
            self.book.reach = longest + 1
            fresh = self.book.followed
        newest = max((known.known_us for known in self.book.prices.values()), default=0)
        for symbol, frame in fresh:
            self._fill(symbol, frame, newest if now_us is None else now_us)

    def read_models(self, rules: Iterable[Rule], series_of: Callable[[Rule], Iterable[str]], now_us: int) -> None:
        """Read the live models of the watched pairs anew."""
        self._models = {}
        for rule in rules:
            if rule.facts.kind is TargetKind.PAIR:
                for series in series_of(rule):
                    pair, frame = Pair.parse(series), _frame(rule)
                    self._models[pair, frame] = self._store.active_models(pair, frame, since_us=now_us - frame.us)

    def value(self, rule: Rule, series: str, now_us: int) -> float | None:
        """The rule's metric of a series at a time; None when it has none."""
        match rule.metric:
            case Metric.PRICE:
                return self.book.price(series)
            case Metric.DATA_AGE:
                return self.book.age_s(series, now_us)
            case Metric.RETURN:
                return self.book.change(series, _frame(rule), rule.window or 1, now_us)
            case Metric.VOLUME:
                return self.book.volume(series, _frame(rule), rule.window or 1, now_us)
            case _:
                return self._pair_value(rule.metric, Pair.parse(series), _frame(rule), now_us)

    def _pair_value(self, metric: Metric, pair: Pair, frame: Timeframe, now_us: int) -> float | None:
        model = self._model(pair, frame, now_us)
        if model is None:
            return None
        match metric:
            case Metric.BETA:
                return model.beta
            case Metric.HALF_LIFE:
                return math.inf if model.half_life is None else model.half_life
            case Metric.EG_P:
                return model.eg_p
            case _:
                return self._provisional(metric, pair, frame, model, now_us)

    def _provisional(self, metric: Metric, pair: Pair, frame: Timeframe, model: ActiveModel, now_us: int) -> float | None:
        """The value with the bar of this moment as the newest; None when a leg is silent or the window not full."""
        try:
            end_us = frame.bucket_us(now_us) + frame.us
            y, x = self.book.closes(pair.y, frame, now_us), self.book.closes(pair.x, frame, now_us)
            legs = align(*y, *x, frame.us, self._windows.max_fill, end_us=end_us)
            # A leg that is silent for longer than may be filled has no value now, whatever the last one was.
            if not len(legs) or int(legs.ts[-1]) + frame.us < end_us:
                return None
            found = signal_series(
                legs.y,
                legs.x,
                model.beta,
                scale=model.scale.value,
                zscore_window=self._windows.zscore,
                correlation_window=self._windows.correlation,
            )
        except AnalyticsError:
            return None
        series = {Metric.ZSCORE: found.zscore, Metric.SPREAD: found.spread, Metric.CORRELATION: found.correlation}[metric]
        value = float(series[-1])
        return None if math.isnan(value) else value

    def _model(self, pair: Pair, frame: Timeframe, now_us: int) -> ActiveModel | None:
        models = [model for model in self._models.get((pair, frame), ()) if model.active_from_us <= frame.bucket_us(now_us)]
        return models[-1] if models else None

    def fill_klines(self, point: int) -> None:
        """Read candlesticks that backfill may have fetched since; bars from trades are in the book already."""
        followed = self.book.followed
        for frame in {frame for _, frame in followed if frame.us >= _MINUTE_US}:
            bars: dict[str, list[tuple[int, float, int, int]]] = {}
            start_us = max(self.book.start_us(frame, point), 0)
            for symbol, ts_us, close, volume in self._store.klines(frame, start_us=start_us, end_us=frame.bucket_us(point)):
                bars.setdefault(symbol, []).append((ts_us, close, int(volume * UNIT), -1))
            for symbol in {symbol for symbol, its in followed if its == frame}.intersection(bars):
                self.book.fill(symbol, frame, bars[symbol])

    def _fill(self, symbol: str, frame: Timeframe, now_us: int) -> None:
        """Read the bars of a series from the tables."""
        # Event time may be ahead of our own clock.
        rows = load_bars(
            self._bars, symbol, frame, start=_time(max(self.book.start_us(frame, now_us), 0)), end=_time(now_us + frame.us + _AHEAD_US)
        )
        self.book.fill(symbol, frame, _book_bars(rows))


def updates(landed: Landed, symbols: set[str]) -> list[Update]:
    """The trades of the watched symbols, those of one grid point and one second of event time together."""
    trades = landed.trades
    if not len(trades):
        return []
    wanted = np.array([name in symbols for name in trades.symbols.names], np.bool_)[trades.symbols.codes]
    rows = np.flatnonzero(wanted)
    if not rows.size:
        return []
    grid = -(-landed.known_us[rows] // GRID_US) * GRID_US
    seconds = trades.event_time_ms[rows] // 1_000
    keys = np.stack([grid, trades.symbols.codes[rows].astype(np.int64), seconds], axis=1)
    groups, inverse = np.unique(keys, axis=0, return_inverse=True)
    qty = np.zeros(len(groups), np.int64)
    np.add.at(qty, inverse.ravel(), trades.qty[rows])
    # The price of a group is that of its highest id, wherever that line stands.
    by_id = np.argsort(trades.last_id[rows], kind="stable")
    last = np.zeros(len(groups), np.int64)
    last[inverse.ravel()[by_id]] = rows[by_id]
    return [
        Update(
            int(group[0]),
            trades.symbols.names[int(group[1])],
            int(group[2]) * _SECOND_US,
            int(trades.price[int(row)]) / UNIT,  # whole numbers divide to the double that is nearest to the text
            int(amount),
            int(trades.last_id[int(row)]),
        )
        for group, row, amount in zip(groups, last, qty, strict=True)
    ]


def _book_bars(rows: pl.DataFrame) -> Iterator[tuple[int, float, int, int]]:
    """Open time, close, volume and last id of bars, as the book takes them."""
    volumes = (int(volume * UNIT) for volume in rows["volume"])
    ids = rows["last_id"].fill_null(-1)
    return zip(rows["ts"].to_physical(), rows["close"].cast(pl.Float64), volumes, ids, strict=True)


def _frame(rule: Rule) -> Timeframe:
    if rule.timeframe is None:
        msg = f"alert rule {rule.rule_id} has no timeframe, which {rule.facts.label} needs; give it one"
        raise RuleError(msg)
    return rule.timeframe


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)

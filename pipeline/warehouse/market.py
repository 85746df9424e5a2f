"""The market as alert rules see it: the book of the moment, fed by landing and from the tables, and what every metric shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.alerts import GRID_US, METRICS, MadeBy, Metric, Reading, TargetKind, utc
from pipeline.bars import Book, LastPrice
from pipeline.errors import AnalyticsError, RuleError
from pipeline.model.fixed import UNIT
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.store.bars import load_bars
from pipeline.store.live import ActiveModel, LiveStore
from pipeline.store.protocol import Warehouse
from pipeline.warehouse.measured import Measured
from pipeline.warehouse.pairs import PairRows, pair_value
from pipeline.warehouse.signals import SignalWindows
from pipeline.warehouse.watch import Watch

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_AHEAD_US = 3_600 * _SECOND_US
_PAIR_SERIES = frozenset({Metric.ZSCORE, Metric.SPREAD, Metric.CORRELATION})


class Market:
    """Book, live models and what flows measured, of the series that rules watch.

    What `reading` gives is a function of what has been taken in and of the whole second: between two whole seconds it changes only when
    something is taken in, and `due_us` names the second at which it next may.
    """

    def __init__(self, store: LiveStore, bars: Warehouse, windows: SignalWindows, *, lateness_us: int) -> None:
        self._store = store
        self._bars = bars
        self._windows = windows
        self._lateness_us = lateness_us
        self._models: dict[tuple[Pair, Timeframe], list[ActiveModel]] = {}
        self._filled_at = -1
        self.book = Book(windows.reach)
        self.symbols: tuple[str, ...] = ()
        self.measured = Measured()
        self.gaps: dict[str, int] = store.open_gaps()
        self._pairs = PairRows(self.book, windows)

    def follow(self, watched: Iterable[tuple[str, Timeframe | None]], *, longest: int, now_us: int | None) -> None:
        """Keep what rules need, reading from the tables what is new: symbols with their timeframes, the longest window in bars."""
        watched = set(watched)
        unknown = {symbol for symbol, _ in watched}.difference(self.book.prices)
        if unknown:
            for symbol, price, last_id, ts_us in self._store.last_prices():
                if symbol in unknown:
                    self.book.prices[symbol] = LastPrice(price, last_id, ts_us)
        fresh = [(symbol, frame) for symbol, frame in sorted(watched, key=str) if frame is not None and self.book.follow(symbol, frame)]
        if longest + 1 > self.book.reach:
            self.book.reach = longest + 1
            fresh = self.book.followed
        newest = max((known.known_us for known in self.book.prices.values()), default=0)
        for frame in {frame for _, frame in fresh}:
            self._fill([symbol for symbol, its in fresh if its == frame], frame, newest if now_us is None else now_us)

    def model_changed(self, pair: Pair, frame: Timeframe) -> None:
        """Read the live models of a pair anew when they are next needed."""
        self._models.pop((pair, frame), None)

    # ------------------------------------------------------------------ values

    def reading(self, watch: Watch, now_us: int) -> Reading:
        """What a watch shows at a time; on bar close, of the newest bar that is complete then."""
        try:
            return self._reading(watch, now_us)
        except (AnalyticsError, ArithmeticError, ValueError) as error:
            # One rule that cannot be computed must not hold up landing: the rule says so itself.
            return Reading(None, why=" ".join(str(error).split())[:200] or type(error).__name__, failed=True)

    def end_us(self, watch: Watch, now_us: int) -> int:
        """End of the newest bar that a watch with a timeframe looks at."""
        frame = _frame(watch)
        return frame.bucket_us(now_us - self._lateness_us) if watch.on_close else frame.bucket_us(now_us) + frame.us

    def _reading(self, watch: Watch, now_us: int) -> Reading:
        facts = METRICS[watch.metric]
        if facts.made_by is MadeBy.FLOW:
            return self.measured.reading(watch)
        if facts.kind is TargetKind.PAIR:
            return self._pair_reading(watch, now_us)
        match watch.metric:
            case Metric.DATA_AGE:
                return self._age(watch, now_us)
            case Metric.GAPS:
                return Reading(float(sum(self.gaps.get(symbol, 0) for symbol in watch.legs or self.gaps)))
            case Metric.PRICE:
                return self._price(watch, now_us)
            case Metric.VOLUME:
                return self._volume(watch, now_us)
            case _:
                return self._return(watch, now_us)

    def _age(self, watch: Watch, now_us: int) -> Reading:
        known = [price.known_us for symbol in watch.legs or self.symbols if (price := self.book.prices.get(symbol))]
        if not known:
            return Reading(None, why=self._silence(watch.legs) if watch.legs else "no symbol has had a trade yet")
        return Reading(max(0.0, (now_us - now_us % _SECOND_US - max(known)) / 1e6))

    def _price(self, watch: Watch, now_us: int) -> Reading:
        if watch.on_close:
            bar = self.book.last_close(watch.series, _frame(watch), self.end_us(watch, now_us))
            return Reading(None, why=self._silence(watch.legs)) if bar is None else Reading(bar[1], first_bar_us=bar[0], last_bar_us=bar[0])
        price = self.book.price(watch.series)
        return Reading(price, why="" if price is not None else self._silence(watch.legs))

    def _volume(self, watch: Watch, now_us: int) -> Reading:
        if watch.series not in self.book.prices:
            return Reading(None, why=self._silence(watch.legs))
        frame, end_us = _frame(watch), self.end_us(watch, now_us)
        start_us = end_us - watch.window * frame.us
        volume, _ = self.book.volume(watch.series, frame, start_us, end_us if watch.on_close else None)
        return Reading(volume, first_bar_us=start_us, last_bar_us=end_us - frame.us)

    def _return(self, watch: Watch, now_us: int) -> Reading:
        frame, end_us = _frame(watch), self.end_us(watch, now_us)
        last_us = end_us - frame.us
        then_us = last_us - watch.window * frame.us
        then = self.book.close_at(watch.series, frame, then_us)
        bar = self.book.last_close(watch.series, frame, end_us)
        now = self.book.price(watch.series) if not watch.on_close else bar[1] if bar else None
        if then is None or now is None:
            return Reading(None, why=f"{watch.series} has no bar {watch.window} x {frame} ago to compare with")
        return Reading(now / then - 1.0, first_bar_us=then_us, last_bar_us=last_us)

    def _pair_reading(self, watch: Watch, now_us: int) -> Reading:
        pair, frame, end_us = watch.pair, _frame(watch), self.end_us(watch, now_us)
        model = self._model(pair, frame, end_us - frame.us)
        if model is None:
            return Reading(None, why=f"no model of {pair} on {frame} is live")
        if watch.metric not in _PAIR_SERIES:
            return _of_model(watch.metric, model)
        rows = self._pairs.rows(pair, frame, end_us, keep=not watch.on_close)
        if rows is None:
            return Reading(None, why=self._silent_legs(pair, frame, end_us), model_id=model.model_id)
        value, count, why = pair_value(watch.metric, rows, model.beta, model.scale, self._windows)
        return Reading(value, why, False, model.model_id, rows.ts[-count], rows.ts[-1])

    def _silent_legs(self, pair: Pair, frame: Timeframe, end_us: int) -> str:
        """Which leg is silent, and since when."""
        floor = end_us - frame.us * (1 + self._windows.max_fill)
        bars = {leg: self.book.last_close(leg, frame, end_us) for leg in (pair.y, pair.x)}
        return self._silence([leg for leg, bar in bars.items() if bar is None or bar[0] < floor])

    def _silence(self, symbols: Iterable[str]) -> str:
        said = []
        for symbol in symbols:
            known = self.book.prices.get(symbol)
            said.append(f"{symbol} has been silent since {utc(known.known_us)}" if known else f"{symbol} has had no trade yet")
        return ", ".join(said)

    def _model(self, pair: Pair, frame: Timeframe, bar_us: int) -> ActiveModel | None:
        """The model in force for a bar."""
        in_force = None
        for model in self._live_models(pair, frame, bar_us):
            if model.active_from_us <= bar_us:
                in_force = model
        return in_force

    def _live_models(self, pair: Pair, frame: Timeframe, bar_us: int) -> list[ActiveModel]:
        known = self._models.get((pair, frame))
        if known is None:
            known = self._models[pair, frame] = self._store.active_models(pair, frame, since_us=max(bar_us - frame.us, 0))
        return known

    # ------------------------------------------------------------------ when time changes a value

    def due_us(self, watch: Watch, now_us: int, reading: Reading, high: float) -> int | None:
        """The first whole second behind ``now_us`` at which a value may change without anything being taken in; None when it will not.

        Args:
            watch: the watch, not one on bar close (`close_us`).
            now_us: time of the reading.
            reading: what it shows.
            high: values up to this one move no instance: an age is not looked at before it is higher.
        """
        facts = METRICS[watch.metric]
        next_second = now_us - now_us % _SECOND_US + _SECOND_US
        if watch.metric is Metric.DATA_AGE:
            if reading.value is None or math.isinf(high):
                return None
            ahead_us = int((high - reading.value) * 1e6) - 1 if high > reading.value else 0
            reached_us = now_us - now_us % _SECOND_US + max(ahead_us, 0)
            return max(next_second, reached_us - reached_us % _SECOND_US)
        if watch.frame is None or facts.made_by is MadeBy.FLOW:
            return None
        frame, end_us = watch.frame, self.end_us(watch, now_us)
        if facts.kind is TargetKind.PAIR:
            return self._pair_due_us(watch, end_us)
        step = watch.window * frame.us
        if watch.metric is Metric.VOLUME:
            _, oldest = self.book.volume(watch.series, frame, end_us - step, None)
            return None if oldest is None else max(oldest + step, end_us)
        if reading.value is not None:
            return end_us
        bar = self.book.next_bar_us(watch.series, frame, end_us - frame.us - step)
        return None if bar is None else max(bar + step, end_us)

    def _pair_due_us(self, watch: Watch, end_us: int) -> int | None:
        pair, frame = watch.pair, _frame(watch)
        now_us = end_us - frame.us
        starts = [model.active_from_us for model in self._live_models(pair, frame, now_us) if model.active_from_us > now_us]
        due = min(starts, default=None)
        if watch.metric not in _PAIR_SERIES or self.newest_us(watch) < now_us - self._windows.max_fill * frame.us:
            return due
        return end_us

    def newest_us(self, watch: Watch) -> int:
        """Open time of the newest bar of any of its legs."""
        return max((self.book.newest_us(leg, _frame(watch)) for leg in watch.legs), default=-1)

    def close_us(self, watch: Watch, after_us: int) -> int:
        """The first grid point behind ``after_us`` at which a bar of the watch's timeframe is complete."""
        frame = _frame(watch)
        end_us = frame.bucket_us(after_us - self._lateness_us)
        while (point := -(-(end_us + self._lateness_us) // GRID_US) * GRID_US) <= after_us:
            end_us += frame.us
        return point

    def at_rest(self, watch: Watch, now_us: int) -> bool:
        """Whether no bar close will change the value before something is taken in."""
        frame = _frame(watch)
        if METRICS[watch.metric].kind is TargetKind.PAIR:
            now = self.end_us(watch, now_us) - frame.us
            if any(model.active_from_us > now for model in self._live_models(watch.pair, frame, now)):
                return False
        looked_back = max(watch.window, self._windows.max_fill) + 1
        return self.newest_us(watch) < self.end_us(watch, now_us) - (looked_back + 1) * frame.us

    # ------------------------------------------------------------------ tables

    def fill_klines(self, point: int) -> set[str]:
        """Once a minute, read candlesticks that backfill may have fetched since; the symbols that had some."""
        minute = point // _MINUTE_US
        if minute <= self._filled_at:
            return set()
        self._filled_at = minute
        followed = self.book.followed
        changed: set[str] = set()
        for frame in {frame for _, frame in followed if frame.us >= _MINUTE_US}:
            bars: dict[str, list[tuple[int, float, int, int]]] = {}
            start_us = max(self.book.start_us(frame, point), 0)
            for symbol, ts_us, close, volume in self._store.klines(frame, start_us=start_us, end_us=frame.bucket_us(point)):
                bars.setdefault(symbol, []).append((ts_us, close, int(volume * UNIT), -1))
            for symbol in {symbol for symbol, its in followed if its == frame}.intersection(bars):
                if self.book.fill(symbol, frame, bars[symbol]):
                    changed.add(symbol)
        return changed

    def _fill(self, symbols: list[str], frame: Timeframe, now_us: int) -> None:
        """Read the bars of some symbols from the tables."""
        # Event time may be ahead of our own clock.
        start, end = _time(max(self.book.start_us(frame, now_us), 0)), _time(now_us + frame.us + _AHEAD_US)
        rows = load_bars(self._bars, symbols, frame, start=start, end=end)
        for (symbol,), bars in rows.partition_by("symbol", as_dict=True).items():
            self.book.fill(str(symbol), frame, _book_bars(bars))


def _of_model(metric: Metric, model: ActiveModel) -> Reading:
    match metric:
        case Metric.BETA:
            return Reading(model.beta, model_id=model.model_id)
        case Metric.BETA_CHANGE:
            change = None if not model.beta_before else model.beta / model.beta_before - 1.0
            return Reading(change, why="" if change is not None else "no model was live before this one", model_id=model.model_id)
        case Metric.HALF_LIFE:
            return Reading(math.inf if model.half_life is None else model.half_life, model_id=model.model_id)
        case _:
            why = "" if model.eg_p is not None else "the fit gave no p-value"
            return Reading(model.eg_p, why=why, model_id=model.model_id)


def _book_bars(rows: pl.DataFrame) -> Iterator[tuple[int, float, int, int]]:
    """Open time, close, volume and last id of bars, as the book takes them."""
    volumes = (int(volume * UNIT) for volume in rows["volume"])
    ids = rows["last_id"].fill_null(-1)
    return zip(rows["ts"].to_physical(), rows["close"].cast(pl.Float64), volumes, ids, strict=True)


def _frame(watch: Watch) -> Timeframe:
    if watch.frame is None:
        msg = f"{METRICS[watch.metric].label} of {watch.series} needs a timeframe; give the rule one"
        raise RuleError(msg)
    return watch.frame


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_us)

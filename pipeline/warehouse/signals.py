"""Signals of complete bars under the model in force, written as bars complete and written anew where bars were restated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.analytics import Aligned, align, signal_series
from pipeline.errors import AnalyticsError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.store.bars import load_bars
from pipeline.store.landing import JournalClock
from pipeline.store.live import ActiveModel, LiveStore
from pipeline.store.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class SignalWindows:
    """Lengths, in bars, that a signal looks back on."""

    zscore: int
    correlation: int
    max_fill: int

    @property
    def reach(self) -> int:
        """Bars before a signal's own that can change it, where no leg is silent for longer than may be filled."""
        return self.rows + self.max_fill

    @property
    def rows(self) -> int:
        """Aligned bars that the longest window has."""
        return max(self.zscore, self.correlation + 1)


@dataclass(frozen=True, slots=True)
class _Leg:
    """Open times (microseconds) and closes of one symbol's complete bars."""

    ts: NDArray[np.int64]
    close: NDArray[np.float64]


_WIDEST = 16
"""Most reaches that are read of every pair's legs because one pair needed them."""
_SILENT = _Leg(np.empty(0, np.int64), np.empty(0, np.float64))


class SignalWriter:
    """Writes the table ``signals``; called in every landing transaction, it works only when a bar has completed or was restated."""

    def __init__(
        self, store: LiveStore, bars: Warehouse, timeframes: Sequence[Timeframe], windows: SignalWindows, *, lateness_ms: int
    ) -> None:
        self._store = store
        self._bars = bars
        self._timeframes = tuple(timeframes)
        self._windows = windows
        self._lateness_us = lateness_ms * 1_000
        self._done: dict[str, int] = {}
        self._models: dict[tuple[Pair, Timeframe], list[ActiveModel]] = {}
        # Where legs are silent at times windows begin further back: how far it was last time, so that one read is enough.
        self._reach = dict.fromkeys((frame.name for frame in self._timeframes), windows.reach)
        self.forget()

    def forget(self) -> None:
        """Read what is remembered from the tables again, after a transaction that did not commit."""
        self.models_changed()
        written = self._store.signals_written_until()
        self._done = {frame.name: written[frame.name] + frame.us for frame in self._timeframes if frame.name in written}

    def models_changed(self) -> None:
        """Read the live models anew when they are next needed."""
        self._models = {}

    def landed(self, clock: JournalClock, universe: Universe, touched_us: Sequence[int]) -> None:
        """Write what has become due: bars that completed since the last call, and bars that ``touched_us`` (1s bar times) restated."""
        if not universe.pairs or clock.time_us == 0:
            return
        for frame in self._timeframes:
            end = self._complete_until(clock, frame)
            done = self._done.get(frame.name, 0)
            # Trades after an end line take back what that line had completed.
            start = min(done, end, *(frame.bucket_us(touched) for touched in touched_us))
            if start == end == done:
                continue
            if end < done:
                self._store.drop_signals(frame, from_us=end)
            self._write([spec.pair for spec in universe.pairs], frame, start, end)
            self._done[frame.name] = end

    def _complete_until(self, clock: JournalClock, frame: Timeframe) -> int:
        """End of the last bar that can be complete."""
        if clock.ended:
            return frame.bucket_us(clock.time_us) + frame.us
        return frame.bucket_us(clock.time_us - self._lateness_us)

    def _write(self, pairs: Sequence[Pair], frame: Timeframe, start_us: int, end_us: int) -> None:
        """Write the signals of every pair that has a model; the bars of all legs are read at once."""
        due = {pair: models for pair in pairs if (models := self._in_force(pair, frame, start_us, end_us))}
        if not due:
            return
        begins = {pair: max(start_us, models[0].active_from_us) for pair, models in due.items()}
        legs = self._legs(due, frame, min(begins.values()) - self._reach[frame.name] * frame.us, end_us)
        rows = []
        for pair, models in due.items():
            aligned = self._aligned(pair, frame, legs, start_us=begins[pair], end_us=end_us)
            ends = [*(model.active_from_us for model in models[1:]), end_us]
            rows += [
                _rows(pair, frame, aligned, model, self._windows, start_us=max(begins[pair], model.active_from_us), end_us=until)
                for model, until in zip(models, ends, strict=True)
            ]
        # Once for all pairs: what polars takes to begin an expression is most of what it would take for each of them.
        written = pl.concat(rows).with_columns(pl.col("spread", "zscore", "correlation").fill_nan(None))
        self._store.replace_signals(list(due), frame, written, start_us=start_us)

    def _in_force(self, pair: Pair, frame: Timeframe, start_us: int, end_us: int) -> list[ActiveModel]:
        """The models that were live between two times, the one in force at the first of them first."""
        known = self._models.get((pair, frame))
        if known is None or (known and start_us < known[0].active_from_us):
            known = self._models[pair, frame] = self._store.active_models(pair, frame, since_us=start_us)
        models = [model for model in known if model.active_from_us < end_us]
        before = [model for model in models if model.active_from_us <= start_us]
        return models[max(len(before) - 1, 0) :]

    def _aligned(self, pair: Pair, frame: Timeframe, legs: Mapping[str, _Leg], *, start_us: int, end_us: int) -> Aligned:
        """The pair's legs up to ``end_us``, from far enough back for every window that ends at ``start_us`` or later."""
        reach = self._reach[frame.name]
        oldest: int | None = None
        while True:
            y, x = legs.get(pair.y, _SILENT), legs.get(pair.x, _SILENT)
            aligned = align(y.ts, y.close, x.ts, x.close, frame.us, self._windows.max_fill, end_us=end_us)
            # Where a leg was silent there is no row, so a window can begin further back than its length.
            enough = np.count_nonzero(aligned.ts < start_us) >= self._windows.rows
            if not enough and oldest is None:
                oldest = self._store.oldest_bar_us(pair, frame)
            if enough or start_us - reach * frame.us <= (oldest or 0):
                self._reach[frame.name] = min(max(reach, self._reach[frame.name]), _WIDEST * self._windows.reach)
                return aligned
            reach *= 2
            legs = self._legs([pair], frame, start_us - reach * frame.us, end_us)

    def _legs(self, pairs: Iterable[Pair], frame: Timeframe, start_us: int, end_us: int) -> dict[str, _Leg]:
        """Complete bars of every leg, by symbol."""
        symbols = sorted({leg for pair in pairs for leg in (pair.y, pair.x)})
        bars = load_bars(self._bars, symbols, frame, start=_time(max(start_us, 0)), end=_time(end_us), complete_only=True)
        return {
            str(symbol): _Leg(rows["ts"].to_physical().to_numpy(), rows["close"].cast(pl.Float64).to_numpy())
            for (symbol,), rows in bars.select("symbol", "ts", "close").partition_by("symbol", as_dict=True).items()
        }


def _rows(
    pair: Pair, frame: Timeframe, legs: Aligned, model: ActiveModel, windows: SignalWindows, *, start_us: int, end_us: int
) -> pl.DataFrame:
    """Signals with ``start <= ts < end``, every window under this one model; what is undefined is NaN."""
    upto = legs.ts < end_us
    ts, y, x = legs.ts[upto], legs.y[upto], legs.x[upto]
    wanted = ts >= start_us
    nothing = np.full(ts.size, np.nan)
    spread = zscore = correlation = nothing
    if wanted.any():
        try:
            found = signal_series(
                y, x, model.beta, scale=model.scale.value, zscore_window=windows.zscore, correlation_window=windows.correlation
            )
            spread, zscore, correlation = found.spread, found.zscore, found.correlation
        except AnalyticsError:
            spread = nothing  # a price at or below zero on the log scale: the signal is undefined, not the landing
    count = int(wanted.sum())
    return pl.DataFrame(
        {
            "y": [pair.y] * count,
            "x": [pair.x] * count,
            "timeframe": [frame.name] * count,
            "ts": pl.Series(ts[wanted], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            "model_id": [model.model_id] * count,
            "spread": spread[wanted],
            "zscore": zscore[wanted],
            "correlation": correlation[wanted],
            "y_filled": legs.y_filled[upto][wanted],
            "x_filled": legs.x_filled[upto][wanted],
        },
        schema_overrides={"y": pl.String, "x": pl.String, "timeframe": pl.String, "model_id": pl.String},
    )


def _time(time_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + (datetime.resolution * time_us)

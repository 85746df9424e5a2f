"""What the quality checks look at: each reads what it needs and hands it to the judgement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, Profile
from pipeline.quality import (
    COMPARED,
    Bars,
    Difference,
    Finding,
    LiveFit,
    State,
    judge_clock,
    judge_duplicates,
    judge_freshness,
    judge_gaps,
    judge_klines,
    judge_model,
    judge_ohlc,
    judge_outliers,
)
from pipeline.quality.outliers import NEIGHBOURS
from pipeline.settings import Settings
from pipeline.store import quality as store
from pipeline.store.health import JournalClock
from pipeline.store.partitions import freshness
from pipeline.store.protocol import Warehouse

JOURNAL_WARN_S, JOURNAL_ERROR_S = 15.0, 300.0
"""Journal time behind the clock: landing takes a quarter of a second, catching up after a pause some minutes."""
GAP_PATIENCE_S = 1_800.0
"""Time in which `repair_gaps` closes a gap, a few runs of it."""
PARTITION_WARN_S = 900.0
"""A made bar behind the newest trade, beside three times its own length."""

_MOST_BARS = 5_000
"""Bars of one symbol and timeframe looked at in one run, however long the pause before it."""
_RECENT = timedelta(minutes=15)
_LIVE_FITS = 60
_BAR_ASSETS = ("bars", "liquidity")


AskOffset = Callable[[], tuple[float | None, str]]
"""How to ask a venue for our clock minus its, in milliseconds, and how good that is; None with the reason when it is away."""
Before = dict[tuple[str, str, str], dict[str, Any]]
"""How each (name, subject, timeframe) stood: rows of ``newest_checks``."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is judged, and by which measure.

    Attributes:
        kind: of the profile. A recorded one is judged by its own time.
        symbols: whose.
        timeframes: of the bars.
        lookback: bars that models are fitted on: so far back a bad bar counts.
        lateness_ms: how long a bar waits for late trades.
        silence_s: how long a symbol may be silent.
        uploaded: those of them that no venue feeds: nothing new is expected of them.
        everything: whether these are all symbols of the profile; findings about others are then closed.
    """

    kind: Kind
    symbols: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    lookback: int
    lateness_ms: int
    silence_s: float
    uploaded: tuple[str, ...] = ()
    everything: bool = True


def scope_of(
    profile: Profile,
    settings: Settings,
    universe: Universe,
    symbols: Sequence[str] | None,
    timeframes: tuple[Timeframe, ...],
    *,
    everything: bool,
) -> Scope:
    """What to judge of a profile: some symbols, or all of its universe when None; as far back as its models look."""
    return Scope(
        kind=profile.kind,
        symbols=tuple(symbols) if symbols is not None else universe.known,
        timeframes=timeframes,
        lookback=max([settings.lookback, *(spec.lookback for spec in universe.pairs)]),
        lateness_ms=settings.lateness_ms,
        silence_s=settings.quality_silence_s,
        uploaded=universe.uploaded,
        everything=everything,
    )


class Look:
    """The checks, each with what it reads."""

    def __init__(self, warehouse: Warehouse, scope: Scope, clock: JournalClock, now: datetime, before: Before) -> None:
        self._warehouse = warehouse
        self._scope = scope
        self._clock = clock
        self._now = now
        self._before = before
        self._symbols = list(scope.symbols)
        self._newest = store.newest_trades(warehouse, self._symbols)

    def freshness(self) -> list[Finding]:
        """The journal against our clock, each symbol against the journal, and made bars against the symbol's trades."""
        found = []
        recorded = self._scope.kind is Kind.RECORDED
        if not recorded:
            lag_s = (self._now - self._clock.journal_time).total_seconds()
            found.append(judge_freshness("journal", "", max(lag_s, 0.0), warn_s=JOURNAL_WARN_S, error_s=JOURNAL_ERROR_S))
        silence_s = self._scope.silence_s
        for symbol in self._symbols:
            if symbol in self._scope.uploaded:
                continue
            ts = self._newest.get(symbol)
            lag = None if ts is None else max((self._clock.journal_time - ts).total_seconds() - 1, 0.0)
            # What a recording has no more of, nobody can bring.
            error_s = None if recorded else 4 * silence_s
            found.append(judge_freshness(symbol, "", lag, warn_s=silence_s, error_s=error_s, why_unknown="no trade has been landed yet"))
        return found + self._made()

    def _made(self) -> list[Finding]:
        """How far what flows make is behind the newest trade of its symbol."""
        lengths = {timeframe.name: timeframe.seconds for timeframe in self._scope.timeframes if timeframe.seconds > 1}
        found = []
        for row in freshness(self._warehouse).iter_rows(named=True):
            asset, symbol, timeframe = row["asset"], row["symbol"], row["timeframe"]
            newest = self._newest.get(symbol)
            if asset not in _BAR_ASSETS or timeframe not in lengths or newest is None or row["last_ts"] is None:
                continue
            lag = max((newest - row["last_ts"]).total_seconds(), 0.0)
            found.append(judge_freshness(f"{asset}/{symbol}", timeframe, lag, warn_s=3 * lengths[timeframe] + PARTITION_WARN_S))
        return found

    def gaps(self) -> list[Finding]:
        """The gap ledger."""
        rows = {row["symbol"]: row for row in store.open_gap_totals(self._warehouse).iter_rows(named=True)}
        found = []
        for symbol in self._symbols:
            row = rows.get(symbol)
            age = max((self._now - row["oldest"]).total_seconds(), 0.0) if row else 0.0
            found.append(judge_gaps(symbol, row["open"] if row else 0, row["missing"] if row else 0, age, patience_s=GAP_PATIENCE_S))
        return found

    def duplicates(self) -> list[Finding]:
        """Rows against landed ids. Symbol by symbol only when the sums differ, or did last time: that reads the whole table."""
        repeated = store.repeated_trades(self._warehouse, start=self._clock.journal_time - _RECENT)
        ticks, covered = store.ticks_and_ids(self._warehouse)
        failed = any(name == "duplicates" and row["state"] == State.ERROR.value for (name, _, _), row in self._before.items())
        counts: dict[str, tuple[int, int]] = {}
        if ticks != covered or repeated or failed:
            counts = {symbol: (rows, ids) for symbol, rows, ids in store.ticks_by_symbol(self._warehouse).iter_rows()}
        # A symbol that is followed no more has rows too.
        names = list(dict.fromkeys([*self._symbols, *(symbol for symbol, (rows, ids) in counts.items() if rows != ids)]))
        return [judge_duplicates(symbol, *counts.get(symbol, (0, 0)), repeated.get(symbol, 0)) for symbol in names]

    def bars(self) -> list[Finding]:
        """Every bar with itself and with its neighbours."""
        found = []
        for timeframe in self._scope.timeframes:
            frame = store.window_bars(self._warehouse, self._symbols, timeframe, start=self._since(timeframe, "ohlc"))
            parts = {str(symbol): part for (symbol,), part in frame.partition_by("symbol", as_dict=True).items()}
            for symbol in self._symbols:
                bars = _bars(parts[symbol] if symbol in parts else frame.clear())
                found.append(judge_ohlc(symbol, timeframe.name, bars))
                found.append(judge_outliers(symbol, timeframe.name, bars, may_block=timeframe.seconds == 1))
        return found

    def klines(self) -> list[Finding]:
        """Our bars against the exchange's."""
        found = []
        for timeframe in self._scope.timeframes:
            if timeframe.seconds == 1:
                continue  # the exchange has none
            fetched = self._last_run("klines", timeframe) or datetime.fromtimestamp(0, UTC)
            start = self._since(timeframe, "klines")
            frame = store.bars_beside_klines(self._warehouse, self._symbols, timeframe, start=start, fetched=fetched)
            for symbol in self._symbols:
                rows = frame.filter(pl.col("symbol") == symbol)
                compared = int(rows["compared"][0]) if rows.height else 0
                found.append(judge_klines(symbol, timeframe.name, compared, _differences(rows)))
        return found

    def clock_offset(self, ask: AskOffset | None) -> Finding:
        """Our clock against the venue's; from the trades themselves when it cannot be asked."""
        offset, how = ask() if ask else (None, "")
        if offset is None:
            lag, trades = store.receive_lag_ms(self._warehouse, start=self._clock.journal_time - timedelta(minutes=1))
            why = f"; {how}" if how else ""
            offset, how = (
                lag,
                (f"receive minus event time, median of {trades} trades{why}" if trades else f"no trades in the last minute{why}"),
            )
        return judge_clock(offset, lateness_ms=self._scope.lateness_ms, how=how)

    def models(self) -> list[Finding]:
        """The live models."""
        names = [timeframe.name for timeframe in self._scope.timeframes]
        frame = store.live_fits(self._warehouse, names, most=_LIVE_FITS)
        found = []
        for (y, x, timeframe), rows in frame.partition_by("y", "x", "timeframe", as_dict=True, maintain_order=True).items():
            if y in self._symbols and x in self._symbols:
                fits = [LiveFit(beta, r_squared) for beta, r_squared in rows.select("beta", "r_squared").iter_rows()]
                found.append(judge_model(f"{y}/{x}", str(timeframe), fits))
        return found

    def _since(self, timeframe: Timeframe, name: str) -> datetime:
        """Where to begin: at what the last run had not seen, at least a model's window and at most what one run can bear."""
        length = timedelta(seconds=timeframe.seconds)
        window = self._clock.journal_time - (self._scope.lookback + NEIGHBOURS) * length
        seen = [row["upto"] for (own, _, frame), row in self._before.items() if own == name and frame == timeframe.name and row["upto"]]
        oldest = self._clock.journal_time - _MOST_BARS * length
        if not seen:
            return oldest
        last = min(upto for upto in seen if isinstance(upto, datetime)) - 2 * NEIGHBOURS * length
        return max(min(window, last), oldest)

    def _last_run(self, name: str, timeframe: Timeframe) -> datetime | None:
        times = [row["checked_at"] for (own, _, frame), row in self._before.items() if own == name and frame == timeframe.name]
        return min((time for time in times if isinstance(time, datetime)), default=None)


def _bars(frame: pl.DataFrame) -> Bars:
    return Bars(
        frame["ts"].to_numpy().astype(np.int64),
        *(frame[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close", "volume", "taker_buy_volume", "vwap")),
    )


def _differences(rows: pl.DataFrame) -> list[Difference]:
    found = []
    for row in rows.filter(pl.col("ts").is_not_null()).iter_rows(named=True):
        ours, theirs = (tuple(Decimal(row[prefix + name]) for name in COMPARED) for prefix in ("own_", ""))
        found.append(Difference(row["ts"], ours, theirs))
    return found

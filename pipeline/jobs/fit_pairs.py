"""Models of pairs: the last bars of both legs, aligned, fitted and tested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipeline.analytics import Aligned, PairFit, align, fit_model, liquid_bars
from pipeline.errors import AnalyticsError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Scale
from pipeline.store.bars import load_common_bars, load_last_bars
from pipeline.store.models import known_fits, prune_fits, save_fits
from pipeline.store.partitions import Made, put_partitions
from pipeline.store.protocol import Warehouse
from pipeline.store.quality import blocked_symbols

MINIMUM_BARS = 60
"""Fewer than these say too little about a pair; there is no model then, and a note says why."""

_SILENCE_FACTOR = 4
"""Legs that are silent at times need more intervals than bars: so many times more are looked through, at most."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to fit: one model of one pair."""

    pair: Pair
    timeframe: Timeframe
    lookback: int
    method: str
    scale: Scale


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit, or the reason why there is none.

    Attributes:
        spec: what was asked for.
        bars: bars that both legs have in the window.
        model_id: name of the model; None when there is none.
        window_start: open time of the first bar used.
        window_end: open time of the last bar used.
        fit: the model; None when it was saved before, or cannot be fitted.
        note: why there is no new model, or what is to know about it.
    """

    spec: ModelSpec
    bars: int
    model_id: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    fit: PairFit | None = None
    note: str = ""

    def row(self, fitted_at: datetime) -> dict[str, object]:
        """The row of ``fits``; only of a fit that there is."""
        fit = self.fit
        if fit is None:
            msg = f"{self.spec.pair} has no fit to make a row of: {self.note}"
            raise AnalyticsError(msg)
        return {
            "model_id": self.model_id,
            "y": self.spec.pair.y,
            "x": self.spec.pair.x,
            "timeframe": self.spec.timeframe.name,
            "lookback": self.spec.lookback,
            "method": self.spec.method,
            "scale": self.spec.scale.value,
            "fitted_at": fitted_at,
            "window_start": self.window_start,
            "window_end": self.window_end,
            "n": fit.n,
            **{name: getattr(fit, name) for name in _STATISTICS},
            "notes": "; ".join(filter(None, (self.note, *fit.notes))) or None,
        }


_STATISTICS = (
    "alpha",
    "beta",
    "r_squared",
    "adf_stat",
    "adf_p",
    "eg_stat",
    "eg_p",
    "half_life",
    "hurst",
    "spread_mean",
    "spread_sd",
)


def model_specs(
    pairs: Iterable[PairSpec], timeframes: Iterable[Timeframe], methods: Sequence[str], lookback: int | None = None
) -> list[ModelSpec]:
    """Every model that is due for the pairs: each method with the pair's own lookback (or the one given), the primary model always."""
    wanted: dict[ModelSpec, None] = {}
    timeframes = tuple(timeframes)
    for spec in pairs:
        for timeframe in timeframes:
            wanted[ModelSpec(spec.pair, timeframe, spec.lookback, spec.method.value, spec.scale)] = None
            for method in methods:
                wanted[ModelSpec(spec.pair, timeframe, lookback or spec.lookback, str(method), spec.scale)] = None
    return list(wanted)


def fit_pairs(
    warehouse: Warehouse,
    specs: Sequence[ModelSpec],
    *,
    max_fill: int,
    significance: float,
    now: datetime,
    run: str = "direct",
    keep_days: int = 7,
) -> list[Fitted]:
    """Fit each model on its newest complete bars and save it; what has been saved for the same bars is not fitted again.

    A pair with a leg that a blocking quality check fails is left as it is, and a note says which check and since when.

    Args:
        warehouse: where bars come from and models go to.
        specs: what to fit.
        max_fill: bars over which a silent leg's close is carried forward.
        significance: level of the verdicts.
        now: time of fitting, kept with the models.
        run: who asks, for the ledger of partitions.
        keep_days: age up to which fits that were never live are kept.
    """
    blocked = blocked_symbols(warehouse)
    done = [Fitted(spec, 0, note=why) for spec in specs if (why := _why_blocked(spec.pair, blocked))]
    specs = [spec for spec in specs if not _why_blocked(spec.pair, blocked)]
    for timeframe in dict.fromkeys(spec.timeframe for spec in specs):
        here = [spec for spec in specs if spec.timeframe == timeframe]
        legs = _Legs(warehouse, here, timeframe, max_fill)
        due = [_due(spec, legs) for spec in here]
        known = known_fits(warehouse, [found.model_id for found, _ in due if found.model_id])
        for found, window in due:
            if window is None:
                done.append(found)
            elif found.model_id in known:
                done.append(Fitted(found.spec, found.bars, found.model_id, found.window_start, found.window_end, note="no new bar"))
            else:
                done.append(_fitted(found, window, significance))
    fresh = [found.row(now) for found in done if found.fit is not None]
    if fresh:
        save_fits(warehouse, pl.DataFrame(fresh, schema=FITS_SCHEMA))
        put_partitions(warehouse, [_partition(found) for found in done if found.fit is not None], run=run)
        prune_fits(warehouse, before=now - timedelta(days=keep_days))
    return done


def _why_blocked(pair: Pair, blocked: Mapping[str, str]) -> str:
    """Why a pair is not to be fitted now; empty when it may be."""
    return "; ".join(f"not fitted: {leg}: {blocked[leg]}" for leg in (pair.y, pair.x) if leg in blocked)


def _partition(found: Fitted) -> Made:
    """The newest model of its kind, made from the days of bars that its window touches."""
    spec, fit, start, end = found.spec, found.fit, found.window_start, found.window_end
    if fit is None or start is None or end is None or found.model_id is None:
        msg = f"{spec.pair} has no fit to enter into the ledger: {found.note}"
        raise AnalyticsError(msg)
    days = [start.date() + timedelta(days=number) for number in range((end.date() - start.date()).days + 1)]
    legs = [(leg, day) for leg in (spec.pair.y, spec.pair.x) for day in days]
    return Made(
        asset="models",
        partition=f"{spec.pair}/{spec.timeframe}/{spec.method}/{spec.lookback}/{spec.scale.value}",
        complete=found.bars >= spec.lookback,
        rows=fit.n,
        fingerprint=found.model_id,
        symbol=str(spec.pair),
        timeframe=spec.timeframe.name,
        first_ts=start,
        last_ts=end,
        inputs=tuple(f"bars/{leg}/{spec.timeframe}/{day}" for leg, day in legs),
    )


def fit_pair(
    warehouse: Warehouse,
    pair: Pair,
    timeframe: Timeframe,
    *,
    lookback: int,
    method: str = "ols",
    scale: Scale = Scale.PRICE,
    max_fill: int = 5,
    significance: float = 0.05,
    least_volume: float = 0.0,
) -> Fitted:
    """One fit on the newest complete bars, saved nowhere.

    Bars with a quote volume under ``least_volume`` count as missing: their last close is carried forward like that of a silent leg.

    Returns:
        The fit; with ``fit`` None and the reason in ``note`` when there are too few bars or the statistics refuse them.
    """
    spec = ModelSpec(pair, timeframe, lookback, method, scale)
    found, window = _due(spec, _Legs(warehouse, [spec], timeframe, max_fill, least_volume))
    return found if window is None else _fitted(found, window, significance)


class _Legs:
    """Complete bars of all legs of one timeframe, read at once; more of them where legs are silent at times."""

    def __init__(
        self, warehouse: Warehouse, specs: Sequence[ModelSpec], timeframe: Timeframe, max_fill: int, least_volume: float = 0.0
    ) -> None:
        self._warehouse = warehouse
        self._timeframe = timeframe
        self._max_fill = max_fill
        self._least_volume = least_volume
        self._symbols = sorted({leg for spec in specs for leg in (spec.pair.y, spec.pair.x)})
        # The newest interval is seldom complete, and carrying forward needs bars before the first.
        self._reach = max(spec.lookback for spec in specs) + max_fill + 3
        self._bars = self._load(self._reach)
        self._widened = False

    def last(self, pair: Pair, lookback: int) -> Aligned:
        """The last ``lookback`` aligned bars, or as many as there are."""
        both = self._aligned(self._bars, pair)
        if len(both) < lookback and not self._widened:
            self._widened = True
            self._bars = self._load(self._reach * _SILENCE_FACTOR)
            both = self._aligned(self._bars, pair)
        if len(both) < MINIMUM_BARS:
            both = max(both, self._aligned(self._before_common_end(pair), pair), key=len)
        keep = slice(max(0, len(both) - lookback), None)
        return Aligned(both.ts[keep], both.y[keep], both.x[keep], both.y_filled[keep], both.x_filled[keep])

    def _load(self, count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return self._closes(load_last_bars(self._warehouse, self._symbols, self._timeframe, count, complete_only=True))

    def _before_common_end(self, pair: Pair) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The bars of a pair up to where the leg that ends first does: uploaded data may have ended long before the others'."""
        legs = (pair.y, pair.x)
        return self._closes(
            load_common_bars(self._warehouse, legs, self._timeframe, self._reach, max_fill=self._max_fill, complete_only=True)
        )

    def _closes(self, bars: pl.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        if self._least_volume > 0:
            bars = bars.filter(liquid_bars(bars["quote_volume"].cast(pl.Float64).to_numpy(), least=self._least_volume))
        return _closes(bars)

    def _aligned(self, bars: dict[str, tuple[np.ndarray, np.ndarray]], pair: Pair) -> Aligned:
        nothing = (np.empty(0, np.int64), np.empty(0))
        return align(*bars.get(pair.y, nothing), *bars.get(pair.x, nothing), self._timeframe.us, self._max_fill)


def _closes(frame: pl.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        str(name): (part["ts"].dt.epoch("us").to_numpy(), part["close"].cast(pl.Float64).to_numpy())
        for (name,), part in frame.group_by("symbol", maintain_order=True)
    }


def _due(spec: ModelSpec, legs: _Legs) -> tuple[Fitted, Aligned | None]:
    """What would be fitted, under its name, or why nothing can be."""
    window = legs.last(spec.pair, spec.lookback)
    if len(window) < MINIMUM_BARS:
        note = f"{len(window)} complete bars of both legs, at least {MINIMUM_BARS} are needed: wait, or backfill"
        return Fitted(spec, len(window), note=note), None
    start, end = _time(window.ts[0]), _time(window.ts[-1])
    return Fitted(spec, len(window), model_id(spec, start, end, window), start, end), window


def _fitted(found: Fitted, window: Aligned, significance: float) -> Fitted:
    try:
        fit = fit_model(window.y, window.x, method=found.spec.method, scale=found.spec.scale.value, significance=significance)
    except AnalyticsError as error:
        return Fitted(found.spec, found.bars, note=str(error))
    return Fitted(found.spec, found.bars, found.model_id, found.window_start, found.window_end, fit, _carried(found.spec, window))


def _carried(spec: ModelSpec, window: Aligned) -> str:
    filled = {spec.pair.y: int(window.y_filled.sum()), spec.pair.x: int(window.x_filled.sum())}
    return ", ".join(f"{count} closes of {symbol} carried forward" for symbol, count in filled.items() if count)


def model_id(spec: ModelSpec, window_start: datetime, window_end: datetime, window: Aligned) -> str:
    """Name of a model: the same for the same request and the same closes.

    So a run that is repeated writes nothing new, and one that finds a bar of its window restated makes a new model.
    """
    facts = (
        str(spec.pair),
        spec.timeframe.name,
        str(spec.lookback),
        spec.method,
        spec.scale.value,
        window_start.isoformat(),
        window_end.isoformat(),
        str(len(window)),
    )
    content = b"".join(np.ascontiguousarray(column).tobytes() for column in (window.ts, window.y, window.x))
    return hashlib.sha256("|".join(facts).encode() + content).hexdigest()[:16]


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(microseconds))


FITS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "model_id": pl.String,
    "y": pl.String,
    "x": pl.String,
    "timeframe": pl.String,
    "lookback": pl.Int64,
    "method": pl.String,
    "scale": pl.String,
    "fitted_at": pl.Datetime("us", "UTC"),
    "window_start": pl.Datetime("us", "UTC"),
    "window_end": pl.Datetime("us", "UTC"),
    "n": pl.Int64,
    **dict.fromkeys(_STATISTICS, pl.Float64),
    "notes": pl.String,
}

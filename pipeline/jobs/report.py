"""The report of a profile: models and verdicts of its pairs, spread and z-score charts, what data there is, how the streams are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipeline.analytics import align, signal_series, verdict
from pipeline.analytics.reading import RICH, p_text, read_half_life, read_r_squared, read_zscore
from pipeline.jobs.page import cell, figure, heading, page, paragraph, table
from pipeline.jobs.svg import Level, line_chart
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, Profile, write_atomically
from pipeline.settings import Settings
from pipeline.store.bars import bar_spans, load_last_bars
from pipeline.store.health import gap_totals, load_clock, load_gaps, load_streams, row_counts
from pipeline.store.liquidity import newest_liquidity
from pipeline.store.models import newest_models
from pipeline.store.protocol import Warehouse
from pipeline.store.reports import ReportRow, save_report
from pipeline.store.signals import last_signals

_POINTS = 500
_MOST_GAPS = 20
_KINDS = {
    Kind.LIVE: "Live data of Binance USD-M Futures.",
    Kind.SIMULATED: "Simulated data: none of these prices were ever traded.",
    Kind.RECORDED: "Recorded data, replayed.",
}


@dataclass(frozen=True, slots=True)
class _Series:
    """What a chart of a pair shows, and whether it is history or a new computation."""

    ts: list[datetime]
    spread: list[float | None]
    zscore: list[float | None]
    source: str


def write_report(warehouse: Warehouse, profile: Profile, universe: Universe, settings: Settings, *, now: datetime, hours: int) -> ReportRow:
    """Write the report of the last ``hours`` up to ``now`` (of a recording: up to its end) under the profile, and list it.

    The same period has the same name, so a run that is repeated replaces the file and its row.

    Returns:
        The row of ``reports``.
    """
    clock = load_clock(warehouse)
    end = clock.journal_time if clock is not None and profile.kind is Kind.RECORDED else now
    end = end.astimezone(UTC).replace(second=0, microsecond=0)
    start = end - timedelta(hours=hours)
    title = f"Spreadwatch report: {profile.name}"
    period = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    body = [
        heading(1, title),
        paragraph(f"{period}. {_KINDS[profile.kind]}", "soft"),
        *_pairs(warehouse, universe, settings),
        *_liquidity(warehouse, settings),
        *_data(warehouse, settings.parsed_timeframes, start),
        *_health(warehouse),
    ]
    report_id = f"{end:%Y%m%dT%H%MZ}-{hours}h"
    path = profile.reports / f"report-{report_id}.html"
    text = page(f"{title}, {period}", body)
    write_atomically(path, text)
    row = ReportRow(report_id, f"{profile.name}, {period}", now, start, end, path.name, len(text.encode()))
    save_report(warehouse, row)
    return row


def _pairs(warehouse: Warehouse, universe: Universe, settings: Settings) -> Iterator[str]:
    models = newest_models(warehouse, list(settings.parsed_timeframes))
    yield heading(2, "Pairs")
    if not universe.pairs:
        yield paragraph("No pair is configured; add one with `spreadwatch universe add`.", "none")
    for spec in universe.pairs:
        yield heading(3, f"{spec.pair} (primary model: {spec.method}, {spec.lookback} bars, {spec.scale} scale)")
        own = models.filter((pl.col("y") == spec.pair.y) & (pl.col("x") == spec.pair.x))
        yield table(
            ["timeframe", "method", "lookback", "bars", "hedge ratio", "R2", "ADF p", "Engle-Granger p", "half-life", "Hurst", "until"],
            (_model_row(row) for row in _by_length(own)),
            empty="No model yet: too few complete bars of both legs.",
        )
        for timeframe in settings.parsed_timeframes:
            yield from _chart(warehouse, spec, timeframe, own, settings)


def _chart(warehouse: Warehouse, spec: PairSpec, timeframe: Timeframe, models: pl.DataFrame, settings: Settings) -> Iterator[str]:
    primary = models.filter(
        (pl.col("timeframe") == timeframe.name) & (pl.col("method") == spec.method.value) & (pl.col("lookback") == spec.lookback)
    )
    if primary.is_empty():
        return
    model = primary.row(0, named=True)
    judged = verdict(model["eg_p"], model["adf_p"], settings.adf_significance)
    yield paragraph(f"{timeframe}: {judged.text}", {True: "yes", False: "no", None: "none"}[judged.cointegrated])
    series = _series(warehouse, spec, timeframe, model, settings)
    latest = next((value for value in reversed(series.zscore) if value is not None), None)
    yield paragraph(" ".join([read_zscore(latest), read_half_life(model["half_life"]), read_r_squared(model["r_squared"])]), "soft")
    yield figure(line_chart(f"{spec.pair} spread, {timeframe}", series.ts, series.spread), f"Spread, {timeframe} bars. {series.source}")
    levels = (Level(RICH, f"z = {RICH:g}: rich"), Level(-RICH, f"z = -{RICH:g}: cheap"))
    yield figure(
        line_chart(f"{spec.pair} z-score, {timeframe}", series.ts, series.zscore, levels=levels),
        f"z-score over {settings.zscore_window} bars, {timeframe}.",
    )


def _series(warehouse: Warehouse, spec: PairSpec, timeframe: Timeframe, model: dict[str, object], settings: Settings) -> _Series:
    """The signals as they were, or, before there are enough, the newest model over the bars."""
    signals = last_signals(warehouse, spec.pair, timeframe, _POINTS)
    if signals.height >= settings.zscore_window:
        said = "Signals as they were, each under the model that was live at its bar."
        return _Series(signals["ts"].to_list(), signals["spread"].to_list(), signals["zscore"].to_list(), said)
    beta = model["beta"]
    ts, y, x = _closes(warehouse, spec.pair, timeframe, settings)
    if len(ts) < settings.zscore_window or not isinstance(beta, float):
        return _Series([], [], [], "")
    computed = signal_series(
        y, x, beta, scale=spec.scale.value, zscore_window=settings.zscore_window, correlation_window=settings.correlation_window
    )
    return _Series(ts, computed.spread.tolist(), computed.zscore.tolist(), "Computed for this report with the newest model.")


def _closes(warehouse: Warehouse, pair: Pair, timeframe: Timeframe, settings: Settings) -> tuple[list[datetime], list[float], list[float]]:
    bars = load_last_bars(warehouse, [pair.y, pair.x], timeframe, _POINTS, complete_only=True)
    legs = [
        (part["ts"].dt.epoch("us").to_numpy(), part["close"].cast(pl.Float64).to_numpy())
        for part in (bars.filter(symbol=leg) for leg in (pair.y, pair.x))
    ]
    both = align(*legs[0], *legs[1], timeframe.us, settings.max_fill)
    epoch = datetime.fromtimestamp(0, UTC)
    return [epoch + timedelta(microseconds=time) for time in both.ts.tolist()], both.y.tolist(), both.x.tolist()


def _liquidity(warehouse: Warehouse, settings: Settings) -> Iterator[str]:
    yield heading(2, "Liquidity")
    for timeframe in settings.parsed_timeframes:
        if timeframe.seconds == 1:
            continue
        rows = newest_liquidity(warehouse, timeframe)
        yield table(
            [
                f"{timeframe} bars",
                "bars",
                "quote volume",
                "trades",
                "taker imbalance",
                "quoted spread, bps",
                "Roll",
                "Corwin-Schultz",
                "Amihud",
            ],
            ([row[name] for name in _LIQUIDITY_COLUMNS] for row in rows.iter_rows(named=True)),
            empty=f"Not measured yet on {timeframe} bars.",
        )


def _data(warehouse: Warehouse, timeframes: Sequence[Timeframe], start: datetime) -> Iterator[str]:
    yield heading(2, "Data")
    spans = [(timeframe.name, *row) for timeframe in timeframes for row in bar_spans(warehouse, timeframe).iter_rows()]
    yield table(
        ["timeframe", "symbol", "first bar", "last bar", "bars", "complete", "from the exchange's candlesticks"],
        spans,
        empty="No bar yet.",
    )
    totals = gap_totals(warehouse)
    yield heading(3, "Gaps")
    yield table(
        ["symbol", "open", "refilled", "halts", "unrecoverable"],
        totals.iter_rows(),
        empty="No gap: every trade id from the first to the last is here.",
    )
    recent = load_gaps(warehouse, most=_MOST_GAPS).filter(pl.col("detected_at") >= start)
    if recent.height:
        columns = ["symbol", "first_missing", "last_missing", "missing", "from_time", "to_time", "state", "detail"]
        yield table(columns, recent.select(columns).iter_rows(), empty="")


def _health(warehouse: Warehouse) -> Iterator[str]:
    yield heading(2, "Health")
    clock = load_clock(warehouse)
    if clock is None:
        yield paragraph("Nothing has been landed yet.", "none")
    else:
        ended = ", the recording has ended" if clock.ended else ""
        yield paragraph(f"Landed up to {cell(clock.journal_time)} UTC in {clock.commit_no:,} transactions{ended}.")
    streams = load_streams(warehouse)
    yield table(
        ["stream", "state", "messages", "per second", "last message", "lag, ms", "reconnects"],
        streams.drop("observed_at").iter_rows(),
        empty="No stream has been seen.",
    )
    yield heading(3, "Rows")
    yield table(["table", "rows"], row_counts(warehouse).iter_rows(), empty="")


def _model_row(row: dict[str, Any]) -> list[object]:
    judged = {name: None if row[name] is None else p_text(row[name]).removeprefix("p = ").removeprefix("p ") for name in ("adf_p", "eg_p")}
    return [judged.get(name, row[name]) for name in _MODEL_COLUMNS]


def _by_length(models: pl.DataFrame) -> list[dict[str, Any]]:
    """Models from the shortest timeframe to the longest."""
    rows = models.iter_rows(named=True)
    return sorted(rows, key=lambda row: (Timeframe.parse(row["timeframe"]), row["method"], row["lookback"]))


_MODEL_COLUMNS = (
    "timeframe",
    "method",
    "lookback",
    "n",
    "beta",
    "r_squared",
    "adf_p",
    "eg_p",
    "half_life",
    "hurst",
    "window_end",
)
_LIQUIDITY_COLUMNS = (
    "symbol",
    "window_bars",
    "quote_volume",
    "trades",
    "taker_imbalance",
    "quoted_spread_bps",
    "roll_spread",
    "corwin_schultz",
    "amihud",
)

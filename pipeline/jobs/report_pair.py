"""The part of a report that is about one pair: models, tests, spread and z-score, liquidity of the legs, alerts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipeline.analytics import align, signal_series, verdict
from pipeline.analytics.reading import RICH, p_text, read_half_life, read_zscore
from pipeline.analytics.verdict import Outcome, Verdict
from pipeline.jobs.page import Chip, Link, figure, heading, paragraph, section, table
from pipeline.jobs.svg import Band, Level, line_chart
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec
from pipeline.settings import Settings
from pipeline.store.bars import load_bars
from pipeline.store.protocol import Warehouse
from pipeline.store.signals import load_signals

NOT_SCREENED = "not screened"

_MOST_SECONDS = 1_800
_MOST_BARS = 50_000
_MINUTE_S = 60
_MOST_ALERTS = 30
_CHIPS = {
    Outcome.COINTEGRATED: Chip("cointegrated", "good"),
    Outcome.NOT_COINTEGRATED: Chip("not shown"),
    Outcome.UNDEFINED: Chip("undefined"),
}
_SEVERITIES = {"critical": "bad", "warning": "warn"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of every pair, as of the end of the period.

    Attributes:
        start: first moment of the period.
        end: its end, which does not belong to it.
        models: the newest fit of each pair, timeframe, method, lookback and scale.
        screens: for each timeframe the newest row of each screened pair.
        liquidity: for each timeframe the newest measurement of each symbol.
        events: alert events of the period that people are told of.
    """

    start: datetime
    end: datetime
    models: pl.DataFrame
    screens: dict[str, pl.DataFrame]
    liquidity: dict[str, pl.DataFrame]
    events: pl.DataFrame


@dataclass(frozen=True, slots=True)
class TimeframeStudy:
    """A pair on one timeframe, under its primary model there.

    Attributes:
        timeframe: of the bars.
        model: a row of the view ``models``.
        verdict: of its tests.
        screened: the pair's row in the newest screen, None when it was not screened.
        span: first and last time of the charts.
        whole: whether that is the whole period.
        ts: times of ``spread``.
        spread: under the model's hedge ratio, over the bars of the period.
        z_ts: times of ``zscore``.
        zscore: as the signals were, or computed where there were none.
        z_source: which of the two.
    """

    timeframe: Timeframe
    model: dict[str, Any]
    verdict: Verdict
    screened: dict[str, Any] | None
    span: tuple[datetime, datetime]
    whole: bool
    ts: list[datetime]
    spread: list[float | None]
    z_ts: list[datetime]
    zscore: list[float | None]
    z_source: str

    @property
    def latest_z(self) -> float | None:
        """The newest z-score of the period."""
        return next((value for value in reversed(self.zscore) if value is not None and value == value), None)  # noqa: PLR0124 -- NaN


@dataclass(frozen=True, slots=True)
class PairStudy:
    """Everything that a report says of one pair."""

    spec: PairSpec
    models: pl.DataFrame
    timeframes: tuple[TimeframeStudy, ...]
    alerts: pl.DataFrame

    @property
    def anchor(self) -> str:
        """Where its section is on the page."""
        return f"{self.spec.pair.y}-{self.spec.pair.x}"


def study_pair(warehouse: Warehouse, spec: PairSpec, facts: Facts, settings: Settings) -> PairStudy:
    """Gather what a report says of a pair."""
    y, x = spec.pair.y, spec.pair.x
    own = facts.models.filter((pl.col("y") == y) & (pl.col("x") == x))
    primary = own.filter(
        (pl.col("method") == spec.method.value) & (pl.col("lookback") == spec.lookback) & (pl.col("scale") == spec.scale.value)
    )
    studied = []
    for timeframe in settings.parsed_timeframes:
        for model in primary.filter(timeframe=timeframe.name).head(1).iter_rows(named=True):
            screened = facts.screens[timeframe.name].filter((pl.col("y") == y) & (pl.col("x") == x))
            row = screened.row(0, named=True) if screened.height else None
            studied.append(_on_timeframe(warehouse, spec, timeframe, model=model, screened=row, facts=facts, settings=settings))
    alerts = facts.events.filter(pl.col("series").is_in([str(spec.pair), y, x]))
    return PairStudy(spec, own, tuple(studied), alerts)


def _on_timeframe(
    warehouse: Warehouse,
    spec: PairSpec,
    timeframe: Timeframe,
    *,
    model: dict[str, Any],
    screened: dict[str, Any] | None,
    facts: Facts,
    settings: Settings,
) -> TimeframeStudy:
    # A day of seconds would be more than a chart shows and a reader sees.
    most = _MOST_BARS if timeframe.seconds >= _MINUTE_S else _MOST_SECONDS
    start = max(facts.start, facts.end - timedelta(seconds=timeframe.seconds * most))
    ts, y, x = _closes(warehouse, spec, timeframe, start=start, end=facts.end, max_fill=settings.max_fill)
    spread: list[float | None] = []
    zscore: list[float | None] = []
    if len(ts) >= settings.zscore_window and model["beta"] is not None:
        computed = signal_series(
            y,
            x,
            model["beta"],
            scale=spec.scale.value,
            zscore_window=settings.zscore_window,
            correlation_window=settings.correlation_window,
        )
        spread, zscore = computed.spread.tolist(), computed.zscore.tolist()
    else:
        ts = []
    signals = load_signals(warehouse, spec.pair, timeframe, start=start, end=facts.end)
    z_ts, source = ts, "computed here with the newest model, for there were few signals then"
    if signals.height >= settings.zscore_window:
        z_ts, zscore = signals["ts"].to_list(), signals["zscore"].to_list()
        source = "as it was, each value under the model that was live at its bar"
    return TimeframeStudy(
        timeframe,
        model,
        verdict(model["eg_p"], model["adf_p"], settings.adf_significance),
        screened,
        (start, facts.end),
        start == facts.start,
        ts,
        spread,
        z_ts,
        zscore,
        source,
    )


def _closes(
    warehouse: Warehouse, spec: PairSpec, timeframe: Timeframe, *, start: datetime, end: datetime, max_fill: int
) -> tuple[list[datetime], list[float], list[float]]:
    legs = [spec.pair.y, spec.pair.x]
    bars = load_bars(warehouse, legs, timeframe, start=start, end=end, complete_only=True)
    columns = [
        (bars.filter(symbol=leg)["ts"].dt.epoch("us").to_numpy(), bars.filter(symbol=leg)["close"].cast(pl.Float64).to_numpy())
        for leg in legs
    ]
    both = align(*columns[0], *columns[1], timeframe.us, max_fill)
    epoch = datetime.fromtimestamp(0, UTC)
    return [epoch + timedelta(microseconds=time) for time in both.ts.tolist()], both.y.tolist(), both.x.tolist()


# ---------------------------------------------------------------------------------------------- at a glance

GLANCE_COLUMNS = (
    "pair",
    "bars",
    "verdict",
    "Engle-Granger p",
    "q (screen)",
    "hedge ratio",
    "half-life",
    "z at the end",
    "alerts fired",
)


def glance_rows(studies: Sequence[PairStudy]) -> Iterator[list[object]]:
    """One row for each pair and timeframe, for the summary."""
    for study in studies:
        link = Link(str(study.spec.pair), study.anchor)
        fired = fired_alerts(study.alerts)
        if not study.timeframes:
            yield [link, None, Chip("no model yet"), None, None, None, None, None, fired]
        for one in study.timeframes:
            yield [
                link,
                one.timeframe.name,
                _CHIPS[one.verdict.outcome],
                _p(one.model["eg_p"]),
                _q(one.screened),
                one.model["beta"],
                _half_life(one),
                _z_chip(one.latest_z),
                fired,
            ]


def fired_alerts(events: pl.DataFrame) -> int:
    """How often a rule began to fire."""
    return events.filter(kind="firing").height


def summary_of(study: PairStudy) -> str:
    """The pair in a few words, for a notification."""
    said = [f"{one.timeframe} {one.verdict.outcome.value}, z {_z_text(one.latest_z)}" for one in study.timeframes]
    return f"{study.spec.pair}: {'; '.join(said) or 'no model yet'}"


# ---------------------------------------------------------------------------------------------- the section


def pair_section(study: PairStudy, facts: Facts, settings: Settings) -> str:
    """The section of a pair."""
    return section(_parts(study, facts, settings), new_page=True)


def _parts(study: PairStudy, facts: Facts, settings: Settings) -> Iterator[str]:
    spec = study.spec
    about = f"primary model: {spec.method}, {spec.lookback} bars, {spec.scale} scale"
    yield heading(2, str(spec.pair), anchor=study.anchor, note=about)
    yield table(
        ["bars", "verdict", "Engle-Granger p", "q (screen)", "tests in screen", "ADF p *", "half-life", "Hurst"],
        (_test_row(one) for one in study.timeframes),
        empty="No model yet: too few complete bars of both legs.",
    )
    if study.timeframes:
        yield paragraph(
            "* The plain ADF p-value is too small when the hedge ratio was fitted on the same bars: it is shown for comparison, and "
            f"Engle-Granger decides, at the {settings.adf_significance * 100:g} % level. q is the false-discovery "
            "rate over all pairs screened.",
            "soft",
        )
    for one in study.timeframes:
        yield from _charts(study.spec, one, settings)
    if not study.models.is_empty():
        yield heading(3, "Models", note="the newest fit of each kind")
        yield table(
            [
                "bars",
                "method",
                "lookback",
                "n",
                "hedge ratio",
                "intercept",
                "R²",
                "Engle-Granger p",
                "half-life",
                "fitted on bars from",
                "to (UTC)",
            ],
            (_model_row(row) for row in _by_length(study.models)),
            empty="",
        )
    yield heading(3, "Liquidity of the legs")
    yield table(
        [
            "bars",
            "symbol",
            "quote volume",
            "trades",
            "taker imbalance, %",
            "quoted spread, bps",
            "Roll, bps",
            "Corwin-Schultz, bps",
            "Amihud",
            "over bars",
        ],
        _liquidity_rows(spec, facts, settings),
        empty="Not measured yet.",
    )
    yield heading(3, "Alerts of the period", note="of the pair and its legs")
    yield table(
        ["time (UTC)", "what", "severity", "of", "message"],
        (_alert_row(row) for row in study.alerts.tail(_MOST_ALERTS).iter_rows(named=True)),
        empty="None fired.",
    )
    if study.alerts.height > _MOST_ALERTS:
        yield paragraph(f"The last {_MOST_ALERTS} of {study.alerts.height}.", "soft")


def _charts(spec: PairSpec, one: TimeframeStudy, settings: Settings) -> Iterator[str]:
    yield heading(3, f"{one.timeframe} bars", note=one.verdict.text)
    yield paragraph(f"{read_zscore(one.latest_z)} {read_half_life(one.model['half_life'])}", "soft")
    model = one.model
    mean, sd = model["spread_mean"], model["spread_sd"]
    known = mean is not None and sd is not None
    drawn = (one.span[1] - one.span[0]).total_seconds()
    cut = "" if one.whole else f" Drawn: the last {drawn / 3_600:.3g} h of the period."
    yield figure(
        line_chart(
            f"{spec.pair} spread on {one.timeframe} bars",
            one.ts,
            one.spread,
            levels=(Level(mean, "mean of the fit"),) if known else (),
            band=Band(mean - 2 * sd, mean + 2 * sd) if known else None,
            span=one.span,
        ),
        f"Spread under the newest hedge ratio; shaded: mean ± 2 standard deviations of the bars that it was fitted on.{cut}",
    )
    levels = (Level(RICH, f"{RICH:g}: y rich"), Level(-RICH, f"-{RICH:g}: y cheap"))
    yield figure(
        line_chart(
            f"{spec.pair} z-score on {one.timeframe} bars", one.z_ts, one.zscore, levels=levels, band=Band(-RICH, RICH), span=one.span
        ),
        f"z-score over {settings.zscore_window} bars, {one.z_source}.",
    )


def _test_row(one: TimeframeStudy) -> list[object]:
    return [
        one.timeframe.name,
        _CHIPS[one.verdict.outcome],
        _p(one.model["eg_p"]),
        _q(one.screened),
        one.screened["tests"] if one.screened else None,
        _p(one.model["adf_p"]),
        _half_life(one),
        one.model["hurst"],
    ]


def _model_row(row: dict[str, Any]) -> list[object]:
    half_life = None if row["half_life"] is None else f"{row['half_life']:.1f}"
    return [
        row["timeframe"],
        row["method"],
        row["lookback"],
        row["n"],
        row["beta"],
        row["alpha"],
        row["r_squared"],
        _p(row["eg_p"]),
        half_life,
        f"{row['window_start']:%m-%d %H:%M:%S}",
        f"{row['window_end']:%m-%d %H:%M:%S}",
    ]


def _liquidity_rows(spec: PairSpec, facts: Facts, settings: Settings) -> Iterator[list[object]]:
    for timeframe in settings.parsed_timeframes:
        rows = facts.liquidity[timeframe.name]
        for leg in (spec.pair.y, spec.pair.x):
            for row in rows.filter(symbol=leg).iter_rows(named=True):
                imbalance = None if row["taker_imbalance"] is None else f"{100 * row['taker_imbalance']:+.1f}"
                spreads = [row["quoted_spread_bps"], *(_bps(row[name]) for name in ("roll_spread", "corwin_schultz"))]
                yield [timeframe.name, leg, row["quote_volume"], row["trades"], imbalance, *spreads, row["amihud"], row["window_bars"]]


def _alert_row(row: dict[str, Any]) -> list[object]:
    severity = Chip(row["severity"], _SEVERITIES.get(row["severity"], ""))
    return [row["occurred_at"], row["kind"], severity, row["series"], row["message"]]


def _by_length(models: pl.DataFrame) -> list[dict[str, Any]]:
    """Models from the shortest timeframe to the longest."""
    return sorted(models.iter_rows(named=True), key=lambda row: (Timeframe.parse(row["timeframe"]), row["method"], row["lookback"]))


def _p(value: float | None) -> str | None:
    return None if value is None else p_text(value).removeprefix("p = ").removeprefix("p ")


def _q(screened: dict[str, Any] | None) -> str:
    if screened is None:
        return NOT_SCREENED
    return _p(screened["q_value"]) or str(screened["outcome"])


def _half_life(one: TimeframeStudy) -> str:
    bars = one.model["half_life"]
    if bars is None:
        return "none"
    seconds = bars * one.timeframe.seconds
    unit, size = next((unit, size) for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)) if seconds >= size or unit == "s")
    return f"{bars:.1f} bars ({seconds / size:.3g} {unit})"


def _bps(share: float | None) -> float | None:
    return None if share is None else 10_000 * share


def _z_text(z: float | None) -> str:
    return "undefined" if z is None else f"{z:+.2f}"


def _z_chip(z: float | None) -> object:
    if z is None or abs(z) <= RICH:
        return None if z is None else f"{z:+.2f}"
    return Chip(f"{z:+.2f} {'rich' if z > 0 else 'cheap'}", "warn")

"""Models of the configured pairs: hedge ratio, spread, and whether to trust it."""

from typing import Annotated, Any

from pydantic import Field

from flows.batch import batch_flow
from flows.session import here, listed, run_name, session, tell, universe, with_retries
from pipeline.errors import UsageError
from pipeline.jobs.choice import chosen_pairs, chosen_timeframes

_SHORTEST, _LONGEST = 30, 100_000


@batch_flow(
    name="fit_pairs",
    description="Fits each pair on its newest complete bars with every method, tests the spread, and keeps the models.",
    flow_run_name=run_name(
        lambda given: f"fit {listed(given.get('pairs'), 'every pair')} on {listed(given.get('timeframes'), 'every timeframe')}"
    ),
    timeout_seconds=1_800,
)
def fit_pairs(
    pairs: list[str] | None = None,
    timeframes: list[str] | None = None,
    lookback: Annotated[int, Field(ge=_SHORTEST, le=_LONGEST)] | None = None,
    methods: tuple[str, ...] = ("ols", "huber", "theil_sen"),
) -> int:
    """Fit the pairs that have new bars; each pair's primary model is always among them.

    Args:
        pairs: which of the universe's, such as ["ETHUSDT/BTCUSDT"]; all of them when not given.
        timeframes: which of the configured ones; all of them when not given.
        lookback: bars to fit on; each pair's own when not given. Where there are fewer, those there are, and `n` says so.
        methods: ols, huber, theil_sen, tls or min_half_life.

    Returns:
        Models written.
    """
    names = [timeframe.name for timeframe in chosen_timeframes(timeframes, here()[1])]
    wanted = [str(spec.pair) for spec in chosen_pairs(pairs, universe())] if pairs else None
    _check(methods)
    rows = with_retries(fit_models, wanted, names, lookback, list(methods))
    fitted = sum(1 for row in rows if row["written"])
    tell("fit-pairs", f"{fitted} models written of {len(rows)} that were looked at", rows)
    return fitted


def fit_models(pairs: list[str] | None, timeframes: list[str], lookback: int | None, methods: list[str]) -> list[dict[str, Any]]:
    """The work: one row for each model, new or not."""
    from pipeline.jobs import fit_pairs as job
    from pipeline.jobs.choice import published_universe
    from pipeline.model.timeframe import Timeframe

    with session("fit_pairs") as at:
        specs = job.model_specs(
            chosen_pairs(pairs, published_universe(at.profile)), [Timeframe.parse(name) for name in timeframes], methods, lookback
        )
        found = job.fit_pairs(
            at.warehouse, specs, max_fill=at.settings.max_fill, significance=at.settings.adf_significance, now=at.now, run=at.run
        )
    return [_told(one) for one in found]


def _check(methods: tuple[str, ...]) -> None:
    from pipeline.model.universe import Method

    known = [method.value for method in Method]
    for method in methods:
        if method not in known:
            msg = f"method {method!r} is not known; expected one of {', '.join(known)}"
            raise UsageError(msg)


def _told(found: Any) -> dict[str, Any]:
    fit = found.fit
    return {
        "pair": str(found.spec.pair),
        "timeframe": found.spec.timeframe.name,
        "method": found.spec.method,
        "bars": found.bars,
        "written": fit is not None,
        "beta": fit and fit.beta,
        "R2": fit and fit.r_squared,
        "Engle-Granger p": fit and fit.eg_p,
        "verdict": fit and fit.verdict.outcome.value,
        "note": found.note or (fit and "; ".join(fit.notes)) or "",
    }

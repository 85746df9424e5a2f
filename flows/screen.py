"""Cointegration over the whole universe, with the false-discovery rate controlled."""

from typing import Annotated, Any, Literal

from pydantic import Field

from flows.batch import batch_flow
from flows.session import here, listed, progress, run_name, session, tell, universe, with_retries
from pipeline.errors import TooShort, UsageError
from pipeline.jobs.choice import chosen_timeframes

_SHORTEST, _LONGEST = 60, 100_000
_SHOWN = 50


def _name(symbols: list[str] | None, lookback: int, timeframe: str | None) -> str:
    bars = f"{timeframe} bars" if timeframe else "bars"
    return f"screen {listed(symbols, 'every symbol')} on {lookback} {bars}"


@batch_flow(
    name="screen",
    description="Tests every ordered pair of the universe for cointegration, keeps statistics and q-values, strongest first.",
    flow_run_name=run_name(lambda given: _name(given.get("symbols"), given.get("lookback", 1_440), given.get("timeframe"))),
    timeout_seconds=3_600,
)
def screen(
    timeframe: str | None = None,
    lookback: Annotated[int, Field(ge=_SHORTEST, le=_LONGEST)] = 1_440,
    symbols: list[str] | None = None,
    directions: Literal["both", "forward"] = "both",
    least_volume: Annotated[float, Field(ge=0)] = 0.0,
) -> int:
    """Screen pairs of symbols on their newest complete bars; the same bars are never screened twice.

    Args:
        timeframe: one of the configured ones; 1m, or what comes nearest to it, when not given.
        lookback: bars that are looked back on.
        symbols: which of the universe's, at least two; all of them when not given.
        directions: both tests y on x and x on y; forward only the earlier symbol on the later.
        least_volume: median quote volume of a bar, in the quote currency, that both legs must have to be tested.

    Returns:
        Pairs with a q-value up to the setting adf_significance.
    """
    from pipeline.jobs.choice import chosen_symbols
    from pipeline.jobs.screen import default_timeframe

    chosen = here()[1]
    name = chosen_timeframes([timeframe], chosen)[0].name if timeframe else default_timeframe(chosen).name
    wanted = list(chosen_symbols(symbols, universe(), uploaded=True))
    if len(wanted) < 2 and symbols is not None:
        msg = f"a screen needs at least two different symbols; {len(wanted)} given: name more, or leave them out for all"
        raise UsageError(msg)
    if len(wanted) < 2:
        tell("screen", "nothing to screen: the universe has fewer than two symbols", [])
        return 0
    try:
        found, summary, rows = with_retries(test_pairs, wanted, name, lookback, directions, least_volume)
    except TooShort as error:
        if symbols is not None:
            raise
        tell("screen", f"nothing to screen yet: {error}", [])
        return 0
    tell("screen", summary, rows)
    return int(found)


def test_pairs(
    symbols: list[str], timeframe: str, lookback: int, directions: str, least_volume: float
) -> tuple[int, str, list[dict[str, Any]]]:
    """The work: pairs found, a summary, and the best pairs."""
    from pipeline.jobs.screen import keep_screen
    from pipeline.model.timeframe import Timeframe
    from pipeline.store.quality import blocked_symbols

    with session("screen") as at:
        blocked = {symbol: why for symbol, why in blocked_symbols(at.warehouse).items() if symbol in symbols}
        sound = [symbol for symbol in symbols if symbol not in blocked]
        left_out = "; ".join(f"{symbol} is left out: {why}" for symbol, why in blocked.items())
        if len(sound) < 2:
            raise TooShort(left_out or "fewer than two symbols")
        made = keep_screen(
            at.warehouse,
            sound,
            Timeframe.parse(timeframe),
            now=at.now,
            keep=at.settings.screen_keep,
            run=at.run,
            lookback=lookback,
            max_fill=at.settings.max_fill,
            both_directions=directions == "both",
            least_volume=least_volume,
            progress=progress(f"pairs tested on {timeframe}"),
        )
        level = at.settings.adf_significance
    window, found = made.window, made.found(level)
    summary = (
        f"{found} of {made.rows.height} ordered pairs of {len(window.symbols)} symbols have a q-value up to {level:g}, "
        f"{timeframe} bars from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
        + ("" if made.written else "; screened before")
        + (f"; {left_out}" if left_out else "")
    )
    columns = ["rank", "y", "x", "q_value", "p_value", "statistic", "beta", "half_life", "hurst", "crossings", "correlation", "liquidity"]
    columns += ["nobs", "used_lag", "outcome"]
    return found, summary, made.rows.sort("rank").head(_SHOWN).select(columns).to_dicts()

"""Commands that fit and screen."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option
from pipeline.model.universe import Method, Scale


@click.command()
@click.argument("pair")
@profile_option
@click.option("--timeframe", default="1m", show_default=True, metavar="F", help="Bars to fit on.")
@click.option("--lookback", type=click.IntRange(min=60), metavar="N", help="Newest complete bars; the setting lookback when left out.")
@click.option("--method", type=click.Choice([method.value for method in Method]), default="ols", show_default=True)
@click.option("--scale", type=click.Choice([scale.value for scale in Scale]), default="price", show_default=True)
@click.option("--least-volume", type=click.FloatRange(min=0), default=0.0, help="Bars with a smaller quote volume count as missing.")
def fit(*, pair: str, profile_name: str | None, timeframe: str, lookback: int | None, method: str, scale: str, least_volume: float) -> None:
    """Fit the hedge ratio of PAIR (Y/X), test its spread, print and keep the model."""
    import polars as pl

    from pipeline.errors import TooShort
    from pipeline.jobs.fit_pairs import FITS_SCHEMA, fit_pair
    from pipeline.model.pair import Pair
    from pipeline.model.timeframe import Timeframe
    from pipeline.store import Role, open_warehouse
    from pipeline.store.models import known_fits, save_fits

    profile = existing_profile(profile_name)
    chosen = effective_settings(profile)
    with open_warehouse(profile, Role.WRITER) as warehouse:
        found = fit_pair(
            warehouse,
            Pair.parse(pair),
            Timeframe.parse(timeframe),
            lookback=lookback or chosen.lookback,
            method=method,
            scale=Scale(scale),
            max_fill=chosen.max_fill,
            significance=chosen.adf_significance,
            least_volume=least_volume,
        )
        if found.fit is None or found.model_id is None:
            msg = f"{pair} {timeframe}: {found.note}"
            raise TooShort(msg)
        if found.model_id not in known_fits(warehouse, [found.model_id]):
            save_fits(warehouse, pl.DataFrame([found.row(datetime.now(UTC))], schema=FITS_SCHEMA))
    model = found.fit
    rows = [
        ("pair", f"{pair} {timeframe}, {model.n} bars, {found.window_start:%Y-%m-%d %H:%M:%S} to {found.window_end:%Y-%m-%d %H:%M:%S} UTC"),
        ("hedge ratio", f"beta {model.beta:.8g}, alpha {model.alpha:.8g} ({model.method}, {model.scale})"),
        ("standard errors", _errors(model.beta_se, model.alpha_se)),
        ("R squared", f"{model.r_squared:.6f}"),
        ("spread", f"mean {model.spread_mean:.8g}, sd {model.spread_sd:.8g}"),
        ("Engle-Granger", _test(model.eg_stat, model.eg_p, model.eg_lag)),
        ("ADF of the spread", f"{_test(model.adf_stat, model.adf_p, model.adf_lag)} (too small a p: beta comes from the same bars)"),
        ("half-life", f"{model.half_life:.2f} bars" if model.half_life is not None else "none"),
        ("Hurst", f"{model.hurst:.3f}" if model.hurst is not None else "undefined"),
        ("verdict", model.verdict.text),
        ("model", str(found.model_id)),
    ]
    for name, text in rows:
        click.echo(f"{name:<18} {text}")
    for note in (found.note, *model.notes):
        if note:
            click.echo(f"{'note':<18} {note}")


@click.command()
@profile_option
@click.option("--timeframe", default="1m", show_default=True, metavar="F", help="Bars to test on.")
@click.option("--lookback", type=click.IntRange(min=60), default=1_440, show_default=True, help="Newest complete bars to use.")
@click.option("--symbol", "symbols", multiple=True, metavar="S", help="May be given several times; the universe's symbols when left out.")
@click.option("--q", "most_q", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Show pairs with a q-value up to this.")
@click.option("--all", "everything", is_flag=True, help="Show every pair.")
@click.option("--least-volume", type=click.FloatRange(min=0), default=0.0, help="Median quote volume of a bar that both legs must have.")
@click.option("--save", is_flag=True, help="Keep the screen in the table screens, as the flow does.")
def screen(
    *,
    profile_name: str | None,
    timeframe: str,
    lookback: int,
    symbols: tuple[str, ...],
    most_q: float,
    everything: bool,
    least_volume: float,
    save: bool,
) -> None:
    """Test every ordered pair for cointegration, with the false-discovery rate controlled."""
    import polars as pl

    from pipeline.jobs.choice import chosen_symbols, published_universe
    from pipeline.jobs.screen import SHOWN, keep_screen
    from pipeline.jobs.screen import screen as screen_symbols
    from pipeline.jobs.turn import turn
    from pipeline.model.timeframe import Timeframe
    from pipeline.store import Role, open_warehouse

    profile = existing_profile(profile_name)
    chosen = effective_settings(profile)

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done} of {total} pairs\x1b[K", nl=False, err=True)

    wanted = chosen_symbols(symbols or None, published_universe(profile), uploaded=True)
    bars = Timeframe.parse(timeframe)
    note = "not kept; --save keeps it"
    if save:
        with turn(profile, "screen"), open_warehouse(profile, Role.WRITER) as warehouse:
            made = keep_screen(
                warehouse,
                wanted,
                bars,
                now=datetime.now(UTC),
                keep=chosen.screen_keep,
                run="cli:screen",
                lookback=lookback,
                max_fill=chosen.max_fill,
                least_volume=least_volume,
                progress=progress,
            )
        found = made.rows.sort("rank").select(*SHOWN, "outcome")
        note = f"kept as screen {made.window.screen_id}" if made.written else f"kept before as screen {made.window.screen_id}"
    else:
        with open_warehouse(profile, Role.READER) as warehouse:
            found = screen_symbols(
                warehouse, wanted, bars, lookback=lookback, max_fill=chosen.max_fill, least_volume=least_volume, progress=progress
            )
    shown = found if everything else found.filter(pl.col("q_value") <= most_q)
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    with pl.Config(tbl_rows=1_000, tbl_cols=20, tbl_width_chars=200, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        click.echo(str(shown))
    click.echo(f"{shown.height} of {found.height} ordered pairs shown; q is the Benjamini-Hochberg q-value over all of them; {note}")


def _errors(beta: float | None, alpha: float | None) -> str:
    if beta is None or alpha is None:
        return "none for this method on these bars"
    return f"beta {beta:.3g}, alpha {alpha:.3g} (too small where the spread reverts slowly)"


def _test(statistic: float | None, p_value: float | None, lag: int | None) -> str:
    if statistic is None or p_value is None:
        return "undefined"
    return f"{statistic:.4f}, p = {p_value:.4f}, lag {lag}"

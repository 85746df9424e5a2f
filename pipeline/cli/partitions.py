"""What has been made of each asset, by symbol, timeframe and day: from the ledger of partitions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option
from pipeline.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from pipeline.store import Warehouse


@click.command()
@profile_option
@click.option(
    "--asset", metavar="A", help="List the partitions of one asset: ticks, bars, klines, trades, models, liquidity, screens, archive."
)
@click.option("--symbol", "symbols", multiple=True, metavar="S", help="Only of this symbol; several times if need be.")
@click.option("--missing", type=click.IntRange(min=1), metavar="DAYS", help="Days of bars, of the last so many, that are not whole.")
@click.option(
    "--lineage", metavar="NODE", help="What a partition was made from and what was made of it, such as bars/BTCUSDT/1m/2026-11-22."
)
def partitions(*, profile_name: str | None, asset: str | None, symbols: tuple[str, ...], missing: int | None, lineage: str | None) -> None:
    """What there is of each asset, how fresh and how whole; by whom it was made, and from what."""
    from pipeline.store import Role, open_warehouse

    if sum(chosen is not None for chosen in (asset, missing, lineage)) > 1:
        msg = "--asset, --missing and --lineage exclude each other; give one of them"
        raise UsageError(msg)
    profile = existing_profile(profile_name)
    with open_warehouse(profile, Role.READER) as warehouse:
        if lineage is not None:
            _lineage(warehouse, lineage)
        elif missing is not None:
            from pipeline.jobs.choice import published_universe

            names = [timeframe.name for timeframe in effective_settings(profile).parsed_timeframes]
            _missing(warehouse, list(symbols) or list(published_universe(profile).symbols), names, missing)
        elif asset is not None:
            _listed(warehouse, asset, symbols)
        else:
            _summary(warehouse, symbols)


def _summary(warehouse: Warehouse, symbols: tuple[str, ...]) -> None:
    from pipeline.store.partitions import freshness

    found = freshness(warehouse)
    _table(
        [row for row in found.iter_rows(named=True) if not symbols or row["symbol"] in symbols],
        ("asset", "symbol", "timeframe", "partitions", "incomplete", "rows", "restated", "last_ts", "made_at", "run"),
    )


def _listed(warehouse: Warehouse, asset: str, symbols: tuple[str, ...]) -> None:
    from pipeline.store.partitions import load_partitions

    found = load_partitions(warehouse, asset=asset, symbols=symbols or None)
    _table(list(found.iter_rows(named=True)), ("partition", "complete", "rows", "revision", "first_ts", "last_ts", "made_at", "run"))


def _missing(warehouse: Warehouse, symbols: list[str], timeframes: list[str], days: int) -> None:
    from pipeline.store.health import load_clock
    from pipeline.store.partitions import missing_days

    clock = load_clock(warehouse)
    today: date = (clock.journal_time if clock else datetime.now(UTC)).date()
    found: pl.DataFrame = missing_days(warehouse, symbols, timeframes, start=today - timedelta(days=days), end=today)
    _table(list(found.iter_rows(named=True)), ("symbol", "timeframe", "day", "started"))
    click.echo(f"{found.height} of {len(symbols) * len(timeframes) * days} days of bars before {today} are not whole")


def _lineage(warehouse: Warehouse, node: str) -> None:
    from pipeline.store.partitions import downstream, upstream

    for row in upstream(warehouse, node).iter_rows(named=True):
        click.echo(f"{'  ' * row['depth']}<- {row['input']}")
    for row in downstream(warehouse, node).iter_rows(named=True):
        click.echo(f"  -> {row['asset']}/{row['partition']} (revision {row['revision']}, {row['run']})")


def _table(rows: list[dict[str, object]], columns: tuple[str, ...]) -> None:
    if not rows:
        click.echo("No partitions.")
        return
    cells = [tuple(column.upper() for column in columns), *(tuple(_text(row[column]) for column in columns) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)

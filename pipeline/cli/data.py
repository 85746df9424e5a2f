"""Commands that bring data in and take it out: ingest, backfill, export, sql."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from pipeline.cli.process import ensured_profile, existing_profile, profile_option
from pipeline.profile import Kind
from pipeline.settings import settings

_TIME = "ISO time, UTC unless it says otherwise, such as 2026-11-22T14:00"


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH ...")
@profile_option
def ingest(*, paths: tuple[Path, ...], profile_name: str | None) -> None:
    """Land recordings (plain, .gz or .zst; of a directory all in it) in a recorded profile, resample, and exit.

    A recording that is damaged is landed as far as it can be read; then the exit code is 1 and one line tells file, line number and
    what was kept.
    """
    from pipeline.errors import RecordingError
    from pipeline.jobs.scan import scan_recordings
    from pipeline.journal import find_recordings
    from pipeline.logs import configure
    from pipeline.profile import list_profiles
    from pipeline.warehouse.ingest import ingest as ingest_recordings

    chosen = settings()
    configure("WARNING")
    paths = find_recordings(paths)
    name = profile_name or "replay"
    if name not in {profile.name for profile in list_profiles(chosen.data_dir)}:
        # The first recording decides which of the two trade streams this profile holds.
        scan = scan_recordings(paths)
        pairs = tuple(pair for pair in chosen.pairs if set(pair.split("/")) <= set(scan.symbols))
        chosen = chosen.model_copy(update={"trade_stream": scan.kind, "symbols": scan.symbols, "pairs": pairs})
    profile = ensured_profile(name, Kind.RECORDED, chosen)
    started = time.monotonic()
    report = ingest_recordings(profile, chosen, paths, _progress)
    added = report.added
    click.echo(
        f"{report.lines} lines: {added.ticks} new trades, {added.quotes} new quotes, {added.gaps} new gaps, {added.bars} new bars "
        f"in profile {profile.name} ({time.monotonic() - started:.1f} s)"
    )
    if report.damage:
        msg = f"{report.damage.told()}; all that was kept has been landed"
        raise RecordingError(msg)


@click.command()
@profile_option
@click.option(
    "--symbol", "symbols", multiple=True, metavar="S", help="Symbol of the universe, several times if need be; all when left out."
)
@click.option("--timeframe", "timeframes", multiple=True, metavar="F", help="Configured timeframe; all that the venue has when left out.")
@click.option("--from", "start", metavar="T", help=f"First time: {_TIME}. The setting backfill_hours ago when left out.")
@click.option("--to", "end", metavar="T", help="Before this time; now when left out.")
@click.option(
    "--source",
    default="rest",
    show_default=True,
    metavar="rest|archive|PATH",
    help="The exchange's REST API, its archive of daily and monthly files, or your own CSV, which becomes --symbol.",
)
@click.option(
    "--what",
    multiple=True,
    type=click.Choice(["klines", "trades"]),
    default=("klines",),
    show_default=True,
    help="Candlesticks, aggregate trades, or both (give it twice).",
)
@click.option("--refetch", is_flag=True, help="Also fetch what is there already.")
def backfill(
    *,
    profile_name: str | None,
    symbols: tuple[str, ...],
    timeframes: tuple[str, ...],
    start: str | None,
    end: str | None,
    source: str,
    what: tuple[str, ...],
    refetch: bool,
) -> None:
    """Fetch the exchange's klines or trades where they are missing, or take your own bars or trades from a file as a symbol."""
    if source not in {"rest", "archive"}:
        _upload(source, symbols, timeframes, profile_name, ranged=bool(start or end))
        return
    from pipeline.cli.fetch import fetch

    fetch(profile_name, symbols, timeframes, what=what, start=start, end=end, source=source, refetch=refetch)


@click.command()
@click.argument("table")
@profile_option
@click.option("--symbol", metavar="S", help="Symbol, or Y/X for tables of pairs; all when left out.")
@click.option("--timeframe", metavar="F", help="Timeframe; all when left out.")
@click.option("--from", "start", metavar="T", help=f"First time: {_TIME}.")
@click.option("--to", "end", metavar="T", help="First time that is no longer exported.")
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="File; standard output when left out.")
def export(
    *,
    table: str,
    profile_name: str | None,
    symbol: str | None,
    timeframe: str | None,
    start: str | None,
    end: str | None,
    form: str,
    out: Path | None,
) -> None:
    """Write a TABLE (ticks, bars, models, signals ...) as CSV, JSON or Parquet."""
    from pipeline.jobs.choice import parsed_time
    from pipeline.store import Role, open_warehouse
    from pipeline.store.export import Format, Selection, write_export

    selection = Selection(table, symbol, timeframe, parsed_time(start, "--from"), parsed_time(end, "--to"))
    selection.check()
    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        if out is None:
            write_export(warehouse, selection, Format(form), sys.stdout.buffer)
            return
        with out.open("wb") as sink:
            rows = write_export(warehouse, selection, Format(form), sink)
    click.echo(f"{rows} rows of {table} in {out}")


@click.command()
@click.argument("select")
@profile_option
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def sql(*, select: str, profile_name: str | None, form: str) -> None:
    """Run one SELECT over the warehouse's tables."""
    import polars as pl

    from pipeline.store import Role, open_warehouse, select_only

    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        frame = select_only(warehouse, select)
    if form == "csv":
        click.echo(frame.write_csv(), nl=False)
    elif form == "json":
        click.echo(frame.write_json())
    else:
        with pl.Config(tbl_rows=200, tbl_cols=60, tbl_width_chars=200, fmt_str_lengths=60, tbl_hide_column_data_types=True):
            click.echo(str(frame))


def _upload(source: str, symbols: tuple[str, ...], timeframes: tuple[str, ...], profile: str | None, *, ranged: bool) -> None:
    from pipeline.cli.upload import upload_file

    if not Path(source).is_file():
        msg = f"source {source!r} is not known and no file; expected rest, archive, or the path of a CSV file (plain, .gz, .zst or .zip)"
        raise click.UsageError(msg)
    if ranged:
        msg = "a file is taken whole; leave out --from and --to"
        raise click.UsageError(msg)
    upload_file(Path(source), symbols, timeframes, profile)


def _progress(what: str, count: int) -> None:
    """A counter on one line of the terminal; nothing when standard error is not one."""
    if sys.stderr.isatty():
        click.echo(f"\r{count} {what}\x1b[K", nl=False, err=True)
        if what == "landed":
            click.echo("\r\x1b[K", nl=False, err=True)

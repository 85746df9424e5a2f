"""`spreadwatch backfill --source PATH`: a user's own file as a symbol."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from pipeline.cli.process import effective_settings
from pipeline.errors import UsageError
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, create_profile, list_profiles, load_profile, read_universe
from pipeline.settings import Settings, settings


def upload_file(path: Path, symbols: tuple[str, ...], timeframes: tuple[str, ...], profile_name: str | None) -> None:
    """Take the file and say what became of it; a profile that is named and not there is made, for recorded data.

    Raises:
        UsageError: when not exactly one symbol, or more than one timeframe is given, or the symbol is the venue's.
        UploadError: when the file cannot be used; nothing has been written then.
    """
    from pipeline.jobs.turn import turn
    from pipeline.jobs.upload import upload
    from pipeline.model.pair import parse_symbol
    from pipeline.model.timeframe import Timeframe
    from pipeline.warehouse.upload import upload_desk

    if len(symbols) != 1 or len(timeframes) > 1:
        msg = (
            f"a file is one symbol: {len(symbols)} given, and {len(timeframes)} timeframes; give one --symbol, and one --timeframe or none"
        )
        raise UsageError(msg)
    symbol = parse_symbol(symbols[0])
    timeframe = Timeframe.parse(timeframes[0]) if timeframes else None
    profile, chosen = _profile(profile_name)
    began = time.monotonic()
    with turn(profile, "backfill"), upload_desk(profile, chosen, run="cli:backfill") as desk:
        done = upload(desk, path, symbol, timeframe=timeframe, progress=_progress)
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    what = f"{done.timeframe} bars" if done.timeframe else "trades"
    click.echo(
        f"{done.rows} {what} of {symbol} from {done.first_ts:%Y-%m-%d %H:%M:%S} to {done.last_ts:%Y-%m-%d %H:%M:%S} UTC, "
        f"{done.new} of them new, in profile {profile.name} ({time.monotonic() - began:.1f} s)"
    )
    for note in done.notes:
        click.echo(f"  {note}", err=True)


def _profile(name: str | None) -> tuple[Profile, Settings]:
    chosen = settings()
    wanted = name or chosen.profile
    if name is not None and wanted not in {profile.name for profile in list_profiles(chosen.data_dir)}:
        create_profile(
            chosen.data_dir, wanted, Kind.RECORDED, TradeKind.AGGREGATE, created_at=datetime.now(UTC).isoformat(timespec="seconds")
        )
    profile = load_profile(chosen.data_dir, wanted)
    chosen = effective_settings(profile)
    if profile.kind is Kind.RECORDED and read_universe(profile) is None:
        # It has what is uploaded, and nothing else to follow.
        chosen = chosen.model_copy(update={"symbols": (), "pairs": ()})
    return profile, chosen


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {total} rows\x1b[K", nl=False, err=True)

"""Commands that look after what is there: profiles."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.errors import AlreadyRunning, JournalError, SettingsError
from pipeline.profile import Profile, list_profiles, load_profile
from pipeline.settings import settings


@click.group()
def profile() -> None:
    """List, back up, restore, rebuild and reset profiles."""


@profile.command("list")
def list_() -> None:
    """Every profile: name, kind, size, whether it runs."""
    from pipeline.supervisor import lock

    chosen = settings()
    found = list_profiles(chosen.data_dir)
    if not found:
        click.echo(f"No profile under {chosen.data_dir.resolve()} yet; `spreadwatch up` or `make demo` makes one.")
        return
    rows = [("NAME", "KIND", "TRADES", "SIZE", "STATE")]
    for one in found:
        pid = lock.holder(one.run)
        rows.append((one.name, one.kind.value, one.trade_stream.value, _size(_bytes_of(one)), f"runs (pid {pid})" if pid else "-"))
    _table(rows)


@profile.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(*, name: str, yes: bool) -> None:
    """Delete a profile with all its data."""
    from pipeline.supervisor import lock

    chosen = load_profile(settings().data_dir, name)
    try:
        with lock.hold(chosen.run):
            if not yes:
                click.confirm(f"Delete profile {name} ({chosen.kind}, {_size(_bytes_of(chosen))}) in {chosen.path.resolve()}?", abort=True)
            _drop_journal(chosen)
            # First what makes it a profile: a deletion that is interrupted leaves rubbish, never half a profile.
            (chosen.path / "profile.json").unlink()
            shutil.rmtree(chosen.path)
    except AlreadyRunning as error:
        msg = f"profile {name!r} is running (pid {lock.holder(chosen.run)}); stop it first"
        raise AlreadyRunning(msg) from error
    click.echo(f"Deleted {chosen.path}.")


def _drop_journal(chosen: Profile) -> None:
    """What of a profile lies in Redis."""
    from pipeline.journal.naming import load_name
    from pipeline.journal.opening import redis_journal

    name = load_name(chosen.journal)
    if name is None:
        return
    try:
        redis_journal(chosen, settings(), name).drop()
    except (JournalError, SettingsError) as error:
        click.echo(f"Its journal stays in Redis, under the keys {name.prefix}:*: {error}", err=True)


@profile.command()
@click.argument("name")
@click.option("--to", "target", type=click.Choice(["files", "redis"]), required=True, help="Where it shall be kept from now on.")
@click.option("--lost", is_flag=True, help="With `--to files`: Redis has lost it; begin anew behind what was landed.")
def journal(*, name: str, target: str, lost: bool) -> None:
    """Move a profile's journal from files into Redis Streams, or back; nothing is landed twice."""
    from pipeline.journal import moving
    from pipeline.supervisor import lock

    chosen, options = load_profile(settings().data_dir, name), settings()
    try:
        with lock.hold(chosen.run):
            if target == "redis":
                count = moving.move_to_redis(chosen, options, _progress)
            elif lost:
                count = _begin_files(chosen)
            else:
                count = moving.move_to_files(chosen, options, _progress)
    except AlreadyRunning as error:
        msg = f"profile {name!r} is running (pid {lock.holder(chosen.run)}); stop it first"
        raise AlreadyRunning(msg) from error
    moved = f"{count} sources moved" if count else "nothing had to be moved"
    hint = "" if options.journal == target else f'; now set journal = "{target}"'
    click.echo(f"The journal of profile {name} is in {'Redis' if target == 'redis' else 'files'} ({moved}){hint}.")


def _begin_files(chosen: Profile) -> int:
    from pipeline.journal import Position, moving
    from pipeline.store import open_local
    from pipeline.store.health import landing_offsets

    with open_local(chosen) as warehouse:
        landed = {row["source"]: Position(row["seq"], row["offset"]) for row in landing_offsets(warehouse).iter_rows(named=True)}
    moving.begin_files(chosen, landed)
    return len(landed)


@profile.command()
@click.argument("name")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def backup(*, name: str, path: Path) -> None:
    """Write a profile into one file (.tar.zst), whether it runs or not."""
    from pipeline.jobs.backup import backup as write

    chosen = settings()
    size = write(load_profile(chosen.data_dir, name), path, settings=chosen, progress=_progress)
    click.echo(f"Profile {name} is in {path} ({_size(size)}).")


@profile.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--as", "name", metavar="NAME", help="Name of the new profile; that of the backup when left out.")
def restore(*, path: Path, name: str | None) -> None:
    """Make a profile out of a backup; one that exists is never overwritten."""
    from pipeline.jobs.backup import restore as read

    made = read(settings().data_dir, path, name=name, progress=_progress)
    click.echo(f"Profile {made.name} ({made.kind}) restored; `spreadwatch up --profile {made.name}` starts it.")


@profile.command()
@click.argument("name")
def rebuild(*, name: str) -> None:
    """Make the tables of a profile again, from archive and journal."""
    from pipeline.cli.process import effective_settings
    from pipeline.supervisor import lock
    from pipeline.warehouse.rebuild import rebuild as make

    chosen = load_profile(settings().data_dir, name)
    try:
        with lock.hold(chosen.run):
            done = make(chosen, effective_settings(chosen), _progress)
    except AlreadyRunning as error:
        msg = f"profile {name!r} is running (pid {lock.holder(chosen.run)}); stop it first"
        raise AlreadyRunning(msg) from error
    click.echo(
        f"Profile {name} rebuilt from {done.files} files of the archive and {done.lines} lines of the journal: "
        f"{done.ticks} trades, {done.quotes} quotes."
    )


def _progress(what: str, count: int) -> None:
    """A counter on one line of the terminal; nothing when standard error is not one."""
    if sys.stderr.isatty():
        click.echo(f"\r{count} {what}\x1b[K\r", nl=False, err=True)


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _bytes_of(one: Profile) -> int:
    return sum(path.stat().st_size for path in one.path.rglob("*") if path.is_file())


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1_000:
            return f"{size:.0f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"

"""Commands about old data: archive."""

from __future__ import annotations

import sys

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option


@click.command()
@profile_option
@click.option(
    "--dataset", "datasets", multiple=True, metavar="D", help="ticks, quotes or bars_1s, several times if need be; all when left out."
)
def archive(*, profile_name: str | None, datasets: tuple[str, ...]) -> None:
    """Move days that are old enough from the database to Parquet."""
    from pipeline.jobs.archive import Ages, chosen_datasets
    from pipeline.jobs.archive import archive as move
    from pipeline.jobs.turn import turn
    from pipeline.store import Role, open_warehouse

    names = chosen_datasets(datasets)
    profile = existing_profile(profile_name)
    ages = Ages.of(effective_settings(profile))
    with turn(profile, "archive"), open_warehouse(profile, Role.WRITER) as warehouse:
        done = move(warehouse, profile, ages, run="cli:archive", datasets=names, progress=_progress)
    moved = [row for row in done if row.action == "archived"]
    expired = sum(row.action == "expired" for row in done)
    rows, size = sum(row.rows for row in moved), sum(row.bytes for row in moved)
    click.echo(f"{len(moved)} days with {rows} rows archived ({size} bytes), {expired} removed")


def _progress(done: int, of: int) -> None:
    """A counter on one line of the terminal; nothing when standard error is not one."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {of} days\x1b[K" + ("\r\x1b[K" if done >= of else ""), nl=False, err=True)

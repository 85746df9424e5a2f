"""`spreadwatch maintain`: upkeep by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option


@click.command()
@profile_option
def maintain(*, profile_name: str | None) -> None:
    """Checkpoint the database, move large logs aside, say what takes how much room and how it has grown."""
    from pipeline.jobs.maintain import checkpointed, told
    from pipeline.jobs.maintain import maintain as keep_up
    from pipeline.jobs.turn import turn
    from pipeline.store import Role, open_warehouse
    from pipeline.supervisor.logfile import rotate_growing

    profile = existing_profile(profile_name)
    with turn(profile, "maintain"), open_warehouse(profile, Role.WRITER) as warehouse:
        done = keep_up(
            warehouse,
            profile,
            now=datetime.now(UTC),
            checkpoint=lambda: checkpointed(warehouse, profile, run="cli:maintain"),
            rotate_logs=rotate_growing,
            warn_below_gb=effective_settings(profile).disk_free_warn_gb,
        )
    since = "" if done.since is None else f" since {done.since:%Y-%m-%d %H:%M}"
    for size in done.sizes:
        rows = "" if size.rows is None else f"{size.rows} rows"
        grown = f"{size.grown_bytes:+d} bytes{since}" if size.grown_bytes else ""
        click.echo(f"{size.part:<9} {size.name:<20} {told(size.bytes):>10}  {rows:<16} {grown}".rstrip())
    click.echo(done.summary)
    if done.warning:
        click.echo(done.warning, err=True)

"""The command that writes a report."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option


@click.command()
@profile_option
@click.option("--hours", type=click.IntRange(1, 24 * 366), default=24, show_default=True, help="Length of the period, up to its end.")
@click.option("--from", "start", metavar="T", help="First moment of the period, instead of --hours.")
@click.option("--to", "end", metavar="T", help="End of the period; now when left out.")
@click.option("--pair", "pairs", multiple=True, metavar="Y/X", help="May be given several times; every pair when left out.")
@click.option("--title", metavar="TEXT", help="What stands at the top; the profile's name when left out.")
@click.option("--deliver", is_flag=True, help="Tell of it over webhook_url and alert_callback, once.")
def report(
    *, profile_name: str | None, hours: int, start: str | None, end: str | None, pairs: tuple[str, ...], title: str | None, deliver: bool
) -> None:
    """Write a self-contained HTML report of a period, and print its path."""
    from pipeline.jobs.choice import parsed_time, published_universe
    from pipeline.jobs.report import make_order, report_time, write_report
    from pipeline.jobs.turn import turn
    from pipeline.store import Role, open_warehouse

    profile = existing_profile(profile_name)
    chosen, universe, now = effective_settings(profile), published_universe(profile), datetime.now(UTC)
    since, until = parsed_time(start, "--from"), parsed_time(end, "--to")
    with turn(profile, "report"), open_warehouse(profile, Role.WRITER) as warehouse:
        order = make_order(
            profile,
            universe,
            now=report_time(warehouse, profile, now),
            hours=hours,
            start=since,
            end=until,
            pairs=list(pairs) or None,
            title=title,
        )
        row = write_report(warehouse, profile, universe, chosen, order, now=now, run="cli:report", deliver=deliver)
    click.echo(str((profile.reports / row.path).resolve()))

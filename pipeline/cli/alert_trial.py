"""Commands that look at what a rule would have done, and at what became of its messages."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.alert_options import WHEN, rule_options, rule_row
from pipeline.cli.asking import ask, told
from pipeline.cli.process import effective_settings, existing_profile, profile_option
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.alerts import Rule
    from pipeline.store.protocol import Warehouse
    from pipeline.warehouse.backtest import Backtest


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, required=True, metavar="RULE | TARGET METRIC CONDITION THRESHOLD")
@profile_option
@click.option("--from", "start", metavar="T", help=f"From when: {WHEN}; 24 hours before --to when left out.")
@click.option("--to", "end", metavar="T", help="Until when; the present when left out.")
@click.option(
    "--grain", type=click.Choice(["ticks", "1s", "1m"]), help="What to replay: trades, 1s bars or 1m candles; the finest there is."
)
@click.option("--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="RULE is a rule of this TOML file.")
@click.option("--events", is_flag=True, help="Every transition, not only when it fires.")
@rule_options
def alert_test(
    *,
    words: tuple[str, ...],
    profile_name: str | None,
    start: str | None,
    end: str | None,
    grain: str | None,
    path: Path | None,
    events: bool,
    **given: Any,
) -> None:
    """When a rule would have fired: one in force (by its id), one of a file, or one described as for `alert add`.

    The rule runs through the engine that runs live, over the trades (or bars) that are stored; nothing is stored of it.
    """
    from pipeline.jobs.choice import parsed_time, published_universe
    from pipeline.profile import Kind
    from pipeline.store import Role, open_warehouse
    from pipeline.store.health import load_clock
    from pipeline.store.replay import Grain
    from pipeline.warehouse.backtest import backtest

    profile = existing_profile(profile_name)
    until, since = parsed_time(end, "--to"), parsed_time(start, "--from")
    with open_warehouse(profile, Role.READER) as warehouse:
        rule = _meant(warehouse, words, path, given)
        clock = load_clock(warehouse)
        until = until or (clock.journal_time if clock else datetime.now(UTC))
        since = since or until - timedelta(days=1)
        if since >= until:
            msg = f"the range from {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} is empty; --to must be after --from"
            raise UsageError(msg)
        found = backtest(
            warehouse,
            rule,
            published_universe(profile),
            effective_settings(profile),
            start=since,
            end=until,
            recorded=profile.kind is Kind.RECORDED,
            grain=Grain(grain) if grain else None,
            progress=_progress,
        )
    _tell(found, events=events)


def _meant(warehouse: Warehouse, words: tuple[str, ...], path: Path | None, given: dict[str, Any]) -> Rule:
    from pipeline.jobs.rule_file import named, read_rules
    from pipeline.store.alerts import load_rules

    if len(words) == 1:
        rules = read_rules(path) if path else load_rules(warehouse)
        for rule in rules:
            if rule.rule_id == words[0]:
                return rule
        where = str(path) if path else "`spreadwatch alert list`"
        msg = f"alert rule {words[0]!r} does not exist; {where} shows those that do, or describe one: TARGET METRIC CONDITION THRESHOLD"
        raise UsageError(msg)
    if len(words) != 4 or path:
        msg = f"{' '.join(words)!r} is no rule; expected a rule's id, or four words such as: ETHUSDT/BTCUSDT zscore above 2"
        raise UsageError(msg)
    try:
        threshold = float(words[3])
    except ValueError:
        msg = f"threshold {words[3]!r} is no number; write one such as 2 or -0.5"
        raise UsageError(msg) from None
    row = rule_row({**given, "target": words[0], "metric": words[1], "condition": words[2], "threshold": threshold})
    return named({**row, "rule_id": row["rule_id"] or "test"})


def _tell(found: Backtest, *, events: bool) -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    what = {"ticks": "trades, grouped as they became known", "1s": "1s bars", "1m": "1m candles"}[found.grain.value]
    click.echo(f"{found.rule.text}")
    click.echo(f"{found.start:%Y-%m-%d %H:%M:%S} to {found.end:%Y-%m-%d %H:%M:%S} UTC, replayed from {what} ({found.rows} updates)")
    if found.note:
        click.echo(f"note: {found.note}")
    if events:
        for event in found.events:
            click.echo(f"  {_clock(event.at_us)}  {event.text}")
    else:
        for one in found.episodes:
            length = f"for {_length(one.end - one.start)}" if one.end else f"and still does after {_length(found.end - one.start)}"
            value = "" if one.value is None else f" at {one.value:.6g}"
            click.echo(f"  {one.start:%Y-%m-%d %H:%M:%S.%f}"[:-5] + f"  {one.series} fired{value} {length}")
    share = found.firing / (found.end - found.start) if found.end > found.start else 0.0
    times = len(found.episodes)
    hint = "" if found.events or times else "; it had no value, or nothing ever came near"
    click.echo(f"would have fired {times} time{'' if times == 1 else 's'}, {_length(found.firing)} in all ({share:.1%} of the time){hint}")


def _clock(at_us: int) -> str:
    return f"{datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us):%Y-%m-%d %H:%M:%S.%f}"[:-5]


def _length(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _progress(reached: datetime) -> None:
    """Where it is, on one line of the terminal; nothing when standard error is not one."""
    if sys.stderr.isatty():
        click.echo(f"\r{reached:%Y-%m-%d %H:%M} UTC\x1b[K", nl=False, err=True)


@click.command("dead")
@profile_option
@click.option("--channel", metavar="NAME", help="Of one channel.")
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="How many.")
def alert_dead(*, profile_name: str | None, channel: str | None, last: int) -> None:
    """Messages that were given up, newest first; `alert resend` sends them again."""
    from pipeline.store import Role, open_warehouse
    from pipeline.store.deliveries import count_deliveries, load_deliveries

    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        found = load_deliveries(warehouse, states=("dead",), channel=channel, most=last)
        counts = count_deliveries(warehouse)
    for row in found.iter_rows(named=True):
        when = row["done_at"] or row["occurred_at"]
        click.echo(f"{row['event_id']}  {row['channel']:<12} {f'{when:%Y-%m-%d %H:%M:%S}' if when else ''}  {row['message'] or ''}")
        click.echo(f"    given up after {row['attempts']} tries: {row['last_error'] or 'no reason was given'}")
    for row in counts.iter_rows(named=True):
        states = ", ".join(f"{row[state]} {state}" for state in ("delivered", "waiting", "dead", "silenced") if row[state])
        click.echo(f"{row['channel']}: {states or 'nothing'}")
    if not counts.height:
        click.echo("nothing has been sent yet")


@click.command("resend")
@click.argument("event_id", required=False)
@profile_option
@click.option("--channel", metavar="NAME", help="To one channel only.")
@click.option("--all", "everything", is_flag=True, help="Everything that was given up.")
def alert_resend(*, event_id: str | None, profile_name: str | None, channel: str | None, everything: bool) -> None:
    """Send again what was given up: EVENT_ID as `alert dead` shows it, or --all."""
    from pipeline.store.requests import ResendEvent

    if (event_id is None) is not everything:
        msg = "name one event (`spreadwatch alert dead` lists them), or give --all"
        raise UsageError(msg)
    made = ask(existing_profile(profile_name), [ResendEvent(event_id or "*", channel)])
    click.echo(told(made, "back in the outbox; the warehouse sends it when it runs"))

"""Alert rules from the command line: made, listed, loaded from a file, tried on the past; and what people do when they fire."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.alert_options import WHEN, duration, rule_options, rule_row
from pipeline.cli.alert_trial import alert_dead, alert_resend, alert_test
from pipeline.cli.asking import ask, told
from pipeline.cli.process import effective_settings, existing_profile, profile_option
from pipeline.errors import RuleError, UsageError
from pipeline.profile import Profile

if TYPE_CHECKING:
    from pipeline.alerts import AlertState, Rule
    from pipeline.store.requests import Change

_BY = click.option("--by", default="command line", show_default=True, help="Who.")


@click.group()
def alert() -> None:
    """Alert rules, where they stand, and what has happened."""


@alert.command("add", context_settings={"ignore_unknown_options": True})
@click.argument("target")
@click.argument("metric")
@click.argument("condition")
@click.argument("threshold", type=float)
@profile_option
@rule_options
def alert_add(*, profile_name: str | None, **given: Any) -> None:
    """Add a rule: TARGET (symbol, Y/X, '*' or pipeline) METRIC (zscore, price ...) CONDITION (above, below ...) THRESHOLD.

    Of a band (outside, inside) THRESHOLD is the upper end. `alert metrics` tells what can be watched.
    """
    import uuid

    from pipeline.jobs.rule_file import named
    from pipeline.store.requests import PutRule

    row = rule_row(given)
    rule = named({**row, "rule_id": row["rule_id"] or uuid.uuid4().hex[:12]})
    profile = existing_profile(profile_name)
    _check(profile, rule)
    made = ask(profile, [PutRule(rule)])
    click.echo(f"{rule.rule_id}: {rule.text}")
    if not made:
        click.echo(told(made, ""))


@alert.command("metrics")
def alert_metrics() -> None:
    """What a rule can watch."""
    from pipeline.alerts import METRICS

    for metric, facts in METRICS.items():
        needs = ", ".join(name for name, there in (("timeframe", facts.timed), ("window", facts.windowed)) if there)
        click.echo(f"{metric.value:<18} {facts.kind.value:<9} {facts.meaning}{f' (takes {needs})' if needs else ''}")


@alert.command("list")
@profile_option
def alert_list(*, profile_name: str | None) -> None:
    """Rules, and where each of their instances stands."""
    from pipeline.store import Role, open_warehouse
    from pipeline.store.alerts import load_rules, load_states
    from pipeline.store.health import load_clock

    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        rules, states, clock = load_rules(warehouse), load_states(warehouse), load_clock(warehouse)
    if not rules:
        click.echo("No rule yet; `spreadwatch alert add ETHUSDT/BTCUSDT zscore above 2 --timeframe 1m` adds one.")
    now_us = 0 if clock is None else round(clock.journal_time.timestamp() * 1e6)
    for rule in rules:
        called = "" if rule.name == rule.text[:100] else f"  [{rule.name}]"
        click.echo(f"{rule.rule_id}  {rule.severity.value:<8} {'on ' if rule.enabled else 'off'}  {rule.text}{called}")
        for state in states:
            if state.rule_id == rule.rule_id:
                click.echo(f"    {state.series:<24} {_standing(state, now_us)}")


def _standing(state: AlertState, now_us: int) -> str:
    """Where an instance stands, in words."""
    from pipeline.alerts import utc

    parts = [state.phase.value + ("" if state.value is None else f" at {state.value:.6g}")]
    if state.since_us is not None:
        parts.append(f"since {utc(state.since_us)}")
    if state.reason:
        parts.append(state.reason)
    if state.acknowledged:
        parts.append(f"acknowledged by {state.acknowledged_by}")
    if state.snoozed(now_us) and state.snoozed_until_us is not None:
        parts.append(f"snoozed until {utc(state.snoozed_until_us)}")
    if state.muted:
        parts.append(f"muted by {state.muted_by}")
    return ", ".join(parts)


@alert.command("delete")
@click.argument("rule_id")
@profile_option
def alert_delete(*, rule_id: str, profile_name: str | None) -> None:
    """Delete a rule; its history stays."""
    from pipeline.store.requests import DeleteRule

    click.echo(told(ask(existing_profile(profile_name), [DeleteRule(rule_id)]), f"{rule_id} deleted"))


@alert.command("enable")
@click.argument("rule_id")
@profile_option
def alert_enable(*, rule_id: str, profile_name: str | None) -> None:
    """Switch a rule on; one that fired once may fire again."""
    from pipeline.store.requests import EnableRule

    click.echo(told(ask(existing_profile(profile_name), [EnableRule(rule_id, enabled=True)]), f"{rule_id} is on"))


@alert.command("disable")
@click.argument("rule_id")
@profile_option
def alert_disable(*, rule_id: str, profile_name: str | None) -> None:
    """Switch a rule off; what fires is over."""
    from pipeline.store.requests import EnableRule

    click.echo(told(ask(existing_profile(profile_name), [EnableRule(rule_id, enabled=False)]), f"{rule_id} is off"))


# ---------------------------------------------------------------------------------------------------- instances


@alert.command("ack")
@click.argument("rule_id")
@click.argument("series", required=False)
@profile_option
@_BY
def alert_ack(*, rule_id: str, series: str | None, profile_name: str | None, by: str) -> None:
    """Take note of what fires: of one SERIES, or of every one of the rule."""
    from pipeline.store.requests import AcknowledgeAlert

    profile = existing_profile(profile_name)
    found = [state.series for state in _instances(profile, rule_id, series) if series or (state.active and not state.acknowledged)]
    if not found:
        click.echo(f"nothing of {rule_id} fires that nobody has taken note of")
        return
    _each(profile, [AcknowledgeAlert(rule_id, one, by) for one in found], f"acknowledged: {', '.join(found)}")


@alert.command("snooze")
@click.argument("rule_id")
@click.argument("series", required=False)
@profile_option
@click.option("--for", "length", default="1h", show_default=True, metavar="TIME", help="How long, such as 15m, 4h or 1d.")
@click.option("--until", metavar="T", help=f"Until when, in place of --for: {WHEN}.")
@click.option("--end", is_flag=True, help="End a snooze.")
@_BY
def alert_snooze(*, rule_id: str, series: str | None, profile_name: str | None, length: str, until: str | None, end: bool, by: str) -> None:
    """Tell nobody until a time; what still fires then is told again. Of one SERIES, or of every one of the rule."""
    from pipeline.alerts import utc
    from pipeline.jobs.choice import parsed_time
    from pipeline.jobs.rule_file import microseconds
    from pipeline.store.requests import SnoozeAlert

    profile = existing_profile(profile_name)
    given = parsed_time(until, "--until")
    when = None if end else microseconds(given or _journal_time(profile) + timedelta(seconds=duration(length)))
    found = [state.series for state in _instances(profile, rule_id, series)]
    done = "snooze ended: " if when is None else f"snoozed until {utc(when)}: "
    _each(profile, [SnoozeAlert(rule_id, one, when, by) for one in found], done + ", ".join(found))


@alert.command("mute")
@click.argument("rule_id")
@click.argument("series", required=False)
@profile_option
@_BY
def alert_mute(*, rule_id: str, series: str | None, profile_name: str | None, by: str) -> None:
    """Tell nobody until it is unmuted; history goes on. Of one SERIES, or of every one of the rule."""
    _mute(profile_name, rule_id, series, by, muted=True)


@alert.command("unmute")
@click.argument("rule_id")
@click.argument("series", required=False)
@profile_option
@_BY
def alert_unmute(*, rule_id: str, series: str | None, profile_name: str | None, by: str) -> None:
    """Tell people again; what still fires is told at once."""
    _mute(profile_name, rule_id, series, by, muted=False)


def _mute(profile_name: str | None, rule_id: str, series: str | None, by: str, *, muted: bool) -> None:
    from pipeline.store.requests import MuteAlert

    profile = existing_profile(profile_name)
    found = [state.series for state in _instances(profile, rule_id, series)]
    _each(profile, [MuteAlert(rule_id, one, muted, by) for one in found], f"{'muted' if muted else 'unmuted'}: {', '.join(found)}")


def _instances(profile: Profile, rule_id: str, series: str | None) -> list[AlertState]:
    """The instances that are meant: one, or all of the rule's."""
    from pipeline.alerts import AlertState
    from pipeline.store import Role, open_warehouse
    from pipeline.store.alerts import load_rules, load_states

    if series is not None:
        return [AlertState(rule_id=rule_id, series=series)]
    with open_warehouse(profile, Role.READER) as warehouse:
        rule = _known(load_rules(warehouse), rule_id)
        states = {state.series: state for state in load_states(warehouse) if state.rule_id == rule_id}
    from pipeline.jobs.choice import published_universe

    universe = published_universe(profile)
    names = rule.series(universe.symbols, [spec.pair for spec in universe.pairs])
    return [states.get(name) or AlertState(rule_id=rule_id, series=name) for name in names]


def _each(profile: Profile, changes: list[Change], done: str) -> None:
    click.echo(told(ask(profile, changes), done))


def _journal_time(profile: Profile) -> datetime:
    from datetime import UTC

    from pipeline.store import Role, open_warehouse
    from pipeline.store.health import load_clock

    with open_warehouse(profile, Role.READER) as warehouse:
        clock = load_clock(warehouse)
    return clock.journal_time if clock else datetime.now(UTC)


# ---------------------------------------------------------------------------------------------------- files


@alert.command("load")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@profile_option
@click.option("--prune", is_flag=True, help="Delete every rule that the file does not have.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def alert_load(*, path: Path, profile_name: str | None, prune: bool, dry_run: bool) -> None:
    """Put the rules of a TOML FILE in force; doing it twice changes nothing the second time.

    deployments/alerts.example.toml is such a file, with every field explained.
    """
    from pipeline.jobs.rule_file import plan_load, read_rules
    from pipeline.store import Role, open_warehouse
    from pipeline.store.alerts import load_rules
    from pipeline.store.requests import DeleteRule, PutRule

    profile = existing_profile(profile_name)
    wanted = read_rules(path)
    for rule in wanted:
        _check(profile, rule, where=f"{path}, rule {rule.rule_id!r}: ")
    with open_warehouse(profile, Role.READER) as warehouse:
        plan = plan_load(wanted, load_rules(warehouse))
    gone = plan.others if prune else ()
    for said, rules in (("added", plan.added), ("changed", plan.changed), ("unchanged", plan.unchanged), ("removed", gone)):
        for rule in rules:
            click.echo(f"{said:<10} {rule.rule_id}: {rule.text}")
    changes: list[Change] = [*map(PutRule, (*plan.added, *plan.changed)), *(DeleteRule(rule.rule_id) for rule in gone)]
    counted = f"{len(plan.added)} added, {len(plan.changed)} changed, {len(plan.unchanged)} unchanged, {len(gone)} removed"
    if dry_run or not changes:
        click.echo(f"{counted}{' (nothing was done: --dry-run)' if dry_run else ''}")
        return
    click.echo(told(ask(profile, changes), counted))


# ---------------------------------------------------------------------------------------------------- the past


@alert.command("history")
@profile_option
@click.option("--rule", metavar="RULE", help="A rule's id, or a part of its name.")
@click.option("--series", metavar="S", help="A pair, or a symbol (pairs with it included).")
@click.option("--kind", "kinds", multiple=True, metavar="K", help="firing, resolved, nodata ...; several times for several.")
@click.option("--severity", "severities", multiple=True, metavar="S", help="info, warning or critical; several times for several.")
@click.option("--from", "start", metavar="T", help=f"First time: {WHEN}.")
@click.option("--to", "end", metavar="T", help="Before this time.")
@click.option("--words", metavar="TEXT", help="What the message contains.")
@click.option("--last", type=click.IntRange(min=1), default=30, show_default=True, help="How many events.")
@click.option("--long", "long_form", is_flag=True, help="Also threshold, model, bars, and the event's id.")
def alert_history(
    *,
    profile_name: str | None,
    rule: str | None,
    series: str | None,
    kinds: tuple[str, ...],
    severities: tuple[str, ...],
    start: str | None,
    end: str | None,
    words: str | None,
    last: int,
    long_form: bool,
) -> None:
    """What has happened, newest first; `export alert_events` writes it into a file."""
    from pipeline.jobs.choice import parsed_time
    from pipeline.store import Role, open_warehouse
    from pipeline.store.alert_history import EventSearch, find_events

    search = EventSearch(rule, series, kinds, severities, parsed_time(start, "--from"), parsed_time(end, "--to"), words, last)
    search.check()
    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        events = find_events(warehouse, search)
    if events.is_empty():
        click.echo("nothing found", err=True)
    for row in events.iter_rows(named=True):
        click.echo(f"{row['occurred_at']:%Y-%m-%d %H:%M:%S.%f}"[:-5] + f"  {row['message']}")
        if long_form:
            click.echo(f"    {_evidence(row)}")


def _evidence(row: dict[str, Any]) -> str:
    parts = [f"rule {row['rule_id']}", row["kind"], row["severity"], f"threshold {row['threshold']:g}"]
    if row["value"] is not None:
        parts.insert(3, f"value {row['value']:.10g}")
    if row["model_id"]:
        parts.append(f"model {row['model_id']}")
    if row["first_bar"]:
        first, last = (f"{row[name]:%Y-%m-%d %H:%M:%S}" for name in ("first_bar", "last_bar"))
        parts.append(f"{row['timeframe'] or ''} bars {first} to {last}".strip())
    if row["reason"]:
        parts.append(row["reason"])
    return ", ".join([*parts, f"event {row['event_id']}"])


alert.add_command(alert_test)
alert.add_command(alert_dead)
alert.add_command(alert_resend)


# ---------------------------------------------------------------------------------------------------- checks


def _check(profile: Profile, rule: Rule, *, where: str = "") -> None:
    """Refuse a rule before anybody is asked; the warehouse judges it again.

    Raises:
        RuleError: as `pipeline.alerts.validate`.
    """
    from pipeline.alerts import validate
    from pipeline.jobs.rule_file import microseconds
    from pipeline.notify import channels_of
    from pipeline.profile import read_universe

    chosen, universe = effective_settings(profile), read_universe(profile)
    if universe is None:
        return
    try:
        validate(
            rule,
            zscore_window=chosen.zscore_window,
            known_symbols=universe.symbols,
            known_pairs=[spec.pair for spec in universe.pairs],
            timeframes=chosen.parsed_timeframes,
            channels=list(channels_of(chosen)) or None,
            now_us=microseconds(_journal_time(profile)) if rule.expires_at_us is not None else 0,
        )
    except RuleError as error:
        raise RuleError(where + str(error)) from error


def _known(rules: tuple[Rule, ...], rule_id: str) -> Rule:
    import difflib

    for rule in rules:
        if rule.rule_id == rule_id:
            return rule
    near = difflib.get_close_matches(rule_id, [rule.rule_id for rule in rules], n=1)
    hint = f"did you mean {near[0]}?" if near else "`spreadwatch alert list` shows those that do"
    msg = f"alert rule {rule_id!r} does not exist; {hint}"
    raise UsageError(msg)

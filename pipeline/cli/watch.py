"""Commands that change what is watched: the universe and the alert rules. Each is a request that the warehouse applies."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pipeline.cli.process import effective_settings, existing_profile, profile_option
from pipeline.errors import UsageError
from pipeline.profile import Profile

if TYPE_CHECKING:
    from pipeline.store.requests import Change

_PATIENCE_S = 10.0


@click.group()
def universe() -> None:
    """Symbols that are followed and pairs that are modelled."""


@universe.command("list")
@profile_option
def universe_list(*, profile_name: str | None) -> None:
    """What the profile watches."""
    from pipeline.jobs.choice import published_universe

    found = published_universe(existing_profile(profile_name))
    click.echo(f"symbols ({len(found.symbols)}): {', '.join(found.symbols)}")
    if found.uploaded:
        click.echo(f"uploaded ({len(found.uploaded)}): {', '.join(found.uploaded)}")
    click.echo(f"pairs ({len(found.pairs)}):")
    for spec in found.pairs:
        click.echo(f"  {spec.pair!s:<24} {spec.method.value}, {spec.lookback} bars, {spec.scale.value}")


@universe.command("add")
@click.argument("name")
@profile_option
@click.option("--method", default="ols", show_default=True, help="Hedge ratio of a pair's live model, as in `fit`.")
@click.option("--lookback", type=click.IntRange(30, 100_000), help="Bars of a pair's live model; the setting lookback when left out.")
@click.option("--scale", type=click.Choice(["price", "log"]), default="price", show_default=True)
def universe_add(*, name: str, profile_name: str | None, method: str, lookback: int | None, scale: str) -> None:
    """Follow a symbol, or model a pair Y/X."""
    from pipeline.model.pair import Pair, parse_symbol
    from pipeline.model.universe import Method, PairSpec, Scale
    from pipeline.store.requests import AddPair, AddSymbol

    profile = existing_profile(profile_name)
    if "/" not in name:
        _ask(profile, AddSymbol(parse_symbol(name)))
        return
    if method not in set(Method):
        msg = f"method {method!r} is unknown; expected one of {', '.join(Method)}"
        raise UsageError(msg)
    spec = PairSpec(Pair.parse(name), Method(method), lookback or effective_settings(profile).lookback, Scale(scale))
    _ask(profile, AddPair(spec))


@universe.command("remove")
@click.argument("name")
@profile_option
def universe_remove(*, name: str, profile_name: str | None) -> None:
    """Stop following a symbol or modelling a pair; its data stays."""
    from pipeline.model.pair import Pair, parse_symbol
    from pipeline.store.requests import RemovePair, RemoveSymbol

    change = RemovePair(Pair.parse(name)) if "/" in name else RemoveSymbol(parse_symbol(name))
    _ask(existing_profile(profile_name), change)


@click.group()
def alert() -> None:
    """Alert rules, their state and their history."""


@alert.command("add")
@click.argument("target")
@click.argument("metric")
@click.argument("condition")
@click.argument("threshold", type=float)
@profile_option
@click.option("--timeframe", metavar="F", help="Bars that the metric is computed on, where it needs some.")
@click.option("--recover", type=float, metavar="V", help="Where a firing rule is over, when not at the threshold.")
@click.option("--for", "for_s", type=float, default=0.0, metavar="S", help="Seconds for which the condition must hold first.")
@click.option("--window", type=int, metavar="N", help="Bars of a return or a volume.")
@click.option("--severity", type=click.Choice(["info", "warning", "critical"]), default="warning", show_default=True)
@click.option("--name", help="What people call it; made from the rule when left out.")
def alert_add(
    *,
    target: str,
    metric: str,
    condition: str,
    threshold: float,
    profile_name: str | None,
    timeframe: str | None,
    recover: float | None,
    for_s: float,
    window: int | None,
    severity: str,
    name: str | None,
) -> None:
    """Add a rule: TARGET (symbol, Y/X or '*') METRIC (zscore, price ...) CONDITION (above, below ...) THRESHOLD."""
    import uuid

    from pipeline.alerts import Rule
    from pipeline.store.requests import PutRule

    row: dict[str, object] = {
        "rule_id": uuid.uuid4().hex[:12],
        "name": name or f"{target} {metric} {condition} {threshold:g}",
        "target": target,
        "metric": metric,
        "condition": condition,
        "threshold": threshold,
        "recovery_threshold": recover,
        "timeframe": timeframe,
        "window": window,
        "for_s": for_s,
        "severity": severity,
    }
    rule = Rule.from_row(row)
    _ask(existing_profile(profile_name), PutRule(rule))
    click.echo(f"{rule.rule_id}: {rule.text}")


@alert.command("list")
@profile_option
def alert_list(*, profile_name: str | None) -> None:
    """Rules, and where each of their instances stands."""
    from pipeline.store import Role, open_warehouse
    from pipeline.store.alerts import load_rules, load_states

    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        rules, states = load_rules(warehouse), load_states(warehouse)
    if not rules:
        click.echo("No rule yet; `spreadwatch alert add ETHUSDT/BTCUSDT zscore above 2 --timeframe 1m` adds one.")
    for rule in rules:
        click.echo(f"{rule.rule_id}  {rule.severity.value:<8} {'on ' if rule.enabled else 'off'}  {rule.text}  [{rule.name}]")
        for state in states:
            if state.rule_id == rule.rule_id:
                value = "" if state.value is None else f" at {state.value:.4g}"
                click.echo(f"    {state.series:<24} {state.phase.value}{value}{', acknowledged' if state.acknowledged else ''}")


@alert.command("delete")
@click.argument("rule_id")
@profile_option
def alert_delete(*, rule_id: str, profile_name: str | None) -> None:
    """Delete a rule; its history stays."""
    from pipeline.store.requests import DeleteRule

    _ask(existing_profile(profile_name), DeleteRule(rule_id))


@alert.command("ack")
@click.argument("rule_id")
@click.argument("series")
@profile_option
@click.option("--by", default="command line", show_default=True, help="Who takes note.")
def alert_ack(*, rule_id: str, series: str, profile_name: str | None, by: str) -> None:
    """Take note of a firing alert."""
    from pipeline.store.requests import AcknowledgeAlert

    _ask(existing_profile(profile_name), AcknowledgeAlert(rule_id, series, by))


@alert.command("history")
@profile_option
@click.option("--last", type=click.IntRange(min=1), default=30, show_default=True, help="How many events.")
def alert_history(*, profile_name: str | None, last: int) -> None:
    """What has happened, newest first."""
    from pipeline.store import Role, open_warehouse
    from pipeline.store.alerts import load_events

    with open_warehouse(existing_profile(profile_name), Role.READER) as warehouse:
        events = load_events(warehouse, most=last)
    for row in events.iter_rows(named=True):
        click.echo(f"{row['occurred_at']:%Y-%m-%d %H:%M:%S.%f}"[:-5] + f"  {row['message']}")


def _ask(profile: Profile, change: Change) -> None:
    """Send a request and say what became of it; without a running warehouse it is applied by the next one."""
    from pipeline.store import LocalWarehouse, Role, open_warehouse
    from pipeline.store.requests import load_outcome, send

    with open_warehouse(profile, Role.OPERATOR) as warehouse:
        request_id = send(warehouse, change, now=datetime.now(UTC))
        # Who holds the file keeps the warehouse out: waiting for it would be waiting for oneself.
        if not isinstance(warehouse, LocalWarehouse):
            until = time.monotonic() + _PATIENCE_S
            while time.monotonic() < until:
                outcome = load_outcome(warehouse, request_id)
                if outcome is not None:
                    if outcome.startswith("refused: "):
                        raise UsageError(outcome.removeprefix("refused: "))
                    click.echo("done")
                    return
                time.sleep(0.1)
    click.echo("asked; the warehouse applies it when it runs")

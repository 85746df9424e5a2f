"""Commands that change what is watched: symbols and pairs. Each is a request that the warehouse applies."""

from __future__ import annotations

import click

from pipeline.cli.asking import ask, told
from pipeline.cli.process import effective_settings, existing_profile, profile_option
from pipeline.errors import UsageError


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
        click.echo(told(ask(profile, [AddSymbol(parse_symbol(name))]), "done"))
        return
    if method not in set(Method):
        msg = f"method {method!r} is unknown; expected one of {', '.join(Method)}"
        raise UsageError(msg)
    spec = PairSpec(Pair.parse(name), Method(method), lookback or effective_settings(profile).lookback, Scale(scale))
    click.echo(told(ask(profile, [AddPair(spec)]), "done"))


@universe.command("remove")
@click.argument("name")
@profile_option
def universe_remove(*, name: str, profile_name: str | None) -> None:
    """Stop following a symbol or modelling a pair; its data stays."""
    from pipeline.model.pair import Pair, parse_symbol
    from pipeline.store.requests import RemovePair, RemoveSymbol

    change = RemovePair(Pair.parse(name)) if "/" in name else RemoveSymbol(parse_symbol(name))
    click.echo(told(ask(existing_profile(profile_name), [change]), "done"))

"""Commands that run the platform or one process of it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from pipeline.cli.process import (
    DEFAULT_PROFILES,
    effective_settings,
    process_profile,
    profile_option,
    require_own_kind,
    run_until_stopped,
)
from pipeline.errors import UsageError
from pipeline.profile import Kind
from pipeline.settings import Settings, settings

if TYPE_CHECKING:
    from pipeline.simulator.faults import Plan

_REPLAY = click.option(
    "--replay",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Recording to play (plain, .gz or .zst), or a directory of them; may be given several times.",
)
_SPEED = click.option("--speed", type=float, default=1.0, show_default=True, help="Speed of the replay; inf for as fast as it goes.")
_SHIFT = click.option("--shift", is_flag=True, help="Move the recording's times to now; they are kept otherwise.")
_FAULTS = click.option(
    "--faults",
    "fault_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Plan of what goes wrong at the simulated venue (TOML; docs/simulator.md).",
)
_FAULT = click.option(
    "--fault", "fault_words", multiple=True, metavar="KIND:KEY=VALUE,...", help="One fault more, such as drop:every_s=20; may be repeated."
)
_LEDGER = click.option(
    "--ledger",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Write every trade that the simulated venue produces, as JSON lines; continued when the file is there.",
)


@click.command()
@profile_option
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="live, simulated or recorded.  [default: live]")
@_REPLAY
@_SPEED
@_SHIFT
@_FAULTS
@_FAULT
@_LEDGER
def up(
    *,
    profile_name: str | None,
    kind: str | None,
    replay: tuple[Path, ...],
    speed: float,
    shift: bool,
    fault_file: Path | None,
    fault_words: tuple[str, ...],
    ledger: Path | None,
) -> None:
    """Run the whole platform until Ctrl-C."""
    from pipeline.cli.platform import Order, run_platform

    chosen_kind = _kind(profile_name, kind, replay)
    if (chosen_kind is Kind.RECORDED) != bool(replay):
        hint = "give the recordings with --replay PATH" if chosen_kind is Kind.RECORDED else "leave out --replay or use --kind recorded"
        msg = f"a {chosen_kind} profile was asked for; {hint}."
        raise click.UsageError(msg)
    if chosen_kind is not Kind.SIMULATED and (fault_file or fault_words or ledger):
        msg = f"--faults, --fault and --ledger are the simulated market's; a {chosen_kind} profile has none. Use --kind simulated."
        raise click.UsageError(msg)
    _plan(fault_file, fault_words)  # refuses here what the simulator would refuse
    if ledger is not None and not ledger.resolve().parent.is_dir():
        msg = f"ledger {ledger} cannot be written: there is no directory {ledger.resolve().parent}. Make it or name another file."
        raise click.UsageError(msg)
    name = profile_name or _default_name(chosen_kind)
    order = Order(name, chosen_kind, replay, speed, shift, fault_file, fault_words, ledger)
    sys.exit(asyncio.run(run_platform(order, settings())))


@click.command()
@profile_option
def capture(*, profile_name: str | None) -> None:
    """Write the venue's streams to the journal."""
    profile = process_profile(profile_name)
    chosen = effective_settings(profile)
    require_own_kind(profile, chosen)
    from pipeline.capture import run

    run_until_stopped(lambda stop: run(profile, chosen, stop))


@click.command()
@profile_option
def warehouse(*, profile_name: str | None) -> None:
    """Land the journal in DuckDB, keep live bars and signals, serve SQL."""
    from pipeline.warehouse import run

    profile = process_profile(profile_name)
    chosen = effective_settings(profile)
    run_until_stopped(lambda stop: run(profile, chosen, stop))


@click.command()
@profile_option
@click.option("--port", type=click.IntRange(1, 65535), help="Port; the setting simulator_port when left out.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the universe; the setting simulator_seed when left out.")
@_REPLAY
@_SPEED
@_SHIFT
@_FAULTS
@_FAULT
@_LEDGER
@click.option(
    "--truth", "tell_truth", is_flag=True, help="Print the pairs planted in the seeded market, with beta and half-life, and exit."
)
def simulate(
    *,
    profile_name: str | None,
    port: int | None,
    seed: int | None,
    replay: tuple[Path, ...],
    speed: float,
    shift: bool,
    fault_file: Path | None,
    fault_words: tuple[str, ...],
    ledger: Path | None,
    tell_truth: bool,
) -> None:
    """Be the venue, on this machine: a seeded market, or a recording."""
    from pipeline.journal import find_recordings
    from pipeline.simulator import SimulatorConfig, serve, truth

    if tell_truth:
        for planted in truth():
            click.echo(str(planted))
        return
    del profile_name  # the venue knows no profiles; the option is there so that every process takes it
    chosen = settings()
    config = SimulatorConfig(
        host=chosen.host,
        port=port or chosen.simulator_port,
        seed=chosen.simulator_seed if seed is None else seed,
        replay=find_recordings(replay),
        speed=speed,
        shift_to_now=shift,
        faults=_plan(fault_file, fault_words),
        ledger=ledger,
    )
    run_until_stopped(lambda stop: serve(config, stop))


def _plan(fault_file: Path | None, words: tuple[str, ...]) -> Plan | None:
    """The plan of a file, with the faults named on the command line behind it; None when there is neither."""
    from pipeline.simulator.faults import Plan, parse_option, parse_plan

    if fault_file is None and not words:
        return None
    plan = Plan()
    if fault_file is not None:
        try:
            plan = parse_plan(fault_file.read_text(encoding="utf-8"), str(fault_file))
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{fault_file} cannot be read ({error}); expected a text file in TOML"
            raise UsageError(msg) from error
    more = tuple(parse_option(word, len(plan.faults) + number) for number, word in enumerate(words, 1))
    return replace(plan, faults=plan.faults + more)


@click.command()
@profile_option
def flows(*, profile_name: str | None) -> None:
    """Serve the Prefect flows on their schedules."""
    _become("flows", profile_name)


@click.command()
@profile_option
def dashboard(*, profile_name: str | None) -> None:
    """Serve the dashboard."""
    _become("dashboards", profile_name)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@profile_option
@click.option(
    "--environment", is_flag=True, help="Print what Prefect needs to know as NAME=VALUE lines, the password among them, and exit."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def prefect(*, profile_name: str | None, environment: bool, arguments: tuple[str, ...]) -> None:
    """Run Prefect's own command line against the profile's server, signed in: spreadwatch prefect deployment run report/manual."""
    from pipeline.profile import load_profile
    from pipeline.supervisor.plan import prefect_environment, prefect_server_environment

    chosen = settings()
    known = prefect_environment(load_profile(chosen.data_dir, profile_name or chosen.profile), chosen)
    if environment:
        click.echo("\n".join(f"{name}={value}" for name, value in known.items()))
        return
    known |= prefect_server_environment(chosen)  # for `server start`
    os.execve(sys.executable, [sys.executable, "-m", "prefect", *arguments], {**os.environ, **known})  # noqa: S606 -- no shell


def _kind(profile_name: str | None, kind: str | None, replay: tuple[Path, ...]) -> Kind:
    """What was asked for; else what the named profile is; else what a recording implies."""
    from pipeline.errors import ProfileError
    from pipeline.profile import load_profile

    if kind is not None:
        return Kind(kind)
    if replay:
        return Kind.RECORDED
    chosen = settings()
    try:
        return load_profile(chosen.data_dir, profile_name or chosen.profile).kind
    except ProfileError:
        return Kind.LIVE


def _default_name(kind: Kind) -> str:
    chosen = settings()
    return chosen.profile if "profile" in chosen.model_fields_set else DEFAULT_PROFILES[kind]


def _become(package: str, profile_name: str | None) -> NoReturn:
    """Turn this process into ``python -m package``: the engine never imports what stands on it."""
    from pipeline.supervisor.plan import process_environment

    profile = process_profile(profile_name)
    chosen = effective_settings(profile)
    environment = {**os.environ, **process_environment(profile, chosen), **_changed(chosen)}
    os.execve(sys.executable, [sys.executable, "-m", package], environment)  # noqa: S606 -- our own package, no shell


def _changed(chosen: Settings) -> Mapping[str, str]:
    """The venue's addresses as they are in effect."""
    names = ("ws_market_url", "ws_public_url", "rest_url", "archive_url")
    return {f"SPREADWATCH_{name.upper()}": str(getattr(chosen, name)) for name in names}

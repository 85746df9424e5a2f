"""`up`: the supervisor with a console in front of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import click

from pipeline import __version__
from pipeline.cli import venue
from pipeline.cli.process import effective_settings, ensured_profile, on_signals, require_own_kind
from pipeline.errors import VenueError
from pipeline.profile import Kind, Profile
from pipeline.settings import Settings
from pipeline.supervisor.plan import Plan, Source, make_plan
from pipeline.supervisor.spec import State
from pipeline.supervisor.supervisor import Supervisor
from pipeline.users import require_users

_WAITING_EVERY_S = 10.0
_VENUE_EVERY_S = 15.0
_REMIND_EVERY_S = 60.0
_COLUMN = 11


@dataclass(frozen=True, slots=True)
class Order:
    """What `up` was asked for."""

    profile: str
    kind: Kind
    replay: tuple[Path, ...] = ()
    speed: float = 1.0
    shift: bool = False
    fault_file: Path | None = None
    fault_words: tuple[str, ...] = ()
    ledger: Path | None = None


async def run_platform(order: Order, chosen: Settings) -> int:
    """Run a profile's processes until a signal; returns the exit code.

    Raises:
        ProfileError: when the profile is of another kind.
        AlreadyRunning: when the profile is being run.
        PortInUse: when a port is taken.
        RecordingError: when a recording cannot be replayed.
        UsersError: when the dashboard would be open to others without a user who could log in.
    """
    require_users(chosen)
    source, chosen = await _source(order, chosen)
    profile = ensured_profile(order.profile, order.kind, chosen)
    chosen = effective_settings(profile)
    require_own_kind(profile, chosen)
    plan = make_plan(profile, chosen, source)
    click.echo(f"Spreadwatch {__version__}, profile {profile.name} ({profile.kind}) in {profile.path.resolve()}")
    console = _Console(profile, plan)
    supervisor = Supervisor(plan.processes, run_directory=profile.run, logs=profile.logs, report=console.report, urls=plan.urls)

    def on_signal() -> None:
        if console.stopping:
            supervisor.hurry()
            return
        console.stopping = True
        click.echo("Stopping; once more to stop without waiting.")
        supervisor.stop()

    on_signals(on_signal)
    beside = [asyncio.create_task(console.wait_until_healthy(supervisor))]
    if profile.kind is Kind.LIVE:
        beside.append(asyncio.create_task(_watch_venue(chosen.rest_url)))
    try:
        await supervisor.run(plan.ports)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    click.echo("Stopped.")
    return 0


async def _source(order: Order, chosen: Settings) -> tuple[Source, Settings]:
    """What the simulator plays, with the symbols and pairs that follow from it where the settings name none."""
    if order.kind is Kind.LIVE:
        return Source(), chosen
    trade_stream = chosen.trade_stream
    if order.kind is Kind.SIMULATED:
        from pipeline.simulator.universe import SPECS, Relation, truth

        symbols = tuple(spec.symbol for spec in SPECS)
        pairs = tuple(f"{planted.y}/{planted.x}" for planted in truth() if planted.kind is not Relation.UNRELATED)
    else:
        from pipeline.jobs.scan import scan_recordings
        from pipeline.journal import find_recordings
        from pipeline.simulator.config import SimulatorConfig

        SimulatorConfig(replay=order.replay, speed=order.speed, shift_to_now=order.shift)  # refuses here what it would refuse there
        files = find_recordings(order.replay)
        click.echo(f"Reading {len(files)} recording{'s' if len(files) > 1 else ''} ...")
        scan = await asyncio.to_thread(scan_recordings, files)
        if scan.damage:
            click.echo(f"Warning: {scan.damage.told()}; what was kept is played", err=True)
        symbols, trade_stream = scan.symbols, scan.kind
        pairs = tuple(pair for pair in chosen.pairs if set(pair.split("/")) <= set(symbols)) or _first_pair(symbols)
    overrides = {"symbols": ",".join(symbols), "pairs": ",".join(pairs), "trade_stream": trade_stream.value}
    overrides = {name: value for name, value in overrides.items() if name not in chosen.model_fields_set}
    source = Source(order.replay, order.speed, order.shift, order.fault_file, order.fault_words, order.ledger, overrides)
    return source, chosen.model_copy(update={"trade_stream": trade_stream} if "trade_stream" in overrides else {})


def _first_pair(symbols: tuple[str, ...]) -> tuple[str, ...]:
    return (f"{symbols[1]}/{symbols[0]}",) if len(symbols) > 1 else ()


class _Console:
    """What the user sees of the supervisor."""

    def __init__(self, profile: Profile, plan: Plan) -> None:
        self.stopping = False
        self._profile = profile
        self._plan = plan
        self._ready = False

    def report(self, name: str, state: State, detail: str) -> None:
        """One line for what one wants to know: healthy, gone, back."""
        if state in {State.HEALTHY, State.BACKOFF, State.UNHEALTHY} and not self.stopping:
            click.echo(f"  {name:<{_COLUMN}} {state.value} {detail}".rstrip())

    async def wait_until_healthy(self, supervisor: Supervisor) -> None:
        """Say what is being waited for, then where the screens are."""
        started = time.monotonic()
        while not supervisor.all_healthy.is_set():
            try:
                async with asyncio.timeout(_WAITING_EVERY_S):
                    await supervisor.all_healthy.wait()
            except TimeoutError:
                waiting = [name for name, child in supervisor.children.items() if child.state is not State.HEALTHY]
                if waiting and not self.stopping:
                    click.echo(f"  waiting for {', '.join(waiting)} ({time.monotonic() - started:.0f} s)")
        if self.stopping:
            return
        click.echo("")
        for name, url in self._plan.urls.items():
            click.echo(f"{name:<{_COLUMN + 2}} {url}")
        click.echo(f"{'Logs':<{_COLUMN + 2}} {self._profile.logs.resolve()}")
        click.echo(f"Everything runs (after {time.monotonic() - started:.0f} s). Ctrl-C stops it.")


async def _watch_venue(rest_url: str) -> None:
    """Say it plainly when the live venue cannot be reached, again every minute, and when it can."""
    reminded = failed = 0.0
    while True:
        try:
            await venue.ping(rest_url)
        except VenueError as error:
            now = time.monotonic()
            failed = failed or now
            if not reminded:
                click.echo(f"  ! {error}")
                click.echo("  ! No live data arrives, and none is made up. Trying goes on; it starts by itself when the venue answers.")
                reminded = now
            elif now - reminded >= _REMIND_EVERY_S:
                click.echo(f"  ! {error} (for {(now - failed) / 60:.0f} min; still trying)")
                reminded = now
        else:
            if failed:
                click.echo(f"  The venue answers again, after {time.monotonic() - failed:.0f} s.")
            reminded = failed = 0.0
        await asyncio.sleep(_VENUE_EVERY_S)

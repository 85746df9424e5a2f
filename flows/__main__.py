"""`python -m flows --profile NAME`: serve every flow until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from pipeline.errors import SpreadwatchError

if TYPE_CHECKING:
    from prefect.runner import Runner

_log = logging.getLogger("flows")

_AT_ONCE = 3
_LOOK_EVERY_S = 5


def main() -> int:
    """Run until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows", description="Serve the Prefect flows of a profile on their schedules.")
    parser.add_argument("--profile", help="the profile; the setting of that name when left out")
    profile = parser.parse_args().profile
    if profile is not None:
        os.environ.update({"SPREADWATCH_PROFILE": profile})
    signal.signal(signal.SIGTERM, _leave)
    try:
        _serve()
    except SpreadwatchError as error:
        sys.stderr.write(f"spreadwatch flows: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


def _serve() -> None:
    # Prefect reads its environment when it is imported, so that is set first.
    from pipeline.cli.process import effective_settings, require_own_kind
    from pipeline.logs import configure
    from pipeline.profile import load_profile
    from pipeline.settings import settings
    from pipeline.supervisor.plan import process_environment, reachable

    chosen = settings()
    configure(chosen.log_level)
    profile = load_profile(chosen.data_dir, chosen.profile)
    chosen = effective_settings(profile)
    require_own_kind(profile, chosen)
    environment = {**process_environment(profile, chosen), "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline"}
    for name, value in environment.items():
        os.environ.setdefault(name, value)

    from flows.startup import wait_for_platform

    api_url = os.environ["PREFECT_API_URL"]
    wait_for_platform(profile, api_url=api_url, host=reachable(chosen.host), warehouse_port=chosen.warehouse_port)
    asyncio.run(_run())


async def _run() -> None:
    from prefect.runner import Runner

    from flows.schedule import plans, register
    from flows.startup import clear_leftovers, watch_for_zombies
    from flows.warm import use_warm_processes
    from pipeline.settings import settings

    removed, marked = await clear_leftovers()
    await watch_for_zombies()
    warm = use_warm_processes()
    runner = Runner(name="spreadwatch", pause_on_shutdown=False, query_seconds=_LOOK_EVERY_S, limit=_AT_ONCE)
    planned = plans(settings())
    await register(runner, planned)
    _log.info("flows.serving", extra={"flows": len(planned), "late_removed": removed, "crashed_marked": marked, "warm": warm})
    await _serve_until_told(runner)


async def _serve_until_told(runner: Runner) -> None:
    """Serve; at SIGTERM, SIGINT or SIGHUP cancel the runs at work and end."""
    told = asyncio.Event()
    serving = asyncio.create_task(runner.start())
    while not (runner.started or serving.done()):  # noqa: ASYNC110 -- the runner has no event for it
        await asyncio.sleep(0.05)
    # After the runner has set its own handler, which does not end cleanly inside a running loop.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if told.is_set() and not serving.done():
        _log.info("flows.stopping")
        await runner.astop()
    waiting.cancel()
    await serving


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Until the runner has its own way of ending, SIGTERM just ends."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())

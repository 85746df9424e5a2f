"""``python -m dashboards --profile NAME``: serves the dashboard of one profile."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from pipeline.errors import SpreadwatchError
from pipeline.logs import configure
from pipeline.profile import load_profile
from pipeline.settings import settings


async def _main(name: str) -> None:
    from dashboards.server import run

    chosen = settings()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    await run(load_profile(chosen.data_dir, name), chosen, stop)


def main() -> int:
    """Serve until a signal; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dashboards", description="The dashboard of one profile.")
    parser.add_argument("--profile", default=None, help="profile to show; the setting `profile` when left out")
    arguments = parser.parse_args()
    try:
        chosen = settings()
        configure(chosen.log_level)
        asyncio.run(_main(arguments.profile or chosen.profile))
    except SpreadwatchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"the dashboard cannot listen on port {settings().dashboard_port}: {error}; set dashboard_port to a free one\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

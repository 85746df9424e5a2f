"""The dashboard as ``python -m dashboards`` serves it, asked for its own figures by lines on its input.

``figures`` prints JSON: queries to the warehouse so far, processor seconds, resident MB after a collection, pages alive.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading

import psutil

from dashboards.access.logins import Access
from dashboards.access.pages import Door
from dashboards.app import Dashboard
from dashboards.hub import Hub
from dashboards.link import Link
from dashboards.server import make_context, make_server
from pipeline.profile import load_profile
from pipeline.settings import settings
from pipeline.store import Role


async def main(name: str) -> None:
    """Serve until the input ends."""
    chosen = settings()
    profile = load_profile(chosen.data_dir, name)
    access = Access(chosen)
    context = make_context(profile, chosen, access)
    hub, door = Hub(Link(profile, Role.READER)), Door(access, profile, ())
    server = make_server(context, hub, door)
    server.start()
    hub.start()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    threading.Thread(target=_answer, args=(hub, loop, ended), daemon=True).start()
    await ended.wait()
    server.stop()
    hub.stop()


def _answer(hub: Hub, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    process = psutil.Process()
    for _ in sys.stdin:
        gc.collect()
        cpu = process.cpu_times()
        figures = {
            "queries": hub.queries,
            "cpu_s": cpu.user + cpu.system,
            "rss_mb": process.memory_info().rss / 2**20,
            "pages": sum(type(one) is Dashboard for one in gc.get_objects()),
            "watched": len(hub.watched),
        }
        print(json.dumps(figures), flush=True)
    loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

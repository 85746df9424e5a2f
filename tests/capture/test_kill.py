"""Capture as a process of its own, killed with -9."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

SCRIPT = """
import asyncio, signal, sys
from pathlib import Path
from pipeline.capture import run
from pipeline.logs import configure
from pipeline.profile import load_profile
from pipeline.settings import load_settings

async def main():
    settings = load_settings()
    configure(settings.log_level)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(load_profile(settings.data_dir, "test"), settings, stop)

asyncio.run(main())
"""
STREAMS = ("btcusdt@aggTrade", "btcusdt@bookTicker")


async def start(venue, tmp_path):
    base = f"ws://127.0.0.1:{venue.port}"
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(tmp_path),
        "SPREADWATCH_SYMBOLS": "BTCUSDT",
        "SPREADWATCH_WS_MARKET_URL": f"{base}/market",
        "SPREADWATCH_WS_PUBLIC_URL": f"{base}/public",
        "SPREADWATCH_REST_URL": f"http://127.0.0.1:{venue.port}",
        "SPREADWATCH_FSYNC_MS": "50",
    }
    return await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, env=environment, stderr=asyncio.subprocess.PIPE)


@pytest.mark.slow
def test_nothing_durable_is_lost_and_a_new_life_goes_on(kit, profile, tmp_path):
    async def story():
        lives = []
        async with kit.scripted_venue(period_s=0.002) as venue:
            for _ in range(3):
                process = await start(venue, tmp_path)
                try:
                    have = len(kit.ids_of(profile, STREAMS[0]))
                    await kit.until(lambda n=have: len(kit.ids_of(profile, STREAMS[0])) > n + 100, 30)
                    durable = {stream: kit.ids_of(profile, stream) for stream in STREAMS}
                finally:
                    process.send_signal(signal.SIGKILL)
                    await process.communicate()
                for stream in STREAMS:
                    assert kit.ids_of(profile, stream)[: len(durable[stream])] == durable[stream]
                lives.append((durable, dict(venue.ids)))
            process = await start(venue, tmp_path)
            await kit.until(lambda: venue.sessions and venue.sessions[-1].sent > 100, 30)
            process.send_signal(signal.SIGTERM)
            _, said = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, said
        assert b'event="capture stopped"' in said
        return lives

    lives = asyncio.run(story())
    for stream in STREAMS:
        ids = kit.ids_of(profile, stream)
        assert ids == sorted(set(ids))
        for durable, sent in lives:
            assert set(durable[stream]) <= set(ids)
            # What the venue sent in the last moments before the kill is all that may be missing of a life.
            assert sent[stream] - max(i for i in ids if i <= sent[stream]) < 500

"""The flow backfill with a user's own file, beside a warehouse process that lands it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pipeline.errors import UsageError
from pipeline.profile import Kind, Profile, read_universe
from pipeline.settings import settings
from pipeline.store import Role, connect
from pipeline.warehouse.process import run

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def running() -> Iterator[Callable[[Profile], None]]:
    """The warehouse process of a profile, in a thread."""
    ends: list[Callable[[], None]] = []

    def start(profile: Profile) -> None:
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(run(profile, settings(), stop)))
        thread.start()

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)
            loop.close()

        ends.append(end)
        until = time.monotonic() + 30
        while not (profile.run / "warehouse.json").exists() and time.monotonic() < until:
            time.sleep(0.05)

    yield start
    for end in ends:
        end()


def test_a_users_own_file_becomes_a_symbol(make_profile, running, tmp_path, newest_artifact):
    from flows.backfill import backfill

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    profile = make_profile(Kind.SIMULATED, warehouse_port=str(port))
    running(profile)
    path = tmp_path / "own.csv"
    path.write_text("time,price,qty\n" + "".join(f"{1_704_067_200 + n},{100 + n % 7},1\n" for n in range(300)))
    assert backfill(symbols=["OWN"], source=str(path)) == 300
    assert backfill(symbols=["OWN"], source=str(path)) == 0
    assert newest_artifact("backfill").description == "300 ticks of OWN, 0 of them new, from own.csv"
    assert read_universe(profile).uploaded == ("OWN",)
    with connect(profile, Role.READER) as warehouse:
        assert warehouse.select("SELECT count(*) FILTER (complete) AS n FROM bars WHERE timeframe = '1m'").item() == 5
    with pytest.raises(UsageError, match="symbol BTCUSDT of profile 'flows' is fed by the exchange"):
        backfill(symbols=["BTCUSDT"], source=str(path))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"source": "nowhere.csv", "symbols": ["OWN"]}, "source 'nowhere.csv' is not known and no file"),
        ({"source": __file__}, "a file is one symbol and is taken whole"),
        ({"source": __file__, "symbols": ["own"]}, "symbol 'own' is not understood"),
    ],
)
def test_a_wrong_source_is_said_at_once(make_profile, parameters, said):
    from flows.backfill import backfill

    make_profile()
    with pytest.raises(UsageError, match=said):
        backfill(**parameters)

"""A Prefect server for the session, and a profile whose warehouse this process serves."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, Profile, open_profile, publish_universe
from pipeline.settings import settings
from pipeline.store import LocalWarehouse, open_local, quack
from pipeline.store.access import Gatekeeper
from pipeline.store.warehouse import publish_endpoint


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    """Flows that are called run against a server and database of their own."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    # Ending a heartbeat costs a second a run.
    with prefect_test_harness(server_startup_timeout=200), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


@pytest.fixture(scope="session")
def market() -> ModuleType:
    """The market of the tests of the jobs."""
    path = Path(__file__).parents[1] / "jobs" / "conftest.py"
    spec = importlib.util.spec_from_file_location("market_of_jobs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: ModuleType) -> Iterator[Callable[..., Profile]]:
    """Make a profile of a kind; settings name it from then on."""

    def make(kind: Kind = Kind.SIMULATED, **overrides: str) -> Profile:
        profile = open_profile(tmp_path, "flows", kind, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
        publish_universe(profile, Universe(market.SYMBOLS, (PairSpec(Pair("ETHUSDT", "BTCUSDT"), lookback=100),), 1))
        for name, value in {"data_dir": str(tmp_path), "profile": "flows", **overrides}.items():
            monkeypatch.setenv(f"SPREADWATCH_{name.upper()}", value)
        settings.cache_clear()
        return profile

    yield make
    settings.cache_clear()


@pytest.fixture
def serve_warehouse(market: ModuleType) -> Iterator[Callable[..., LocalWarehouse]]:
    """Serve a profile's warehouse with the market in it, or (``filled=False``) with nothing."""
    ends: list[Callable[[], None]] = []

    def serve(profile: Profile, *, filled: bool = True) -> LocalWarehouse:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        warehouse = open_local(profile)
        ends.append(warehouse.close)
        if filled:
            market.fill(warehouse)
        endpoint = publish_endpoint(profile, "127.0.0.1", port)
        gatekeeper = Gatekeeper({token: role for role, token in endpoint.tokens.items()})
        quack.serve(warehouse.connection, host="127.0.0.1", port=port, gatekeeper=gatekeeper, server_token="unused-" + "x" * 20)
        ends.append(lambda: quack.stop(warehouse.connection, host="127.0.0.1", port=port))
        return warehouse

    yield serve
    for end in reversed(ends):
        end()


@pytest.fixture(scope="session")
def venue_url() -> Iterator[str]:
    """REST base of a simulator."""
    from pipeline.simulator import SimulatorConfig, serve

    ports, listening = [], threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    config = SimulatorConfig(port=0)
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve(config, stop, ready=lambda port: (ports.append(port), listening.set()))), daemon=True
    )
    thread.start()
    assert listening.wait(30)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def newest_artifact():
    """The newest artifact under a key."""

    def newest(key: str) -> Any:
        from prefect.client.orchestration import get_client

        async def read() -> Any:
            from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

            async with get_client() as client:
                found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), limit=50)
                return max(found, key=lambda artifact: artifact.created)

        return asyncio.run(read())

    return newest

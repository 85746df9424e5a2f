"""One ingested profile of the real capture, shared by the tests that only read it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, open_profile
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse, open_local
from pipeline.warehouse.ingest import IngestReport, ingest


@dataclass(frozen=True, slots=True)
class RawTrade:
    """One trade as the plain reading of the file gives it."""

    symbol: str
    trade_id: int
    time_ms: int
    price: Decimal
    qty: Decimal
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class Ingested:
    """A profile after the ingest, and what the ingest said of itself."""

    profile: Profile
    settings: Settings
    report: IngestReport
    paths: tuple[Path, ...]


def nothing(_what: str, _lines: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def usdm(market_data: Path) -> tuple[Path, ...]:
    """Files of the real capture of raw trades and quotes."""
    return tuple(sorted((market_data / "ws_usdm_20240808").glob("*.gz")))


@pytest.fixture(scope="session")
def ingested(usdm: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """The whole capture in a recorded profile. Not to be written to."""
    profile = open_profile(tmp_path_factory.mktemp("usdm"), "replay", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    settings = Settings()
    return Ingested(profile, settings, ingest(profile, settings, usdm, nothing), usdm)


@pytest.fixture(scope="session")
def tables(ingested: Ingested) -> Iterator[LocalWarehouse]:
    """Its tables."""
    with open_local(ingested.profile) as opened:
        yield opened


@pytest.fixture(scope="session")
def raw_trades(usdm: tuple[Path, ...]) -> list[RawTrade]:
    """Every trade of the capture, read with nothing but gzip, json and Decimal."""
    found = []
    for path in usdm:
        with gzip.open(path) as file:
            for line in file:
                data = json.loads(line.split(b" ", 1)[1]).get("data", {})
                if data.get("e") == "trade" and data.get("X", "MARKET") == "MARKET":
                    trade = RawTrade(data["s"], data["t"], data["T"], Decimal(data["p"]), Decimal(data["q"]), data["m"])
                    found.append(trade)
    return found

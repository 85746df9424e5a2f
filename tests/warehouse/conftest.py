"""One ingested profile of the real capture, shared by the tests that only read it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.journal import Position, merge_recordings
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, open_profile
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse, open_local
from pipeline.venues import venue
from pipeline.warehouse import Engine
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


class Lab:
    """A profile whose journal blocks are landed one by one, as a test cuts them, with crashes wherever it wants them."""

    def __init__(
        self,
        directory: Path,
        *,
        kind: Kind = Kind.RECORDED,
        stream: TradeKind = TradeKind.RAW,
        channels: tuple[str, ...] = ("webhook",),
        **changes: object,
    ) -> None:
        self._channels = channels
        defaults: dict[str, object] = {
            "timeframes": ("1s", "5s"),
            "zscore_window": 5,
            "correlation_window": 5,
            "max_fill": 2,
        }
        self.settings = Settings(**{**defaults, **changes})
        self.profile = open_profile(directory, "lab", kind, stream, created_at="2026-03-02T00:00:00Z")
        self.source = "ingest" if kind is Kind.RECORDED else "capture"
        self.warehouse = open_local(self.profile)
        self.engine = self._engine()
        self._landed: dict[str, int] = {}

    def _engine(self) -> Engine:
        return Engine(self.profile, self.settings, self.warehouse, channels=self._channels)

    def land(self, lines: Sequence[bytes], source: str | None = None) -> None:
        """Land these lines as one block."""
        source = source or self.source
        block = b"".join(line + b"\n" for line in lines)
        position = Position(1, self._landed.get(source, 0) + len(block))
        self.engine.land_block(source, venue().decode_batch(block), position)
        self._landed[source] = position.offset

    def own(self, name: str, **content: object) -> None:
        """Land one line of our own from the control source."""
        self.land([b"%d " % 10**18 + json.dumps({"e": f"sw.{name}", **content}).encode()], "control")

    def request(self, kind: str, **payload: object) -> None:
        """Land a request, as the warehouse journals it."""
        number = self._landed.get("control", 0)
        self.own("request", request_id=f"r{number}", kind=kind, payload=json.dumps(payload))

    def crash(self, lines: Sequence[bytes]) -> None:
        """Land these lines up to the commit, which does not happen; the same process goes on."""

        def boom(*_: object) -> None:
            raise Crash

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.engine._alerts, "landed", boom)
            with pytest.raises(Crash):
                self.land(lines)

    def restart(self) -> None:
        """Let another process take over, knowing only the tables."""
        self.engine.close()
        self.engine = self._engine()

    def fit(self, model_id: str, beta: float, *, timeframe: str = "1s", method: str = "ols", at: int = 1) -> None:
        """A fit of ETHUSDT/BTCUSDT as the flow saves it."""
        self.warehouse.connection.execute(
            """INSERT INTO fits (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n, alpha, beta,
                                 half_life, eg_p)
               VALUES (?, 'ETHUSDT', 'BTCUSDT', ?, 500, ?, 'price', make_timestamptz(?), now(), now(), 500, 0, ?, 12.5, 0.01)""",
            [model_id, timeframe, method, at * 1_000_000, beta],
        )

    def activate(self, model_id: str, timeframe: str = "1s") -> None:
        """Land the line that makes a fit live."""
        self.own("activate", model_id=model_id, pair="ETHUSDT/BTCUSDT", timeframe=timeframe)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query."""
        return self.warehouse.select(query).rows()

    def picture(self) -> dict[str, list[tuple[object, ...]]]:
        """Every table that must not depend on how the journal was cut, without the columns that may."""
        return {name: self.rows(f"SELECT {columns} FROM {name} ORDER BY ALL") for name, columns in INVARIANT.items()}

    def close(self) -> None:
        """Let go of journal and file."""
        self.engine.close()
        self.warehouse.close()


class Crash(Exception):
    """Stands for the death of the process."""


INVARIANT = {
    "ticks": "*",
    "quotes": "*",
    "coverage": "*",
    "gaps": "* EXCLUDE (detected_at, resolved_at)",
    "bars_1s": "* EXCLUDE (revision)",
    "bars": "* EXCLUDE (revision)",
    "signals": "*",
    "alert_events": "*",
    "alert_states": "*",
    "outbox": "* EXCLUDE (next_at)",
    "landing_counts": "*",
    "journal_clock": "journal_time, ended",
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A recorded profile."""
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """As many as a test wants."""
    made: list[Lab] = []

    def make(**changes: object) -> Lab:
        made.append(Lab(tmp_path_factory.mktemp("lab"), **changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def real_lines(usdm: tuple[Path, ...]) -> list[bytes]:
    """One busy minute of the real capture as journal lines of both symbols, without order-book updates."""
    lines = []
    for recv_ns, raw in merge_recordings(usdm):
        if b'"e":"depthUpdate"' in raw:
            continue
        lines.append(b"%d %b" % (recv_ns, raw))
        if len(lines) >= 16_000:
            break
    return lines


def trade(symbol: str, trade_id: int, time_ms: int, price: str = "100.0", *, qty: str = "1.0", recv_ns: int | None = None) -> bytes:
    """A raw trade as a journal line."""
    data = {
        "e": "trade",
        "E": time_ms,
        "T": time_ms,
        "s": symbol,
        "t": trade_id,
        "p": price,
        "q": qty,
        "X": "MARKET",
        "m": trade_id % 2 == 0,
    }
    stream = {"stream": f"{symbol.lower()}@trade", "data": data}
    return b"%d %b" % (recv_ns or time_ms * 1_000_000, json.dumps(stream, separators=(",", ":")).encode())


@pytest.fixture(name="trade")
def _trade() -> Callable[..., bytes]:
    """The maker of trade lines."""
    return trade

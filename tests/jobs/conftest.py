"""A small market in a warehouse of its own, and the simulated venue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, Profile, open_profile, publish_universe
from pipeline.store import LocalWarehouse, open_local
from pipeline.store.bars import FROM_TICKS, bucket

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
SECONDS = 2 * 3600
SYMBOLS = ("ETHUSDT", "BTCUSDT")


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """A simulated profile that follows two symbols and their pair."""
    made = open_profile(tmp_path, "jobs", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    publish_universe(made, Universe(SYMBOLS, (PairSpec(Pair("ETHUSDT", "BTCUSDT"), lookback=100),), 1))
    return made


@pytest.fixture
def warehouse(profile: Profile) -> Iterator[LocalWarehouse]:
    """Its warehouse, held in this process: two hours of a trade a second, the last second still open."""
    with open_local(profile) as opened:
        fill(opened)
        yield opened


def fill(warehouse: LocalWarehouse, *, timeframes: tuple[str, ...] = ("1s", "1m", "5m")) -> None:
    """Trades, quotes, 1s bars, dirty marks and the journal's clock, as the warehouse process would have written them."""
    connection = warehouse.connection
    for name in timeframes:
        connection.execute("INSERT INTO timeframes VALUES (?, ?)", [name, Timeframe.parse(name).seconds])
    generator = np.random.default_rng(11)
    x = 60_000 + np.cumsum(generator.normal(0, 4, SECONDS))
    reversion = np.zeros(SECONDS)
    for second in range(1, SECONDS):
        reversion[second] = 0.97 * reversion[second - 1] + generator.normal(0, 0.4)
    prices = {"BTCUSDT": x, "ETHUSDT": 0.05 * x + 100 + reversion}
    for symbol, path in prices.items():
        land(warehouse, symbol, [(second, f"{price:.2f}") for second, price in enumerate(path)], commit=1)
    connection.execute(
        """INSERT INTO quotes_recent SELECT symbol, trade_id, price - 0.5, 1, price + 0.5, 1, event_time, event_time
            FROM ticks WHERE symbol = 'BTCUSDT'"""
    )
    end = START + timedelta(seconds=SECONDS)
    connection.execute("INSERT INTO journal_clock VALUES (?, 1, 1000, false, ?)", [end, end])


def land(warehouse: LocalWarehouse, symbol: str, trades: list[tuple[int, str]], *, commit: int, first_id: int = 1) -> None:
    """Trades at seconds after START, with the 1s bars and dirty marks that follow from them."""
    frame = pl.DataFrame(
        {
            "symbol": [symbol] * len(trades),
            "trade_id": range(first_id, first_id + len(trades)),
            "price": [price for _, price in trades],
            "qty": [f"0.{1 + second % 9}" for second, _ in trades],
            "event_time": [START + timedelta(seconds=second, milliseconds=200) for second, _ in trades],
            "buyer_is_maker": [second % 2 == 0 for second, _ in trades],
        }
    ).with_columns(recv_time=pl.col("event_time"), first_id=pl.col("trade_id"), last_id=pl.col("trade_id"), source=pl.lit("capture"))
    connection = warehouse.connection
    connection.register("landed", frame.to_arrow())
    connection.execute("INSERT INTO ticks_recent BY NAME FROM landed")
    touched = f"SELECT DISTINCT symbol, {bucket('event_time', '1')} AS ts FROM landed"
    connection.execute(f"DELETE FROM bars_1s_recent b USING ({touched}) t WHERE b.symbol = t.symbol AND b.ts = t.ts")
    connection.execute(
        f"""INSERT INTO bars_1s_recent BY NAME SELECT k.symbol, t.ts, {FROM_TICKS}, 0 AS revision
            FROM ticks k JOIN ({touched}) t ON k.symbol = t.symbol AND {bucket("k.event_time", "1")} = t.ts GROUP BY k.symbol, t.ts"""
    )
    connection.execute(f"INSERT INTO dirty_marks SELECT {commit}, symbol, ts FROM ({touched})")
    connection.unregister("landed")


@pytest.fixture
def more_trades(warehouse: LocalWarehouse) -> Callable[..., None]:
    """Land further trades: ``more_trades(symbol, [(second, price)], commit=2, first_id=...)``; the journal's clock moves on."""

    def more(symbol: str, trades: list[tuple[int, str]], *, commit: int, first_id: int) -> None:
        land(warehouse, symbol, trades, commit=commit, first_id=first_id)
        warehouse.connection.execute("UPDATE journal_clock SET commit_no = ?", [commit])

    return more


@pytest.fixture(scope="session")
def venue_url() -> Iterator[str]:
    """REST base of a simulated venue in a thread."""
    with simulated_venue() as url:
        yield url


@pytest.fixture
def own_venue_url() -> Iterator[str]:
    """REST base of a simulated venue with a request budget that nobody else spends."""
    with simulated_venue() as url:
        yield url


@contextmanager
def simulated_venue() -> Iterator[str]:
    """A simulated venue in a thread."""
    from pipeline.simulator import SimulatorConfig, serve

    ports: list[int] = []
    listening = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(SimulatorConfig(port=0), stop, ready=ready)), daemon=True)
    thread.start()
    assert listening.wait(30)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def files():
    """``with files({path: [(status, body), ...]}) as (url, asked)``: a server of files; answers come in turn, the last one again."""

    @contextmanager
    def serve_files(answers: dict[str, list[tuple[int, bytes]]]) -> Iterator[tuple[str, list[str]]]:
        left = {path: list(given) for path, given in answers.items()}
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                asked.append(path)
                given = left.get(path, [(404, b"")])
                status, body = given.pop(0) if len(given) > 1 else given[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}", asked
            finally:
                server.shutdown()
                thread.join()

    return serve_files

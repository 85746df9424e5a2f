"""The tables that flows write, over the same client that the flows use."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipeline.errors import StatementRefused, StoreError
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Kind, open_profile
from pipeline.store import Role, connect, open_local
from pipeline.store.access import Gatekeeper
from pipeline.store.klines import held_klines, kline_spans, save_klines
from pipeline.store.quack import serve, stop
from pipeline.store.reports import ReportRow, list_reports, save_report
from pipeline.store.warehouse import publish_endpoint

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)
MINUTE = Timeframe.parse("1m")


@pytest.fixture
def served(tmp_path):
    """A profile whose warehouse is served by this process, as the warehouse process does."""
    profile = open_profile(tmp_path, "families", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open_local(profile) as local:
        endpoint = publish_endpoint(profile, "127.0.0.1", port)
        tokens = {token: role for role, token in endpoint.tokens.items()}
        serve(local.connection, host="127.0.0.1", port=port, gatekeeper=Gatekeeper(tokens), server_token="unused-" + "x" * 20)
        yield profile
        stop(local.connection, host="127.0.0.1", port=port)


def klines(minutes: list[int], *, close: str = "1.5", closed: bool = True) -> pl.DataFrame:
    amounts = {name: [close] * len(minutes) for name in ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")}
    return pl.DataFrame(
        {
            "symbol": ["BTCUSDT"] * len(minutes),
            "timeframe": ["1m"] * len(minutes),
            "ts": [T0 + timedelta(minutes=minute) for minute in minutes],
            **amounts,
            "trades": [3] * len(minutes),
            "closed": [closed] * len(minutes),
            "fetched_at": [T0] * len(minutes),
        }
    )


def test_klines_are_replaced_by_key_and_exact(served):
    with connect(served, Role.WRITER) as warehouse:
        save_klines(warehouse, klines([0, 1, 2, 5, 6]))
        save_klines(warehouse, klines([2], close="12345678.12345678"))
        rows = warehouse.select("SELECT ts, CAST(close AS VARCHAR) AS close FROM klines ORDER BY ts")
        assert rows["close"].to_list() == ["1.50000000", "1.50000000", "12345678.12345678", "1.50000000", "1.50000000"]
        held = held_klines(warehouse, ["BTCUSDT", "ETHUSDT"], MINUTE, start=T0, end=T0 + timedelta(hours=1))
        first = int(T0.timestamp()) // 60
        assert list(held["BTCUSDT"]) == [(first, first + 2), (first + 5, first + 6)]
        assert list(held["ETHUSDT"]) == []
        assert kline_spans(warehouse)["klines"].to_list() == [5]
        assert warehouse.select("SELECT count(*) AS n FROM stage_klines").item() == 0


def test_the_ledger_of_klines_changes_with_them_and_only_then(served):
    def ledger():
        return warehouse.select(
            """SELECT partition, complete, "rows", revision, run, first_ts, last_ts FROM partitions WHERE asset = 'klines' ORDER BY ALL"""
        ).rows()

    day = [minute - T0.hour * 60 - T0.minute for minute in range(1_440)]
    start = T0 + timedelta(minutes=day[0])
    name = f"BTCUSDT/1m/{T0:%Y-%m-%d}"
    with connect(served, Role.WRITER) as warehouse:
        save_klines(warehouse, klines(day[:-1]), run="one")
        assert ledger() == [(name, False, 1_439, 0, "one", start, start + timedelta(minutes=1_438))]
        save_klines(warehouse, klines(day[-2:]), run="two")
        whole = (name, True, 1_440, 0, "two", start, start + timedelta(minutes=1_439))
        assert ledger() == [whole]
        save_klines(warehouse, klines(day), run="three")
        assert ledger() == [whole]
        save_klines(warehouse, klines(day, close="1.6"), run="four")
        restated = (*whole[:3], 1, "four", *whole[5:])
        assert ledger() == [restated]
        following = klines([day[-1] + 1])
        save_klines(warehouse, following, run="five")
        save_klines(warehouse, following.with_columns(timeframe=pl.lit("1d")), run="six")
        others = ledger()
        assert others[1] == restated
        assert [(row[0][8:10], row[1], row[4]) for row in (others[0], others[2])] == [("1d", True, "six"), ("1m", False, "five")]


def test_reports_are_listed_newest_first(served):
    with connect(served, Role.WRITER) as warehouse:
        for hour, size in ((1, 10), (2, 20), (2, 30)):
            created = T0 + timedelta(hours=hour)
            save_report(warehouse, ReportRow(f"r{hour}", "Report", created, T0, created, f"r{hour}.html", size))
        assert [(row.report_id, row.bytes) for row in list_reports(warehouse)] == [("r2", 30), ("r1", 10)]
        assert list_reports(warehouse)[0].created_at == T0 + timedelta(hours=2)


def test_only_writers_write(served):
    with connect(served, Role.READER) as reader, pytest.raises((StatementRefused, StoreError)):
        save_klines(reader, klines([0]))
    with connect(served, Role.READER) as reader:
        assert reader.select("SELECT count(*) AS n FROM klines").item() == 0

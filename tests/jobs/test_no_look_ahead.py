"""No row that a flow writes may depend on what came after it: on a market that ends earlier the rows up to there are the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.resample import resample
from pipeline.model.event import TradeKind
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Kind, open_profile
from pipeline.store import open_local
from pipeline.store.bars import load_bars

SYMBOLS = ("ETHUSDT", "BTCUSDT")
FRAMES = tuple(Timeframe.parse(name) for name in ("1s", "1m", "5m"))
CUT = datetime(2026, 3, 2, 11, 17, 30, tzinfo=UTC)
COPIED = {
    "timeframes": "TRUE",
    "ticks_recent": "event_time < $cut",
    "quotes_recent": "event_time < $cut",
    "bars_1s_recent": "ts < $cut",
    "dirty_marks": "bucket < $cut",
    "journal_clock": "TRUE",
}


def made(warehouse):
    """What the flows make of it."""
    resample(warehouse, FRAMES)
    measure_liquidity(warehouse, SYMBOLS, FRAMES, window=20)


def look_ahead(warehouse, directory):
    """The tables whose rows up to the cut differ on the market that ends there; and how many rows were compared."""
    made(warehouse)
    changed, counted = [], {}
    shorter = open_profile(directory, "shorter", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    with open_local(shorter) as other:
        for name, kept in COPIED.items():
            other.connection.register("given", warehouse.arrow(f"SELECT * FROM {name}"))
            other.connection.execute(f"INSERT INTO {name} SELECT * FROM given WHERE {kept}", {"cut": CUT} if "$cut" in kept else None)
            other.connection.unregister("given")
        other.connection.execute("UPDATE journal_clock SET journal_time = ?", [CUT])
        made(other)
        for table, columns in (("bars_resampled", "* EXCLUDE (revision)"), ("bars", "* EXCLUDE (revision)"), ("liquidity", "*")):
            end = "ts + to_seconds(CASE timeframe WHEN '1s' THEN 1 WHEN '1m' THEN 60 ELSE 300 END)"
            query = f"SELECT {columns} FROM {table} WHERE {end} <= TIMESTAMPTZ '{CUT - timedelta(seconds=2)}' ORDER BY ALL"
            before, after = other.select(query), warehouse.select(query)
            counted[table] = before.height
            if not before.equals(after):
                changed.append(table)
    return changed, counted


def test_the_tables_of_the_past_do_not_change_when_the_future_arrives(warehouse, tmp_path):
    changed, counted = look_ahead(warehouse, tmp_path / "other")
    assert changed == []
    assert all(counted.values()), counted


def test_a_leak_is_caught(warehouse, tmp_path, monkeypatch):
    def leaking(*chosen, **more):
        return load_bars(*chosen, **more).with_columns(pl.col("quote_volume") / pl.col("quote_volume").mean())

    monkeypatch.setattr("pipeline.jobs.liquidity.load_bars", leaking)
    assert look_ahead(warehouse, tmp_path / "other")[0] == ["liquidity"]

"""Exports: by value the same as the store, in every format, in slices or at once."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from pipeline.errors import UsageError
from pipeline.profile import Kind, TradeKind, create_profile
from pipeline.store import open_local
from pipeline.store.alert_history import EventSearch, find_events
from pipeline.store.export import TABLES, Format, Selection, count_rows, read_rows, read_slices, write_export, write_frames

START = datetime(2024, 8, 8, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    profile = create_profile(
        tmp_path_factory.mktemp("export"), "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2024-08-08T00:00:00+00:00"
    )
    with open_local(profile) as warehouse:
        warehouse.connection.execute(
            """INSERT INTO ticks_recent SELECT CASE WHEN i % 3 = 0 THEN 'ETHUSDT' ELSE 'BTCUSDT' END, i, 60000 + i / 10,
               0.001 * (1 + i % 7),
               TIMESTAMPTZ '2024-08-08 12:00:00+00' + to_milliseconds(i * 700), TIMESTAMPTZ '2024-08-08 12:00:01+00',
               i % 2 = 0, i, i, 'capture'
               FROM range(2000) t(i)"""
        )
        warehouse.connection.execute(
            """INSERT INTO signals SELECT 'ETHUSDT', 'BTCUSDT', '1m', TIMESTAMPTZ '2024-08-08 12:00:00+00' + to_minutes(i), 'm',
               i / 3, CASE WHEN i < 5 THEN 'nan'::DOUBLE END, NULL, false, false FROM range(20) t(i)"""
        )
        yield warehouse


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_can_be_exported_even_when_it_is_empty(warehouse, name):
    for form in Format:
        sink = io.BytesIO()
        assert write_export(warehouse, Selection(name), form, sink) == count_rows(warehouse, Selection(name))
        if form is Format.JSON:
            assert isinstance(json.loads(sink.getvalue()), list)


def test_slices_join_to_the_whole(warehouse):
    selection = Selection("ticks", symbol="BTCUSDT", start=START + timedelta(seconds=10), end=START + timedelta(minutes=20))
    whole = read_rows(warehouse, selection)
    parts = list(read_slices(warehouse, selection, rows=50))
    assert len(parts) > 10
    assert pl.concat(parts).equals(whole)
    assert whole["event_time"].min() >= selection.start
    assert whole["event_time"].max() < selection.end


@pytest.mark.parametrize("form", list(Format))
def test_a_file_reopens_equal_by_value(warehouse, form):
    selection = Selection("ticks", symbol="ETHUSDT")
    stored = read_rows(warehouse, selection)
    sink = io.BytesIO()
    assert write_export(warehouse, selection, form, sink) == stored.height
    sink.seek(0)
    if form is Format.PARQUET:
        assert pl.read_parquet(sink).equals(stored)
        return
    text = pl.read_csv(sink, infer_schema=False) if form is Format.CSV else pl.DataFrame(json.load(sink))
    assert text["price"].cast(pl.Decimal(18, 8)).to_list() == stored["price"].to_list()
    assert text["event_time"].str.to_datetime(time_unit="us", time_zone="UTC").to_list() == stored["event_time"].to_list()
    assert text["trade_id"].cast(pl.Int64).to_list() == stored["trade_id"].to_list()


@pytest.mark.parametrize("form", [Format.CSV, Format.JSON])
def test_a_reader_who_has_gone_is_told_as_python_tells_it(form):
    read, write = os.pipe()
    os.close(read)
    sink = os.fdopen(write, "wb", buffering=0)
    with pytest.raises(BrokenPipeError):
        write_frames([pl.DataFrame({"a": range(50_000)})], form, sink)
    sink.close()


def test_json_has_null_where_there_is_no_number(warehouse):
    sink = io.BytesIO()
    write_export(warehouse, Selection("signals"), Format.JSON, sink)
    rows = json.loads(sink.getvalue())
    assert [row["zscore"] for row in rows] == [None] * 20


@pytest.mark.parametrize(("symbol", "rows"), [("ETHUSDT/BTCUSDT", 20), ("BTCUSDT", 20), ("BTCUSDT/ETHUSDT", 0), ("SOLUSDT", 0), (None, 20)])
def test_a_table_of_pairs_is_filtered_by_pair_or_leg(warehouse, symbol, rows):
    assert count_rows(warehouse, Selection("signals", symbol=symbol)) == rows


@pytest.mark.parametrize(
    "selection",
    [
        Selection("users"),
        Selection("ticks", timeframe="1m"),
        Selection("ticks", symbol="ETHUSDT/BTCUSDT"),
        Selection("ticks", symbol="'; DROP"),
        Selection("alert_rules", symbol="BTCUSDT"),
        Selection("coverage", start=START),
        Selection("bars", timeframe="7s"),
        Selection("ticks", start=START, end=START),
        Selection("ticks", start=datetime(2024, 8, 8)),  # noqa: DTZ001
    ],
)
def test_what_means_nothing_is_refused(warehouse, selection):
    with pytest.raises(UsageError):
        count_rows(warehouse, selection)


def test_alert_events_carry_their_evidence_and_are_found_by_leg(warehouse):
    row = {
        "rule_name": "ETH rich", "metric": "zscore", "timeframe": "1m", "model_id": "m1", "first_bar_us": 1_723_118_400_000_000,
        "last_bar_us": 1_723_119_540_000_000, "reason": "", "note": "look",
    }  # fmt: skip
    warehouse.connection.execute(
        "INSERT INTO alert_events VALUES ('e1', 'rich', 'ETHUSDT/BTCUSDT', 'firing', ?, 2.5, 2.0, 'critical', 'critical firing: ETH', ?)",
        [START, json.dumps(row)],
    )
    found = read_rows(warehouse, Selection("alert_events", symbol="BTCUSDT")).row(0, named=True)
    assert (found["model_id"], found["first_bar"], found["rule_name"]) == ("m1", START, "ETH rich")
    assert found["last_bar"] == START + timedelta(minutes=19)
    assert read_rows(warehouse, Selection("alert_events", symbol="SOLUSDT")).is_empty()
    assert read_rows(warehouse, Selection("alert_events", symbol="ETHUSDT/BTCUSDT")).height == 1
    searches = [
        (EventSearch(rule="rich"), 1),
        (EventSearch(rule="eth r"), 1),
        (EventSearch(series="ETHUSDT"), 1),
        (EventSearch(kinds=("resolved",)), 0),
        (EventSearch(severities=("critical", "info")), 1),
        (EventSearch(start=START + timedelta(seconds=1)), 0),
        (EventSearch(words="FIRING"), 1),
    ]
    assert [find_events(warehouse, search).height for search, _ in searches] == [count for _, count in searches]
    with pytest.raises(UsageError, match="kind 'fired' is unknown"):
        find_events(warehouse, EventSearch(kinds=("fired",)))

"""A user's own file as a symbol, from the bytes to the bars, without a server."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard

from pipeline.errors import UploadError, UsageError
from pipeline.jobs.fit_pairs import fit_pair
from pipeline.jobs.upload import Uploaded, upload
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, Profile, open_profile, publish_universe, read_universe
from pipeline.settings import Settings, settings
from pipeline.store import open_local
from pipeline.store.export import Format, Selection, write_export
from pipeline.warehouse.upload import upload_desk

START = datetime(2024, 3, 4, 10, tzinfo=UTC)
MINUTE = Timeframe.parse("1m")
TICKS = "time,price,qty,side,id"

Put = Callable[..., Uploaded]


@pytest.fixture
def own(tmp_path: Path) -> Profile:
    return open_profile(tmp_path, "own", Kind.RECORDED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return settings().model_copy(update={"data_dir": tmp_path, "symbols": (), "pairs": ()})


@pytest.fixture
def put(own: Profile, chosen: Settings, tmp_path: Path) -> Put:
    """Upload lines, or a file, under a symbol; ``profile`` when not into the fresh one."""

    def uploads(
        symbol: str, *lines: str, path: Path | None = None, timeframe: str | None = None, profile: Profile | None = None
    ) -> Uploaded:
        if path is None:
            path = tmp_path / "own.csv"
            path.write_text("\n".join(lines) + "\n")
        frame = Timeframe.parse(timeframe) if timeframe else None
        with upload_desk(profile or own, chosen, run="test") as desk:
            return upload(desk, path, symbol, timeframe=frame)

    return uploads


def select(profile: Profile, sql: str) -> pl.DataFrame:
    with open_local(profile) as warehouse:
        return warehouse.select(sql)


def minute(number: int, *values: object) -> str:
    return ",".join([f"{START + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}", *map(str, values or (1, 3, 1, 2))])


def bars(count: int, seed: int = 1) -> list[str]:
    closes = 100 + np.cumsum(np.random.default_rng(seed).normal(0, 0.1, count))
    return ["time,open,high,low,close", *(minute(n, *(f"{c:.4f}",) * 4) for n, c in enumerate(closes))]


def trade(second: float, price: object, number: int, side: str = "buy", qty: object = 1) -> str:
    return f"{int((START.timestamp() + second) * 1000)},{price},{qty},{side},{number}"


def test_bars_become_a_symbol_that_can_be_fitted(put, own, chosen):
    done = put("OWNA", *bars(2_000, 1))
    assert (done.form, done.timeframe, done.rows, done.new) == ("bars", "1m", 2_000, 2_000)
    assert done.notes == ("no volumes in the file: they are unknown, not 0",)
    put("OWNB", *bars(200, 2))  # ends earlier
    assert read_universe(own) == Universe((), (), 3, ("OWNA", "OWNB"))
    with open_local(own) as warehouse:
        found = fit_pair(warehouse, Pair("OWNA", "OWNB"), MINUTE, lookback=100)
    assert found.fit is not None
    assert found.window_end == START + timedelta(minutes=199)
    row = select(own, "SELECT volume, trades, complete, source FROM bars LIMIT 1").row(0)
    assert row == (None, None, True, "kline")


def test_trades_become_bars_by_resampling_and_journal_time_stays(put, own):
    lines = [trade(n / 2, 100 + n % 7, n + 10, ("buy", "sell")[n % 2]) for n in range(600)]
    done = put("OWN", TICKS, *lines)
    assert (done.form, done.rows, done.new, done.notes) == ("ticks", 600, 600, ())
    made = select(own, "SELECT * FROM bars WHERE timeframe = '1m' ORDER BY ts")
    assert made["complete"].all()
    assert made["source"].unique().to_list() == ["tick"]
    assert made.select(pl.col("trades").sum(), pl.col("volume").sum(), pl.col("taker_buy_volume").sum()).row(0) == (600, 600, 300)
    assert (made["first_id"][0], made["open"][0]) == (10, 100)
    assert select(own, "SELECT epoch_us(max(journal_time)) AS t, bool_or(ended) AS e FROM journal_clock").row(0) == (0, False)
    assert select(own, "SELECT DISTINCT source FROM ticks").item() == "upload"


@pytest.mark.parametrize("kind", [Kind.LIVE, Kind.SIMULATED, Kind.RECORDED])
@pytest.mark.parametrize("ids", [TradeKind.AGGREGATE, TradeKind.RAW])
def test_every_kind_of_profile_takes_a_symbol_of_its_users(put, tmp_path, kind, ids):
    profile = open_profile(tmp_path, "any", kind, ids, created_at="2026-03-02T00:00:00Z")
    publish_universe(profile, Universe(("BTCUSDT",), (), 1))
    put("OWN", TICKS, *(trade(n, 5, n) for n in range(1, 100)), profile=profile)
    assert select(profile, "SELECT count(*) FILTER (complete) AS n FROM bars WHERE timeframe = '1m'").item() == 2
    assert read_universe(profile) == Universe(("BTCUSDT",), (), 2, ("OWN",))
    assert select(profile, "SELECT epoch_us(max(journal_time)) AS t FROM journal_clock").item() == 0


@pytest.mark.parametrize("header", [TICKS, "time,price,qty"])
def test_the_same_file_again_changes_nothing(put, own, header):
    lines = [header, *(",".join(trade(n, 5 + n % 3, n + 1).split(",")[: header.count(",") + 1]) for n in range(200))]
    put("OWN", *lines)
    tables = ("ticks", "bars", "coverage", "gaps", "partitions")
    before = [select(own, f"SELECT * FROM {table} ORDER BY ALL") for table in tables]
    assert put("OWN", *lines).new == 0
    for table, was in zip(tables, before, strict=True):
        assert select(own, f"SELECT * FROM {table} ORDER BY ALL").equals(was), table
    assert (
        put("OWN", *lines, lines[-1].replace(lines[-1].split(",")[0], str(int(lines[-1].split(",")[0]) + 1)).replace(",200", ",201")).new
        == 1
    )


def test_other_trades_without_ids_do_not_hide_behind_the_numbers_of_the_first(put, own):
    put("OWN", "time,price,qty", *(f"{1704067200 + n},5,1" for n in range(50)))
    with pytest.raises(
        UploadError, match=r"own\.csv: its trades have no ids, and OWN holds 50 other trades already; expected the same file"
    ):
        put("OWN", "time,price,qty", *(f"{1704067200 + n},6,1" for n in range(80)))
    assert select(own, "SELECT count(*) AS n FROM ticks").item() == 50


def test_what_is_tolerated_is_counted(put, own):
    done = put("OWN", "time,open,high,low,close", minute(2), minute(0), minute(1), minute(1), minute(3))
    assert done.rows == 4
    assert set(done.notes) >= {"1 rows out of order, sorted", "1 exact repetitions, left out"}
    done = put("TWO", TICKS, trade(0, 5, 1), trade(2, 7, 3), trade(1, 6, 2, qty=0), trade(1, 6, 2, qty=0))
    assert set(done.notes) == {"1 rows out of order, sorted", "1 exact repetitions, left out", "2 quantity of zero, kept"}
    assert select(own, "SELECT open, close, trades FROM bars WHERE symbol = 'TWO' AND timeframe = '1m'").row(0) == (5, 7, 3)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["time,open,high,low,close", minute(0), minute(1), minute(1, 1, 3, 1, 3)],
            "own.csv:4: another bar of the same time than line 3 has",
        ),
        ([TICKS, trade(0, 5, 1), trade(1, 5, 2), trade(1, 6, 2)], "own.csv:4: another trade of the same id than line 3 has"),
        ([TICKS, trade(0, 5, 1), trade(90_000, 5, 1)], "own.csv:3: trade id 1 is there on another day too"),
        (["time,open,high,low,close", minute(0)], "one row does not tell the timeframe"),
        (["time,open,high,low,close", minute(0), minute(15), minute(30)], "900 s apart, which is none of the configured timeframes"),
        (
            ["date,open,high,low,close", "2024-01-01,1,1,1,1", "2024-02-01,1,1,1,1", "2024-03-01,1,1,1,1"],
            "days apart; bars are of at most a day",
        ),
        (
            ["time,open,high,low,close", minute(0), minute(1), minute(2), minute(3).replace("03:00Z", "03:30Z")],
            "not the open time of a 1m bar",
        ),
        (["symbol,time,price,qty", "A1,1704067200,1,1", "B1,1704067201,1,1"], "rows of 2 symbols"),
        (["time,price,qty"], "there are no rows in it"),
        ([TICKS, *(trade(n, 5, n) for n in range(1_000)), "oops"], "own.csv:1002: 1 fields; expected 5"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(put, own, lines, said):
    put("FIRST", *bars(3))
    with pytest.raises(UploadError) as caught:
        put("OWN", *lines)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_universe(own).uploaded == ("FIRST",)
    assert (
        select(own, "SELECT count(*) AS n FROM (SELECT symbol FROM ticks UNION ALL SELECT symbol FROM klines) WHERE symbol = 'OWN'").item()
        == 0
    )
    assert not list(own.run.glob("upload-*"))


def test_a_symbol_of_the_venue_is_refused_unless_the_file_is_the_exchanges(put, tmp_path):
    simulated = open_profile(tmp_path, "sim", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    live = open_profile(tmp_path, "live", Kind.LIVE, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    for profile in (simulated, live):
        publish_universe(profile, Universe(("BTCUSDT",), (), 1))
        with pytest.raises(UsageError, match=r"symbol BTCUSDT of profile '.*' is fed by the exchange; upload under another name"):
            put("BTCUSDT", *bars(10), profile=profile)
    ticks = ["agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker", "7,5,1,20,22,1704067200000,true"]
    with pytest.raises(UsageError, match="a simulated one, whose data the real exchange's would mix with"):
        put("BTCUSDT", *ticks, profile=simulated)
    with pytest.raises(UsageError, match=r"with ids of aggTrade, and own\.csv has those of trade"):
        put("BTCUSDT", "id,price,qty,quote_qty,time,is_buyer_maker", "7,5,1,5,1704067200000,true", profile=live)
    put("BTCUSDT", *ticks, profile=live)
    assert select(live, "SELECT source, trade_id, last_id FROM ticks").row(0) == ("backfill", 7, 22)
    assert read_universe(live).uploaded == ()
    with pytest.raises(UsageError, match="symbol 'btc' is not understood"):
        put("btc", *bars(10))


def test_holes_of_a_file_are_final_and_its_bars_complete(put, own):
    put("OWN", TICKS, *(trade(n, 5, n) for n in (1, 2, 3, 7, 8, 65)))
    assert select(own, "SELECT state, sum(last_missing - first_missing + 1)::BIGINT AS n FROM gaps GROUP BY state").row(0) == (
        "unrecoverable",
        59,
    )
    assert select(own, "SELECT bool_and(complete) AS c FROM bars").item()
    put("OWN", TICKS, *(trade(n, 5, n) for n in range(1, 66)))
    assert select(own, "SELECT DISTINCT state FROM gaps").item() == "refilled"
    assert select(own, "SELECT trades FROM bars WHERE timeframe = '1m' ORDER BY ts")["trades"].to_list() == [59, 6]


@pytest.mark.parametrize("packed", ["own.csv.gz", "own.csv.zst", "own.zip"])
def test_packed_files_are_read_and_cut_ones_refused(put, tmp_path, packed):
    text = "\n".join(bars(500)).encode()
    path = tmp_path / packed
    if packed.endswith("gz"):
        path.write_bytes(gzip.compress(text))
    elif packed.endswith("zst"):
        path.write_bytes(zstandard.compress(text))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.csv", text)
    assert put("OWN", path=path).rows == 500
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UploadError, match=f"{packed}: the compressed file is damaged or ends too early"):
        put("CUT", path=path)


def test_a_file_larger_than_a_block_is_read_in_parts(put, own, monkeypatch):
    monkeypatch.setattr("pipeline.jobs.upload_file._BLOCK", 1_000)
    done = put("OWN", TICKS, *(trade(n * 600, 5 + n % 9, n + 1) for n in range(1_000)))  # a week
    assert done.new == 1_000
    assert select(own, "SELECT count(DISTINCT event_time) AS n FROM ticks").item() == 1_000
    with pytest.raises(UploadError, match=r"^own\.csv:802: "):
        put("BAD", TICKS, *(trade(n * 600, 5 if n != 800 else -5, n + 1) for n in range(1_000)))


@pytest.mark.parametrize("table", ["bars", "ticks"])
def test_what_was_exported_comes_back_the_same(put, own, tmp_path, table):
    put("OWN", TICKS, *(trade(n * 0.7, f"{100 + n % 7}.{n % 10}", n + 10, ("buy", "sell")[n % 2], f"0.{1 + n % 9}") for n in range(600)))
    path = tmp_path / "exported.csv"
    with open_local(own) as warehouse, path.open("wb") as sink:
        write_export(warehouse, Selection(table, "OWN", "1m" if table == "bars" else None), Format.CSV, sink)
    put("AGAIN", path=path)
    columns = "ts, open, high, low, close, volume, quote_volume, trades, taker_buy_volume, vwap, complete"
    first, again = (
        select(own, f"SELECT {columns} FROM bars WHERE symbol = '{s}' AND timeframe = '1m' ORDER BY ts") for s in ("OWN", "AGAIN")
    )
    assert first.height == 7
    assert first.equals(again)


def test_a_pair_of_uploaded_symbols_can_be_modelled(put, own, chosen):
    from pipeline.store.requests import AddPair, AddSymbol

    put("OWNA", *bars(100, 1))
    put("OWNB", *bars(100, 2))
    with upload_desk(own, chosen, run="test") as desk:
        desk.ask(AddPair(PairSpec(Pair("OWNA", "OWNB"))))
        with pytest.raises(UsageError, match="OWNA holds data that was uploaded; no venue feeds it"):
            desk.ask(AddSymbol("OWNA"))
    universe = read_universe(own)
    assert (universe.symbols, universe.uploaded, [str(spec.pair) for spec in universe.pairs]) == ((), ("OWNA", "OWNB"), ["OWNA/OWNB"])


def test_a_month_of_real_candlesticks(put, own, tmp_path, market_data):
    frame = pl.read_ipc(market_data / "klines_um" / "ETH_USDT_USDT-5m-futures.feather")
    path = tmp_path / "eth.csv"
    frame.write_csv(path)
    done = put("ETHOWN", path=path)
    assert (done.timeframe, done.rows) == ("5m", frame.height)
    stored = select(
        own, "SELECT ts, open::DOUBLE AS open, high::DOUBLE AS high, close::DOUBLE AS close, volume::DOUBLE AS volume FROM bars ORDER BY ts"
    )
    for column in ("open", "high", "close", "volume"):
        assert stored[column].to_list() == frame[column].to_list()
    assert stored["ts"].dt.epoch("ms").to_list() == frame["date"].dt.epoch("ms").to_list()


def test_a_symbol_that_was_removed_can_be_uploaded_again(put, own, chosen):
    from pipeline.store.requests import RemoveSymbol

    lines = [TICKS, *(trade(n, 5, n) for n in range(1, 100))]
    put("OWN", *lines)
    with upload_desk(own, chosen, run="test") as desk:
        desk.ask(RemoveSymbol("OWN"))
        stale = own.run / "upload-killed"
        stale.mkdir()
    assert read_universe(own).uploaded == ()
    assert put("OWN", *lines).new == 0
    assert read_universe(own).uploaded == ("OWN",)
    assert not stale.exists()

"""Every known defect of the venue's archive files, one by one."""

from __future__ import annotations

from datetime import date

import pytest

from pipeline.errors import MalformedMessage
from pipeline.venues.binance_archive import (
    KLINE_COLUMNS,
    TRADE_COLUMNS,
    kline_file,
    parse_checksum,
    parse_klines,
    parse_trades,
    trade_file,
    trade_layout,
)

T = 1_795_132_800_000  # 2026-11-20 00:00 UTC
HEADER = ",".join(TRADE_COLUMNS)
KLINE_HEADER = ",".join(KLINE_COLUMNS)


def trade(number, *, qty="0.5", time=None, maker="true"):
    return f"{number},60000.10,{qty},{2 * number},{2 * number + 1},{T + number if time is None else time},{maker}"


def kline(minute, *, factor=1):
    time = (T + 60_000 * minute) * factor
    return f"{time},1.0,2.0,0.5,1.5,100.25,{time + 59_999 * factor},150.5,7,50.125,75.0,0"


def trades(*lines, end="\n"):
    first, *rest = lines
    layout = trade_layout(first.encode())
    kept = rest if layout.header else lines
    return parse_trades(end.join((*kept, "")).encode(), layout)


def ids(found):
    return found.rows["trade_id"].to_list()


def test_files_are_named_as_the_venue_names_them():
    day = date(2026, 2, 3)
    root = "data/futures/um"
    assert kline_file("BTCUSDT", "1m", day).path == f"{root}/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-02-03.zip"
    month = kline_file("BTCUSDT", "1m", day, monthly=True)
    assert (month.path, month.first, month.days) == (f"{root}/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-02.zip", date(2026, 2, 1), 28)
    assert trade_file("ETHUSDT", day).path == f"{root}/daily/aggTrades/ETHUSDT/ETHUSDT-aggTrades-2026-02-03.zip"
    december = trade_file("ETHUSDT", date(2026, 12, 31), monthly=True)
    assert (december.name, december.days) == ("ETHUSDT-aggTrades-2026-12.zip", 31)
    assert december.checksum_path == f"{root}/monthly/aggTrades/ETHUSDT/ETHUSDT-aggTrades-2026-12.zip.CHECKSUM"


def test_checksums():
    digest = "Ab" * 32
    assert parse_checksum(f"{digest}  a.zip\n".encode(), "a.zip") == digest.lower()
    assert parse_checksum(digest.encode(), "a.zip") == digest.lower()
    for wrong in (b"", b"<html>", f"{digest}  b.zip".encode(), digest[:-1].encode()):
        with pytest.raises(MalformedMessage, match=r"a\.zip\.CHECKSUM is not of the form"):
            parse_checksum(wrong, "a.zip")


def test_trades_with_and_without_a_header_are_the_same():
    plain = trades(trade(1), trade(2, maker="false"))
    assert plain.rows.rows() == [(1, "60000.10", "0.5", 2, 3, T + 1, True), (2, "60000.10", "0.5", 4, 5, T + 2, False)]
    assert (plain.zero_ids, plain.duplicates, plain.malformed) == ((), 0, 0)
    for header in (HEADER, HEADER.upper(), '"' + '","'.join(TRADE_COLUMNS) + '"', "a,p,q,f,l,T,m", "\ufeff" + HEADER):
        assert trades(header, trade(1), trade(2, maker="false")).rows.equals(plain.rows)
    assert trades(HEADER + "\r", trade(1), trade(2, maker="False"), end="\r\n").rows.equals(plain.rows)


def test_a_new_header_with_other_columns_in_another_order():
    header = "symbol,is_buyer_maker,agg_trade_id,quantity,price,first_trade_id,last_trade_id,transact_time,venue"
    found = trades(header, f"BTCUSDT,true,1,0.5,60000.10,2,3,{T + 1},x")
    assert found.rows.equals(trades(trade(1)).rows)
    more = trades(HEADER + ",was_best_price", trade(1) + ",true")
    assert more.rows.equals(trades(trade(1)).rows)
    assert trades(trade(1) + ",true").rows.equals(more.rows)


def test_too_few_columns_are_refused():
    with pytest.raises(MalformedMessage, match="has 3 columns, expected 7"):
        trade_layout(b"1,2,3")
    with pytest.raises(MalformedMessage, match="has 1 columns, expected 11"):
        parse_klines(b"<html>")


def test_unsorted_ids_are_sorted():
    assert ids(trades(trade(3), trade(1), trade(2))) == [1, 2, 3]


def test_of_an_id_that_comes_twice_the_first_is_taken():
    found = trades(trade(1), trade(2), trade(1, qty="9"))
    assert (ids(found), found.duplicates) == ([1, 2], 1)
    assert found.rows["qty"].to_list() == ["0.5", "0.5"]


def test_zero_quantities_are_left_out_and_told():
    found = trades(trade(1), trade(2, qty="0.00000000"), trade(3, qty="0"), trade(4, qty="0.001"))
    assert (ids(found), found.zero_ids, found.malformed) == ([1, 4], (2, 3), 0)


def test_microseconds_become_milliseconds():
    found = trades(trade(1, time=(T + 1) * 1_000 + 999), trade(2))
    assert found.rows["time_ms"].to_list() == [T + 1, T + 2]
    assert parse_klines(f"{kline(0, factor=1_000)}\n{kline(1)}\n".encode()).rows["open_time_ms"].to_list() == [T, T + 60_000]


@pytest.mark.parametrize(
    "line",
    [
        trade(2, qty="-1"),
        trade(2, qty="1e-05"),
        trade(2, qty="nan"),
        trade(2, qty=""),
        trade(2, maker="maybe"),
        trade(2, time="soon"),
        trade(2, time="9" * 17),
        "2,1.0",
        "2,1.0,1.0,9,8,5,true",
        "x" * 50,
        "+2,1.0,1.0,1,1,5,true",
        "-2,1.0,1.0,1,1,5,true",
        "2.0,1.0,1.0,1,1,5,true",
        "99999999999999999999999,1.0,1.0,1,1,5,true",
    ],
)
def test_rows_that_cannot_be_read_are_left_out_and_counted(line):
    found = trades(trade(1), line, trade(3))
    assert (ids(found), found.malformed) == ([1, 3], 1)


def test_an_empty_block():
    assert trades(HEADER).rows.is_empty()
    assert trades(HEADER).rows.schema == trades(trade(1)).rows.schema


def test_klines_with_and_without_a_header_sorted_each_once():
    plain = parse_klines("\n".join([kline(2), kline(0), kline(1), kline(0)]).encode())
    assert plain.rows["open_time_ms"].to_list() == [T, T + 60_000, T + 120_000]
    assert plain.rows.row(0) == (T, "1.0", "2.0", "0.5", "1.5", "100.25", "150.5", "50.125", 7)
    assert (plain.duplicates, plain.malformed) == (1, 0)
    titled = parse_klines("\n".join([KLINE_HEADER, kline(0), kline(1), kline(2), ""]).encode())
    assert titled.rows.equals(plain.rows)
    assert parse_klines((KLINE_HEADER + "\n").encode()).rows.is_empty()
    broken = parse_klines("\n".join([kline(0), "5,x,1,1,1,1,1,1,1,1,1,1"]).encode())
    assert (broken.rows.height, broken.malformed) == (1, 1)

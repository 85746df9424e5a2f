"""A user's CSV: which column is what, and values exactly as written, or refused with their line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import UploadError
from pipeline.model.event import TradeKind
from pipeline.venues.user_csv import Form, parse_rows, read_layout

NOW_US = 1_900_000_000_000_000
KLINE = "1704067200000,42283.58,42554.57,42261.02,42475.23,1271.68108,1704067259999,53957248.973789,47134,682.57581,28957416.819645,0"


def rows(header: str, *lines: str):
    layout = read_layout(header, "own.csv")
    return parse_rows("\n".join(lines).encode(), layout, first_line=2 if layout.header else 1, name="own.csv", now_us=NOW_US)


@pytest.mark.parametrize(
    ("header", "form", "named"),
    [
        ("Date,Open,High,Low,Close,Volume", Form.BARS, {"time", "volume"}),
        ("﻿ts;open;HIGH;low;close;trades;complete", Form.BARS, {"time", "trades", "complete"}),
        ("Open Time\tOpen\tHigh\tLow\tClose\tNumber of trades\tTaker buy base asset volume", Form.BARS, {"trades", "taker_buy_volume"}),
        ("timestamp,price,amount,side", Form.TICKS, {"time", "qty", "side"}),
        ("id,price,qty,quote_qty,time,is_buyer_maker", Form.TICKS, {"trade_id", "maker"}),
        (KLINE, Form.BARS, {"time", "quote_volume", "trades", "taker_buy_volume"}),
        ("26129,0.016,4.70,27781,27790,1498793709153,true,true", Form.TICKS, {"trade_id", "first_id", "last_id", "maker"}),
    ],
)
def test_columns_are_found_by_usual_names_and_by_the_exchanges_own_layouts(header, form, named):
    layout = read_layout(header, "own.csv")
    assert layout.form is form
    assert named <= layout.columns.keys()


def test_the_exchanges_own_layout_is_told_from_a_users():
    assert read_layout(KLINE, "f").exchange
    aggregate = read_layout("agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker", "f")
    assert (aggregate.exchange, aggregate.kind) == (True, TradeKind.AGGREGATE)
    assert not read_layout("time,price,qty,trade_id", "f").exchange


@pytest.mark.parametrize("header", ["Date,Brent,WTI", "1,2,3", "", "price,qty", "open,high,low,close"])
def test_a_file_that_is_neither_is_refused_with_what_was_expected(header):
    with pytest.raises(UploadError, match=r"^own\.csv:1: .*expected a header with a time, open, high, low, close") as caught:
        read_layout(header, "own.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2024-01-01,1,2,1,1", "5 fields; expected 6"),
        ("2024-01-01,1,2,1,1,1,9", "7 fields; expected 6"),
        ("2024-02-30,1,2,1,1,1", "time '2024-02-30' is not a time; expected ISO time"),
        ("01/31/2024,1,2,1,1,1", "is not a time; expected ISO time"),
        ("2044-01-01,1,2,1,1,1", "lies in the future"),
        ("2024-01-01,1,2,1,NaN,1", "close 'NaN' is not finite"),
        ("2024-01-01,1,2,1,1,inf", "volume 'inf' is not finite"),
        ("2024-01-01,1,2,1,1,-1", "volume '-1' is negative"),
        ("2024-01-01,1,2,1,1.123456789,1", r"has more than 8 decimals; round it before, such as with `frame.round\(8\)`"),
        ("2024-01-01,1,2,0,1,1", "low '0' is not above 0"),
        ("2024-01-01,1,1,2,1,1", "high '1' is below the low"),
        ("2024-01-01,3,2,1,1,1", "open '3' is not between low and high"),
        ("2024-01-01,1,2,,1,1", "low 'empty' is missing"),
        ("2024-01-01,12345678901,2,1,1,1", "more than 10 digits before the point"),
        ("2024-01-01,1e99999999,2,1,1,1", "more than 10 digits before the point"),
        ('2024-01-01,"1,000",2,1,1,1', "open '1,000' is not a number"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_line(line, said):
    with pytest.raises(UploadError, match=rf"^own\.csv:4: .*{said}") as caught:
        rows("time,open,high,low,close,volume", "2024-01-01,1,2,1,1,1", "", line, "2024-01-01,1,2,1,1,1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1704067200,1,1,maybe,1", "side 'maybe' is not understood"),
        ("1704067200,0,1,buy,1", "price '0' is not above 0"),
        ("1704067200,1,1,buy,x", "trade_id 'x' is not a whole number"),
        ("1704067200,1,1,buy,", "trade_id 'empty' is missing"),
    ],
)
def test_a_trade_that_cannot_be_used_is_named_with_its_line(line, said):
    with pytest.raises(UploadError, match=rf"^own\.csv:2: .*{said}"):
        rows("time,price,qty,side,id", line)


def test_sides_and_makers_tell_the_same():
    sided = rows("time,price,qty,side", "1704067200,1,1,Buy", "1704067200,1,1,SELL", "1704067200,1,1,")
    assert sided["buyer_is_maker"].to_list() == [False, True, None]
    made = rows("time,price,qty,is_buyer_maker", "1704067200,1,1,False", "1704067200,1,1,1")
    assert made["buyer_is_maker"].to_list() == [False, True]


@settings(max_examples=60, deadline=None)
@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2029, 12, 31)),  # noqa: DTZ001 -- the strategy takes bounds without a zone
    offset=st.integers(-14 * 60, 14 * 60),
    form=st.sampled_from(["iso", "zone", "naive", "s", "ms", "us", "ns"]),
)
def test_times_of_every_form_are_the_same_moment(moment, offset, form):
    moment = moment.replace(tzinfo=UTC)
    since = moment - datetime.fromtimestamp(0, UTC)
    whole = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}.get(form, timedelta(microseconds=1))
    moment -= since % whole
    exact_us = (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    if form in ("s", "ms", "us", "ns") and exact_us < 10**14 + 10**11:  # magnitudes tell the units apart only from 1973 on
        return
    text = {
        "iso": moment.isoformat().replace("+00:00", "Z"),
        "zone": moment.astimezone(timezone(timedelta(minutes=offset))).isoformat(sep=" "),
        "naive": moment.replace(tzinfo=None).isoformat(sep=" "),
        "s": str(exact_us // 1_000_000),
        "ms": str(exact_us // 1_000),
        "us": str(exact_us),
        "ns": str(exact_us * 1_000 + 999),
    }[form]
    assert rows("time,price,qty", f"{text},1,1")["time_us"].to_list() == [exact_us]


@settings(max_examples=100, deadline=None)
@given(
    value=st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal(9_999_999_999), places=8),
    write=st.sampled_from(["{:f}", "{:e}", "{:f}00000", "+{:f}", " {:f} "]),
)
def test_amounts_are_exact_however_they_are_written(value, write):
    assert rows("time,price,qty", f"1704067200,{write.format(value)},1")["price"].to_list() == [value]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
@example(b"(\xb5/\xfd")
@example(b"\x1f\x8b\x08\x00")
@example(b"x^,1,2,3,4,5")
def test_no_bytes_do_worse_than_a_refusal_with_a_line(block):
    layout = read_layout("time,open,high,low,close,volume", "own.csv")
    said = "own.csv:2: nothing"
    try:
        parse_rows(block, layout, first_line=2, name="own.csv", now_us=NOW_US)
    except UploadError as error:
        said = str(error)
    assert said.startswith("own.csv:")
    assert "\n" not in said

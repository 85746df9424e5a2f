from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.simulator.quotes import quotes
from pipeline.simulator.trades import HOUR_MS, Tape, Trades, count_in, hour_of_id, ids_before
from pipeline.simulator.universe import BY_SYMBOL, GENESIS_HOUR, SPECS

HOUR = 498_711
SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000SHIBUSDT", "UNIUSDT")


def same(one: Trades, other: Trades) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_ids_are_contiguous_across_hours(tape, symbol):
    for hour in (GENESIS_HOUR, HOUR, HOUR + 8):
        one, two = tape.trades(symbol, hour), tape.trades(symbol, hour + 1)
        ids = np.concatenate([one.ids, two.ids])
        assert (np.diff(ids) == 1).all()
        first, last = np.concatenate([one.first, two.first]), np.concatenate([one.last, two.last])
        assert (first[1:] == last[:-1] + 1).all()
        assert (last >= first).all()
    assert tape.trades(symbol, GENESIS_HOUR).ids[0] == tape.trades(symbol, GENESIS_HOUR).first[0] == 1
    assert len(tape.trades(symbol, GENESIS_HOUR - 1)) == 0


@given(st.sampled_from(SYMBOLS), st.integers(GENESIS_HOUR, GENESIS_HOUR + 200_000), st.data())
@settings(max_examples=60)
def test_the_hour_of_an_id_is_found_by_arithmetic(symbol, hour, data):
    before = ids_before(symbol, hour)[0]
    assert ids_before(symbol, hour + 1)[0] == before + count_in(symbol, hour)
    assert hour_of_id(symbol, before + data.draw(st.integers(1, count_in(symbol, hour)))) == hour


@pytest.mark.parametrize("symbol", [spec.symbol for spec in SPECS])
def test_every_number_is_possible(tape, symbol):
    trades = tape.trades(symbol, HOUR)
    instrument = BY_SYMBOL[symbol].instrument
    assert (np.diff(trades.time_ms) >= 0).all()
    assert trades.time_ms[0] >= HOUR * HOUR_MS
    assert trades.time_ms[-1] < (HOUR + 1) * HOUR_MS
    assert (np.diff(trades.event_ms) >= 0).all()
    assert (trades.event_ms > trades.time_ms).all()
    assert (trades.event_ms - trades.time_ms).max() < 100
    assert (trades.price % instrument.tick_units == 0).all()
    assert trades.price.min() > 0
    assert (trades.qty >= trades.last - trades.first + 1).all()
    assert 0.3 < trades.maker.mean() < 0.7
    assert np.std(np.log(trades.qty)) > 0.5


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_arrivals_cluster(tape, symbol):
    seconds = (tape.trades(symbol, HOUR).time_ms - HOUR * HOUR_MS) // 1_000
    counts = np.bincount(seconds, minlength=3_600)
    assert counts.var() / counts.mean() > 2  # a Poisson process has 1
    minutes = counts.reshape(60, 60).sum(axis=1)
    assert minutes.min() > 0


def test_any_hour_is_the_same_in_whatever_order_and_process_it_is_made():
    forward, backward, alone = Tape(7), Tape(7), Tape(7)
    hours = [HOUR - 1, HOUR, HOUR + 1]
    ahead = {(s, h): forward.trades(s, h) for s in SYMBOLS for h in hours}
    back = {(s, h): backward.trades(s, h) for h in reversed(hours) for s in reversed(SYMBOLS)}
    assert all(same(ahead[key], back[key]) for key in ahead)
    assert same(alone.trades("ETHUSDT", HOUR), ahead["ETHUSDT", HOUR])
    assert not same(Tape(8).trades("ETHUSDT", HOUR), ahead["ETHUSDT", HOUR])


@pytest.mark.parametrize("symbol", [spec.symbol for spec in SPECS])
def test_quotes_and_trades_agree(tape, symbol):
    trades, book = tape.trades(symbol, HOUR), quotes(tape, symbol, HOUR)
    assert (book.ask > book.bid).all()
    assert (np.diff(book.ids) > 0).all()
    assert (np.diff(book.time_ms) > 0).all()
    assert (book.event_ms >= book.time_ms).all()
    assert min(book.bid_qty.min(), book.ask_qty.min()) > 0
    at = book.time_ms.searchsorted(trades.time_ms)
    assert (book.time_ms[at] == trades.time_ms).all()
    touched = np.where(trades.maker, book.bid[at], book.ask[at])
    worse = np.where(trades.maker, touched - trades.price, trades.price - touched)
    assert worse.min() == 0
    assert worse.max() <= 5 * BY_SYMBOL[symbol].instrument.tick_units
    assert (worse == 0).mean() > 0.6
    assert 1.5 < len(book) / len(np.unique(trades.time_ms)) <= 2
    following = quotes(tape, symbol, HOUR + 1)
    assert following.ids[0] > book.ids[-1]
    assert following.time_ms[0] > book.time_ms[-1]

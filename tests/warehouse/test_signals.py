"""Signals of complete bars under frozen models."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analytics import align, signal_series
from pipeline.model.pair import Pair
from pipeline.model.universe import Method, PairSpec

T0 = 1_723_161_300_000
SIGNALS = """SELECT (epoch_ms(ts) - 1723161300000) // 1000 AS second, model_id, spread, zscore, correlation, y_filled, x_filled
             FROM signals WHERE timeframe = '{}' ORDER BY ts"""
PAIR = Pair("ETHUSDT", "BTCUSDT")


def prices(second):
    return 2_680 + np.sin(second * 1.3) * 4 + second / 7, 61_700 + np.cos(second * 0.7) * 60 + second


def second_of(trade, second, *, y=(), x=()):
    """The trades of one second; ``y`` and ``x`` are the seconds in which a leg is silent, ids have no holes for it."""
    eth, btc = prices(second)
    eth_id, btc_id = 1_000 + second - sum(silent < second for silent in y), 5_000 + second - sum(silent < second for silent in x)
    lines = [] if second in y else [trade("ETHUSDT", eth_id, T0 + 1_000 * second, f"{eth:.2f}")]
    return lines if second in x else [*lines, trade("BTCUSDT", btc_id, T0 + 1_000 * second + 1, f"{btc:.1f}")]


def market(trade, seconds, **silent):
    return [line for second in seconds for line in second_of(trade, second, **silent)]


def signals(lab, timeframe="1s"):
    return lab.rows(SIGNALS.format(timeframe))


def recomputed(lab, beta, timeframe="1s", seconds=1):
    """Every row of a pair under one beta, from the bars and the analytics alone."""
    legs = []
    for symbol in (PAIR.y, PAIR.x):
        rows = lab.rows(
            f"""SELECT epoch_us(ts), CAST(close AS DOUBLE) FROM bars
                WHERE symbol = '{symbol}' AND timeframe = '{timeframe}' AND complete ORDER BY ts"""
        )
        legs += [np.array([ts for ts, _ in rows], np.int64), np.array([close for _, close in rows])]
    aligned = align(*legs, seconds * 1_000_000, lab.settings.max_fill)
    windows = {"zscore_window": lab.settings.zscore_window, "correlation_window": lab.settings.correlation_window}
    found = signal_series(aligned.y, aligned.x, beta, **windows)
    columns = zip(found.spread, found.zscore, found.correlation, aligned.y_filled, aligned.x_filled, strict=True)
    return {int(ts // 1_000 - T0) // 1_000: tuple(row) for ts, row in zip(aligned.ts, columns, strict=True)}


def assert_equal(rows, expected):
    assert rows
    for second, _model, *values in rows:
        wanted = [None if isinstance(value, float) and np.isnan(value) else value for value in expected[second]]
        assert values == wanted, second


def test_a_model_is_live_from_the_first_bar_that_opens_after_its_activation(lab, trade):
    lab.fit("m1", 0.05)
    lab.fit("m5", 0.06, timeframe="5s")
    lab.land(market(trade, range(12)))  # journal time 11.001
    lab.activate("m1")
    lab.activate("m5", "5s")
    for second in range(12, 40):
        lab.land(second_of(trade, second))
    rows = signals(lab)
    assert [row[0] for row in rows] == list(range(12, 38))  # journal time 39.001: the bar of 38 s still waits for late trades
    assert {row[1] for row in rows} == {"m1"}
    assert_equal(rows, recomputed(lab, 0.05))
    assert rows[0][3] is not None  # the window looks back on bars from before the activation, under the new beta
    larger = signals(lab, "5s")
    assert [row[0] for row in larger] == [15, 20, 25, 30]
    assert_equal(larger, recomputed(lab, 0.06, "5s", 5))


def test_no_window_mixes_two_betas_and_a_refit_changes_no_signal_of_the_past(lab, trade):
    lab.fit("m1", 0.05, at=1)
    lab.land(market(trade, range(5)))
    lab.activate("m1")
    lab.land(market(trade, range(5, 20)))
    before = signals(lab)
    lab.fit("m2", 0.02, at=2)
    lab.activate("m2")
    assert signals(lab) == before
    lab.land(market(trade, range(20, 40)))
    rows = signals(lab)
    assert rows[: len(before)] == before
    first, second = [row for row in rows if row[1] == "m1"], [row for row in rows if row[1] == "m2"]
    assert [row[0] for row in first + second] == list(range(5, 38))
    assert first[-1][0] == 19
    assert_equal(first, recomputed(lab, 0.05))
    assert_equal(second, recomputed(lab, 0.02))


def test_a_restated_bar_restates_its_signals_under_the_same_model(lab, trade):
    lab.fit("m1", 0.05, at=1)
    lab.activate("m1")
    lab.land(market(trade, range(20)))
    lab.fit("m2", 0.02, at=2)
    lab.activate("m2")
    lab.land(market(trade, range(20, 30)))
    before = signals(lab)
    lab.land([trade("ETHUSDT", 9_000, T0 + 12_900, "2777.0")])
    after = signals(lab)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    changed = [row[0] for row, old in zip(after, before, strict=True) if row != old]
    assert changed == [*range(12, 12 + lab.settings.correlation_window + 1)]
    assert_equal([row for row in after if row[1] == "m1"], recomputed(lab, 0.05))
    assert_equal([row for row in after if row[1] == "m2"], recomputed(lab, 0.02))


def test_silent_legs_are_filled_and_then_left_out(lab, trade):
    lab.fit("m1", 0.05)
    lab.activate("m1")
    y_silent, x_silent, both = range(10, 12), range(14, 20), range(23, 25)
    for second in range(40):
        lab.land(market(trade, [second], y=[*y_silent, *both], x=[*x_silent, *both]))
    rows = {row[0]: row for row in signals(lab)}
    assert {second for second, row in rows.items() if row[5]} == {10, 11, 23, 24}
    assert {second for second, row in rows.items() if row[6]} == {14, 15, 23, 24}  # two bars at most, by the setting
    assert set(range(38)) - set(rows) == set(range(16, 20))
    assert_equal(list(rows.values()), recomputed(lab, 0.05))
    assert rows[20][3] is not None  # its window begins before the silence


def test_a_gap_takes_its_bars_out_until_it_is_filled(lab, trade):
    lab.fit("m1", 0.05)
    lab.activate("m1")
    lines = market(trade, range(30))
    lost = [line for line in lines if any(f'"t":{5_000 + second},'.encode() in line for second in (12, 13, 14))]
    lab.land([line for line in lines if line not in lost])
    spoilt = {row[0]: row for row in signals(lab)}
    assert spoilt[12][6]  # BTC's bar from 11 to 15 s is not complete: the close of 10 s stands for it, and says so
    assert_equal(list(spoilt.values()), recomputed(lab, 0.05))
    lab.restart()
    lab.land(lost)
    mended = signals(lab)
    assert [row[0] for row in mended] == list(range(28))
    assert not any(row[5] or row[6] for row in mended)
    assert_equal(mended, recomputed(lab, 0.05))


def test_a_verdict_on_a_gap_restates_too(lab, trade):
    lab.fit("m1", 0.05)
    lab.activate("m1")
    lines = market(trade, range(30))
    lab.land([line for line in lines if b'"t":5013,' not in line])
    assert {row[0] for row in signals(lab) if row[6]} == {12, 13}
    assert 14 not in {row[0] for row in signals(lab)}
    lab.own("gap", gap_id="BTCUSDT-5013-5013", state="unrecoverable")
    assert {row[0] for row in signals(lab) if row[6]} == {13}
    assert_equal(signals(lab), recomputed(lab, 0.05))


def test_an_end_line_that_was_not_the_end(lab, trade):
    end = b'1723161303000000000 {"e":"sw.end"}'
    lab.fit("m5", 0.05, timeframe="5s")
    lab.activate("m5", "5s")
    lab.land([*market(trade, range(38)), end])
    assert [row[0] for row in signals(lab, "5s")][-1] == 35
    lab.land(second_of(trade, 38))
    assert [row[0] for row in signals(lab, "5s")][-1] == 30
    lab.restart()
    lab.land([*market(trade, range(39, 43)), end])
    rows = signals(lab, "5s")
    assert [row[0] for row in rows] == list(range(0, 45, 5))
    assert_equal(rows, recomputed(lab, 0.05, "5s", 5))


def test_nothing_is_lost_when_the_process_dies_before_the_first_signal(lab, trade):
    lab.fit("m1", 0.05)
    lab.land(market(trade, range(10)))
    lab.activate("m1")
    lab.restart()
    lab.land(market(trade, range(10, 20)))
    assert [row[0] for row in signals(lab)] == list(range(10, 18))


@pytest.mark.parametrize("scale", ["log"])
def test_a_scale_of_logarithms_is_kept(lab, trade, scale):
    lab.fit("m1", 0.9)
    lab.warehouse.connection.execute("UPDATE fits SET scale = ?", [scale])
    lab.activate("m1")
    lab.land(market(trade, range(12)))
    eth, btc = (round(price, digits) for price, digits in zip(prices(4), (2, 1), strict=True))
    assert signals(lab)[4][2] == pytest.approx(np.log(eth) - 0.9 * np.log(btc), abs=1e-12)


def test_the_newest_fit_of_the_primary_model_is_put_forward(lab):
    candidates = lab.engine._live.candidates
    spec = PairSpec(PAIR, Method.OLS, 500)
    lab.fit("old", 0.05, at=1)
    lab.fit("new", 0.05, at=2)
    lab.fit("other", 0.05, method="huber", at=3)
    lab.fit("undefined", float("nan"), at=4)
    assert [found.model_id for found in candidates([spec])] == ["new"]
    lab.activate("new")
    assert candidates([spec]) == []
    huber = PairSpec(PAIR, Method.HUBER, 500)
    assert [found.model_id for found in candidates([huber])] == ["other"]
    lab.activate("other")
    # Back to the first method: its newest fit is live again, though it has been before.
    assert [found.model_id for found in candidates([spec])] == ["new"]
    assert candidates([huber]) == []

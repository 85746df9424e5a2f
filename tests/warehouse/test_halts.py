"""A halt is a long silence between neighbouring ids: told apart from gaps, and the same however its trades land."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.model.coverage import Coverage
from pipeline.warehouse import halts as module
from pipeline.warehouse.halts import HaltWatch

T0 = 1_723_161_300_000
HALTS = """SELECT symbol, first_missing, last_missing, epoch_ms(from_time) - 1723161300000, epoch_ms(to_time) - 1723161300000
           FROM gaps WHERE state = 'halt' ORDER BY ALL"""


def halts(lab):
    return lab.rows(HALTS)


@pytest.fixture
def quiet(make_lab):
    return make_lab(halt_after_s=60.0)


def test_a_silence_with_contiguous_ids_is_a_halt_and_one_with_missing_ids_is_a_gap(quiet, trade):
    lab = quiet
    lab.land([trade("BTCUSDT", 1, T0), trade("BTCUSDT", 2, T0 + 59_999), trade("BTCUSDT", 3, T0 + 119_999)])
    lab.land([trade("BTCUSDT", 6, T0 + 400_000), trade("ETHUSDT", 9, T0), trade("ETHUSDT", 8, T0 - 60_000)])
    found = lab.rows("SELECT gap_id, symbol, state, last_missing - first_missing + 1, detail FROM gaps ORDER BY state, symbol")
    detail = "no trade for 60.0 s, and no id is missing"
    assert found == [
        ("BTCUSDT-3-2", "BTCUSDT", "halt", 0, detail),
        ("ETHUSDT-9-8", "ETHUSDT", "halt", 0, detail),
        ("BTCUSDT-4-5", "BTCUSDT", "open", 2, None),
    ]
    assert lab.rows("SELECT resolved_at = detected_at FROM gaps WHERE state = 'halt'") == [(True,), (True,)]


def test_what_refills_a_gap_decides_which_halts_are_in_it(quiet, trade):
    lab = quiet
    lab.land([trade("BTCUSDT", 1, T0), trade("BTCUSDT", 4, T0 + 300_000)])
    assert halts(lab) == []
    lab.restart()
    lab.land([trade("BTCUSDT", 3, T0 + 290_000)], "repair")  # beside 4, so no halt, and nothing is known of 2 yet
    assert halts(lab) == []
    lab.restart()
    lab.land([trade("BTCUSDT", 2, T0 + 50_000)], "repair")
    assert halts(lab) == [("BTCUSDT", 3, 2, 50_000, 290_000)]
    assert lab.rows("SELECT state, count(*) FROM gaps GROUP BY ALL ORDER BY ALL") == [("halt", 1), ("refilled", 1)]


def test_a_halt_holds_no_bar_open_and_is_nothing_to_repair(quiet, trade):
    from pipeline.store.gaps import load_holes

    lab = quiet
    lab.land([trade("BTCUSDT", number, T0 + at) for number, at in ((1, 0), (2, 70_000), (3, 80_000))])
    assert len(halts(lab)) == 1
    assert lab.rows("SELECT count(*) FROM bars WHERE NOT complete AND timeframe = '1s'") == [(1,)]  # the newest alone
    assert load_holes(lab.warehouse) == []
    lab.restart()
    lab.land([trade("BTCUSDT", number, T0 + at) for number, at in ((1, 0), (2, 70_000), (4, 81_000))])
    assert lab.rows("SELECT state FROM gaps") == [("halt",)]
    lab.own("gap", gap_id="BTCUSDT-2-1", state="unrecoverable", detail="no verdict on a halt")
    assert lab.rows("SELECT state FROM gaps") == [("halt",)]


def test_a_halt_that_ends_long_after_a_restart_and_far_from_what_is_remembered(quiet, trade):
    lab = quiet
    lab.land([trade("BTCUSDT", 1, T0)])
    lab.restart()
    lab.land([trade("BTCUSDT", 2, T0 + 7 * 3_600_000)])
    lab.crash([trade("BTCUSDT", 3, T0 + 8 * 3_600_000)])
    assert halts(lab) == [("BTCUSDT", 2, 1, 0, 25_200_000)]
    lab.land([trade("BTCUSDT", 3, T0 + 8 * 3_600_000)])
    assert len(halts(lab)) == 2


def test_uploaded_files_have_no_halts(quiet, trade):
    quiet.land([trade("BTCUSDT", 1, T0), trade("BTCUSDT", 2, T0 + 86_400_000)], "upload")
    assert halts(quiet) == []


@st.composite
def landings(draw):
    """Trades of two symbols, some of them missing for ever; an order, repetitions, cuts, restarts and crashes."""
    trades = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        at = 0
        for number in range(1, draw(st.integers(1, 14))):
            at += draw(st.sampled_from([-5, 0, 10, 59_999, 60_000, 200_000]))
            trades.append((symbol, number, at))
    kept = [one for one in trades if draw(st.integers(0, 5))]
    order = draw(st.permutations(kept))
    order += draw(st.lists(st.sampled_from(kept), max_size=4)) if kept else []
    cuts = draw(st.lists(st.tuples(st.integers(0, len(order)), st.sampled_from(["", "restart", "crash", "repair"])), max_size=8))
    return order, sorted(cuts)


def expected_halts(order):
    landed = {(symbol, number): at for symbol, number, at in order}
    return sorted(
        (symbol, number + 1, number, at, landed[symbol, number + 1])
        for (symbol, number), at in landed.items()
        if landed.get((symbol, number + 1), at) - at >= 60_000
    )


@pytest.mark.parametrize("kept", [4_096, 4, 0])
def test_the_verdicts_alone_whatever_is_remembered(monkeypatch, kept):
    monkeypatch.setattr(module, "_KEPT", kept)

    @given(story=landings())
    @settings(max_examples=60, deadline=None)
    def hold(story):
        order, cuts = story
        times, landed, found = {}, {}, []

        def trade_times(keys, low, high):
            assert low <= high
            return {key: times[key] for key in keys}

        watch = HaltWatch(60_000, trade_times)
        for start, end in pairwise([0, *(cut for cut, _ in cuts), len(order)]):
            block = [one for one in dict.fromkeys(order[start:end]) if one[:2] not in times]
            for symbol, number, at in block:
                landed.setdefault(symbol, Coverage()).add(number, number)
                times[symbol, number] = at
            names = sorted({symbol for symbol, *_ in block})
            columns = [np.array([one[at] for one in block], np.int64) for at in (1, 2)]
            codes = np.array([names.index(symbol) for symbol, *_ in block], np.int32)
            found += watch.land(names, codes, *columns, landed)
        assert sorted((symbol, before + 1, before, since, until) for symbol, before, since, until in found) == expected_halts(order)

    hold()


def test_any_order_and_split_of_landing_gives_the_same_halts(make_lab, trade):
    seen = set()
    lab = make_lab(halt_after_s=60.0)

    def empty():
        for table in ("ticks_recent", "coverage", "gaps", "bars_1s_recent", "ingest_offsets", "dirty_marks"):
            lab.warehouse.connection.execute(f"DELETE FROM {table}")
        lab._landed.clear()
        lab.restart()

    @given(story=landings())
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.reuse, Phase.generate))
    def hold(story):
        order, cuts = story
        empty()
        starts = [(0, ""), *cuts]
        for (start, what), (end, _) in pairwise([*starts, (len(order), "")]):
            lines = [trade(symbol, number, T0 + at, recv_ns=T0 * 1_000_000 + number) for symbol, number, at in order[start:end]]
            if not lines:
                continue
            if what == "crash":
                lab.crash(lines)
            if what == "restart":
                lab.restart()
            lab.land(lines, "repair" if what == "repair" else None)
        expected = expected_halts(order)
        assert halts(lab) == expected
        seen.update(range(len(expected) + 1))

    hold()
    assert len(seen) > 3

"""Gaps out of ids, against a set of ids and of what is missing between them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.coverage import Coverage
from pipeline.model.event import Gap
from pipeline.venues.gaps import OPEN, REFILLED, GapChange, GapLedger

BTC = "BTCUSDT"


def ledger(*known):
    return GapLedger({BTC: Coverage()}, known)


def land(gaps, *ids):
    return gaps.land(BTC, np.array(ids, dtype=np.int64))


def gap(first, last):
    return Gap(f"{BTC}-{first}-{last}", BTC, first, last)


def test_a_jump_of_the_ids_is_a_gap_and_its_ids_fill_it():
    gaps = ledger()
    assert land(gaps, 10, 11, 12) == []
    assert land(gaps, 13, 17) == [GapChange(gap(14, 16), OPEN, 1)]
    assert land(gaps, 15) == []
    assert land(gaps, 14, 16, 18) == [GapChange(gap(14, 16), REFILLED, 1)]


def test_what_was_given_up_may_still_be_filled_and_a_halt_has_nothing_to_fill():
    halt = Gap("halt", BTC, 5, 4)
    gaps = ledger((halt, "halt"))
    land(gaps, 1, 4)
    assert gaps.settle(gap(2, 3).gap_id, "unrecoverable") == BTC
    assert gaps.settle(gap(2, 3).gap_id, "unrecoverable") is None
    assert gaps.settle("halt", "unrecoverable") is None
    assert land(gaps, 3, 2) == [GapChange(gap(2, 3), REFILLED, 1, was_open=False)]


def test_a_hole_within_a_known_gap_is_no_gap_of_its_own():
    gaps = ledger()
    land(gaps, 1, 10)
    assert land(gaps, 5) == []


@settings(max_examples=300, deadline=None)
@given(ids=st.lists(st.integers(1, 40), unique=True, min_size=1, max_size=40), cuts=st.sets(st.integers(1, 39)))
def test_any_split_tells_the_same_and_that_is_what_is_missing(ids, cuts):
    whole = land(ledger(), *ids)
    gaps, parts, begin = ledger(), [], 0
    for end in [*sorted(cut for cut in cuts if cut < len(ids)), len(ids)]:
        parts += [(each.gap, each.state, begin + each.at) for each in land(gaps, *ids[begin:end])]
        begin = end
    assert parts == [(each.gap, each.state, each.at) for each in whole]
    seen, open_now = set(), {}
    for at, trade_id in enumerate(ids):
        seen.add(trade_id)
        for each in (each for each in whole if each.at == at):
            missing = range(each.gap.first_missing, each.gap.last_missing + 1)
            if each.state == OPEN:
                assert not seen & set(missing)
                assert {missing[0] - 1, missing[-1] + 1} <= seen
                open_now[each.gap.gap_id] = missing
            else:
                assert seen >= set(open_now.pop(each.gap.gap_id))
        unseen = set(range(min(seen), max(seen) + 1)) - seen
        assert unseen == {trade_id for missing in open_now.values() for trade_id in missing} - seen

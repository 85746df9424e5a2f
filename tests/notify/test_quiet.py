from __future__ import annotations

from pipeline.notify import OutboxRow, Standing, sift

FIRED = 100


def row(kind, *, firing_us=FIRED, attempts=0, repeat_of=None, series="S", message_id=None):
    return OutboxRow(
        event_id=f"{kind}-{series}-{firing_us}-{repeat_of}",
        channel="c",
        rule_id="r",
        series=series,
        payload="{}",
        due_us=0,
        attempts=attempts,
        kind=kind,
        severity="warning",
        firing_us=firing_us,
        message_id=message_id,
        repeat_of=repeat_of,
    )


def standing(firing_us=FIRED, *, missing=False, acknowledged=False, silenced=False):
    return {("r", "S"): Standing(firing_us, missing, acknowledged, silenced)}


def kinds(rows, standings, unheard=frozenset()):
    found = sift(rows, standings, unheard)
    return [one.kind for one in found.rows], [(one.kind, reason) for one, reason in found.dropped]


def test_nothing_is_held_back_without_a_reason():
    rows = [row("firing"), row("nodata"), row("restored"), row("resolved")]
    everything = [one.kind for one in rows]
    assert kinds(rows, {}) == (everything, [])
    assert kinds(rows, standing()) == (everything, [])


def test_an_acknowledged_firing_is_not_sent_nor_its_end_to_whom_it_was_not_told():
    rows = [row("firing"), row("reminded", repeat_of="x")]
    sent, dropped = kinds(rows, standing(acknowledged=True))
    assert sent == []
    assert dropped == [("firing", "it is acknowledged"), ("reminded", "it is acknowledged")]
    assert kinds([row("resolved")], standing(None), frozenset({("r", "S", FIRED)})) == ([], [("resolved", "its beginning was not told")])
    # it was tried, so that the channel may know of it: then it is told of the end
    sent, dropped = kinds([row("firing", attempts=1), row("resolved")], standing(None))
    assert sent == ["firing", "resolved"]


def test_an_acknowledgement_is_of_one_firing_only():
    assert kinds([row("firing"), row("resolved"), row("firing", firing_us=200)], standing(200, acknowledged=True)) == (
        ["firing", "resolved"],
        [("firing", "it is acknowledged")],
    )


def test_a_muted_alert_waits_and_when_it_is_over_nothing_is_said():
    assert kinds([row("firing"), row("nodata", series="T")], standing(silenced=True)) == (["nodata"], [])
    sent, dropped = kinds([row("firing"), row("resolved")], standing(None, silenced=True))
    assert sent == []
    assert [kind for kind, _ in dropped] == ["firing", "resolved"]
    # the end of what was told before it was muted
    assert kinds([row("resolved")], standing(None, silenced=True)) == (["resolved"], [])


def test_missing_data_of_a_muted_alert():
    assert kinds([row("nodata", firing_us=None)], standing(None, missing=True, silenced=True)) == ([], [])
    assert kinds([row("nodata", firing_us=None)], standing(None, silenced=True))[1] == [
        ("nodata", "it was muted or snoozed until it was over")
    ]


def test_a_repeat_of_what_is_over_is_not_sent():
    assert kinds([row("reminded", repeat_of="x"), row("resolved")], standing(None)) == (["resolved"], [("reminded", "it is over")])
    assert kinds([row("reminded", repeat_of="x")], {}) == ([], [("reminded", "it is over")])


def test_a_message_that_was_tried_is_sent_whole_or_not_at_all():
    rows = [row("firing", message_id="m", attempts=1), row("firing", series="T", message_id="m", attempts=1)]
    assert kinds(rows, standing(acknowledged=True)) == (["firing", "firing"], [])
    both = {**standing(acknowledged=True), ("r", "T"): Standing(FIRED, missing=False, acknowledged=True, silenced=False)}
    assert kinds(rows, both)[0] == []

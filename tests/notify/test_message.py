from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.notify import GroupBy, OutboxRow, Policy, lanes
from pipeline.notify.message import MOST_EVENTS

NOW = 1_723_161_255_000_000
BY_RULE = Policy(group_by=GroupBy.RULE, group_s=5.0)


def row(number, *, rule="r", series="S", severity="warning", due=NOW, message_id=None):
    payload = json.dumps({"event_id": f"e{number}", "text": f"t{number}", "kind": "firing", "severity": severity})
    return OutboxRow(
        event_id=f"e{number}",
        channel="c",
        rule_id=rule,
        series=series,
        payload=payload,
        due_us=due,
        kind="firing",
        severity=severity,
        message_id=message_id,
    )


def shown(found):
    return [[[one.event_id for one in message.rows] for message in lane] for lane in found]


def plan(rows, policy, waited_s=10.0):
    return shown(lanes(rows, policy, NOW, lambda _: waited_s))


def test_ungrouped_each_event_is_a_message_and_an_instance_a_lane():
    rows = [row(1), row(2, series="T"), row(3)]
    assert plan(rows, Policy()) == [[["e1"], ["e3"]], [["e2"]]]


def test_events_of_one_rule_and_severity_go_into_one_message_after_the_window():
    rows = [row(1), row(2, series="T"), row(3, rule="q"), row(4, series="U", severity="critical"), row(5)]
    assert plan(rows, BY_RULE, waited_s=4.9) == []
    assert plan(rows, BY_RULE) == [[["e4"]], [["e1", "e2", "e5"]], [["e3"]]]
    assert plan(rows, Policy(group_by=GroupBy.SEVERITY)) == [[["e4"]], [["e1", "e2", "e3", "e5"]]]


def test_a_full_message_does_not_wait_and_what_is_left_goes_into_the_next():
    rows = [row(number, series=f"S{number}") for number in range(MOST_EVENTS + 3)]
    ((message,),) = plan(rows, BY_RULE, waited_s=0.0)
    assert len(message) == MOST_EVENTS


def test_what_was_tried_together_stays_together_and_nothing_joins_it():
    rows = [row(1, message_id="m"), row(2, series="T", message_id="m"), row(3, series="U")]
    assert plan(rows, BY_RULE, waited_s=0.0) == [[["e1", "e2"]]]
    assert plan(rows, BY_RULE) == [[["e1", "e2"]], [["e3"]]]
    later = [row(1, message_id="m", due=NOW + 1), row(2, series="T", message_id="m", due=NOW + 1), row(4)]
    assert plan(later, BY_RULE) == []
    # an earlier event of one of its instances came back: it goes first, and the message stays whole
    assert plan([row(0, series="T"), *rows], BY_RULE) == [[["e0", "e3"]]]


def test_a_notice_is_never_grouped():
    rows = [row(1, rule="report", series="a", severity=""), row(2, rule="report", series="b", severity="")]
    assert plan(rows, BY_RULE) == [[["e1"]], [["e2"]]]


def test_keys_depend_on_the_events_alone_and_one_event_is_sent_as_it_is():
    ((one,),) = lanes([row(1)], BY_RULE, NOW, lambda _: 9.0)
    assert (one.message_id, one.payload) == ("e1", row(1).payload)
    ((two,),) = lanes([row(1), row(2)], BY_RULE, NOW, lambda _: 9.0)
    ((again,),) = lanes([row(1), row(2)], BY_RULE, NOW, lambda _: 9.0)
    assert two.message_id == again.message_id
    assert len(two.message_id) == 32
    content = json.loads(two.payload)
    assert [event["event_id"] for event in content.pop("events")] == ["e1", "e2"]
    assert content == {"event_id": two.message_id, "kind": "group", "severity": "warning", "count": 2, "text": "t1\nt2"}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("pqr"), st.sampled_from("ST"), st.sampled_from(["info", "critical"]), st.booleans()),
        max_size=20,
    ),
    st.sampled_from(list(GroupBy)),
)
def test_no_instance_is_overtaken_and_none_is_in_two_lanes(drawn, group_by):
    rows = [
        row(number, rule=rule, series=series, severity=severity, due=NOW + late)
        for number, (rule, series, severity, late) in enumerate(drawn)
    ]
    found = lanes(rows, Policy(group_by=group_by), NOW, lambda _: 0.0)
    owners = {}
    for number, lane in enumerate(found):
        for message in lane:
            for one in message.rows:
                assert one.due_us <= NOW
                assert owners.setdefault(one.instance, number) == number
    sent = [one.event_id for lane in found for message in lane for one in message.rows]
    assert len(sent) == len(set(sent))
    for instance in {one.instance for one in rows}:
        mine = [one.event_id for one in rows if one.instance == instance]
        gone = [event for event in sent if event in mine]
        assert gone == mine[: len(gone)]
    if rows and not rows[0].due_us > NOW:
        assert sent

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import replace

import pytest

from pipeline.errors import NotifyError
from pipeline.notify import GroupBy, OutboxRow, PeopleChannel, Policy, Template, lanes


def people(receiver, **options):
    return PeopleChannel(f"json://user:s3cret@127.0.0.1:{receiver.port}/s3cret-path", name="ops", **options)


def send(channel, event):
    asyncio.run(channel.send(event.event_id, event.to_json()))


def test_a_message_goes_out_through_apprise(receiver, make_event):
    channel = people(
        receiver, title=Template("[$severity] $series", "title"), body=Template("$rule is $value > $threshold, $$5 $note", "body")
    )
    send(channel, replace(make_event(), note="now"))
    (request,) = receiver.requests
    content = json.loads(request.body)
    assert (content["title"], content["message"], content["type"]) == ("[warning] BTCUSDT", "dear € is 60123.4 > 60000, $5 now", "warning")


def test_a_group_has_a_title_and_a_line_for_each_event(receiver, make_event):
    rows = [
        OutboxRow(
            event_id=event.event_id,
            channel="ops",
            rule_id="r1",
            series=event.series,
            payload=event.to_json(),
            due_us=0,
            severity="warning",
        )
        for event in (make_event(series=f"S{number}") for number in range(3))
    ]
    ((message,),) = lanes(rows, Policy(group_by=GroupBy.RULE), 0, lambda _: 0.0)
    asyncio.run(people(receiver).send(message.message_id, message.payload))
    content = json.loads(receiver.requests[0].body)
    assert content["title"] == "warning firing: S0 dear € (+ 2 more)"
    assert [line.split()[2] for line in content["message"].splitlines()] == ["S0", "S1", "S2"]


@pytest.mark.parametrize(("status", "retryable"), [(500, True), (404, False), (429, True)])
def test_failures_name_the_status_and_no_secret(receiver, make_event, caplog, status, retryable):
    caplog.set_level(logging.DEBUG)
    receiver.plan = [status]
    channel = people(receiver)
    with pytest.raises(NotifyError) as caught:
        send(channel, make_event())
    assert caught.value.retryable is retryable
    assert str(status) in str(caught.value)
    assert "s3cret" not in str(caught.value) + repr(channel) + caplog.text + "".join(str(vars(record)) for record in caplog.records)


def test_redirects_are_not_followed(receiver, make_event):
    receiver.plan, receiver.headers = [302], {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    with pytest.raises(NotifyError):
        send(people(receiver), make_event())
    assert len(receiver.requests) == 1


def test_a_slow_service_is_given_up_in_time(receiver, make_event):
    receiver.delay_s = 30.0
    begin = time.monotonic()
    with pytest.raises(NotifyError, match="took longer than"):
        send(people(receiver, timeout_s=0.3), make_event())
    assert time.monotonic() - begin < 15

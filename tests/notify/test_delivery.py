from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import AlertEvent, EventKind
from pipeline.errors import NotifyError, SettingsError
from pipeline.notify import (
    MAX_ATTEMPTS,
    CallbackChannel,
    OutboxRow,
    Outcome,
    Policy,
    WebhookChannel,
    configured_channels,
    deliver,
    deliver_due,
    delivery_plan,
    outbox_rows,
)

NOW = 1_723_161_255_000_000


def run(rows, channels, now_us=NOW):
    return asyncio.run(deliver_due(rows, channels, now_us))


def written_back(rows, results):
    """What the outbox holds afterwards: the rows that still wait."""
    found = {(result.event_id, result.channel): result for result in results}
    after = []
    for row in rows:
        result = found.get((row.event_id, row.channel))
        if result is None:
            after.append(row)
        elif result.outcome is Outcome.RETRY:
            after.append(replace(row, attempts=result.attempts, due_us=result.due_us))
    return after


def test_backoff_doubles_to_a_limit_and_ends():
    delays = [delivery_plan(attempts) for attempts in range(1, MAX_ATTEMPTS + 2)]
    assert delays[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert delays[-3:] == [300, None, None]
    assert 3_000 < sum(delay for delay in delays if delay) < 4_500
    assert delivery_plan(1, retry_after_s=20) == 20
    assert delivery_plan(6, retry_after_s=20) == 32
    assert delivery_plan(MAX_ATTEMPTS, retry_after_s=20) is None


def test_an_event_becomes_a_row_a_channel_and_only_when_it_is_to_be_told(make_event):
    event = make_event()
    rows = outbox_rows(event, ["webhook", "callback"], NOW)
    assert [(row.channel, row.event_id, row.due_us, row.attempts) for row in rows] == [
        ("webhook", event.event_id, NOW, 0),
        ("callback", event.event_id, NOW, 0),
    ]
    assert AlertEvent.from_json(rows[0].payload) == event
    assert (rows[0].rule_id, rows[0].series) == (event.rule_id, event.series)
    assert outbox_rows(replace(event, kind=EventKind.PENDING, notifies=False), ["webhook"], NOW) == ()


def test_500_then_delivered_once_with_the_same_key_and_body(receiver, make_event):
    receiver.plan = [500, 502]
    channels = {"webhook": WebhookChannel(receiver.url)}
    rows = list(outbox_rows(make_event(), channels, NOW))
    now = NOW
    for expected_attempts, delay_us in ((1, 1_000_000), (2, 2_000_000)):
        (result,) = run(rows, channels, now)
        assert (result.outcome, result.attempts, result.due_us) == (Outcome.RETRY, expected_attempts, now + delay_us)
        assert "answered 50" in result.error
        rows = written_back(rows, [result])
        assert run(rows, channels, result.due_us - 1) == []
        now = result.due_us
    (result,) = run(rows, channels, now)
    assert (result.outcome, result.attempts, result.due_us, result.error) == (Outcome.DELIVERED, 3, None, None)
    assert len(set(receiver.keys)) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert len(receiver.requests) == 3


def test_a_refusal_is_a_dead_letter_and_lets_the_next_event_through(receiver, make_event):
    receiver.plan = [404]
    channels = {"webhook": WebhookChannel(receiver.url)}
    first, second = make_event(at_us=NOW), make_event(at_us=NOW + 100_000)
    rows = [row for event in (first, second) for row in outbox_rows(event, channels, NOW)]
    results = run(rows, channels)
    assert [(result.event_id, result.outcome) for result in results] == [
        (first.event_id, Outcome.DEAD),
        (second.event_id, Outcome.DELIVERED),
    ]
    assert results[0].due_us is None


def test_the_last_attempt_makes_a_dead_letter(receiver, make_event):
    receiver.plan = [500]
    channels = {"webhook": WebhookChannel(receiver.url)}
    (row,) = outbox_rows(make_event(), channels, NOW)
    (result,) = run([replace(row, attempts=MAX_ATTEMPTS - 1)], channels)
    assert (result.outcome, result.attempts) == (Outcome.DEAD, MAX_ATTEMPTS)


def test_a_later_event_waits_for_an_earlier_one_of_its_series_only(receiver, make_event):
    channels = {"webhook": WebhookChannel(receiver.url)}
    waiting, after, other = make_event(at_us=NOW), make_event(at_us=NOW + 100_000), make_event(series="ETHUSDT")
    (row,) = outbox_rows(waiting, channels, NOW)
    rows = [replace(row, attempts=1, due_us=NOW + 1), *outbox_rows(after, channels, NOW), *outbox_rows(other, channels, NOW)]
    assert [result.event_id for result in run(rows, channels)] == [other.event_id]
    assert [result.event_id for result in run(rows[:2], channels, NOW + 1)] == [waiting.event_id, after.event_id]


def test_a_slow_channel_delays_no_other(receiver, make_event, tmp_path, monkeypatch):
    (tmp_path / "sw_quick.py").write_text("import time\nseen = []\ndef hook(event):\n    seen.append(time.monotonic())\n")
    monkeypatch.syspath_prepend(tmp_path)
    receiver.delay_s = 30.0
    channels = {"webhook": WebhookChannel(receiver.url, timeout_s=4.0), "callback": CallbackChannel("sw_quick:hook")}
    rows = [row for k in range(9) for row in outbox_rows(make_event(series=f"S{k}"), channels, NOW)]
    begin = time.monotonic()
    results = run(rows, channels)
    took = time.monotonic() - begin
    import sw_quick

    assert [result.outcome for result in results if result.channel == "callback"] == [Outcome.DELIVERED] * 9
    # the webhook was left alone after one time-out
    assert [result.outcome for result in results if result.channel == "webhook"] == [Outcome.RETRY] * 4
    assert sw_quick.seen[-1] - begin < 3.5
    assert took < 12


def test_a_channel_that_is_not_configured_is_tried_in_vain(make_event):
    rows = [row for k in range(2) for row in outbox_rows(make_event(series=f"S{k}"), ["gone"], NOW)]
    results = run(rows, {})
    assert [(result.outcome, result.attempts) for result in results] == [(Outcome.RETRY, 1)] * 2
    assert "not configured" in results[0].error


def test_deliver_sends_at_once(receiver, make_event):
    (result,) = asyncio.run(deliver([make_event()], {"webhook": WebhookChannel(receiver.url)}))
    assert result.outcome is Outcome.DELIVERED
    assert receiver.keys == [result.event_id]


def test_channels_of_the_settings():
    assert configured_channels(webhook_url=None, webhook_secret=None, alert_callback=None) == {}
    channels = configured_channels(webhook_url="https://example.org/x", webhook_secret="k", alert_callback="json:dumps")
    assert list(channels) == ["webhook", "callback"]
    with pytest.raises(SettingsError):
        configured_channels(webhook_url=None, webhook_secret=None, alert_callback="json")


class Flaky:
    """A channel that fails as told, and remembers what got through."""

    def __init__(self, answers):
        self.answers = answers
        self.delivered = []

    name, policy, at_once = "flaky", Policy(), 1

    async def send(self, event_id, payload):
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer != "ok":
            if answer == "lost":  # it arrived, but the answer did not
                self.delivered.append(event_id)
            raise NotifyError(answer, retryable=answer != "refused")
        self.delivered.append(event_id)


@settings(max_examples=150, deadline=None)
@given(
    answers=st.lists(st.sampled_from(["ok", "down", "lost", "refused"]), max_size=25),
    instances=st.lists(st.integers(0, 2), min_size=1, max_size=10),
)
def test_whatever_fails_each_event_arrives_or_is_refused_and_in_order(answers, instances):
    channel = Flaky(list(answers))
    rows = [
        OutboxRow(event_id=f"{series}-{k}", channel="flaky", rule_id="r", series=str(series), payload="{}", due_us=NOW)
        for k, series in enumerate(instances)
    ]
    everything, now, refused = [row.event_id for row in rows], NOW, set()
    for turn in range(300):
        results = run(rows, {"flaky": channel}, now)
        refused |= {result.event_id for result in results if result.outcome is Outcome.DEAD}
        rows = written_back(rows, results)
        if not rows:
            break
        now += 1_000_000 * (1 + turn // 10)  # short steps first, so that rows are met before they are due
    else:
        pytest.fail("rows are left over")
    assert set(channel.delivered) | refused == set(everything)
    for series in set(map(str, instances)):
        first_seen = list(dict.fromkeys(event for event in channel.delivered if event.startswith(series)))
        assert first_seen == [event for event in everything if event in first_seen]


def test_what_a_channel_does_not_foresee_is_tried_again_and_told_without_its_words(make_event, caplog):
    class Broken(Flaky):
        async def send(self, event_id, payload):
            msg = "s3cret"
            raise RuntimeError(msg)

    (result,) = run(list(outbox_rows(make_event(), ["flaky"], NOW)), {"flaky": Broken([])})
    assert (result.outcome, result.attempts) == (Outcome.RETRY, 1)
    assert "failed with RuntimeError" in result.error
    assert "s3cret" not in result.error + caplog.text

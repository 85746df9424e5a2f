"""One reader for all: what is asked of the warehouse does not grow with those who look."""

from __future__ import annotations

import time

import pytest

from dashboards.hub import STATUS, Hub
from dashboards.link import Link
from dashboards.tables.bars import BarsTopic
from pipeline.model.timeframe import Timeframe
from pipeline.store import Role

TOPIC = BarsTopic("BTCUSDT", Timeframe.parse("1s"), step_s=1)


@pytest.fixture
def hub(stage):
    hub = Hub(Link(stage.profile, Role.READER))
    hub.start()
    yield hub
    hub.stop()


def until(true, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_value_reaches_everybody_and_later_comers_at_once(hub):
    seen: list[list] = [[] for _ in range(3)]
    listeners = [lambda _topic, value, mine=mine: mine.append(value) for mine in seen]
    for listener in listeners[:2]:
        hub.subscribe(TOPIC, listener)
    until(lambda: len(seen[0]) > 1)
    assert seen[0][:2] == seen[1][:2]
    hub.subscribe(TOPIC, listeners[2])
    assert seen[2]
    hub.unsubscribe(TOPIC, listeners[0])
    count = len(seen[0])
    until(lambda: len(seen[1]) > count + 1)
    assert len(seen[0]) == count


def test_queries_do_not_grow_with_viewers(hub):
    def rate() -> float:
        begun, before = time.monotonic(), hub.queries
        time.sleep(3)
        return (hub.queries - before) / (time.monotonic() - begun)

    got: list = []
    hub.subscribe(TOPIC, lambda _topic, value: got.append(value))
    until(lambda: got)
    alone = rate()
    for _ in range(30):
        hub.subscribe(TOPIC, lambda _topic, _value: None)
    assert rate() <= alone * 1.5
    assert rate() <= 9  # five looks at the clock and a topic two or three times a second


def test_the_status_says_where_landing_stands(hub):
    states: list = []
    hub.subscribe(STATUS, lambda _topic, status: states.append(status))
    until(lambda: states and states[-1].state == "ok")
    assert states[-1].clock is not None

"""The life of a connection, told second by second."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.event import Control
from pipeline.venues import binance
from pipeline.venues.session import (
    Action,
    Plan,
    Reconnect,
    Rejected,
    Resubscribe,
    Rotate,
    Session,
    Subscribe,
    Unsubscribe,
    plan_connections,
)
from pipeline.venues.watchdog import Watchdog

A, B = "a@aggTrade", "b@aggTrade"


def opened(*streams: str, stale_after_s: float = 30.0, **options: float) -> Session:
    rest = {name: int(value) for name, value in options.items() if name in {"batch", "per_second"}}
    times = {name: value for name, value in options.items() if name not in {"batch", "per_second"}}
    return Session(streams, request_ids=count(1), watchdog=Watchdog(stale_after_s), now=0.0, **times, **rest)  # type: ignore[arg-type]


def confirm(session: Session, actions: list[Action]) -> None:
    for action in actions:
        if isinstance(action, (Subscribe, Unsubscribe)):
            assert session.answered(Control(action.request_id, None))


def test_routes_are_apart_and_connections_bounded():
    symbols = [f"S{number}USDT" for number in range(250)]
    streams = [name for symbol in symbols for name in (binance.aggtrade_stream(symbol), binance.quote_stream(symbol))]
    plans = plan_connections(streams, binance.route)
    assert [(plan.route, len(plan.streams)) for plan in plans] == [("market", 200), ("public", 200), ("market", 50), ("public", 50)]
    assert sorted(name for plan in plans for name in plan.streams) == sorted(streams)


@given(st.lists(st.sets(st.integers(0, 30), max_size=31), max_size=5))
def test_a_change_moves_no_other_stream(universes: list[set[int]]):
    plans: tuple[Plan, ...] = ()
    for universe in universes:
        wanted = {f"s{number}@{'aggTrade' if number % 2 else 'bookTicker'}" for number in universe}
        before = {name: at for at, plan in enumerate(plans) for name in plan.streams}
        plans = plan_connections(wanted, binance.route, current=plans, max_streams=4)
        after = {name: at for at, plan in enumerate(plans) for name in plan.streams}
        assert set(after) == wanted
        assert all(len(plan.streams) <= 4 and all(binance.route(name) == plan.route for name in plan.streams) for plan in plans)
        assert all(after[name] == before[name] for name in wanted & set(before))


def test_requests_come_in_batches_and_not_too_fast():
    session = opened(*(f"s{number}@aggTrade" for number in range(190)), batch=50, per_second=2)
    first = session.poll(0.0)
    assert [type(action) for action in first] == [Subscribe, Subscribe]
    assert session.poll(0.9) == []
    second = session.poll(1.0)
    assert [len(action.streams) for action in (*first, *second) if isinstance(action, Subscribe)] == [50, 50, 50, 40]
    assert session.poll(2.5) == []


@given(st.lists(st.tuples(st.floats(0, 0.7), st.sets(st.integers(0, 40))), max_size=20))
def test_no_second_sees_more_requests_than_allowed(steps: list[tuple[float, set[int]]]):
    session = opened(batch=3, per_second=4, ack_timeout_s=1e9)
    now, sent = 0.0, []
    for pause, universe in steps:
        now += pause
        session.want([f"s{number}@aggTrade" for number in universe], now)
        sent += [now for action in session.poll(now) if isinstance(action, (Subscribe, Unsubscribe))]
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[4:], strict=False))


@given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=1, max_size=8), st.data())
def test_the_venue_ends_with_what_is_wanted(universes: list[set[str]], data: st.DataObject):
    session = opened(per_second=1, stale_after_s=1e9)
    at_venue: set[str] = set()
    now = 0.0
    for universe in universes:
        session.want(sorted(universe), now)
        for _ in range(data.draw(st.integers(0, 2))):
            now += 1.0
            apply(session, session.poll(now), at_venue)
    for _ in range(20):
        now += 1.0
        apply(session, session.poll(now), at_venue)
    assert at_venue == universes[-1]


def apply(session: Session, actions: list[Action], at_venue: set[str]) -> None:
    for action in actions:
        if isinstance(action, Subscribe):
            at_venue |= set(action.streams)
        elif isinstance(action, Unsubscribe):
            at_venue -= set(action.streams)
    confirm(session, actions)


def test_a_connection_is_live_when_all_is_confirmed_and_something_came():
    session = opened(A, B)
    actions = session.poll(0.0)
    assert not session.live
    session.seen(A, 0.1)
    assert not session.live
    confirm(session, actions)
    assert session.live
    assert opened().live


def test_a_late_answer_on_an_old_connection_confirms_nothing_on_the_new():
    ids = count(1)
    old = Session([A], request_ids=ids, watchdog=Watchdog(30.0), now=0.0)
    new = Session([A], request_ids=ids, watchdog=Watchdog(30.0), now=1.0)
    (late,) = old.poll(0.0)
    (asked,) = new.poll(1.0)
    assert isinstance(late, Subscribe)
    assert isinstance(asked, Subscribe)
    new.seen(A, 1.5)
    assert not new.answered(Control(late.request_id, None))
    assert not new.answered(Control(None, "odd"))
    assert not new.live
    assert new.answered(Control(asked.request_id, None))
    assert new.live


def test_a_refused_stream_is_reported_and_not_asked_for_again():
    session = opened(A, B, batch=1)
    first, second = session.poll(0.0)
    assert isinstance(first, Subscribe)
    assert isinstance(second, Subscribe)
    session.answered(Control(first.request_id, "2: Invalid request"))
    session.answered(Control(second.request_id, None))
    assert session.poll(0.5) == [Rejected((A,), "2: Invalid request")]
    assert session.wanted == (B,)
    session.seen(B, 50.0)
    assert session.poll(50.0) == []


@given(st.sets(st.integers(0, 99), max_size=4))
def test_a_stream_that_the_venue_does_not_have_takes_no_other_with_it(bad: set[int]):
    streams = [f"s{number}@aggTrade" for number in range(100)]
    refused = {f"s{number}@aggTrade" for number in bad}
    session = opened(*streams, stale_after_s=1e9)
    at_venue: set[str] = set()
    said: list[str] = []
    now = 0.0
    for _ in range(30):
        for action in session.poll(now):
            if isinstance(action, Subscribe):
                wrong = refused.intersection(action.streams)
                at_venue.update(() if wrong else action.streams)
                assert session.answered(Control(action.request_id, "2: Invalid request" if wrong else None))
            elif isinstance(action, Rejected):
                said += action.streams
        now += 1.0
    assert at_venue == set(streams) - refused == set(session.wanted)
    assert sorted(said) == sorted(refused)


def test_a_refused_stream_that_is_no_longer_wanted_is_not_asked_for_again():
    session = opened(A, B)
    (request,) = session.poll(0.0)
    assert isinstance(request, Subscribe)
    session.answered(Control(request.request_id, "2: Invalid request"))
    session.want([B], 0.1)
    actions = session.poll(0.1)
    assert [action.streams for action in actions if isinstance(action, Subscribe)] == [(B,)]


def test_no_answer_ends_the_connection():
    session = opened(A)
    session.poll(0.0)
    assert session.poll(9.9) == []
    (action,) = session.poll(10.0)
    assert isinstance(action, Reconnect)
    assert "not answered" in action.reason


def test_an_acknowledged_stream_that_never_delivers_is_subscribed_anew_and_then_the_connection_replaced():
    session = opened(A, B)
    confirm(session, session.poll(0.0))
    for second in range(1, 30):
        session.seen(B, float(second))
        assert session.poll(float(second)) == []
    session.seen(B, 30.0)
    actions = session.poll(30.0)
    assert actions == [Resubscribe((A,)), Unsubscribe(2, (A,)), Subscribe(3, (A,))]
    confirm(session, actions)
    for second in range(31, 60):
        session.seen(B, float(second))
        assert session.poll(float(second)) == []
    (action,) = session.poll(60.0)
    assert action == Reconnect(f"1 of 2 streams stay silent, such as {A}")


def test_a_stream_that_is_quiet_by_nature_is_learnt():
    watchdog = Watchdog(30.0)
    reconnections = 0
    session = Session([A, B], request_ids=count(1), watchdog=watchdog, now=0.0)
    for second in range(1, 7_200):
        session.seen(B, float(second))
        if second % 150 == 0:
            session.seen(A, float(second))
        actions = session.poll(float(second))
        confirm(session, actions)
        if any(isinstance(action, Reconnect) for action in actions):
            reconnections += 1
            session = Session([A, B], request_ids=count(1_000 * reconnections), watchdog=watchdog, now=float(second))
    assert 1 <= reconnections <= 3


def test_silence_that_reconnecting_does_not_end_is_tried_more_and_more_rarely():
    watchdog = Watchdog(30.0)
    times = []
    session = Session([A], request_ids=count(1), watchdog=watchdog, now=0.0)
    for second in range(1, 2_000):
        actions = session.poll(float(second))
        confirm(session, actions)
        if any(isinstance(action, Reconnect) for action in actions):
            times.append(second)
            session = Session([A], request_ids=count(1_000 * len(times)), watchdog=watchdog, now=float(second))
    assert times == [60, 180, 420, 900, 1860]


def test_rotation_is_said_once_when_the_connection_is_old():
    session = opened(A, rotate_after_s=100.0)
    confirm(session, session.poll(0.0))
    session.seen(A, 99.0)
    assert session.poll(99.9) == []
    (action,) = session.poll(100.0)
    assert isinstance(action, Rotate)
    assert session.poll(101.0) == []


def test_an_announced_shutdown_rotates_at_once():
    session = opened(A)
    session.shutdown_announced()
    assert [type(action) for action in session.poll(0.0)] == [Subscribe, Rotate]


def test_the_watchdog_ignores_what_it_does_not_watch():
    watchdog = Watchdog(30.0)
    watchdog.seen("x", 5.0)
    watchdog.watch([A], 0.0)
    watchdog.seen(A, 4.0)
    assert (watchdog.streams, watchdog.waiting(), watchdog.silent_s(A, 9.0)) == ((A,), (), 5.0)
    Session([B], request_ids=count(1), watchdog=watchdog, now=9.0)
    assert (watchdog.streams, watchdog.waiting()) == ((B,), (B,))
    watchdog.forget([B, "x"])
    assert watchdog.stale(1e6) == watchdog.dead(1e6) == ()
    with pytest.raises(KeyError):
        watchdog.silent_s(A, 9.0)

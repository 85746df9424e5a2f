"""Tries to log in: pauses that grow, are bounded, and end."""

from __future__ import annotations

from dashboards.access.tries import ADDRESS, BOTH, USER, Tries


def fail(tries: Tries, user: str, address: str, now: float) -> tuple[float, float]:
    """Try as soon as one may: when that is, and how long it took to get there."""
    waited = 0.0
    while (wait := tries.begin(user, address, now + waited)) > 0:
        waited += wait
    return now + waited, waited


def test_the_pause_doubles_up_to_a_minute_and_never_grows_beyond() -> None:
    tries, now, waits = Tries(), 1_000.0, []
    for _ in range(14):
        now, waited = fail(tries, "alice", "10.0.0.1", now)
        waits.append(waited)
    assert waits[:9] == [0, 0, 0, 1, 2, 4, 8, 16, 32]
    assert waits[9:] == [60.0] * 5
    assert BOTH.longest_s == ADDRESS.longest_s == 60.0


def test_many_tries_at_once_are_no_way_around_it() -> None:
    tries = Tries()
    begun = [tries.begin("alice", "10.0.0.1", 5.0) == 0.0 for _ in range(100)]
    assert begun == [True] * 3 + [False] * 97


def test_a_quarter_of_an_hour_forgets() -> None:
    tries, now = Tries(), 0.0
    for _ in range(8):
        now, _ = fail(tries, "alice", "10.0.0.1", now)
    assert tries.begin("alice", "10.0.0.1", now + 1) > 0
    assert [tries.begin("alice", "10.0.0.1", now + 901 + n) for n in range(3)] == [0.0] * 3


def test_a_right_password_clears_the_user_at_that_address() -> None:
    tries = Tries()
    for at in range(2):
        assert tries.begin("alice", "10.0.0.1", float(at)) == 0.0
    assert tries.begin("alice", "10.0.0.1", 3.0) == 0.0
    tries.succeeded("alice", "10.0.0.1")
    assert [tries.begin("alice", "10.0.0.1", 4.0 + n) for n in range(3)] == [0.0] * 3


def test_one_address_that_goes_through_many_names_waits_too() -> None:
    tries = Tries()
    begun = [tries.begin(f"user{n}", "10.0.0.1", 5.0) == 0.0 for n in range(100)]
    assert sum(begun) == ADDRESS.free
    assert tries.begin("bob", "10.0.0.2", 5.0) == 0.0


def test_many_addresses_against_one_name_slow_each_other_down_but_not_where_the_user_is_known() -> None:
    tries = Tries()
    assert tries.begin("alice", "10.0.0.1", 0.0) == 0.0
    tries.succeeded("alice", "10.0.0.1")
    begun = [tries.begin("alice", f"10.9.{n // 250}.{n % 250}", 5.0) == 0.0 for n in range(500)]
    assert sum(begun) == USER.free
    assert 0 < tries.begin("alice", "10.8.0.1", 5.0) <= USER.longest_s
    assert tries.begin("alice", "10.0.0.1", 5.0) == 0.0


def test_what_is_kept_is_bounded() -> None:
    tries = Tries()
    for n in range(30_000):
        tries.begin(f"user{n}", f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}", float(n))
    assert len(tries._counts) <= 20_000

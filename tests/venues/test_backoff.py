"""Pauses between tries, and which errors are worth another try."""

from __future__ import annotations

import errno
import random
import socket
import ssl
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadRequest, DiskFull, MalformedMessage, RateLimited, RegionBlocked, VenueUnavailable, WarehouseUnavailable
from pipeline.venues.backoff import backoff, is_retryable, pause_s


def test_bounds_double_up_to_the_longest():
    assert list(islice(backoff(jitter=lambda: 1.0, max_s=5.0), 6)) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert list(islice(backoff(jitter=lambda: 1.0, base_s=3.0, max_s=2.0), 2)) == [2.0, 2.0]


@given(st.integers(), st.floats(0.01, 100), st.floats(0.01, 1e4))
def test_pauses_stay_within_bounds_for_ever(seed: int, base_s: float, max_s: float):
    assert all(0 <= pause <= max_s for pause in islice(backoff(jitter=random.Random(seed).random, base_s=base_s, max_s=max_s), 2_000))


def test_a_seed_repeats_its_pauses():
    first, second = (list(islice(backoff(jitter=random.Random(3).random), 9)) for _ in range(2))
    assert first == second
    assert len(set(first)) == 9


def test_a_refusal_is_not_answered_with_insistence():
    assert pause_s(RegionBlocked("451"), backoff(jitter=lambda: 0.0)) >= 300


def test_the_venue_can_ask_for_more_but_not_for_less():
    assert pause_s(RateLimited("slow down", retry_after_s=17), backoff(jitter=lambda: 0.0)) == 17
    assert pause_s(RateLimited("slow down", retry_after_s=17), backoff(jitter=lambda: 1.0)) == 17.5
    assert pause_s(RateLimited("slow down", retry_after_s=0), backoff(jitter=lambda: 1.0)) == 0.5
    assert pause_s(VenueUnavailable("away"), backoff(jitter=lambda: 1.0)) == 0.5


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (VenueUnavailable("x"), True),
        (RateLimited("x", retry_after_s=1), True),
        (WarehouseUnavailable("x"), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), True),
        (OSError(errno.ENETUNREACH, "unreachable"), True),
        (RegionBlocked("x"), False),
        (BadRequest("x"), False),
        (MalformedMessage("x"), False),
        (DiskFull("x"), False),
        (OSError(errno.ENOSPC, "full"), False),
        (PermissionError(errno.EACCES, "no"), False),
        (ssl.SSLCertVerificationError("untrusted"), False),
        (KeyError("bug"), False),
    ],
)
def test_what_is_worth_another_try(error: BaseException, again: bool):  # noqa: FBT001
    assert is_retryable(error) is again

"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboards.format import NONE, age, compact, decimals_of, duration, number, p_value, percent, price, short_time, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.50"),
        (12.0, "12"),
        (999.5, "999.50"),
        (1_234, "1.23K"),
        (45_600, "45.6K"),
        (7_890_000, "7.89M"),
        (2.5e11, "250B"),
        (3e12, "3.00T"),
    ],
)
def test_compact(value, text):
    assert compact(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0.0 s"), (0.44, "0.4 s"), (12.3, "12 s"), (119, "119 s"), (180, "3 min"), (7_300, "2 h"), (400_000, "5 d")]
)
def test_age(seconds, text):
    assert age(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(1, "1 s"), (90, "90 s"), (300, "5 min"), (14_400, "4 h"), (864_000, "10 d")])
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0412, "0.041200"), (61_250.123, "61,250"), (-3.2405, "\u22123.2405"), (1.5e-9, "1.5000e-09"), (0.0, "0")]
)
def test_significant(value, text):
    assert significant(value) == text


def test_a_price_has_the_decimals_of_its_tick_size():
    assert decimals_of([61_250.5, 61_251.0]) == 1
    assert decimals_of([0.0082610, 0.0082613]) == 7
    assert price(61_250.5, 2) == "61,250.50"


def test_what_is_not_there_is_a_dash():
    for shown in (
        age(None),
        compact(float("nan")),
        number(None),
        percent(None),
        price(None, 2),
        significant(float("inf")),
        p_value(None),
        short_time(None),
    ):
        assert shown == NONE


def test_signs_align_and_small_p_values_are_said_honestly():
    assert number(-1.5) == "\u22121.50"
    assert percent(0.0375) == "+3.75%"
    assert p_value(0.0002) == "< 0.001"


def test_a_time_of_another_day_shows_its_date():
    now = datetime(2024, 8, 9, 0, 1, tzinfo=UTC)
    assert short_time(datetime(2024, 8, 8, 23, 54, 15, tzinfo=UTC), now) == "08 Aug 23:54"
    assert short_time(now, now) == "00:01:00"

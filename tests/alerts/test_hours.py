from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import ActiveHours
from pipeline.errors import UsageError


def us(moment):
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def test_office_hours_in_their_own_zone_through_the_change_of_clocks():
    office = ActiveHours.parse("mon-fri 08:00-17:30 Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    for day, inside in [(27, True), (30, True), (28, False)]:  # Friday, Monday after the clocks went ahead, Saturday
        assert office.contains(us(datetime(2026, 3, day, 8, 0, tzinfo=zone))) is inside
    assert not office.contains(us(datetime(2026, 3, 30, 7, 59, 59, tzinfo=zone)))
    assert not office.contains(us(datetime(2026, 3, 30, 17, 30, tzinfo=zone)))
    assert office.next_start_us(us(datetime(2026, 3, 27, 12, 0, tzinfo=zone))) == us(datetime(2026, 3, 30, 6, 0, tzinfo=UTC))


def test_a_night_belongs_to_the_day_on_which_it_begins():
    night = ActiveHours.parse("fri 22:00-06:00")
    assert night.contains(us(datetime(2026, 3, 28, 5, 59, tzinfo=UTC)))  # Saturday morning
    assert not night.contains(us(datetime(2026, 3, 27, 5, 59, tzinfo=UTC)))
    assert not night.contains(us(datetime(2026, 3, 28, 23, 0, tzinfo=UTC)))


@pytest.mark.parametrize("text", ["mon-fri 08:00-17:30 Europe/Berlin", "sat,sun 00:00-24:00 UTC", "22:00-06:00 UTC", "fri-mon 9:05-9:06"])
def test_the_written_form_comes_back(text):
    hours = ActiveHours.parse(text)
    assert ActiveHours.parse(str(hours)) == hours


@settings(max_examples=150, deadline=None)
@given(
    days=st.sampled_from(["", "mon ", "sat-sun ", "fri-mon ", "wed,sun "]),
    ends=st.tuples(st.integers(0, 1_439), st.integers(0, 1_440)),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    minute=st.integers(0, 60 * 24 * 400),
)
def test_they_are_those_of_a_wall_clock(days, ends, zone, minute):
    start, end = (f"{value // 60:02d}:{value % 60:02d}" for value in ends)
    hours = ActiveHours.parse(f"{days}{start}-{end} {zone}")
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    local = moment.astimezone(ZoneInfo(zone))
    if local.utcoffset() != (local - timedelta(days=2)).utcoffset() or local.utcoffset() != (local + timedelta(days=2)).utcoffset():
        return  # the clocks change nearby: the test above looks at one
    of_day = local.hour * 60 + local.minute
    length = (ends[1] - ends[0]) if ends[1] > ends[0] else ends[1] - ends[0] + 1_440
    began = [
        back
        for back in range(3)
        if (local - timedelta(days=back)).weekday() in hours.days and 0 <= of_day + back * 1_440 - ends[0] < length
    ]
    assert hours.contains(us(moment)) == bool(began)
    following = hours.next_start_us(us(moment))
    assert following > us(moment)
    assert hours.contains(following)


def test_a_zone_that_nobody_knows_is_refused():
    with pytest.raises(UsageError, match="time zone 'Mars'"):
        ActiveHours.parse("08:00-09:00 Mars")

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboards.clock import clock_of, zones
from pipeline.errors import UsageError

SUMMER = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def test_times_are_told_in_the_zone():
    berlin = clock_of("Europe/Berlin")
    assert berlin.text(SUMMER) == "2026-07-02 00:30:00"
    assert berlin.short(SUMMER, datetime(2026, 7, 2, tzinfo=UTC)) == "00:30:00"
    assert clock_of("UTC").short(SUMMER, datetime(2026, 7, 2, tzinfo=UTC)) == "01 Jul 22:30"
    assert berlin.text(None) == "\u2013"


def test_what_is_typed_is_meant_in_the_zone():
    berlin = clock_of("Europe/Berlin")
    assert berlin.typed("2026-07-02 00:30", "From") == SUMMER
    assert berlin.typed("2026-07-01T22:30:00Z", "From") == SUMMER
    assert berlin.typed("2026-10-25 02:30", "From") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # passed twice: the first
    assert berlin.typed("  ", "From") is None
    with pytest.raises(UsageError, match="From 'noon' is not understood"):
        berlin.typed("noon", "From")


def test_a_day_ends_at_midnight_in_the_zone():
    assert clock_of("Europe/Berlin").midnight(SUMMER) == datetime(2026, 7, 2, 22, tzinfo=UTC)
    assert clock_of("UTC").midnight(SUMMER) == datetime(2026, 7, 2, tzinfo=UTC)
    assert {"Asia/Kolkata", "Europe/Berlin"} < set(zones())


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "x\0y"])
def test_what_is_no_zone_is_utc(zone):
    assert clock_of(zone).name == "UTC"

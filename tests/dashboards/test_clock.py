from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboards.clock import clock_of

SUMMER = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def test_times_are_told_in_the_zone():
    berlin = clock_of("Europe/Berlin")
    assert berlin.text(SUMMER) == "2026-07-02 00:30:00"
    assert berlin.short(SUMMER, datetime(2026, 7, 2, tzinfo=UTC)) == "00:30:00"
    assert clock_of("UTC").short(SUMMER, datetime(2026, 7, 2, tzinfo=UTC)) == "01 Jul 22:30"
    assert berlin.text(None) == "\u2013"


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "x\0y"])
def test_what_is_no_zone_is_utc(zone):
    assert clock_of(zone).name == "UTC"

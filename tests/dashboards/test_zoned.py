"""The clock that scripts in the browser have, in the browser."""

from __future__ import annotations

from datetime import datetime

import pytest

from dashboards.assets import asset

pytestmark = pytest.mark.browser

_ASK = f"""([zone, start, end, most]) => {{
    const clock = new Function("zone", {asset("clock.js")!r} + "\\nreturn clock")(zone)
    const from = Date.parse(start), ticks = clock.ticks(from, Date.parse(end), most)
    const labels = ticks.map((t) => clock.label(t, ticks[1] - ticks[0]))
    return {{ text: clock.text(from), at: ticks.map((t) => new Date(t).toISOString().slice(0, 16)), labels }}
}}"""


@pytest.fixture
def ask(chromium):
    page = chromium.new_page()
    yield lambda *what: page.evaluate(_ASK, list(what))
    page.close()


def test_ticks_are_round_on_the_wall_on_both_sides_of_a_change_of_the_clocks(ask):
    told = ask("Europe/Berlin", "2026-10-24T21:00Z", "2026-10-25T09:00Z", 8)
    assert told["text"] == "2026-10-24 23:00:00"
    assert told["labels"] == ["25 Oct", "02:00", "04:00", "06:00", "08:00", "10:00"]
    assert told["at"][0] == "2026-10-24T22:00"  # summer
    assert told["at"][2:] == ["2026-10-25T03:00", "2026-10-25T05:00", "2026-10-25T07:00", "2026-10-25T09:00"]  # winter


def test_a_zone_of_half_hours_and_months_and_no_zone(ask):
    assert ask("Asia/Kolkata", "2026-11-29T08:00Z", "2026-11-29T12:00Z", 4)["labels"] == ["14:00", "15:00", "16:00", "17:00"]
    assert ask("Asia/Kolkata", "2025-11-20T08:00Z", "2026-03-20T12:00Z", 5)["labels"] == ["Dec 2025", "2026", "Feb 2026", "Mar 2026"]
    seconds = ask("Mars/Olympus", "2026-11-29T08:00:00Z", "2026-11-29T08:01:00Z", 4)
    assert seconds["labels"] == ["08:00:00", "08:00:15", "08:00:30", "08:00:45", "08:01:00"]
    assert all(datetime.fromisoformat(at) for at in seconds["at"])

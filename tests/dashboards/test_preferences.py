from __future__ import annotations

from dataclasses import replace

from dashboards.clock import Clock
from dashboards.preferences import Preferences, preferences_of
from dashboards.theme import Signs


def test_a_browser_is_known_again():
    chosen = Preferences(dark=False, signs=Signs.COLOUR_BLIND, clock=Clock("Asia/Kolkata"), toasts=False, sound=True, notify=True)
    assert preferences_of({}, chosen.cookie()) == chosen
    assert preferences_of({}) == preferences_of({}, "") == Preferences()


def test_the_address_has_the_last_word_and_keeps_what_it_said():
    cookie = Preferences(dark=False, clock=Clock("Asia/Kolkata")).cookie()
    opened = preferences_of({"theme": "dark", "view": "pair"}, cookie)
    assert opened.dark
    assert opened.address() == {"theme": "dark", "tz": "Asia/Kolkata"}
    assert preferences_of(opened.address()).address() == opened.address()
    assert replace(opened, dark=False).address()["theme"] == "light"


def test_what_is_not_understood_is_as_if_it_were_not_there():
    assert preferences_of({"theme": "pink", "colours": "x", "tz": "Mars"}, "sound=maybe;;=&&").address() == {
        "theme": "dark", "colours": "standard", "tz": "UTC",
    }  # fmt: skip

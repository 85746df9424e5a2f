"""Every colour that text has can be read on every ground it stands on."""

from __future__ import annotations

from itertools import product

import pytest

from dashboards.theme import BADGES, Signs, palette, theme_config

TEXT = ("text", "strong", "faint", "accent", "second", "up", "down", "warn")
GROUNDS = ("page", "panel", "raised")
LEAST = 4.5  # WCAG 2.2, 1.4.3


def _rgb(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def _luminance(rgb: list[float]) -> float:
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _mixed(colour: str, share: float, ground: str) -> list[float]:
    return [share * a + (1 - share) * b for a, b in zip(_rgb(colour), _rgb(ground), strict=True)]


@pytest.mark.parametrize(("dark", "signs"), list(product((True, False), Signs)))
def test_text_can_be_read(dark, signs):
    colours = palette(dark=dark, signs=signs)
    for name in TEXT:
        ink = getattr(colours, name)
        grounds = {ground: _rgb(getattr(colours, ground)) for ground in GROUNDS}
        grounds |= {"its chip": _mixed(ink, 0.14, colours.panel), "a chosen row": _mixed(colours.accent, 0.12, colours.panel)}
        for ground, behind in grounds.items():
            assert _contrast(_rgb(ink), behind) >= LEAST, f"{name} {ink} on {ground}"


def test_badges_and_buttons_can_be_read():
    for word, back, ink in BADGES.values():
        assert _contrast(_rgb(ink), _rgb(back)) >= LEAST, word
    for mode, theme in theme_config().items():
        primary = theme["palette"]["primary"]
        assert _contrast(_rgb(primary["contrastText"]), _rgb(primary["main"])) >= LEAST, mode


def test_the_colour_blind_tell_up_from_down_by_blue_against_red():
    """Who sees no red or no green still sees blue: up has much more of it than down, where the standard pair has not."""
    for dark in (True, False):
        safe = palette(dark=dark, signs=Signs.COLOUR_BLIND)
        assert _rgb(safe.up)[2] - _rgb(safe.down)[2] > 0.5
        assert palette(dark=dark).up != safe.up

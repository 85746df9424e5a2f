"""How one browser wants the dashboard: kept in a cookie, so that the server draws the page right at once; an address has the last word.

Only the page's own script writes the cookie (``assets/preferences.js``); nothing in it is a secret or is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode

from dashboards.clock import Clock, clock_of
from dashboards.theme import Palette, Signs, palette

COOKIE = "spreadwatch"
_DARK, _LIGHT, _ON, _OFF = "dark", "light", "on", "off"
_IN_ADDRESS = ("theme", "colours", "tz")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody chose in the menu; the defaults are those of a new browser.

    ``named`` are the parts that the address itself said: they stay in it, so that a link looks the same everywhere.
    """

    dark: bool = True
    signs: Signs = Signs.STANDARD
    clock: Clock = field(default_factory=Clock)
    toasts: bool = True
    sound: bool = False
    notify: bool = False
    named: frozenset[str] = frozenset()

    @property
    def palette(self) -> Palette:
        """The colours."""
        return palette(dark=self.dark, signs=self.signs)

    def cookie(self) -> str:
        """All of it, as the cookie's value."""
        return urlencode(self.words())

    def address(self) -> dict[str, str]:
        """The parts that belong into an address: what differs from the defaults, and what it named itself."""
        words, plain = self.words(), Preferences().words()
        return {name: words[name] for name in _IN_ADDRESS if words[name] != plain[name] or name in self.named}

    def changed(self, name: str, word: str) -> Preferences:
        """With one part as the word says; as before for a word that is not understood."""
        return replace(_read({**self.words(), name: word}), named=self.named)

    def words(self) -> dict[str, str]:
        """Each part as the word that cookie and address have for it."""
        return {
            "theme": _DARK if self.dark else _LIGHT,
            "colours": self.signs.value,
            "tz": self.clock.zone,
            **{name: _ON if getattr(self, name) else _OFF for name in ("toasts", "sound", "notify")},
        }


def preferences_of(query: Mapping[str, str], cookie: str | None = None) -> Preferences:
    """What an address and a browser's cookie ask for; what is not understood is as if it were not there."""
    named = {name: query[name] for name in _IN_ADDRESS if query.get(name)}
    return replace(_read(dict(parse_qsl(cookie or "")) | named), named=frozenset(named))


def _read(words: Mapping[str, str]) -> Preferences:
    return Preferences(
        dark=words.get("theme") != _LIGHT,
        signs=Signs(words["colours"]) if words.get("colours") in set(Signs) else Signs.STANDARD,
        clock=clock_of(words.get("tz")),
        **{name: words[name] == _ON for name in ("toasts", "sound", "notify") if words.get(name) in {_ON, _OFF}},
    )

"""Channels by name: from a file that only its owner may read, or from the environment.

    [channel.ops]
    url = "slack://..."              # what apprise takes; http:// and https:// are signed webhooks
    group_s = 10

    [channel.desk]
    url = "https://desk.example.com/alerts"
    secret = "..."                   # key of the HMAC-SHA256
    rate_per_minute = 120

    [channel.bot]
    callback = "package.module:function"

    [default]                        # any option below, for every channel that does not say otherwise
    repeat_s = 3600

Options: ``group_by`` (none, rule, severity), ``group_s``, ``rate_per_minute``, ``repeat_s``, ``attempts``; of channels that people read
``title`` and ``body`` (templates), of webhooks and callbacks ``timeout_s``, of webhooks ``secret`` and ``private``. No message here repeats
a value.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.notify.callback import CallbackChannel
from pipeline.notify.channel import Channel, GroupBy, Policy
from pipeline.notify.people import PeopleChannel
from pipeline.notify.template import BODY, TITLE, Template
from pipeline.notify.webhook import WebhookChannel

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_LONGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where neither a channel nor ``[default]`` says otherwise.

    Attributes:
        group_s: seconds for which messages to people are gathered.
        repeat_s: seconds after which a firing alert that nobody acknowledged is told again.
        rate_per_minute: most messages to people in a minute.
        private: whether webhooks may be redirected to private addresses.
    """

    group_s: float = 2.0
    repeat_s: float = 14_400.0
    rate_per_minute: int = 20
    private: bool = False

    @property
    def people(self) -> Policy:
        """Of channels that people read."""
        return Policy(group_by=GroupBy.RULE, group_s=self.group_s, rate_per_minute=self.rate_per_minute, repeat_s=self.repeat_s)

    @property
    def programs(self) -> Policy:
        """Of channels that programs read: each event at once, and no more often than it happens."""
        return Policy(repeat_s=self.repeat_s)


def read_channels_file(path: Path, defaults: Defaults) -> list[Channel]:
    """The channels of a file.

    Raises:
        SettingsError: when it cannot be read, others may read it, or it says what cannot be used.
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            _check_private(path, facts)
            text = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        msg = f"channels_file {path} cannot be read ({error.strerror}); create it, or unset the setting"
        raise SettingsError(msg) from error
    if len(text) > _LONGEST_FILE:
        msg = f"channels_file {path} has more than {_LONGEST_FILE} bytes; is it the right file?"
        raise SettingsError(msg)
    try:
        content = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = re.search(r"\(at [a-z0-9, ]+\)", str(error))
        msg = f"channels_file {path} is not TOML {where.group() if where else '(not UTF-8 text)'}; see docs/alerts.md for its form"
        raise SettingsError(msg) from None
    return _channels(content, f"channels_file {path}", defaults)


def read_channels(text: str, defaults: Defaults) -> list[Channel]:
    """The channels of the setting ``channels``: JSON, ``{"ops": "slack://...", "desk": {"url": "https://...", "secret": "..."}}``.

    Raises:
        SettingsError: when it says what cannot be used.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
        msg = f'setting channels is not JSON ({where}); expected {{"name": "url", ...}}'
        raise SettingsError(msg) from None
    if not isinstance(content, dict):
        msg = 'setting channels is not an object; expected {"name": "url", ...}'
        raise SettingsError(msg)
    named = {name: {"url": value} if isinstance(value, str) else value for name, value in content.items()}
    return _channels({"channel": named}, "setting channels", defaults)


def _check_private(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        msg = f"channels_file {path} is no regular file; expected a TOML file"
        raise SettingsError(msg)
    if facts.st_mode & 0o077:
        mode = f"{stat.S_IMODE(facts.st_mode):04o}"
        msg = f"channels_file {path} holds secrets and can be reached by others than its owner (mode {mode}); run: chmod 600 {path}"
        raise SettingsError(msg)
    if facts.st_uid not in (0, os.geteuid()):
        msg = f"channels_file {path} belongs to somebody else; it must be the user's own"
        raise SettingsError(msg)


def _channels(content: Mapping[str, object], where: str, defaults: Defaults) -> list[Channel]:
    _refuse_unknown(content, ("channel", "default"), where)
    common = _table(content.get("default", {}), f"[default] of {where}")
    _refuse_unknown(common, _OPTIONS, f"[default] of {where}")
    found: list[Channel] = []
    for name, table in _table(content.get("channel", {}), f"channel of {where}").items():
        if _NAME.fullmatch(name) is None:
            msg = f"channel name {name[:60]!r} in {where} cannot be used; expected 1 to 40 small letters, digits, hyphens or underscores"
            raise SettingsError(msg)
        place = f"channel {name} of {where}"
        own = _table(table, place)
        _refuse_unknown(own, ("url", "callback", "secret", *_OPTIONS), place)
        channel = _channel(name, _Options({**common, **own}, place), defaults)
        if not isinstance(channel, PeopleChannel) and not own.keys().isdisjoint(("title", "body")):
            msg = f"{place} has a title or body, which are for channels that people read; programs are sent the whole event"
            raise SettingsError(msg)
        found.append(channel)
    return found


def _channel(name: str, options: _Options, defaults: Defaults) -> Channel:
    url, callback, secret = options.text("url"), options.text("callback"), options.text("secret")
    if (url is None) == (callback is None):
        msg = f"{options.place} needs either url or callback"
        raise SettingsError(msg)
    web = url is not None and url.lower().startswith(("http://", "https://"))
    if secret is not None and not web:
        msg = f"{options.place} has a secret, which is for webhooks; leave it out"
        raise SettingsError(msg)
    policy = options.policy(defaults.programs if web or callback is not None else defaults.people)
    title = Template(options.text("title") or TITLE, f"the title of {options.place}")
    body = Template(options.text("body") or BODY, f"the body of {options.place}")
    if callback is not None:
        return CallbackChannel(callback, name=name, policy=policy, timeout_s=options.number("timeout_s", 10.0, least=0.1, most=300.0))
    if url is None or not web:
        return PeopleChannel(url or "", name=name, policy=policy, title=title, body=body)
    return WebhookChannel(
        url,
        secret,
        name=name,
        policy=policy,
        timeout_s=options.number("timeout_s", 3.0, least=0.1, most=3.0),
        private=options.truth("private", default=defaults.private),
    )


_OPTIONS = ("title", "body", "group_by", "group_s", "rate_per_minute", "repeat_s", "attempts", "timeout_s", "private")


class _Options:
    """The options of a channel, each of its type."""

    def __init__(self, content: Mapping[str, object], place: str) -> None:
        self._content = content
        self.place = place

    def text(self, name: str) -> str | None:
        value = self._content.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise self._refusal(name, "text")
        return value

    def truth(self, name: str, *, default: bool) -> bool:
        value = self._content.get(name, default)
        if not isinstance(value, bool):
            raise self._refusal(name, "true or false")
        return value

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self._content.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self._refusal(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def policy(self, default: Policy) -> Policy:
        groups = [member.value for member in GroupBy]
        group_by = self.text("group_by") or default.group_by.value
        if group_by not in groups:
            name = "group_by"
            raise self._refusal(name, f"one of {', '.join(groups)}")
        return replace(
            default,
            group_by=GroupBy(group_by),
            group_s=self.number("group_s", default.group_s, least=0.0, most=3_600.0),
            rate_per_minute=int(self.number("rate_per_minute", default.rate_per_minute, least=0.0, most=100_000.0)),
            repeat_s=self.number("repeat_s", default.repeat_s, least=0.0, most=30 * 86_400.0),
            attempts=int(self.number("attempts", default.attempts, least=1.0, most=1_000.0)),
        )

    def _refusal(self, name: str, expected: str) -> SettingsError:
        msg = f"{name} of {self.place} cannot be used; expected {expected}"
        return SettingsError(msg)


def _table(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        msg = f"{where} is no table; see docs/alerts.md for its form"
        raise SettingsError(msg)
    return value


def _refuse_unknown(content: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for name in content:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"
            msg = f"{where} has {name[:40]!r}, which is unknown; {hint}"
            raise SettingsError(msg)

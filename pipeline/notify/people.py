"""Alert events to people, over whatever apprise speaks: Slack, Telegram, Discord, e-mail and a hundred others.

The URL of a channel is a secret: messages name its scheme only, and apprise and its libraries say nothing in the log while they send.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from contextvars import ContextVar
from typing import Any

from pipeline.errors import NotifyError, SettingsError
from pipeline.notify.channel import Policy
from pipeline.notify.template import BODY, TITLE, Template, render, severity
from pipeline.notify.thread import OneThread, StillBusy

_LOGGERS = (
    "apprise",
    "urllib3",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "requests",
    "requests_oauthlib",
    "smtplib",
    "paho",
    "charset_normalizer",
)
_SCHEME = re.compile(r"[a-z0-9.+-]{1,30}(?=://)", re.IGNORECASE)
_STATUS = re.compile(r"\berror=(\d{3})\b")
_sending: ContextVar[list[str] | None] = ContextVar("_sending", default=None)


def _overheard(record: logging.LogRecord) -> bool:
    """Filter of the loggers of others: what they say while they send holds secrets; only the status of an answer is taken from it."""
    heard = _sending.get()
    if heard is None:
        return True
    heard.extend(_STATUS.findall(record.getMessage()))
    return False


class PeopleChannel:
    """Sends messages through one apprise URL.

    Args:
        url: what apprise calls a service URL, such as ``slack://...`` or ``mailto://...``.
        name: name in the outbox.
        policy: how the channel wants to be used.
        title: template of the title.
        body: template of each event's text.
        timeout_s: seconds that one attempt may take.

    Raises:
        SettingsError: when apprise is not installed, or knows no such service.
    """

    at_once = 1

    def __init__(
        self,
        url: str,
        *,
        name: str,
        policy: Policy | None = None,
        title: Template | None = None,
        body: Template | None = None,
        timeout_s: float = 15.0,
    ) -> None:
        self._name = name
        self._policy = policy or Policy()
        self._title = title or Template(TITLE, "the title")
        self._body = body or Template(BODY, "the body")
        self._timeout_s = timeout_s
        self._thread = OneThread(f"alert-{name}")
        self._scheme, self._service = _service(url, name)
        for logger in _LOGGERS:
            logging.getLogger(logger).addFilter(_overheard)

    def __repr__(self) -> str:
        return f"PeopleChannel({self._scheme}://...)"

    @property
    def name(self) -> str:
        """Name in the outbox."""
        return self._name

    @property
    def policy(self) -> Policy:
        """How the channel wants to be used."""
        return self._policy

    async def send(self, event_id: str, payload: str) -> None:
        """Send one message.

        Args:
            event_id: of no use here: people are told twice when the first time is not known to have worked.
            payload: the event or events as JSON.

        Raises:
            NotifyError: retryable, unless the service refused the message with 400, 401, 403, 404 or 410.
        """
        del event_id
        title, body = render(payload, self._title, self._body)
        level = _LEVELS.get(severity(payload), "info")
        heard: list[str] = []
        saying = _sending.set(heard)
        limit = asyncio.timeout(self._timeout_s)
        what = f"channel {self._name} ({self._scheme})"
        try:
            async with limit:
                sent = await self._thread.call(lambda: self._service.notify(body=body, title=title, notify_type=level))
        except StillBusy:
            msg = f"{what} is still busy with an earlier message; it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  the boundary to a hundred services
            if limit.expired():
                msg = f"{what} took longer than {self._timeout_s:g} s; it will be tried again"
                raise NotifyError(msg, retryable=True) from None
            msg = f"{what} failed with {type(error).__name__}; it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        finally:
            _sending.reset(saying)
        if not sent:
            status = heard[-1] if heard else ""
            final = status in _FINAL
            answer = f" and answered {status}" if status else ""
            msg = f"{what} did not take the message{answer}; {'check its url' if final else 'it will be tried again'}"
            raise NotifyError(msg, retryable=not final)


_LEVELS = {"critical": "failure", "warning": "warning", "info": "info"}
_FINAL = frozenset({"400", "401", "403", "404", "410"})


def _service(url: str, name: str) -> tuple[str, Any]:
    """The scheme and apprise's object for a URL; messages do not repeat the URL."""
    found = _SCHEME.match(url)
    scheme = found.group().lower() if found else "?"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import apprise  # noqa: PLC0415  an extra, and slow to import
    except ImportError:
        msg = f"channel {name} needs apprise, which is not installed; run: pip install 'spreadwatch[apprise]'"
        raise SettingsError(msg) from None
    for logger in _LOGGERS:
        logging.getLogger(logger).addFilter(_overheard)
    saying = _sending.set([])
    try:
        asset = apprise.AppriseAsset(app_id="Spreadwatch", app_desc="Spreadwatch", secure_logging=True, http_redirects=False)
        service = apprise.Apprise(asset=asset)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the first URL makes it import its hundred services
            known = service.add(url) if found else False
    except Exception:  # noqa: BLE001  whatever a service makes of its URL
        known = False
    finally:
        _sending.reset(saying)
    if not known:
        msg = f"channel {name} has a url that no service takes; see https://github.com/caronc/apprise/wiki for its form"
        raise SettingsError(msg)
    return scheme, service

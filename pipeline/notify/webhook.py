"""Alert events by HTTP POST.

The body is the event as JSON. Headers: ``Idempotency-Key`` is the event's id, the same in every attempt, and, when a
secret is set, ``X-Spreadwatch-Signature`` is ``sha256=`` and the HMAC-SHA256 of the body in hexadecimal. Any 2xx
answer counts as delivered; its body is not read.

The URL of a webhook is a secret itself (its path often holds a token): messages and logs name its host only.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import ssl
from contextvars import ContextVar
from urllib.parse import urlsplit

import certifi
import httpx

from pipeline import __version__
from pipeline.errors import NotifyError, SettingsError

SIGNATURE_HEADER = "X-Spreadwatch-Signature"
"""Header that carries `signature`."""

_LONGEST_RETRY_AFTER_S = 3_600.0
_TRY_AGAIN = frozenset({408, 425, 429})
_sending: ContextVar[bool] = ContextVar("_sending", default=False)


def signature(secret: str, body: bytes) -> str:
    """``sha256=<hex>``: what a receiver computes over the body it got and compares with `hmac.compare_digest`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _not_ours(record: logging.LogRecord) -> bool:
    """Filter of httpx's logger, which would write the whole URL of every request."""
    del record
    return not _sending.get()


class WebhookChannel:
    """POSTs events to one URL.

    Redirects are not followed: the event and its signature go where the user said and nowhere else.

    Args:
        url: http or https address.
        secret: key of the signature; None sends none.
        timeout_s: seconds that one attempt may take in all.
        name: name in the outbox.

    Raises:
        SettingsError: when the URL is not an http or https address.
    """

    def __init__(self, url: str, secret: str | None = None, *, timeout_s: float = 3.0, name: str = "webhook") -> None:
        self._url = parsed = _parse(url)
        self._secret = secret
        self._timeout_s = timeout_s
        self._name = name
        self._tls = ssl.create_default_context(cafile=certifi.where()) if parsed.scheme == "https" else False
        logging.getLogger("httpx").addFilter(_not_ours)

    def __repr__(self) -> str:
        return f"WebhookChannel({self._url.scheme}://{self._url.host}/...)"

    @property
    def name(self) -> str:
        """Name in the outbox."""
        return self._name

    async def send(self, event_id: str, payload: str) -> None:
        """POST one event.

        Args:
            event_id: becomes the ``Idempotency-Key`` header.
            payload: becomes the body.

        Raises:
            NotifyError: retryable when the server was not reached, did not answer in time, or answered 5xx, 408, 425 or
                429; not retryable for every other answer that is not 2xx, a redirect included.
        """
        body = payload.encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": event_id, "User-Agent": f"spreadwatch/{__version__}"}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._secret, body)
        host = self._url.host
        sending = _sending.set(True)
        try:
            # httpx's own limits are for each read and write; a server that drips bytes would outlast them
            async with asyncio.timeout(self._timeout_s):
                answer = await self._post(body, headers)
        except (TimeoutError, httpx.TimeoutException):
            msg = f"webhook at {host} did not answer within {self._timeout_s:g} s; it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        except (httpx.HTTPError, OSError, ValueError) as error:  # ValueError: a host name that no resolver takes
            msg = f"webhook at {host} could not be reached ({type(error).__name__}); check that it is up, it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        finally:
            _sending.reset(sending)
        _judge(host, answer)

    async def _post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        async with (
            httpx.AsyncClient(verify=self._tls, timeout=self._timeout_s, follow_redirects=False) as client,
            client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            return answer


def _parse(url: str) -> httpx.URL:
    """Read the address; the message does not repeat it, because it is a secret."""
    try:
        # httpx lets through brackets that do not close and ports that do not exist
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        parsed = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        known, parsed = False, httpx.URL("")
    if not known or not parsed.host:
        msg = "webhook_url is not an address; expected http://... or https://..."
        raise SettingsError(msg)
    return parsed


def _judge(host: str, answer: httpx.Response) -> None:
    """Return when the event was taken, raise NotifyError otherwise."""
    status = answer.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        msg = f"webhook at {host} answered {status}, a redirect, which is not followed; set webhook_url to the final address"
        raise NotifyError(msg, retryable=False)
    if status >= 500 or status in _TRY_AGAIN:
        msg = f"webhook at {host} answered {status}; it will be tried again"
        raise NotifyError(msg, retryable=True, retry_after_s=_retry_after(answer.headers.get("Retry-After")))
    msg = f"webhook at {host} refused the event with {status}; check webhook_url and what it expects"
    raise NotifyError(msg, retryable=False)


def _retry_after(text: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header, an hour at most; None when it is absent or a date."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else None

"""Alert events by HTTP POST.

The body is the event as JSON. Headers: ``Idempotency-Key`` is the event's id, the same in every attempt, and, when a
secret is set, ``X-Spreadwatch-Signature`` is ``sha256=`` and the HMAC-SHA256 of the body in hexadecimal. Any 2xx
answer counts as delivered; its body is not read.

The URL of a webhook is a secret itself (its path often holds a token): messages and logs name its host only.

Redirects (301, 302, 307, 308) are followed, three at most, with the same body, key and signature. They lead to no private address unless
that is allowed, and never from https to http. The address that the user set may be private when it says so openly.
Behind a proxy (HTTPS_PROXY and its like) addresses are the proxy's business, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import math
import ssl
import urllib.request
from contextvars import ContextVar
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import certifi
import httpcore
import httpx

from pipeline import __version__
from pipeline.errors import NotifyError, SettingsError
from pipeline.notify.address import PinnedBackend, says_private
from pipeline.notify.channel import Policy

SIGNATURE_HEADER = "X-Spreadwatch-Signature"
"""Header that carries `signature`."""

_LONGEST_RETRY_AFTER_S = 3_600.0
_TRY_AGAIN = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 307, 308})
_MOST_REDIRECTS = 3
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
_sending: ContextVar[bool] = ContextVar("_sending", default=False)


def signature(secret: str, body: bytes) -> str:
    """``sha256=<hex>``: what a receiver computes over the body it got and compares with `hmac.compare_digest`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class _Answer(NamedTuple):
    status: int
    retry_after: str | None
    location: str | None


def _not_ours(record: logging.LogRecord) -> bool:
    """Filter of httpx's loggers, which would write the whole URL of every request and redirect."""
    del record
    return not _sending.get()


class WebhookChannel:
    """POSTs events to one URL.

    Args:
        url: http or https address.
        secret: key of the signature; None sends none.
        timeout_s: seconds that one attempt may take in all, redirects included.
        name: name in the outbox.
        private: whether redirects may lead to private addresses, and a name that looks public may have one.
        policy: how the channel wants to be used.

    Raises:
        SettingsError: when the URL is not an http or https address.
    """

    at_once = 4

    def __init__(
        self,
        url: str,
        secret: str | None = None,
        *,
        timeout_s: float = 3.0,
        name: str = "webhook",
        private: bool = False,
        policy: Policy | None = None,
    ) -> None:
        self._url = parsed = _parse(url)
        self._secret = secret
        self._timeout_s = timeout_s
        self._name = name
        self._private = private
        self._policy = policy or Policy()
        self._tls = ssl.create_default_context(cafile=certifi.where())
        for logger in _LOGGERS:
            logging.getLogger(logger).addFilter(_not_ours)
        self._shown = f"{parsed.scheme}://{parsed.host}/..."

    def __repr__(self) -> str:
        return f"WebhookChannel({self._shown})"

    @property
    def name(self) -> str:
        """Name in the outbox."""
        return self._name

    @property
    def policy(self) -> Policy:
        """How the channel wants to be used."""
        return self._policy

    async def send(self, event_id: str, payload: str) -> None:
        """POST one message.

        Args:
            event_id: becomes the ``Idempotency-Key`` header.
            payload: becomes the body.

        Raises:
            NotifyError: retryable when the server was not reached, did not answer in time, or answered 5xx, 408, 425 or
                429; not retryable for every other answer that is not 2xx, a redirect that is not followed included.
        """
        body = payload.encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": event_id, "User-Agent": f"spreadwatch/{__version__}"}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._secret, body)
        host = self._url.host
        sending = _sending.set(True)
        try:
            # the libraries' own limits are for each read and write; a server that drips bytes would outlast them
            async with asyncio.timeout(self._timeout_s):
                await self._follow(body, headers)
        except (TimeoutError, httpx.TimeoutException, httpcore.TimeoutException):
            msg = f"webhook at {host} did not answer within {self._timeout_s:g} s; it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            msg = f"webhook at {host} could not be reached ({type(error).__name__}); check that it is up, it will be tried again"
            raise NotifyError(msg, retryable=True) from None
        finally:
            _sending.reset(sending)

    async def _follow(self, body: bytes, headers: dict[str, str]) -> None:
        """Send to the address, and on to where its answers lead."""
        url, private = self._url, self._private or says_private(self._url.host)
        for _ in range(_MOST_REDIRECTS + 1):
            proxied = _proxied(url)
            try:
                answer = await (
                    _through_proxy(url, body, headers, self._tls) if proxied else self._post(url, body, headers, private=private)
                )
            except NotifyError:
                if url is self._url:
                    raise
                msg = f"webhook at {self._url.host} redirects to a private address, which is not followed; set webhook_private to allow it"
                raise NotifyError(msg, retryable=False) from None
            if answer.status not in _REDIRECTS or proxied or answer.location is None:
                _judge(url.host, answer)
                return
            url, private = self._redirected(url, answer), self._private
        msg = f"webhook at {self._url.host} redirects more than {_MOST_REDIRECTS} times; set its url to the final address"
        raise NotifyError(msg, retryable=False)

    def _redirected(self, url: httpx.URL, answer: _Answer) -> httpx.URL:
        try:
            target = _parse(urljoin(str(url), answer.location or ""))
        except (SettingsError, ValueError):
            msg = f"webhook at {url.host} answered {answer.status}, a redirect to no http or https address; set its url to the final one"
            raise NotifyError(msg, retryable=False) from None
        if url.scheme == "https" and target.scheme != "https":
            msg = f"webhook at {url.host} answered {answer.status}, a redirect from https to http, which is not followed"
            raise NotifyError(msg, retryable=False)
        return target

    async def _post(self, url: httpx.URL, body: bytes, headers: dict[str, str], *, private: bool) -> _Answer:
        limits = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        async with httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=PinnedBackend(private=private)) as pool:
            request = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            netloc = url.netloc.decode()
            sent = {"Host": netloc, "Accept": "*/*", "Content-Length": str(len(body)), **_login(url), **headers}
            async with pool.stream("POST", request, headers=list(sent.items()), content=body, extensions={"timeout": limits}) as answer:
                found = httpx.Headers(answer.headers)
                return _Answer(answer.status, found.get("Retry-After"), found.get("Location"))


def _login(url: httpx.URL) -> dict[str, str]:
    """The header for a name and password in the address."""
    if not url.username and not url.password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode()}


def _proxied(url: httpx.URL) -> bool:
    """Whether the environment names a proxy for an address."""
    proxies = urllib.request.getproxies()
    return (url.scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(url.host)


async def _through_proxy(url: httpx.URL, body: bytes, headers: dict[str, str], tls: ssl.SSLContext) -> _Answer:
    async with (
        httpx.AsyncClient(verify=tls, follow_redirects=False) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,
    ):
        return _Answer(answer.status_code, answer.headers.get("Retry-After"), answer.headers.get("Location"))


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
        msg = "the url of a webhook is not an address; expected http://... or https://..."
        raise SettingsError(msg)
    return parsed


def _judge(host: str, answer: _Answer) -> None:
    """Return when the event was taken, raise NotifyError otherwise."""
    status = answer.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        msg = f"webhook at {host} answered {status}, a redirect, which is not followed; set its url to the final address"
        raise NotifyError(msg, retryable=False)
    if status >= 500 or status in _TRY_AGAIN:
        msg = f"webhook at {host} answered {status}; it will be tried again"
        raise NotifyError(msg, retryable=True, retry_after_s=_retry_after(answer.retry_after))
    msg = f"webhook at {host} refused the event with {status}; check its url and what it expects"
    raise NotifyError(msg, retryable=False)


def _retry_after(text: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header, an hour at most; None when it is absent or a date."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else None

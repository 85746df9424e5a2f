"""The venue's REST API over HTTP: within its request budget, patient where it asks for patience, with errors that say what to do."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import Self

import httpx

from pipeline.errors import RateLimited, UsageError, VenueUnavailable
from pipeline.model.event import Kline, Trade
from pipeline.venues import Request, Venue, venue

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
_FIRST_PAUSE_S = 1.0
_MINUTE_S = 60.0


class VenueRest:
    """GETs to one venue. Safe to use from several threads, which share its budget.

    Args:
        base_url: REST base, such as ``https://fapi.binance.com``.
        protocol: the venue.
        weight_per_minute: request weight that may be used in a minute; the rest of the venue's budget is left to others at this address.
        patience_s: longest wait that the venue may ask for (Retry-After) before RateLimited is raised instead.
        timeout_s: of one request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        protocol: Venue | None = None,
        weight_per_minute: int = 1_800,
        patience_s: float = 90.0,
        timeout_s: float = 30.0,
    ) -> None:
        self._venue = protocol or venue()
        self._base_url = base_url.rstrip("/")
        self._budget = weight_per_minute
        self._patience_s = patience_s
        self._client = httpx.Client(timeout=timeout_s, headers={"User-Agent": "spreadwatch"})
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._minute = -1
        self._used = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, request: Request) -> bytes:
        """The body of a good answer.

        A venue that cannot be reached is tried three times; one that asks to wait is waited for, up to ``patience_s``.

        Raises:
            VenueUnavailable: when it cannot be reached, or answers 5xx.
            RateLimited: when it asks for a longer wait.
            RegionBlocked, BadRequest: when trying again does not help.
        """
        attempt = 0
        waited_s = 0.0
        while True:
            self._take(request.weight)
            try:
                return self._once(request)
            except RateLimited as error:
                waited_s += error.retry_after_s
                if waited_s > self._patience_s:
                    raise
                _log.warning("venue asks to wait", extra={"path": request.path, "wait_s": error.retry_after_s})
                self._hold(error.retry_after_s)
            except VenueUnavailable as error:
                attempt += 1
                if attempt >= _ATTEMPTS:
                    raise
                pause_s = _FIRST_PAUSE_S * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 -- jitter
                _log.warning("venue does not answer", extra={"path": request.path, "retry_in_s": round(pause_s, 1), "why": str(error)})
                time.sleep(pause_s)

    def server_time_ms(self) -> int:
        """The venue's clock, in milliseconds since the epoch."""
        return self._venue.parse_server_time(self.get(self._venue.server_time()))

    def klines(self, symbol: str, interval: str, *, start_ms: int, end_ms: int, limit: int, now_ms: int) -> list[Kline]:
        """At most ``limit`` candlesticks that open from ``start_ms`` to ``end_ms`` inclusive, oldest first; closed by ``now_ms`` or not."""
        body = self.get(self._venue.klines(symbol, interval, start_ms, end_ms, limit))
        return self._venue.parse_klines(body, symbol, interval, now_ms)

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 1_000,
    ) -> list[Trade]:
        """At most ``limit`` aggregate trades, oldest first, of the past 48 h: from an id on (inclusive), or of a window.

        What arrives here is what the venue still has: an empty list says that there is nothing, not that it was not asked.
        The receive time of the trades is now; ``encode_trade`` of the venue makes journal lines of them.

        Args:
            symbol: of the venue.
            from_id: first id; not together with times.
            start_ms: first time of the window, inclusive, in milliseconds since the epoch.
            end_ms: last time, inclusive, less than an hour after ``start_ms``.
            limit: at most 1,000.

        Raises:
            UsageError: when neither an id nor both times are given, or all of them.
            BadRequest: when the venue refuses, as it does for what is older than 48 h.
            VenueError: see :meth:`get`.
            MalformedMessage: when the answer is not of the documented form.
        """
        if (from_id is None) == (start_ms is None or end_ms is None) or (from_id is not None and (start_ms, end_ms) != (None, None)):
            msg = "trades are asked for by from_id, or by start_ms and end_ms; give one of the two"
            raise UsageError(msg)
        if from_id is not None:
            request = self._venue.agg_trades_from(symbol, from_id, limit)
        else:
            request = self._venue.agg_trades_between(symbol, start_ms or 0, end_ms or 0, limit)
        return self._venue.parse_agg_trades(self.get(request), symbol, time.time_ns())

    def _once(self, request: Request) -> bytes:
        url = self._base_url + request.path
        try:
            answer = self._client.get(url, params=list(request.params))
        except (httpx.TransportError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            msg = f"the venue at {self._base_url} cannot be reached ({why}); check the network, or use `--kind simulated`"
            raise VenueUnavailable(msg) from error
        used = self._venue.used_weight(answer.headers)
        if used is not None:
            with self._lock:
                self._used = max(self._used, used)
        problem = self._venue.classify_status(answer.status_code, answer.headers, answer.content)
        if problem is not None:
            raise problem
        return answer.content

    def _take(self, weight: int) -> None:
        """Wait until the request fits into the minute's budget."""
        while True:
            with self._lock:
                now = time.time()
                minute = int(now // _MINUTE_S)
                if minute != self._minute:
                    self._minute, self._used = minute, 0
                wait_s = self._not_before - now
                if wait_s <= 0 and self._used > 0 and self._used + weight > self._budget:
                    wait_s = (minute + 1) * _MINUTE_S - now
                if wait_s <= 0:
                    self._used += weight
                    return
            time.sleep(wait_s + 0.05)

    def _hold(self, seconds: float) -> None:
        with self._lock:
            self._not_before = max(self._not_before, time.time() + seconds)

"""One look at the venue: does it answer, and does its clock agree with ours?"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import httpx

from pipeline.errors import BadRequest, VenueUnavailable
from pipeline.venues.rest import classify_status

_TIMEOUT_S = 8.0


async def ping(rest_url: str) -> None:
    """GET ``/fapi/v1/ping``.

    Raises:
        VenueError: the subclass and the message say what is wrong and what to do.
    """
    await _get(rest_url, "/fapi/v1/ping")


async def clock_offset_ms(rest_url: str) -> float:
    """Venue clock minus ours, in milliseconds, good to half the round trip.

    Raises:
        VenueError: as :func:`ping`.
    """
    before = time.time()
    response = await _get(rest_url, "/fapi/v1/time")
    ours = (before + time.time()) / 2
    try:
        return float(response.json()["serverTime"]) - ours * 1_000
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{_name(rest_url)} does not tell its time; is rest_url ({rest_url}) the REST base of Binance USD-M Futures?"
        raise BadRequest(msg) from error


async def _get(rest_url: str, path: str) -> httpx.Response:
    name = _name(rest_url)
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            response = await client.get(rest_url.rstrip("/") + path)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        msg = f"{name} cannot be reached ({reason}); check the network, DNS and proxy settings, or run `spreadwatch up --kind simulated`"
        raise VenueUnavailable(msg) from error
    if refusal := classify_status(response.status_code, response.headers, response.content):
        raise refusal
    return response


def _name(rest_url: str) -> str:
    host = urlsplit(rest_url).hostname or rest_url
    return f"Binance ({host})" if host.endswith("binance.com") else f"the venue at {host}"

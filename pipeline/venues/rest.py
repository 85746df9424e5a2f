"""REST requests as values, and what an HTTP answer means: shared by venues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.errors import BadRequest, RateLimited, RegionBlocked, VenueError, VenueUnavailable

_DEFAULT_RETRY_S: Final = {429: 60.0, 418: 300.0}
_LONGEST_RETRY_S: Final = 3 * 86_400.0  # the longest ban that Binance announces


@dataclass(frozen=True, slots=True)
class Request:
    """A GET to make: path below the REST base, query parameters in order, and its weight in the venue's budget."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """What may be traded, as the venue lists it. Sizes are the venue's exact decimal text.

    ``tick_size`` is the smallest step of the price, ``lot_size`` of the quantity; ``status`` is
    ``TRADING`` when the market is open; ``contract_type`` such as ``PERPETUAL``.
    """

    symbol: str
    base: str
    quote: str
    status: str
    contract_type: str
    tick_size: str
    lot_size: str


@dataclass(frozen=True, slots=True)
class ExchangeInfo:
    """The venue's list of symbols. ``skipped`` names those that Spreadwatch cannot follow (name or sizes missing or odd)."""

    server_time_ms: int
    symbols: tuple[SymbolSpec, ...]
    skipped: tuple[str, ...]


def classify_status(status: int, headers: Mapping[str, str], body: bytes | str) -> VenueError | None:
    """What an HTTP answer means: None when it is good, else the error to raise.

    429 and 418 become RateLimited (``Retry-After`` in seconds; 60 and 300 when it is absent or not a number),
    403 and 451 RegionBlocked, 408 and everything outside 2xx and 4xx VenueUnavailable, other 4xx BadRequest.
    """
    if 200 <= status < 300:
        return None
    said = _said(body)
    if status in _DEFAULT_RETRY_S:
        wait = retry_after(headers, default_s=_DEFAULT_RETRY_S[status])
        return RateLimited(f"the venue asks us to slow down (HTTP {status}{said}); trying again in {wait:g} s", retry_after_s=wait)
    if status in (403, 451):
        return RegionBlocked(
            f"the venue refuses this address (HTTP {status}{said}); it does not serve some regions: "
            "use `--kind simulated`, or a network from which it can be reached",
        )
    if 400 <= status < 500 and status != 408:
        return BadRequest(
            f"the venue refuses the request (HTTP {status}{said}); expected a valid symbol and parameters: correct the request"
        )
    return VenueUnavailable(f"the venue does not answer as it should (HTTP {status}{said}); this usually passes: trying again")


def retry_after(headers: Mapping[str, str], *, default_s: float) -> float:
    """Seconds to wait by the ``Retry-After`` header, at most three days; ``default_s`` when absent or not a whole number."""
    text = header(headers, "Retry-After")
    if text is None or not text.isascii() or not text.isdigit():
        return default_s
    return min(float(text[:12]), _LONGEST_RETRY_S)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by name in any case, stripped; None when absent."""
    wanted = name.lower()
    return next((value.strip() for key, value in headers.items() if key.lower() == wanted), None)


def _said(body: bytes | str) -> str:
    """The venue's own words, in one line, or nothing."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(parsed, dict) or not isinstance(parsed.get("msg"), str):
        return ""
    words = " ".join(parsed["msg"].split())
    return f", {parsed.get('code')}: {words[:160]}"

"""What a message says by the venue's documents: the standard library's JSON and Decimal, no line shared with the decoders under test.

An outcome is a tuple of plain values. Its first word is the kind of event: ``trade``, ``quote``, ``kline``, ``unused``, ``unknown``,
``control``, ``shutdown``, ``clock``, ``end``, ``own``, or ``refused``. Amounts are Decimals.

`judge` also says whether a message is *plain*: written the way the venue writes, so that a decoder has to take it. A message that JSON
allows and nobody writes (a name twice, 7.0 for an id, half of a surrogate pair) is not plain: a decoder may refuse it, but when it
takes it, it must find the same values.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

Outcome = tuple[Any, ...]

REFUSED: Outcome = ("refused",)
TOO_DEEP: Outcome = ("too deep",)
"""The standard library cannot read it; a decoder under test may, or may not."""
LONGEST_NUMBER = 1_000
UNUSED = {
    "markPriceUpdate", "24hrTicker", "24hrMiniTicker", "forceOrder", "continuous_kline", "indexPriceUpdate",
    "indexPrice_kline", "markPrice_kline", "compositeIndex", "contractInfo", "assetIndexUpdate", "tradingSession",
    "!ticker@arr", "!miniTicker@arr", "!markPrice@arr", "!markPrice@arr@1s", "!forceOrder@arr",
}  # fmt: skip
LARGEST = 2**63 - 1
PRICE = re.compile(r"\d{1,10}(\.\d{1,8})?", re.ASCII)
AMOUNT = re.compile(r"\d{1,20}(\.\d{1,8})?", re.ASCII)
SYMBOL = re.compile(r"[A-Z0-9_]{2,30}")
INTERVAL = re.compile(r"[1-9]\d{0,2}[smhdwM]", re.ASCII)


class Refusal(Exception):
    """The message is not of the documented form."""


class Members(dict[str, Any]):
    """A JSON object that knows whether a name came twice."""

    twice = False


def judge(raw: bytes) -> tuple[Outcome, bool]:
    """The outcome of one message, and whether it is plain."""
    odd: list[str] = []
    try:
        text = raw.decode("utf-8")
        message = json.loads(
            text,
            object_pairs_hook=lambda pairs: _members(pairs, odd),
            parse_int=lambda digits: _integer(digits, odd),
            parse_float=lambda text: _fraction(text, odd),
            parse_constant=_no_number,
        )
        if "\\ud" in text or "\\uD" in text:
            odd.append("surrogate")
        return _outcome(message, odd), not odd
    except Refusal:
        return REFUSED, not odd
    except RecursionError:  # of json: deeper than anybody writes
        return TOO_DEEP, False
    except ValueError:  # of the encoding or of JSON
        return REFUSED, False


def _members(pairs: list[tuple[str, Any]], odd: list[str]) -> Members:
    members = Members(pairs)
    if len(members) < len(pairs):
        odd.append("twice")
    return members


def _integer(digits: str, odd: list[str]) -> int | Decimal:
    if len(digits) <= LONGEST_NUMBER:
        return int(digits)
    odd.append("a number of many digits")
    return Decimal(digits)


def _fraction(text: str, odd: list[str]) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent beyond Decimal's own
        value = Decimal("Infinity")
    if math.isinf(float(value)):
        odd.append("a number beyond a double")
    return value


def _no_number(name: str) -> NoReturn:
    raise Refusal(name)


def _outcome(message: Any, odd: list[str]) -> Outcome:
    if not isinstance(message, Members):
        raise Refusal
    kind = message.get("e")
    if isinstance(kind, str):
        return _by_kind(kind, message, odd, wrapped=False)
    stream = message.get("stream")
    if isinstance(stream, str) and "data" in message:
        data = message["data"]
        if isinstance(data, list):
            return _named(stream)
        if not isinstance(data, Members):
            raise Refusal
        kind = data.get("e")
        return _by_kind(kind, data, odd, wrapped=True) if isinstance(kind, str) else _answer(data)
    return _answer(message)


def _named(name: str) -> Outcome:
    return ("unused", name) if name in UNUSED else ("unknown", name[:60])


def _by_kind(kind: str, message: Members, odd: list[str], *, wrapped: bool) -> Outcome:
    if kind.startswith("sw.") and not wrapped:
        return _own(kind)
    if kind == "depthUpdate":
        return ("unused", kind)
    if kind == "replayEnd":
        return ("end",)
    if kind == "serverShutdown":
        return ("shutdown", _count(message, "E", odd))
    read = {"aggTrade": _agg_trade, "trade": _trade, "bookTicker": _book_ticker, "kline": _kline}.get(kind)
    if read is None:
        return _named(kind)
    found = read(message, odd)
    market = _whole(message.get("st", 1), odd)
    return found() if market == 1 else ("unused", f"{kind} (st {market})")


def _agg_trade(message: Members, odd: list[str]) -> Any:
    ids = [_count(message, name, odd) for name in "aflT"]
    symbol, price, qty, maker = _text(message, "s"), _text(message, "p"), _text(message, "q"), _flag(message, "m")

    def found() -> Outcome:
        if ids[2] < ids[1]:
            raise Refusal
        return ("trade", "aggTrade", _symbol(symbol), ids[0], _decimal(price), _decimal(qty), ids[3], maker, ids[1], ids[2], True)

    return found


def _trade(message: Members, odd: list[str]) -> Any:
    trade_id, time = _count(message, "t", odd), _count(message, "T", odd)
    symbol, price, qty, maker = _text(message, "s"), _text(message, "p"), _text(message, "q"), _flag(message, "m")
    origin = _text(message, "X") if "X" in message else "MARKET"

    def found() -> Outcome:
        amounts = _decimal(price), _decimal(qty)
        return ("trade", "trade", _symbol(symbol), trade_id, *amounts, time, maker, trade_id, trade_id, origin == "MARKET")

    return found


def _book_ticker(message: Members, odd: list[str]) -> Any:
    update, time = _count(message, "u", odd), _count(message, "T", odd)
    symbol, amounts = _text(message, "s"), [_text(message, name) for name in "bBaA"]
    return lambda: ("quote", _symbol(symbol), update, *map(_decimal, amounts), time)


def _kline(message: Members, odd: list[str]) -> Any:
    k = message.get("k")
    if not isinstance(k, Members):
        raise Refusal
    symbol, interval = _text(k, "s"), _text(k, "i")
    if INTERVAL.fullmatch(interval) is None:
        raise Refusal
    times, closed = [_count(k, name, odd) for name in "tTn"], _flag(k, "x")
    ids = [_count(k, name, odd, least=-1) for name in "fL"]
    prices, sums = [_text(k, name) for name in "ohlc"], [_text(k, name) for name in "vqVQ"]

    def found() -> Outcome:
        return (
            "kline",
            _symbol(symbol),
            interval,
            *times,
            *map(_decimal, prices),
            *(_decimal(text, AMOUNT) for text in sums),
            *ids,
            closed,
        )

    return found


def _own(kind: str) -> Outcome:
    """Our own lines: that they are told apart from the venue's, not what they hold."""
    if kind == "sw.end":
        return ("end",)
    if kind == "sw.clock":
        return ("clock",)
    if re.fullmatch(r"sw\.[a-z][a-z0-9_.-]{0,60}", kind) is None:
        raise Refusal
    return ("own", kind[3:])


def _answer(message: Members) -> Outcome:
    """To a command, or of REST in the midst of a recording."""
    given = message.get("id")
    request_id = given if isinstance(given, int) and not isinstance(given, bool) else None
    if isinstance(message.get("error"), dict):
        return ("control", request_id, False)
    code = message.get("code")
    if isinstance(code, int) and isinstance(message.get("msg"), str):
        return ("control", request_id, False)
    if "result" in message and "id" in message:
        return ("control", request_id, True)
    for name, called in (("lastUpdateId", "depthSnapshot"), ("openInterest", "openInterest")):
        if name in message:
            return ("unused", called)
    return ("unknown", "(no type)")


def _text(message: Members, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise Refusal(name)
    return value


def _flag(message: Members, name: str) -> bool:
    value = message.get(name)
    if not isinstance(value, bool):
        raise Refusal(name)
    return value


def _count(message: Members, name: str, odd: list[str], least: int = 0) -> int:
    value = _whole(message.get(name), odd)
    if not least <= value <= LARGEST:
        raise Refusal(name)
    return value


def _whole(value: Any, odd: list[str]) -> int:
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 30 and value == int(value):
        odd.append("a whole number with a point or an exponent")
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal
    return value


def _symbol(text: str) -> str:
    if SYMBOL.fullmatch(text) is None:
        raise Refusal(text)
    return text


def _decimal(text: str, form: re.Pattern[str] = PRICE) -> Decimal:
    if form.fullmatch(text) is None:
        raise Refusal(text)
    return Decimal(text)

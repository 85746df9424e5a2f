"""The compiled half of bulk decoding: ordinary journal lines into columns of integers, without a Python object for a line.

A line is *ordinary* when it is written as Binance writes trades, best bids and asks, and order-book differences, in
every character: a receive time of 19 digits, no blank in the JSON, ``e`` the first member, no member that matters
twice, plain ASCII texts without escapes, integers without sign or exponent, amounts that fit ``DECIMAL(18,8)``. Other
members may come in any order, and such as nobody here knows are passed over. Whatever is not ordinary is a *stray*,
and somebody else's to judge: it may be right all the same.

Nothing here looks for the end of the block. It ends with a line break, no loop below takes one for a part of what it
reads, and no step skips a character that has not been compared.

This module imports numba, so functions import it when called, not before. It is one file, because numba compiles anew
what is in a file that has changed, and not what calls it from another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]
Place = tuple[Any, int]  # an integer, Python's or numpy's
"""A value, and where it ends: behind its last character, or `NOWHERE` when it is not ordinary."""

NOWHERE: Final = 0
MAX_SYMBOLS: Final = 2048
"""Most symbols that a block may have; lines of further ones are strays."""

_SLOTS: Final = 2 * MAX_SYMBOLS  # a power of two
_NEWLINE, _SPACE, _QUOTE, _COMMA, _MINUS, _POINT, _ZERO, _NINE, _COLON = (ord(c) for c in '\n ",-.09:')
_OPEN, _CLOSE, _LIST, _END_LIST, _BACKSLASH, _TILDE = (ord(c) for c in "{}[]\\~")
_A, _Z, _UNDERSCORE, _T, _F, _N = (ord(c) for c in "AZ_tfn")
_HEAD: Final = 19  # digits of a receive time in nanoseconds, from the year 2001 to 2286
_DIGITS: Final = 18  # as many always fit an int64
_WHOLE, _PLACES = 10, 8
_DEPTH_OF_LISTS: Final = 3
_POWERS: Final = 10 ** np.arange(_PLACES, -1, -1, dtype=np.int64)


def _text(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8)


_STREAM, _DATA, _TYPE = _text('{"stream":"'), _text(',"data":'), _text('{"e":"')
_TRUE, _FALSE, _NULL, _MARKET, _ST = _text("true"), _text("false"), _text("null"), _text("MARKET"), _text("st")

# --- what the members of a message are: one letter each, by its code -----------------------------
AGGREGATE, RAW, BOOK, DEPTH = range(4)
_AGGREGATE_NAME, _RAW_NAME, _BOOK_NAME, _DEPTH_NAME = _text("aggTrade"), _text("trade"), _text("bookTicker"), _text("depthUpdate")
_PASSED, _REFUSED, _COUNT, _AMOUNT, _SYMBOL, _FLAG, _ORIGIN = range(7)
FORMS: Final = {
    AGGREGATE: {"s": _SYMBOL, "a": _COUNT, "p": _AMOUNT, "q": _AMOUNT, "f": _COUNT, "l": _COUNT, "T": _COUNT, "m": _FLAG},
    RAW: {"s": _SYMBOL, "t": _COUNT, "p": _AMOUNT, "q": _AMOUNT, "T": _COUNT, "m": _FLAG, "X": _ORIGIN},
    BOOK: {"s": _SYMBOL, "u": _COUNT, "b": _AMOUNT, "B": _AMOUNT, "a": _AMOUNT, "A": _AMOUNT, "T": _COUNT},
    DEPTH: {},
}
"""The members of each message type that matter; `pipeline.venues.binance_wire` has their names."""
_LETTERS: Final = 128
_ORIGIN_AT, _RAW_ID, _FIRST_ID, _LAST_ID = (ord(letter) for letter in "Xtfl")
_IDS: Final = _text("afl")


def _kinds() -> Bytes:
    kinds = np.full((len(FORMS), _LETTERS), _PASSED, np.uint8)
    kinds[:, ord("e")] = _REFUSED
    for form, members in FORMS.items():
        for letter, kind in members.items():
            kinds[form, ord(letter)] = kind
    return kinds


_KINDS: Final = _kinds()
_NEEDED: Final = np.array([len(set(members) - {"X"}) for members in FORMS.values()], np.int64)

# --- rows of the results --------------------------------------------------------------------------
_TRADE_LETTERS: Final = _text("sapqTmfl")
_QUOTE_LETTERS: Final = _text("subBaAT")


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """A block's lines, sorted into the columns of three tables. Amounts are whole numbers of 1/100,000,000.

    Attributes:
        lines: of the block.
        trades: rows are symbol, id, price, quantity, time, buyer is maker, first id, last id, is a market trade, is an
            aggregate, receive time, line.
        quotes: symbol, id, bid, its quantity, ask, its quantity, time, receive time, line.
        strays: line, first byte, byte behind the last.
        symbols: names by number.
        depth_updates: how many order-book differences there are.
        last: line and receive time of the last line that is no stray; -1 and -1 when there is none.
    """

    lines: int
    trades: Int64s
    quotes: Int64s
    strays: Int64s
    symbols: tuple[str, ...]
    depth_updates: int
    last: tuple[int, int]


def scan(block: bytes) -> Scanned:
    """Sort a block of whole lines, the last with its line break."""
    lines = block.count(b"\n")
    trades = np.empty((_TRADE_LETTERS.size + 4, lines), np.int64)
    quotes = np.empty((_QUOTE_LETTERS.size + 2, lines), np.int64)
    strays = np.empty((3, lines), np.int64)
    spots = np.empty((2, MAX_SYMBOLS), np.int64)
    values, seen, slots = np.zeros(_LETTERS, np.int64), np.full(_LETTERS, -1, np.int64), np.full(_SLOTS, -1, np.int32)
    n_trades, n_quotes, n_strays, depth_updates, n_symbols, last_line, last_recv_ns = _scan(
        np.frombuffer(block, np.uint8), trades, quotes, strays, spots, values, seen, slots
    )
    symbols = tuple(block[first : first + size].decode() for first, size in spots[:, :n_symbols].T.tolist())
    last = last_line, last_recv_ns
    return Scanned(lines, trades[:, :n_trades], quotes[:, :n_quotes], strays[:, :n_strays], symbols, depth_updates, last)


# --- compiled -------------------------------------------------------------------------------------
F = TypeVar("F", bound=Callable[..., object])


def _compiled(function: F) -> F:
    # Nothing in here allocates. Counting references to the arrays all the same would be two thirds of the time, and what
    # says not to is an option that numba has for itself.
    compiler: Any = njit
    return cast("F", compiler(cache=True, nogil=True, _nrt=False)(function))


@_compiled
def _scan(  # noqa: PLR0917 - compiled
    block: Bytes,
    trades: Int64s,
    quotes: Int64s,
    strays: Int64s,
    spots: Int64s,
    values: Int64s,
    seen: Int64s,
    slots: NDArray[np.int32],
) -> tuple[int, int, int, int, int, int, int]:
    """Fill the tables from the left; how many trades, quotes, strays, differences and symbols, then line and time of `Scanned.last`.

    ``spots`` are first byte and length of each symbol, ``values`` the members of a line by letter, ``seen`` the line on
    which each was seen last, ``slots`` the hash table of symbols, empty where negative.
    """
    n_trades, n_quotes, n_strays, n_depths, n_symbols = 0, 0, 0, 0, 0
    last_line, last_recv = -1, -1
    at, line = 0, 0
    while at < block.size:
        recv_ns, end = _receive_time(block, at)
        form = -1
        if end != NOWHERE:
            form, end, n_symbols = _message(block, end, line, values, seen, slots, spots, n_symbols)
        if form < 0 or block[end] != _NEWLINE:
            end = at
            while block[end] != _NEWLINE:
                end += 1
            strays[0, n_strays], strays[1, n_strays], strays[2, n_strays] = line, at, end
            n_strays += 1
        else:
            last_line, last_recv = line, recv_ns
            if form == BOOK:
                for row in range(_QUOTE_LETTERS.size):
                    quotes[row, n_quotes] = values[_QUOTE_LETTERS[row]]
                quotes[_QUOTE_LETTERS.size, n_quotes] = recv_ns
                quotes[_QUOTE_LETTERS.size + 1, n_quotes] = line
                n_quotes += 1
            elif form == DEPTH:
                n_depths += 1
            else:
                for row in range(_TRADE_LETTERS.size):
                    trades[row, n_trades] = values[_TRADE_LETTERS[row]]
                trades[_TRADE_LETTERS.size, n_trades] = values[_ORIGIN_AT]
                trades[_TRADE_LETTERS.size + 1, n_trades] = form == AGGREGATE
                trades[_TRADE_LETTERS.size + 2, n_trades] = recv_ns
                trades[_TRADE_LETTERS.size + 3, n_trades] = line
                n_trades += 1
        at = end + 1
        line += 1
    return n_trades, n_quotes, n_strays, n_depths, n_symbols, last_line, last_recv


@_compiled
def _message(  # noqa: PLR0911, PLR0912, PLR0917 - one pass over many characters, compiled
    block: Bytes, at: int, line: int, values: Int64s, seen: Int64s, slots: NDArray[np.int32], spots: Int64s, n_symbols: int
) -> tuple[int, int, int]:
    """Form of the message at ``at`` (-1: not ordinary), where it ends, and how many symbols are known now."""
    wrapped = _matches(block, at, _STREAM)
    if wrapped:
        at = _plain(block, at + _STREAM.size)
        if at == NOWHERE or not _matches(block, at, _DATA):
            return -1, NOWHERE, n_symbols
        at += _DATA.size
    if not _matches(block, at, _TYPE):
        return -1, NOWHERE, n_symbols
    form, at = _form(block, at + _TYPE.size)
    if form < 0:
        return -1, NOWHERE, n_symbols
    values[_ORIGIN_AT] = 1  # a print of which nothing is said is a market trade
    needed = _NEEDED[form]
    while block[at] == _COMMA:
        letter, at = _member(block, at + 1)
        if at == NOWHERE:
            return -1, NOWHERE, n_symbols
        if letter == _ST.size and form != DEPTH:  # ``st``: 1 for USD-M contracts
            letter = 0
        kind: Any = _COUNT if letter == 0 else _KINDS[form, letter]
        if kind == _PASSED:
            at = _value(block, at)
        else:
            if kind == _REFUSED or seen[letter] == line:
                return -1, NOWHERE, n_symbols
            seen[letter] = line
            if kind == _COUNT:
                values[letter], at = _count(block, at)
            elif kind == _AMOUNT:
                values[letter], at = _amount(block, at)
            elif kind == _SYMBOL:
                values[letter], at, n_symbols = _symbol(block, at, slots, spots, n_symbols)
            elif kind == _FLAG:
                values[letter], at = _flag(block, at)
            else:
                values[letter], at = _origin(block, at)
            if letter == 0:
                if values[letter] != 1:
                    return -1, NOWHERE, n_symbols
            elif kind != _ORIGIN:
                needed -= 1
        if at == NOWHERE:
            return -1, NOWHERE, n_symbols
    if needed or block[at] != _CLOSE:
        return -1, NOWHERE, n_symbols
    at += 1
    if form == RAW:
        for letter in _IDS:
            values[letter] = values[_RAW_ID]
    elif form == AGGREGATE and values[_LAST_ID] < values[_FIRST_ID]:
        return -1, NOWHERE, n_symbols
    if wrapped:
        if block[at] != _CLOSE:
            return -1, NOWHERE, n_symbols
        at += 1
    return form, at, n_symbols


@_compiled
def _form(block: Bytes, at: int) -> Place:
    """The message type behind its opening quotation mark."""
    end = _plain(block, at)
    if end == NOWHERE:
        return -1, NOWHERE
    size = end - 1 - at
    if size == _AGGREGATE_NAME.size and _matches(block, at, _AGGREGATE_NAME):
        return AGGREGATE, end
    if size == _BOOK_NAME.size and _matches(block, at, _BOOK_NAME):
        return BOOK, end
    if size == _RAW_NAME.size and _matches(block, at, _RAW_NAME):
        return RAW, end
    if size == _DEPTH_NAME.size and _matches(block, at, _DEPTH_NAME):
        return DEPTH, end
    return -1, NOWHERE


@_compiled
def _member(block: Bytes, at: int) -> Place:
    """A member's name, and where its value begins: its letter; 2 for ``st``, 1 for another name of more or no letters."""
    if block[at] != _QUOTE:
        return 0, NOWHERE
    begin = at + 1
    end = _plain(block, begin)
    if end == NOWHERE or block[end] != _COLON:
        return 0, NOWHERE
    size = end - 1 - begin
    if size == 1:
        return np.int64(block[begin]), end + 1
    return (_ST.size if size == _ST.size and _matches(block, begin, _ST) else 1), end + 1


@_compiled
def _matches(block: Bytes, at: int, text: Bytes) -> bool:
    for offset in range(text.size):  # noqa: SIM110 - compiled
        if block[at + offset] != text[offset]:
            return False
    return True


@_compiled
def _receive_time(block: Bytes, at: int) -> Place:
    value = np.uint64(0)
    for offset in range(_HEAD):
        digit = block[at + offset]
        if digit < _ZERO or digit > _NINE:
            return -1, NOWHERE
        value = value * np.uint64(10) + np.uint64(digit - _ZERO)
    if value > np.uint64(2**63 - 1) or block[at + _HEAD] != _SPACE:
        return -1, NOWHERE
    return np.int64(value), at + _HEAD + 1


@_compiled
def _digits(block: Bytes, at: int) -> Place:
    """Digits, perhaps none; the value is right when there are no more than 18."""
    value: Any = 0
    while _ZERO <= block[at] <= _NINE:
        value = value * 10 + (np.int64(block[at]) - _ZERO)
        at += 1
    return value, at


@_compiled
def _count(block: Bytes, at: int) -> Place:
    value, end = _digits(block, at)
    if end == at or end - at > _DIGITS or (block[at] == _ZERO and end - at > 1):
        return 0, NOWHERE
    return value, end


@_compiled
def _amount(block: Bytes, at: int) -> Place:
    if block[at] != _QUOTE:
        return 0, NOWHERE
    whole, end = _digits(block, at + 1)
    if end == at + 1 or end - at - 1 > _WHOLE:
        return 0, NOWHERE
    places, value = 0, 0
    if block[end] == _POINT:
        begin = end + 1
        value, end = _digits(block, begin)
        places = end - begin
        if places < 1 or places > _PLACES:
            return 0, NOWHERE
    if block[end] != _QUOTE:
        return 0, NOWHERE
    return whole * _POWERS[0] + value * _POWERS[places], end + 1


@_compiled
def _symbol(block: Bytes, at: int, slots: NDArray[np.int32], spots: Int64s, known: int) -> tuple[Any, int, int]:
    """The number of a symbol in the order of their first lines, where it ends, and how many there are now."""
    if block[at] != _QUOTE:
        return 0, NOWHERE, known
    begin = end = at + 1
    mixed: Any = 0
    while _A <= block[end] <= _Z or _ZERO <= block[end] <= _NINE or block[end] == _UNDERSCORE:
        mixed = (mixed * 31 + np.int64(block[end])) & 0xFFFFFFFF
        end += 1
    size = end - begin
    if size < 2 or size > 30 or block[end] != _QUOTE:
        return 0, NOWHERE, known
    slot = (mixed ^ (mixed >> 15)) & (_SLOTS - 1)
    while slots[slot] >= 0:
        code = slots[slot]
        if spots[1, code] == size:
            same = True
            for offset in range(size):
                if block[spots[0, code] + offset] != block[begin + offset]:
                    same = False
                    break
            if same:
                return np.int64(code), end + 1, known
        slot = (slot + 1) & (_SLOTS - 1)
    if known == MAX_SYMBOLS:
        return 0, NOWHERE, known
    slots[slot] = known
    spots[0, known], spots[1, known] = begin, size
    return known, end + 1, known + 1


@_compiled
def _flag(block: Bytes, at: int) -> Place:
    if _matches(block, at, _TRUE):
        return 1, at + _TRUE.size
    if _matches(block, at, _FALSE):
        return 0, at + _FALSE.size
    return 0, NOWHERE


@_compiled
def _origin(block: Bytes, at: int) -> Place:
    """1 for a market trade, 0 for a print of another origin."""
    if block[at] != _QUOTE:
        return 0, NOWHERE
    end = _plain(block, at + 1)
    if end == NOWHERE:
        return 0, NOWHERE
    return (1 if end - at - 2 == _MARKET.size and _matches(block, at + 1, _MARKET) else 0), end


@_compiled
def _plain(block: Bytes, at: int) -> int:
    """Where a text ends whose opening quotation mark is passed: printable ASCII without a backslash."""
    while _SPACE <= block[at] <= _TILDE and block[at] != _QUOTE and block[at] != _BACKSLASH:
        at += 1
    return at + 1 if block[at] == _QUOTE else NOWHERE


@_compiled
def _value(block: Bytes, at: int) -> int:
    """Where a value ends that nobody needs: a text, number, true, false, null, or a list (of lists) of these."""
    depth = 0
    while True:
        while block[at] == _LIST:
            at += 1
            depth += 1
            if depth > _DEPTH_OF_LISTS:
                return NOWHERE
            if block[at] == _END_LIST:
                break
        if depth == 0 or block[at] != _END_LIST:
            at = _scalar(block, at)
            if at == NOWHERE:
                return NOWHERE
        while depth > 0 and block[at] == _END_LIST:
            at += 1
            depth -= 1
        if depth == 0:
            return at
        if block[at] != _COMMA:
            return NOWHERE
        at += 1
        if block[at] == _END_LIST:  # nothing behind the comma
            return NOWHERE


@_compiled
def _scalar(block: Bytes, at: int) -> int:
    first = block[at]
    if first == _QUOTE:
        return _plain(block, at + 1)
    if first in (_T, _F):
        return _flag(block, at)[1]
    if first == _N:
        return at + _NULL.size if _matches(block, at, _NULL) else NOWHERE
    if first == _MINUS:
        at += 1
    end = _digits(block, at)[1]
    if end == at or (block[at] == _ZERO and end - at > 1):
        return NOWHERE
    if block[end] == _POINT:
        begin = end + 1
        end = _digits(block, begin)[1]
        if end == begin:
            return NOWHERE
    return end

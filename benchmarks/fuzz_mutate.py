"""Messages as nobody should send them: real ones cut, spliced and twisted, as bytes and as JSON, by a seeded generator."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

Pairs = list[tuple[str, Any]]

PLAIN = [
    (
        b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":5,"a":7,"s":"BTCUSDT","p":"61800.30","q":"0.006","nq":"0.006","f":10,"l":12,'
        b'"T":1723161255088,"m":true,"st":1}}'
    ),
    b'{"e":"aggTrade","E":5,"a":7,"s":"BTCUSDT","p":"61800.30","q":"0.006","f":10,"l":12,"T":4,"m":true}',
    b'{"stream":"ethusdt@trade","data":{"e":"trade","E":5,"T":4,"s":"ETHUSDT","t":7,"p":"2681.3","q":"0.006","X":"MARKET","m":false}}',
    b'{"e":"trade","E":5,"T":4,"s":"ETHUSDT","t":8,"p":"2681.3","q":"0.006","X":"INSURANCE_FUND","m":false}',
    (
        b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":4,"E":5,"st":1,'
        b'"ps":"BTCUSDT"}}'
    ),
    b'{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":4,"E":5}',
    (
        b'{"e":"kline","E":1,"s":"CTKUSDT","k":{"t":60000,"T":119999,"s":"CTKUSDT","i":"1m","f":-1,"L":-1,"o":"1.0","c":"1.1",'
        b'"h":"1.2","l":"0.9","v":"3917","n":0,"x":false,"q":"15000000000.5","V":"1729","Q":"1748.01900","B":"0"}}'
    ),
    b'{"stream":"s","data":{"e":"depthUpdate","E":1,"b":[["1","2"]],"a":[]}}',
    b'{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate"}]}',
    b'{"result":null,"id":1}',
    b'{"error":{"code":2,"msg":"Invalid request"},"id":9}',
    b'{"code":-1121,"msg":"Invalid symbol."}',
    b'{"lastUpdateId":5,"bids":[["1","2"]],"asks":[]}',
    b'{"e":"serverShutdown","E":1723161255088}',
    b'{"e":"newThing","x":1}',
    b'{"e":"sw.end"}',
    b'{"e":"sw.request","text":"x"}',
]
NUMBERS = [
    "0", "-0", "1", "-1", "7.0", "7e0", "7E2", "70e-1", "1.5", "1e400", "1e-400", "-1e5", "00", "07", "1.", ".5", "+1", "0x10", "1_000",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "18446744073709551617", "340282366920938463463374607431768211456", "NaN", "Infinity", "-Infinity", "1" * 400,
    "1" * 5_000, "0." + "0" * 2_000 + "1", "1e" + "9" * 30, "123456789012345678", "1234567890123456789", "12345678901234567890",
]  # fmt: skip
TEXTS = [
    '""', '"0"', '"1"', '"-1"', '"+1"', '"1."', '".1"', '"00.10"', '"1e5"', '"NaN"', '"Infinity"', '"1,5"', '" 1"', '"1 "', '"1\\n"',
    '"1\\u0000"',
    '"9999999999.99999999"', '"10000000000"', '"0.123456789"', '"0.12345678"', '"99999999999999999999.99999999"', '"\\u0031.5"', '"\u0661"',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"BTC\\u0055SDT"', '"btcusdt"', '"BTC USDT"', '"BTCUSDT\\u0000"', '"B"',
    '"' + "B" * 31 + '"',
    '"\u5e01\u5b89USDT"', '"MARKET"', '"ADL"', '"NA"', '"1m"', '"1s"', '"01m"', '"1M\\n"', '"sw.clock"', '"sw.end"', '"sw.Upper"',
    '"aggTrade"',
    '"trade"', '"bookTicker"', '"kline"', '"depthUpdate"', '"replayEnd"', '"serverShutdown"', '"\\/"', '"\\x41"', '"a\tb"', '"a\x7fb"',
    '"\ufeff"',
    '"' + "x" * 3_000 + '"',
]  # fmt: skip
OTHERS = [
    "null",
    "true",
    "false",
    "True",
    "nul",
    "[]",
    "{}",
    "[1]",
    "[[[[[[]]]]]]",
    '{"e":"trade"}',
    '{"a":{"b":{"c":[1,{"d":null}]}}}',
    "[1,]",
    "[,1]",
    "[1 2]",
    "{,}",
]
BYTES = [
    b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\x1f", b"\x7f", b"\r",
    b"\t", b" ", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"-", b"0",
]  # fmt: skip
LETTERS = "easpqflTmtXubBAkEstdcoihvnLxVQ"
_KIND = re.compile(rb'"e":"([a-zA-Z]+)"')
LONG_TEXT = 10_000_000
DEEP = 200_000


class Raw(str):
    """JSON text that is written as it stands."""

    __slots__ = ()


def corpus(market_data: Path | None, each: int = 400) -> list[bytes]:
    """Messages to begin with: one of every kind, and real ones where there are any."""
    found = list(PLAIN)
    if market_data is None:
        return found
    found += (market_data / "ws_messages" / "binance_futures_ws_messages.jsonl").read_bytes().splitlines()
    found += [path.read_bytes().strip() for path in sorted((market_data / "ws_messages" / "nautilus_futures").glob("*.json"))]
    for path in sorted(market_data.glob("ws_*/*.gz")):
        with gzip.open(path) as lines:
            found += [message for line in islice(lines, 1, 20 * each, 20) if (message := line.partition(b" ")[2].strip())]
    return found


class Mutator:
    """An endless stream of messages, the same for the same seed and corpus."""

    def __init__(self, messages: list[bytes], seed: int) -> None:
        kinds: dict[bytes, list[bytes]] = {}
        for message in messages:
            kind = _KIND.search(message)
            kinds.setdefault(kind[1] if kind else b"", []).append(message)
        self._kinds = list(kinds.values())
        self._random = random.Random(seed)
        self._of_bytes: list[Callable[[bytes], bytes]] = [
            self._cut, self._drop, self._double, self._insert, self._flip, self._splice, self._blank, self._number, self._head, self._tail,
        ]  # fmt: skip
        self._of_members: list[Callable[[Pairs], None]] = [
            self._value, self._value, self._value, self._swap_type, self._without, self._twice, self._order, self._escape_name,
            self._more, self._case,
        ]  # fmt: skip

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self.message()

    def message(self) -> bytes:
        """The next one."""
        raw = self._any()
        way = self._random.random()
        if way < 0.05:
            return raw
        if way < 0.6:
            raw = self._twisted(raw)
        if way > 0.5:
            for _ in range(self._random.choice((1, 1, 2, 4))):
                raw = self._random.choice(self._of_bytes)(raw)
        return raw

    def _any(self) -> bytes:
        """A message of any kind, the kinds equally often."""
        return self._random.choice(self._random.choice(self._kinds))

    # --- as bytes ---
    def _at(self, raw: bytes) -> int:
        return self._random.randint(0, len(raw))

    def _cut(self, raw: bytes) -> bytes:
        return raw[: self._at(raw)]

    def _head(self, raw: bytes) -> bytes:
        return self._random.choice([b"\xef\xbb\xbf", b" ", b"\n", b"[", b"\x00", b"5 ", b"\xff\xfe"]) + raw

    def _tail(self, raw: bytes) -> bytes:
        return raw + self._random.choice([b"}", b" ", b"\r", b"\r\n", b"\x00", b"{}", b",", b"x", raw])

    def _drop(self, raw: bytes) -> bytes:
        at = self._at(raw)
        return raw[:at] + raw[at + self._random.randint(1, 6) :]

    def _double(self, raw: bytes) -> bytes:
        first, last = sorted((self._at(raw), self._at(raw)))
        return raw[:last] + raw[first:]

    def _insert(self, raw: bytes) -> bytes:
        at = self._at(raw)
        return raw[:at] + self._random.choice(BYTES) + raw[at:]

    def _flip(self, raw: bytes) -> bytes:
        if not raw:
            return raw
        at = self._random.randrange(len(raw))
        return raw[:at] + bytes([raw[at] ^ (1 << self._random.randrange(8))]) + raw[at + 1 :]

    def _splice(self, raw: bytes) -> bytes:
        other = self._any()
        return raw[: self._at(raw)] + other[self._at(other) :]

    def _blank(self, raw: bytes) -> bytes:
        where = [at + 1 for at, byte in enumerate(raw) if byte in b"{}:,[]"]
        if not where:
            return raw
        at = self._random.choice(where)
        return raw[:at] + self._random.choice([b" ", b"\t", b"\r", b"  "]) + raw[at:]

    def _number(self, raw: bytes) -> bytes:
        where = [at for at, byte in enumerate(raw) if byte in b"0123456789"]
        if not where:
            return raw
        at = self._random.choice(where)
        return raw[:at] + self._random.choice([*NUMBERS, *TEXTS]).encode(errors="surrogatepass") + raw[at + 1 :]

    # --- as JSON ---
    def _twisted(self, raw: bytes) -> bytes:
        try:
            message = json.loads(raw, object_pairs_hook=_Object)
        except (ValueError, RecursionError):
            return raw
        if not isinstance(message, _Object):
            return raw
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            inner = [value for _, value in message.pairs if isinstance(value, _Object)]
            target = self._random.choice(inner) if inner and self._random.random() < 0.8 else message
            self._random.choice(self._of_members)(target.pairs)
        if self._random.random() < 0.1:
            message = _Object([("stream", "btcusdt@aggTrade"), ("data", message)])
        return _written(message).encode(errors="surrogatepass")

    def _odd(self) -> Raw:
        way = self._random.random()
        if way < 0.0002:
            deep = self._random.choice([500, 5_000, DEEP])
            opened, closed = self._random.choice([("[", "]"), ('{"a":', "}"), ("[[{},", "]]")])
            return Raw(opened * deep + "1" + closed * (deep if self._random.random() < 0.7 else 0))
        if way < 0.0003:
            return Raw('"' + "y" * LONG_TEXT + '"')
        return Raw(self._random.choice(self._random.choice([NUMBERS, TEXTS, OTHERS])))

    def _place(self, pairs: Pairs) -> int:
        return self._random.randrange(len(pairs))

    def _value(self, pairs: Pairs) -> None:
        if pairs:
            at = self._place(pairs)
            pairs[at] = pairs[at][0], self._odd()

    def _swap_type(self, pairs: Pairs) -> None:
        """A number as text, or a text as number."""
        if pairs:
            at = self._place(pairs)
            name, value = pairs[at]
            pairs[at] = name, (Raw(value) if isinstance(value, str) else Raw(json.dumps(str(value).lower())))

    def _without(self, pairs: Pairs) -> None:
        if pairs:
            del pairs[self._place(pairs)]

    def _twice(self, pairs: Pairs) -> None:
        if pairs:
            name, value = self._random.choice(pairs)
            pairs.insert(self._random.randint(0, len(pairs)), (name, value if self._random.random() < 0.3 else self._odd()))

    def _order(self, pairs: Pairs) -> None:
        self._random.shuffle(pairs)

    def _escape_name(self, pairs: Pairs) -> None:
        if pairs:
            at = self._place(pairs)
            name = str(pairs[at][0])
            pairs[at] = Raw('"' + "".join(f"\\u{ord(letter):04x}" for letter in name if ord(letter) < 0x10000) + '"'), pairs[at][1]

    def _more(self, pairs: Pairs) -> None:
        name = self._random.choice([*LETTERS, "st", "", "e", "stream", "data", "id", "result", "\u043a\u043b\u044e\u0447"])
        pairs.insert(self._random.randint(0, len(pairs)), (name, self._odd()))

    def _case(self, pairs: Pairs) -> None:
        if pairs:
            at = self._place(pairs)
            pairs[at] = str(pairs[at][0]).swapcase(), pairs[at][1]


class _Object:
    """A JSON object as a list of members, so that a name may come twice."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = list(pairs)


def _written(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, _Object):
        return "{" + ",".join(f"{name if isinstance(name, Raw) else json.dumps(name)}:{_written(item)}" for name, item in value.pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)

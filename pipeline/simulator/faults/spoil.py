"""Frames that no reader can take for what they were: truncated, mutated, no JSON, no UTF-8, of wrong types, empty.

Never a frame that reads well and says something else: what is spoilt is known to be unreadable.
"""

from __future__ import annotations

import json
from random import Random

from pipeline.simulator.faults.acts import SHAPES
from pipeline.simulator.frames import wrapped

_NEEDED = {
    "aggTrade": ("a", "p", "q", "T", "m", "f", "l"),
    "trade": ("t", "p", "q", "T", "m"),
    "bookTicker": ("u", "b", "B", "a", "A"),
    "kline": ("k",),
}
_NO_JSON = (
    "<html><head><title>502 Bad Gateway</title></head></html>",
    "hello",
    "nul",
    "{",
    '{"stream":"',
    "}{",
    "NaN,",
    "\x00\x01\x02",
    '{"e":"aggTrade",}',
    "[" * 5_000,
)
_WRONG: tuple[object, ...] = ([], {}, [1, 2], {"x": 1}, None, "", "abc", "1e", "--5", "0x10")
_DAMAGE = "{}[]:,\"\\x\x00' 7"


def spoilt(bare: str, stream: str, shape: str, random: Random) -> tuple[bytes, bytes]:
    """Spoil one message.

    Args:
        bare: the message in its bare form, a JSON object.
        stream: the stream that it came by.
        shape: one of ``SHAPES``, or ``any``.
        random: decides everything that is not given.

    Returns:
        The bare and the combined form, spoilt the same way.
    """
    if shape == "any":
        shape = random.choice(SHAPES)
    seed = random.getrandbits(64)
    if shape == "types" and (wrong := _wrong_types(bare, stream, random)):
        return wrong.encode(), wrapped(stream, wrong).encode()
    return _broken(bare, shape, Random(seed)), _broken(wrapped(stream, bare), shape, Random(seed))


def _broken(text: str, shape: str, random: Random) -> bytes:
    raw = text.encode()
    match shape:
        case "truncated":
            return raw[: random.randrange(1, len(raw))]
        case "not_json":
            return random.choice(_NO_JSON).encode()
        case "not_utf8":
            at = random.randrange(1, len(raw))
            return raw[:at] + random.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80")) + raw[at:]
        case "empty":
            return random.choice((b"", b" ", b"\n"))
    return _mutated(text, random).encode()


def _mutated(text: str, random: Random) -> str:
    """One to four characters changed, taken out or put in, until it is no JSON any more."""
    while True:
        letters = list(text)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(letters))
            letters[at : at + random.randint(0, 1)] = random.choice(("", random.choice(_DAMAGE)))
        changed = "".join(letters)
        try:
            json.loads(changed)
        except ValueError:
            return changed


def _wrong_types(bare: str, stream: str, random: Random) -> str:
    """JSON in which something needed is missing or of another type; empty when the message is no object with fields."""
    try:
        content = json.loads(bare)
    except ValueError:
        content = None
    if not isinstance(content, dict) or not content:
        return ""
    kind = stream.partition("@")[2].partition("_")[0]
    name = random.choice([name for name in _NEEDED.get(kind, ()) if name in content] or list(content))
    if random.random() < 0.25:
        del content[name]
    else:
        content[name] = random.choice(_WRONG)
    return json.dumps(content, separators=(",", ":"))

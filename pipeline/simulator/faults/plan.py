"""A plan of faults: TOML in, frozen values out, and the moments that follow from its seed. Pure."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from random import Random
from typing import Any

from pipeline.errors import UsageError
from pipeline.simulator.faults.acts import ACTS, Act

_COMMON = ("kind", "at_s", "every_s", "for_s", "route", "symbol", "stream", "all")
_ROUTES = ("market", "public", "private", "unrouted")
_SHORTEST_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Fault:
    """One table of a plan.

    Attributes:
        number: which table, counted from 1.
        act: what happens.
        at_s: when, in seconds after the start; None when it happens again and again.
        every_s: mean of the exponential pauses between two beginnings; None when it happens once.
        for_s: how long it lasts; infinite until something ends it, 0 for what has no duration.
        route: only what came by this route; empty for any.
        symbol: only this symbol; empty for any.
        stream: only this stream, by name (``btcusdt@aggTrade``) or kind (``aggTrade``); empty for any.
        every_target: hit everything that matches; one of it otherwise.
    """

    number: int
    act: Act
    at_s: float | None
    every_s: float | None
    for_s: float = 0.0
    route: str = ""
    symbol: str = ""
    stream: str = ""
    every_target: bool = False

    def hears(self, stream: str) -> bool:
        """Whether a stream's name is one that this fault is about."""
        symbol, _, kind = stream.partition("@")
        return self.stream in {"", stream, kind} and self.symbol in {"", symbol.upper()}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to go wrong.

    ``until_s``: nothing begins after this many seconds, and what lasts ends then.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 1
    until_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Moment:
    """When a fault begins, and the randomness that it has: ``pick`` from 0 to 1 chooses the target, ``seed`` is for the rest."""

    at_s: float
    pick: float
    seed: int


def moments(plan: Plan, fault: Fault) -> Iterator[Moment]:
    """The beginnings of one fault, in order: the same for the same plan, whatever else happens."""
    random = Random(f"{plan.seed}/{fault.number}/{fault.act.KIND}")
    at_s = fault.at_s
    if at_s is not None:
        if at_s <= plan.until_s:
            yield Moment(at_s, random.random(), random.getrandbits(64))
        return
    at_s = 0.0
    while True:
        at_s += max(random.expovariate(1 / (fault.every_s or 1.0)), _SHORTEST_PAUSE_S)
        if at_s > plan.until_s:
            return
        yield Moment(at_s, random.random(), random.getrandbits(64))


def parse_plan(text: str, name: str) -> Plan:
    """Read a plan.

    Args:
        text: TOML.
        name: what to call it in an error.

    Raises:
        UsageError: names the table and the key that cannot be used.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{name} is not TOML: {error}"
        raise UsageError(msg) from error
    for key in content:
        if key not in {"seed", "until_s", "fault"}:
            msg = f"{name}: key `{key}` is not known; expected `seed`, `until_s` and tables [[fault]]"
            raise UsageError(msg)
    tables = content.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        msg = f"{name}: `fault` is no list of tables; begin each one with [[fault]]"
        raise UsageError(msg)
    seed = _whole(content.get("seed", 1), f"{name}: key `seed`")
    until_s = _number(content.get("until_s", math.inf), f"{name}: key `until_s`", 0, math.inf)
    return Plan(tuple(_fault(table, number, name) for number, table in enumerate(tables, 1)), seed, until_s)


def parse_option(text: str, number: int) -> Fault:
    """Read a fault given as one word: ``drop:every_s=20,route=market``.

    Raises:
        UsageError: as `parse_plan`.
    """
    kind, _, rest = text.partition(":")
    table: dict[str, object] = {"kind": kind}
    for part in filter(None, rest.split(",")):
        key, given, value = part.partition("=")
        if not given:
            msg = f"--fault {text}: {part!r} is not KEY=VALUE; write for example --fault drop:every_s=20"
            raise UsageError(msg)
        try:
            table[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            table[key.strip()] = value
    return _fault(table, number, "--fault")


def _fault(table: Mapping[str, object], number: int, name: str) -> Fault:
    place = f"{name}: fault {number}"
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in ACTS:
        msg = f"{place}, key `kind`: {kind!r} is not known; expected one of {', '.join(ACTS)}"
        raise UsageError(msg)
    made = ACTS[kind]
    own = {one.name: one for one in fields(made)}
    known = {"kind", "at_s", "every_s", *made.NARROWED, *own} | ({"for_s"} if made.LASTS_S is not None else set())
    for key in table:
        if key not in known:
            other = " (known to other kinds)" if key in _COMMON else ""
            msg = f"{place} ({kind}), key `{key}` is not known{other}; expected {', '.join(sorted(known - {'kind'}))}"
            raise UsageError(msg)
    place = f"{place} ({kind})"
    act = made(**{key: _value(table[key], one, f"{place}, key `{key}`") for key, one in own.items() if key in table})
    at_s, every_s = _when(table, made, place)
    for_s = made.LASTS_S or 0.0
    if "for_s" in table:
        for_s = _number(table["for_s"], f"{place}, key `for_s`", 0, math.inf)
    return Fault(
        number,
        act,
        at_s,
        every_s,
        for_s,
        _choice(table.get("route", ""), f"{place}, key `route`", ("", *_ROUTES)),
        _text(table.get("symbol", ""), f"{place}, key `symbol`").upper(),
        _text(table.get("stream", ""), f"{place}, key `stream`"),
        _truth(table.get("all", False), f"{place}, key `all`"),
    )


def _when(table: Mapping[str, object], made: type[Act], place: str) -> tuple[float | None, float | None]:
    if "at_s" in table and "every_s" in table:
        msg = f"{place}, keys `at_s` and `every_s` exclude each other: once at a time, or again and again; keep one"
        raise UsageError(msg)
    if "every_s" in table:
        return None, _number(table["every_s"], f"{place}, key `every_s`", 0.05, math.inf)
    if "at_s" in table:
        return _number(table["at_s"], f"{place}, key `at_s`", 0, math.inf), None
    if made.ALWAYS:
        return 0.0, None
    msg = f"{place}, key `at_s` or `every_s` is missing; say when: at_s = 20 once, every_s = 20 again and again"
    raise UsageError(msg)


def _value(value: object, one: Field[Any], place: str) -> object:
    if "choices" in one.metadata:
        return _choice(value, place, one.metadata["choices"])
    if one.type == "bool":
        return _truth(value, place)
    if one.type == "str":
        return _text(value, place)
    number = _number(value, place, one.metadata["low"], one.metadata["high"])
    return _whole(value, place) if one.type == "int" else number


def _number(value: object, place: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or not low <= value <= high:
        span = f"from {low:g}" + ("" if math.isinf(high) else f" to {high:g}")
        msg = f"{place}: {value!r} cannot be used; expected a number {span}"
        raise UsageError(msg)
    return float(value)


def _whole(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{place}: {value!r} cannot be used; expected a whole number"
        raise UsageError(msg)
    return value


def _truth(value: object, place: str) -> bool:
    if not isinstance(value, bool):
        msg = f"{place}: {value!r} cannot be used; expected true or false"
        raise UsageError(msg)
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        msg = f"{place}: {value!r} cannot be used; expected a text"
        raise UsageError(msg)
    return value


def _choice(value: object, place: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        msg = f"{place}: {value!r} cannot be used; expected one of {', '.join(filter(None, choices))}"
        raise UsageError(msg)
    return str(value)

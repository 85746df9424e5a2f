"""Frozen dataclasses to and from flat rows and JSON, strictly: the form in which rules, states and events are kept."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from types import NoneType
from typing import Any, ClassVar, Self, get_args, get_type_hints

from pipeline.alerts.hours import ActiveHours
from pipeline.errors import RuleError, UsageError
from pipeline.model.timeframe import Timeframe

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name; an object in JSON and in rows."""
Names = tuple[str, ...]
"""Several names in an order; an array in JSON and in rows."""
Plain = str | int | float | bool | list[str] | dict[str, str] | None
"""What a field is in a row: text, number, truth, names, labels or nothing."""
_WRITTEN = (Timeframe, ActiveHours)  # have a text form that `parse` reads


class Record:
    """Mixed into a frozen dataclass whose fields are text, numbers, truths, enums, timeframes, active hours, names, labels, or None."""

    __slots__ = ()
    record_name: ClassVar[str]

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the fields, in the order in which `as_row` gives them."""
        return tuple(_fields(cls))

    def as_row(self) -> dict[str, Plain]:
        """The fields as plain values: enums and timeframes as text, names as a list, labels as a dict. Infinite floats stay floats."""
        return {name: _plain(getattr(self, name), field.kind) for name, field in _fields(type(self)).items()}

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> Self:
        """Build from plain values; a field with a default may be absent.

        Raises:
            RuleError: on an unknown or missing field, or a value of the wrong type (NaN included).
        """
        fields = _fields(cls)
        for name in row:
            if name not in fields:
                near = difflib.get_close_matches(name, fields, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(fields)}"
                msg = f"{cls.record_name} has no field {name!r}; {hint}"
                raise RuleError(msg)
        missing = [name for name, field in fields.items() if field.required and name not in row]
        if missing:
            msg = f"{cls.record_name} lacks {', '.join(missing)}; give it"
            raise RuleError(msg)
        return cls(**{name: _typed(cls.record_name, name, fields[name], value) for name, value in row.items()})

    def to_json(self) -> str:
        """One compact JSON object in field order: equal records give equal text. Infinite floats become ``"inf"`` and ``"-inf"``."""
        row = {name: str(value) if isinstance(value, float) and math.isinf(value) else value for name, value in self.as_row().items()}
        return json.dumps(row, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The inverse of `to_json`.

        Raises:
            RuleError: when the text is not one JSON object, or as `from_row`.
        """
        try:
            row = json.loads(text, parse_constant=_refuse_constant)
        except ValueError as error:
            msg = f"{cls.record_name} is not JSON: {error}; expected one object"
            raise RuleError(msg) from error
        if not isinstance(row, dict):
            msg = f"{cls.record_name} is {type(row).__name__}; expected one JSON object"
            raise RuleError(msg)
        return cls.from_row(row)


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    kind: Any
    optional: bool
    required: bool


_FIELDS: dict[type[Record], dict[str, _Field]] = {}


def _fields(record: Any) -> dict[str, _Field]:
    """The fields of a record class by name, looked up once a class."""
    known = _FIELDS.get(record)
    if known is None:
        hints = get_type_hints(record)
        known = {}
        for field in dataclasses.fields(record):
            hint = hints[field.name]
            members = (hint,) if hint in (Labels, Names) else get_args(hint) or (hint,)
            kind = next(member for member in members if member is not NoneType)
            known[field.name] = _Field(kind, NoneType in members, field.default is dataclasses.MISSING)
        _FIELDS[record] = known  # only when whole: threads may race here
    return known


def _plain(value: object, kind: object) -> Plain:
    if isinstance(value, _WRITTEN):
        return str(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return dict(value) if kind == Labels else list(value)
    if value is None or isinstance(value, str | int | float):
        return value
    msg = f"{type(value).__name__} has no plain form; use text, numbers, enums or timeframes in records"
    raise TypeError(msg)


def _typed(record: str, name: str, field: _Field, value: object) -> object:
    kind, optional = field.kind, field.optional
    if value is None and optional:
        return None
    if kind in (Names, Labels):
        found = _names(value) if kind == Names else _labels(value)
        if found is not None:
            return found
        msg = f"{record} field {name} = {value!r} cannot be used; expected {_WORDS[kind]}"
        raise RuleError(msg)
    if issubclass(kind, StrEnum):
        return _member(record, name, kind, value)
    if kind in _WRITTEN and isinstance(value, kind | str):
        try:
            return value if isinstance(value, kind) else kind.parse(value)
        except UsageError as error:
            msg = f"{record} field {name}: {error}"
            raise RuleError(msg) from error
    if kind is float:
        number = _float(value)
        if number is not None:
            return number
    # bool is an int in Python, not here
    elif isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    msg = f"{record} field {name} = {value!r} cannot be used; expected {_WORDS.get(kind, kind.__name__)}{' or null' if optional else ''}"
    raise RuleError(msg)


def _names(value: object) -> Names | None:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)


def _labels(value: object) -> Labels | None:
    """Labels of a mapping, of pairs, or of nothing at all."""
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if not isinstance(value, list | tuple):
        return None
    pairs = [tuple(pair) for pair in value if isinstance(pair, list | tuple)]
    if len(pairs) != len(value) or not all(len(pair) == 2 and all(isinstance(part, str) for part in pair) for pair in pairs):
        return None
    return tuple(sorted(dict(pairs).items()))


def _member(record: str, name: str, kind: type[StrEnum], value: object) -> StrEnum:
    known = [member.value for member in kind]
    if isinstance(value, str) and value in known:
        return kind(value)
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
    msg = f"{record} field {name} = {value!r} is unknown; {hint}"
    raise RuleError(msg)


def _float(value: object) -> float | None:
    """``value`` as a float, None when it is no number."""
    if value in ("inf", "-inf"):
        return float(str(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def _refuse_constant(text: str) -> object:
    msg = f"{text} is no JSON number"
    raise ValueError(msg)


_WORDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Timeframe: "a timeframe such as 1m",
    ActiveHours: "active hours such as 'mon-fri 08:00-17:30 Europe/Berlin'",
    Names: "a list of names",
    Labels: "names with texts",
}

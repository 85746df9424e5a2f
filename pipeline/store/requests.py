"""Changes that the dashboard and the command line ask for, as rows of ``requests``.

Whoever asks appends a row: a kind and a JSON payload. The warehouse process applies it between two
landing transactions, writes it into the journal, and says in ``request_log`` what became of it.

    rule.put              {"rule": {...}}           the fields of an alert rule; replaces one of the same id
    rule.delete           {"rule_id": ...}
    rule.enable           {"rule_id": ..., "enabled": true}
    alert.ack             {"rule_id": ..., "series": ..., "by": ...}
    alert.snooze          {"rule_id": ..., "series": ..., "until_us": ..., "by": ...}   until_us null or left out: end the snooze
    alert.mute            {"rule_id": ..., "series": ..., "by": ...}
    alert.unmute          {"rule_id": ..., "series": ..., "by": ...}
    outbox.resend         {"event_id": ..., "channel": ...}   channel left out: every one that gave it up; event_id "*": every event
    universe.add_symbol   {"symbol": ..., "uploaded": true}   uploaded: a user's own data, nothing to subscribe to; false when left out
    universe.remove_symbol {"symbol": ...}
    universe.add_pair     {"pair": "Y/X", "method": ..., "lookback": ..., "scale": ...}
    universe.remove_pair  {"pair": "Y/X"}
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl

from pipeline.alerts import Rule
from pipeline.errors import UsageError
from pipeline.model.pair import Pair, parse_symbol
from pipeline.model.universe import Method, PairSpec, Scale
from pipeline.store.protocol import Warehouse

_LONGEST_NAME = 100
_END_OF_TIME_US = 4_102_444_800_000_000


class RequestKind(StrEnum):
    """What a request asks for."""

    RULE_PUT = "rule.put"
    RULE_DELETE = "rule.delete"
    RULE_ENABLE = "rule.enable"
    ALERT_ACK = "alert.ack"
    ALERT_SNOOZE = "alert.snooze"
    ALERT_MUTE = "alert.mute"
    ALERT_UNMUTE = "alert.unmute"
    OUTBOX_RESEND = "outbox.resend"
    ADD_SYMBOL = "universe.add_symbol"
    REMOVE_SYMBOL = "universe.remove_symbol"
    ADD_PAIR = "universe.add_pair"
    REMOVE_PAIR = "universe.remove_pair"


@dataclass(frozen=True, slots=True)
class PutRule:
    """Create an alert rule, or replace the one of the same id."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class DeleteRule:
    """Delete an alert rule."""

    rule_id: str


@dataclass(frozen=True, slots=True)
class EnableRule:
    """Switch an alert rule on or off."""

    rule_id: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class AcknowledgeAlert:
    """Say that somebody has taken note of a firing alert."""

    rule_id: str
    series: str
    by: str


@dataclass(frozen=True, slots=True)
class SnoozeAlert:
    """Tell nobody of an alert until a time (microseconds since the epoch, journal time); None ends a snooze."""

    rule_id: str
    series: str
    until_us: int | None
    by: str


@dataclass(frozen=True, slots=True)
class MuteAlert:
    """Tell nobody of an alert until it is unmuted; ``muted`` False is that."""

    rule_id: str
    series: str
    muted: bool
    by: str


@dataclass(frozen=True, slots=True)
class ResendEvent:
    """Deliver again what was given up; ``*`` is every event, None is every channel."""

    event_id: str
    channel: str | None


@dataclass(frozen=True, slots=True)
class AddSymbol:
    """Follow a symbol; an uploaded one is made known without being followed."""

    symbol: str
    uploaded: bool = False


@dataclass(frozen=True, slots=True)
class RemoveSymbol:
    """Stop following a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True)
class AddPair:
    """Model a pair, or change the primary model of one."""

    spec: PairSpec


@dataclass(frozen=True, slots=True)
class RemovePair:
    """Stop modelling a pair."""

    pair: Pair


Change = (
    PutRule
    | DeleteRule
    | EnableRule
    | AcknowledgeAlert
    | SnoozeAlert
    | MuteAlert
    | ResendEvent
    | AddSymbol
    | RemoveSymbol
    | AddPair
    | RemovePair
)


def describe_change(change: Change) -> tuple[RequestKind, dict[str, object]]:  # noqa: PLR0911  one for each kind
    """The kind and the payload of a change."""
    match change:
        case PutRule(rule):
            return RequestKind.RULE_PUT, {"rule": json.loads(rule.to_json())}
        case DeleteRule(rule_id):
            return RequestKind.RULE_DELETE, {"rule_id": rule_id}
        case EnableRule(rule_id, enabled):
            return RequestKind.RULE_ENABLE, {"rule_id": rule_id, "enabled": enabled}
        case AcknowledgeAlert(rule_id, series, by):
            return RequestKind.ALERT_ACK, {"rule_id": rule_id, "series": series, "by": by}
        case SnoozeAlert(rule_id, series, until_us, by):
            return RequestKind.ALERT_SNOOZE, {"rule_id": rule_id, "series": series, "until_us": until_us, "by": by}
        case MuteAlert(rule_id, series, muted, by):
            kind = RequestKind.ALERT_MUTE if muted else RequestKind.ALERT_UNMUTE
            return kind, {"rule_id": rule_id, "series": series, "by": by}
        case ResendEvent(event_id, channel):
            return RequestKind.OUTBOX_RESEND, {"event_id": event_id, "channel": channel}
        case AddSymbol(symbol, uploaded):
            return RequestKind.ADD_SYMBOL, {"symbol": symbol} | ({"uploaded": True} if uploaded else {})
        case RemoveSymbol(symbol):
            return RequestKind.REMOVE_SYMBOL, {"symbol": symbol}
        case AddPair(spec):
            fields = {"method": spec.method.value, "lookback": spec.lookback, "scale": spec.scale.value}
            return RequestKind.ADD_PAIR, {"pair": str(spec.pair), **fields}
        case RemovePair(pair):
            return RequestKind.REMOVE_PAIR, {"pair": str(pair)}


def parse_change(kind: str, payload: str) -> Change:
    """The inverse of ``describe_change``, for whoever applies it; ``payload`` is JSON text.

    Raises:
        UsageError: when the kind is unknown or the payload is not of its form.
    """
    try:
        parse = _PARSERS[RequestKind(kind)]
    except ValueError:
        msg = f"request kind {kind!r} is unknown; expected one of {', '.join(RequestKind)}"
        raise UsageError(msg) from None
    try:
        content = json.loads(payload)
    except ValueError as error:
        msg = f"the payload of a {kind} request is not JSON: {error}; expected one object"
        raise UsageError(msg) from error
    if not isinstance(content, dict):
        msg = f"the payload of a {kind} request is {type(content).__name__}; expected one JSON object"
        raise UsageError(msg)
    try:
        return parse(content)
    except (KeyError, ValueError, TypeError) as error:
        msg = f"the payload of a {kind} request cannot be used ({error!r}); see pipeline/store/requests.py for its form"
        raise UsageError(msg) from error


def send(warehouse: Warehouse, change: Change, *, now: datetime) -> str:
    """Append a request and return its id, under which ``load_outcome`` finds what became of it.

    Raises:
        WarehouseUnavailable: when nobody answers.
        StatementRefused: when the connection's role may not ask for changes.
    """
    kind, payload = describe_change(change)
    request_id = uuid.uuid4().hex
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    columns = {"request_id": [request_id], "requested_at": [now], "kind": [kind.value], "payload": [text]}
    warehouse.request(pl.DataFrame(columns))
    return request_id


def load_outcome(warehouse: Warehouse, request_id: str) -> str | None:
    """What became of a request, in words; None until the warehouse has dealt with it."""
    found = warehouse.select("SELECT outcome FROM request_log WHERE request_id = $request_id", request_id=request_id)
    return str(found.item(0, "outcome")) if found.height else None


def load_pending(warehouse: Warehouse) -> pl.DataFrame:
    """Requests that the warehouse has not dealt with, oldest first: request_id, requested_at, kind, payload (JSON text)."""
    return warehouse.select(
        "SELECT request_id, requested_at, kind, CAST(payload AS VARCHAR) AS payload FROM requests ORDER BY requested_at, request_id"
    )


def _text(content: Mapping[str, object], name: str) -> str:
    value = content[name]
    if not isinstance(value, str) or not value or len(value) > _LONGEST_NAME:
        msg = f"{name} must be text of 1 to {_LONGEST_NAME} characters"
        raise ValueError(msg)
    return value


def _truth(content: Mapping[str, object], name: str) -> bool:
    value = content[name]
    if not isinstance(value, bool):
        msg = f"{name} must be true or false"
        raise TypeError(msg)
    return value


def _rule(content: Mapping[str, object]) -> PutRule:
    rule = content["rule"]
    if not isinstance(rule, dict):
        msg = "rule must be an object"
        raise TypeError(msg)
    return PutRule(Rule.from_row(rule))


def _pair_spec(content: Mapping[str, object]) -> AddPair:
    lookback = content.get("lookback", 500)
    if not isinstance(lookback, int) or isinstance(lookback, bool) or not 30 <= lookback <= 100_000:
        msg = "lookback must be a whole number from 30 to 100000"
        raise ValueError(msg)
    method, scale = Method(str(content.get("method", "ols"))), Scale(str(content.get("scale", "price")))
    return AddPair(PairSpec(Pair.parse(_text(content, "pair")), method, lookback, scale))


def _until_us(content: Mapping[str, object]) -> int | None:
    value = content.get("until_us")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _END_OF_TIME_US):
        msg = "until_us must be microseconds since the epoch, before the year 2100, or null"
        raise ValueError(msg)
    return value


def _muting(*, muted: bool) -> Callable[[Mapping[str, object]], Change]:
    return lambda content: MuteAlert(_text(content, "rule_id"), _text(content, "series"), muted, _text(content, "by"))


_PARSERS: Mapping[RequestKind, Callable[[Mapping[str, object]], Change]] = {
    RequestKind.RULE_PUT: _rule,
    RequestKind.RULE_DELETE: lambda content: DeleteRule(_text(content, "rule_id")),
    RequestKind.RULE_ENABLE: lambda content: EnableRule(_text(content, "rule_id"), _truth(content, "enabled")),
    RequestKind.ALERT_ACK: lambda content: AcknowledgeAlert(_text(content, "rule_id"), _text(content, "series"), _text(content, "by")),
    RequestKind.ALERT_SNOOZE: lambda content: SnoozeAlert(
        _text(content, "rule_id"), _text(content, "series"), _until_us(content), _text(content, "by")
    ),
    RequestKind.ALERT_MUTE: _muting(muted=True),
    RequestKind.ALERT_UNMUTE: _muting(muted=False),
    RequestKind.OUTBOX_RESEND: lambda content: ResendEvent(
        _text(content, "event_id"), None if content.get("channel") is None else _text(content, "channel")
    ),
    RequestKind.ADD_SYMBOL: lambda content: AddSymbol(
        parse_symbol(_text(content, "symbol")), _truth(content, "uploaded") if "uploaded" in content else False
    ),
    RequestKind.REMOVE_SYMBOL: lambda content: RemoveSymbol(parse_symbol(_text(content, "symbol"))),
    RequestKind.ADD_PAIR: _pair_spec,
    RequestKind.REMOVE_PAIR: lambda content: RemovePair(Pair.parse(_text(content, "pair"))),
}

"""One connection's side of the subscription protocol: text in, text out, no input or output of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard

from pipeline.simulator.streams import Address, Route, well_formed

MOST_STREAMS = 1_024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_UNKNOWN_PROPERTY = 0
_BAD_VALUE = 1
_BAD_REQUEST = 2
_BAD_JSON = 3
_LONGEST_ID = 36

RequestId: TypeAlias = int | str
"""What a client calls its command, told back in the answer; the venue's own SDK sends UUIDs."""


@dataclass(slots=True, eq=False)
class Session:
    """Subscriptions and properties of one connection."""

    route: Route
    combined: bool
    streams: dict[str, None] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    """Subscribed streams that send nothing until they are subscribed again: a fault."""

    @classmethod
    def opened(cls, address: Address) -> Session:
        """A session with the subscriptions that its path names."""
        return cls(address.route, address.combined, dict.fromkeys(name for name in address.streams if well_formed(name)))

    def answer(self, text: str | bytes) -> str:
        """Carry out one command and return the venue's answer, acknowledgement or error."""
        try:
            request = json.loads(text)
        except ValueError:
            return _error(_BAD_JSON, "Invalid JSON: expected value at line 1 column 1", None)
        if not isinstance(request, dict) or "method" not in request:
            return _error(_BAD_REQUEST, "Invalid request: missing field `method` at line 1 column 1", None)
        request_id = request.get("id")
        if not _usable(request_id):
            return _error(_BAD_REQUEST, "Invalid request: request ID must be an unsigned integer or a string of up to 36 characters", None)
        params = request.get("params", [])
        method = request["method"]
        if method not in _METHODS:
            known = ", ".join(f"`{name}`" for name in _METHODS)
            return _error(_BAD_REQUEST, f"Invalid request: unknown variant `{method}`, expected one of {known}", request_id)
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(self.streams), request_id)
        if method.endswith("PROPERTY"):
            return self._property(method, params, request_id)
        return self._subscription(method, params, request_id)

    def _subscription(self, method: str, params: object, request_id: RequestId) -> str:
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return _error(_BAD_REQUEST, "Invalid request: params must be a list of stream names", request_id)
        if not all(well_formed(name) for name in params):
            return _error(_BAD_REQUEST, "Invalid request: invalid stream", request_id)
        if method == "UNSUBSCRIBE":
            for name in params:
                self.streams.pop(name, None)
                self.silent.discard(name)
        elif len(self.streams | dict.fromkeys(params)) > MOST_STREAMS:
            return _error(_BAD_REQUEST, "Invalid request: too many streams", request_id)
        else:
            self.streams.update(dict.fromkeys(params))
            self.silent.difference_update(params)
        return _result(None, request_id)

    def _property(self, method: str, params: object, request_id: RequestId) -> str:
        if not isinstance(params, list) or not params or params[0] != "combined":
            return _error(_UNKNOWN_PROPERTY, "Unknown property", request_id)
        if method == "GET_PROPERTY":
            return _result(self.combined, request_id)
        if len(params) != 2 or not isinstance(params[1], bool):
            return _error(_BAD_VALUE, "Invalid value type: expected Boolean", request_id)
        self.combined = params[1]
        return _result(None, request_id)


def _usable(request_id: object) -> TypeGuard[RequestId]:
    if isinstance(request_id, str):
        return 0 < len(request_id) <= _LONGEST_ID
    return isinstance(request_id, int) and not isinstance(request_id, bool) and request_id >= 0


def _result(result: object, request_id: RequestId) -> str:
    return json.dumps({"result": result, "id": request_id}, separators=(",", ":"))


def _error(code: int, message: str, request_id: RequestId | None) -> str:
    return json.dumps({"error": {"code": code, "msg": message}, "id": request_id}, separators=(",", ":"))

"""HTTP errors in the place of answers, as the venue and what stands before it write them."""

from __future__ import annotations

from random import Random
from urllib.parse import urlsplit

from pipeline.simulator.faults.acts import Status
from pipeline.simulator.rest import Answer

_RESTRICTED = (
    '{"code":0,"msg":"Service unavailable from a restricted location according to \'b. Eligibility\' in '
    'https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in error."}'
)
_BODIES = {
    418: '{"code":-1003,"msg":"Way too many requests; IP(127.0.0.1) banned. Please use the websocket for live updates to avoid bans."}',
    429: '{"code":-1003,"msg":"Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute. '
    'Please use the websocket for live updates to avoid polling the API."}',
    451: _RESTRICTED,
    500: '{"code":-1000,"msg":"An unknown error occurred while processing the request."}',
    503: '{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}',
}
_PAGE = "<html><head><title>{code} ERROR</title></head><body>The request could not be satisfied.</body></html>"


class Answers:
    """The errors in force. A request is answered by the first that hits it."""

    def __init__(self) -> None:
        self._acts: list[tuple[Status, Random, dict[str, object]]] = []

    def begin(self, act: Status, seed: int) -> dict[str, object]:
        """Put an error in force; returns the facts that it counts."""
        facts: dict[str, object] = {"answered": 0}
        self._acts.append((act, Random(seed), facts))
        return facts

    def end(self, facts: dict[str, object]) -> None:
        """Take it out of force, by its facts."""
        self._acts = [one for one in self._acts if one[2] is not facts]

    def rest(self, target: str) -> Answer | None:
        """The error that a REST request gets; None when it is answered as usual."""
        return self._answer(target, "rest")

    def handshake(self, target: str) -> Answer | None:
        """The error that a WebSocket handshake gets."""
        return self._answer(target, "ws")

    def _answer(self, target: str, kind: str) -> Answer | None:
        path = urlsplit(target).path
        for act, random, facts in self._acts:
            if act.on not in {kind, "both"} or not (act.path in path if act.path else not path.endswith("/ping")):
                continue
            if random.random() < act.chance:
                facts["answered"] = int(str(facts["answered"])) + 1
                headers = {"Retry-After": f"{max(1, round(act.retry_after_s))}"} if act.retry_after_s else {}
                return Answer(act.code, _BODIES.get(act.code, _PAGE.format(code=act.code)), headers)
        return None

"""Changes that a page asks the warehouse for: sent as a request, then waited for beside the event loop."""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep

from dashboards.link import Link
from pipeline.store.requests import Change, load_outcome, send

_TRIES = 25
_PAUSE_S = 0.2


def ask_for(link: Link, change: Change) -> str | None:
    """Send a change and wait some seconds for what the warehouse says of it: ``applied``, or why not; None when it has not said yet.

    Raises:
        WarehouseUnavailable: when nobody answers.
        StatementRefused: when this connection may not ask for changes.
    """
    request_id = link.use(lambda warehouse: send(warehouse, change, now=datetime.now(UTC)))
    for _ in range(_TRIES):
        outcome = link.use(lambda warehouse: load_outcome(warehouse, request_id))
        if outcome is not None:
            return outcome
        sleep(_PAUSE_S)
    return None


def outcome_text(outcome: str | None, done: str) -> tuple[str, str]:
    """Kind and text of the message that tells an outcome; ``done`` is what to say when the change was applied."""
    if outcome is None:
        return "info", "Sent. The warehouse has not applied it yet; it will, as soon as it runs."
    return ("success", done) if outcome.startswith(("applied", "done", "ok")) else ("error", outcome)

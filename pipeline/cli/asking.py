"""Changes that commands ask for: sent to the warehouse, which applies them; applied here when none runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.cli.process import effective_settings
from pipeline.errors import UsageError
from pipeline.profile import Profile

if TYPE_CHECKING:
    from pipeline.store import LocalWarehouse
    from pipeline.store.protocol import Warehouse
    from pipeline.store.requests import Change

_PATIENCE_S = 10.0
_REFUSED = "refused: "


def ask(profile: Profile, changes: Sequence[Change]) -> bool:
    """Have changes made, in order; whether they are made now, rather than by a warehouse that is busy and will make them.

    Raises:
        UsageError: when one is refused; those behind it are made all the same.
        WarehouseBusy: when somebody holds the file and does not serve it.
    """
    from pipeline.store import LocalWarehouse, Role, open_warehouse
    from pipeline.store.requests import send

    with open_warehouse(profile, Role.OPERATOR) as warehouse:
        requests = [send(warehouse, change, now=datetime.now(UTC)) for change in changes]
        if isinstance(warehouse, LocalWarehouse):
            _apply(profile, warehouse)
        return _outcomes(warehouse, requests)


def _apply(profile: Profile, warehouse: LocalWarehouse) -> None:
    """Do what the process would do, into the journal and out of it: a rebuild must know of it, too."""
    from pipeline.notify import channels_of
    from pipeline.warehouse import Engine

    chosen = effective_settings(profile)
    engine = Engine(profile, chosen, warehouse, channels=tuple(channels_of(chosen)))
    try:
        engine.apply_requests()
    finally:
        engine.close()


def _outcomes(warehouse: Warehouse, requests: Sequence[str]) -> bool:
    from pipeline.store.requests import load_outcome

    waiting = list(requests)
    refused = []
    until = time.monotonic() + _PATIENCE_S
    while waiting:
        outcome = load_outcome(warehouse, waiting[0])
        if outcome is not None:
            waiting.pop(0)
            if outcome.startswith(_REFUSED):
                refused.append(outcome.removeprefix(_REFUSED))
        elif time.monotonic() > until:
            break
        else:
            time.sleep(0.05)
    if refused:
        raise UsageError("; ".join(refused))
    return not waiting


def told(made: bool, done: str) -> str:  # noqa: FBT001  the outcome of `ask`
    """What to say of it."""
    return done if made else "asked; the warehouse is busy and will do it"

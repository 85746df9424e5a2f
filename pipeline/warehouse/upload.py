"""An upload without a running warehouse: this process lands what the journal gets, and applies the change of the universe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipeline.errors import UsageError, WarehouseUnavailable
from pipeline.jobs.resample import resample
from pipeline.jobs.turn import turn
from pipeline.jobs.upload import Desk, served_desk
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import Role, connect, open_local
from pipeline.store.requests import Change, load_outcome, send
from pipeline.warehouse.engine import Engine


@contextmanager
def upload_desk(profile: Profile, settings: Settings, *, run: str) -> Iterator[Desk]:
    """Where an upload goes, whether the profile's warehouse runs or not; bars of what was landed are made at the end.

    Raises:
        WarehouseBusy: when somebody holds the database and does not serve it.
    """
    try:
        served = connect(profile, Role.WRITER)
    except WarehouseUnavailable:
        with _alone(profile, settings, run=run) as desk:
            yield desk
        return
    with served, connect(profile, Role.OPERATOR) as operator:
        desk = served_desk(profile, settings, served, operator=operator, run=run)
        yield desk
        _resampled(desk)


@contextmanager
def _alone(profile: Profile, settings: Settings, *, run: str) -> Iterator[Desk]:
    with open_local(profile) as warehouse:
        engine = Engine(profile, settings, warehouse)

        def land(_source: str) -> None:
            engine.land_everything()

        def ask(change: Change) -> None:
            request = send(warehouse, change, now=datetime.now(UTC))
            engine.take_requests()
            engine.land_everything()
            outcome = load_outcome(warehouse, request) or ""
            if outcome.startswith("refused: "):
                raise UsageError(outcome.removeprefix("refused: "))

        try:
            desk = Desk(profile, settings, warehouse, land, ask, run)
            yield desk
        finally:
            engine.close()
        _resampled(desk)


def _resampled(desk: Desk) -> None:
    with turn(desk.profile, "resample"):
        resample(desk.warehouse, desk.settings.parsed_timeframes, run=desk.run)

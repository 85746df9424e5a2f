"""A backfill beside a running warehouse, which lands the trades, or without one: then this process lands them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import WarehouseUnavailable
from pipeline.jobs.backfill import Place
from pipeline.jobs.venue_archive import VenueArchive
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import Role, connect, open_local
from pipeline.warehouse.engine import Engine


@contextmanager
def backfill_place(profile: Profile, settings: Settings, *, run: str) -> Iterator[Place]:
    """Where a backfill works, whether the profile's warehouse runs or not.

    Raises:
        WarehouseBusy: when somebody holds the database and does not serve it.
    """
    journal = open_journal(profile, settings)
    with VenueRest(settings.rest_url) as rest, VenueArchive(settings.archive_url) as archive:
        try:
            served = connect(profile, Role.WRITER)
        except WarehouseUnavailable:
            with open_local(profile) as warehouse:
                engine = Engine(profile, settings, warehouse)
                try:
                    yield Place(profile, warehouse, journal, rest, archive, run, engine.land_everything)
                finally:
                    engine.close()
            return
        with served:
            yield Place(profile, served, journal, rest, archive, run)

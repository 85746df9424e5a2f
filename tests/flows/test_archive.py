"""The flow archive as Prefect runs it: it asks, and the process that holds the database does the work."""

from __future__ import annotations

import threading

import pytest

from pipeline.store.archiving import Archiver
from pipeline.warehouse.orders import OrderDesk

pytestmark = pytest.mark.usefixtures("prefect")


def test_archive_asks_the_warehouse_and_waits_until_it_is_done(make_profile, serve_warehouse, newest_artifact):
    from flows.archive import archive

    profile = make_profile()
    warehouse = serve_warehouse(profile)
    warehouse.connection.execute("UPDATE journal_clock SET journal_time = TIMESTAMPTZ '2026-03-05 00:00:00+00'")
    desk = OrderDesk(Archiver(warehouse.connection.cursor(), profile), lambda: None)
    ended = threading.Event()

    def work():
        while not ended.wait(0.02):
            desk.look()
        desk.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert archive() == 1  # by default only quotes are old enough after three days
        assert archive() == 0
    finally:
        ended.set()
        thread.join()
    assert warehouse.select("SELECT count(*) FROM quotes_recent").item() == 0
    assert warehouse.select("SELECT count(*) FROM quotes").item() == 7200
    assert newest_artifact("archive").description.startswith("0 days with 0 rows")

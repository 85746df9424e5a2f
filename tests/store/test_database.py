"""The file itself: opening it, the lock on it, its recorded changes, and the statements that may be run on it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest

from pipeline.errors import StoreError, WarehouseBusy
from pipeline.model.timeframe import Timeframe
from pipeline.store import Role, open_local, open_warehouse, select_only
from pipeline.store.connection import open_database
from pipeline.store.landing import LandingStore
from pipeline.store.migrations import migrate
from pipeline.store.models import save_fits
from pipeline.store.requests import AddSymbol, load_pending, send
from pipeline.store.statements import is_registered, stages, statement

HOLD = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_migrations_are_applied_once_and_recorded(profile):
    with open_local(profile) as opened:
        recorded = opened.select("SELECT name FROM schema_migrations ORDER BY name")["name"].to_list()
        assert recorded
        assert recorded[0] == "0001_tables.sql"
        assert migrate(opened.connection) == []
    with open_local(profile) as opened:
        assert opened.select("SELECT name FROM schema_migrations ORDER BY name")["name"].to_list() == recorded


def test_a_database_of_a_newer_version_is_refused(profile):
    with open_local(profile) as opened:
        opened.connection.execute("INSERT INTO schema_migrations VALUES ('9999_future.sql', now())")
    with pytest.raises(StoreError, match=r"9999_future\.sql"):
        open_local(profile)
    # And let go of: it can be opened by the version that knows it.
    duckdb.connect(str(profile.database)).close()


def test_a_held_file_is_said_plainly(profile):
    with open_local(profile):
        pass
    command = [sys.executable, "-c", HOLD, str(profile.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        for opened in (lambda: open_local(profile), lambda: open_warehouse(profile, Role.READER)):
            with pytest.raises(WarehouseBusy, match="held by another process"):
                opened()
        holder.stdin.close()
    with open_local(profile):
        pass


def test_a_damaged_file_is_not_called_busy(tmp_path):
    path = tmp_path / "block" / "warehouse.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        open_database(path)
    assert not isinstance(caught.value, WarehouseBusy)


def test_a_missing_directory_is_said_plainly(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(tmp_path / "absent" / "warehouse.duckdb")


def test_every_connection_speaks_utc(profile):
    with open_local(profile) as opened:
        frame = opened.select("SELECT TIMESTAMPTZ '2026-03-02 10:00:00+00' AS moment, strftime(moment, '%H') AS hour")
        assert frame.row(0) == (datetime(2026, 3, 2, 10, tzinfo=UTC), "10")
        assert frame.schema["moment"] == pl.Datetime("us", "UTC")


def test_only_whole_statements_with_a_batch_id_are_known():
    made = statement("test_known", stage="stage_reports", sql="INSERT INTO t SELECT 1 FROM stage_reports WHERE batch = '{batch}'")
    text = made.text("0" * 32)
    assert is_registered(text)
    assert "stage_reports" in stages()
    for other in (
        text + ";",
        text + "; DROP TABLE ticks",
        " " + text,
        text.replace("0" * 32, "0" * 31),
        text.replace("0" * 32, "0" * 31 + "'"),
        text.replace("0" * 32, "' OR ''='".ljust(32, "0")),
        text.replace("INTO t ", "INTO u "),
        text.lower(),
        "",
    ):
        assert not is_registered(other), other


def test_a_failed_write_leaves_nothing_behind(profile):
    broken = statement(
        "test_broken", stage="stage_reports", sql="INSERT INTO reports SELECT nonsense FROM stage_reports WHERE batch = '{batch}'"
    )
    with open_local(profile) as opened:
        with pytest.raises(StoreError, match="nonsense"):
            opened.run(broken, pl.DataFrame({"report_id": ["r"]}))
        assert opened.select("SELECT count(*) FROM stage_reports").item() == 0
        save_fits(opened, pl.DataFrame())
        assert opened.select("SELECT count(*) FROM reports").item() == 0


def test_rows_that_a_dead_client_staged_are_swept(profile):
    with open_local(profile) as opened:
        opened.connection.execute("INSERT INTO stage_reports (batch) VALUES ('gone')")
    with open_local(profile) as opened:
        assert opened.select("SELECT count(*) FROM stage_reports").item() == 0


def test_requests_can_be_made_without_a_server(profile):
    with open_local(profile) as opened:
        request_id = send(opened, AddSymbol("SOLUSDT"), now=datetime(2026, 3, 2, tzinfo=UTC))
        assert load_pending(opened).select("request_id", "kind").rows() == [(request_id, "universe.add_symbol")]


def test_a_users_select_may_hold_dollars(profile, server):
    with open_warehouse(server.profile, Role.READER) as remote:
        for text in ("SELECT '$a' AS a", "SELECT $$it's $a$$ AS a", "SELECT 1 AS a -- costs $a"):
            assert select_only(remote, text).height == 1


def test_a_timeframe_that_was_away_is_made_anew(profile):
    """Its marks were pruned while it was not configured, so its old cursor says nothing."""
    with open_local(profile) as opened:
        store = LandingStore(opened.connection, profile.archive)
        store.set_timeframes([Timeframe.parse("1s"), Timeframe.parse("1m"), Timeframe.parse("5m")])
        opened.connection.execute("INSERT INTO resample_cursors VALUES ('1m', 7), ('5m', 7)")
        store.set_timeframes([Timeframe.parse("1s"), Timeframe.parse("1m")])
        store.set_timeframes([Timeframe.parse("1s"), Timeframe.parse("1m"), Timeframe.parse("5m")])
        assert opened.select("SELECT * FROM resample_cursors").rows() == [("1m", 7)]


@pytest.mark.parametrize(
    ("names", "measured", "left"),
    [(("1s",), {"1s": 2}, 0), (("1s",), {"1s": 1}, 1), (("1s",), {}, 2), (("1s", "1m"), {"1s": 2, "1m": 2}, 2)],
)
def test_marks_that_nobody_waits_for_are_pruned(profile, names, measured, left):
    with open_local(profile) as opened:
        store = LandingStore(opened.connection, profile.archive)
        store.set_timeframes([Timeframe.parse(name) for name in names])
        opened.connection.execute("INSERT INTO dirty_marks VALUES (1, 'A', now()), (2, 'A', now())")
        for name, commit_no in measured.items():
            opened.connection.execute("INSERT INTO mark_cursors VALUES (?, ?)", [f"liquidity/{name}", commit_no])
        store.prune()
        assert opened.select("SELECT count(*) FROM dirty_marks").item() == left

"""Upkeep without Prefect: what is measured, how it grows, when it warns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipeline.jobs.maintain import Maintained, checkpointed, maintain, told
from pipeline.supervisor.logfile import rotate_growing

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def upkeep(warehouse, profile, *, now: datetime = NOW, warn_below_gb: float = 0) -> Maintained:
    return maintain(
        warehouse,
        profile,
        now=now,
        checkpoint=lambda: checkpointed(warehouse, profile, run="test"),
        rotate_logs=lambda logs: rotate_growing(logs, max_bytes=1_000),
        warn_below_gb=warn_below_gb,
    )


def test_tables_files_and_their_growth(warehouse, profile):
    (profile.journal / "capture").mkdir(parents=True)
    (profile.journal / "capture" / "1.jnl").write_bytes(b"x" * 5_000)
    (profile.prefect_home / "prefect.db").write_bytes(b"x" * 7_000)
    (profile.prefect_home / "prefect.db-wal").write_bytes(b"x" * 500)
    first = upkeep(warehouse, profile)
    found = {(size.part, size.name): size for size in first.sizes}
    ticks = next(size for size in first.sizes if size.part == "tables" and size.name.startswith("ticks"))
    assert ticks.rows == 14_400
    assert 50_000 < ticks.bytes <= first.bytes_of("database")
    assert found["journal", "capture"].bytes == 5_000
    assert found["prefect", "database"].bytes == 7_500
    assert (first.since, ticks.grown_bytes) == (None, None)
    assert first.total == sum(size.bytes for size in first.sizes if size.part != "tables")
    assert first.free_bytes > 0

    (profile.journal / "capture" / "2.jnl").write_bytes(b"x" * 1_000)
    warehouse.connection.execute("DELETE FROM gaps")
    second = upkeep(warehouse, profile, now=NOW + timedelta(hours=6))
    grown = {(size.part, size.name): size for size in second.sizes}
    assert second.since == NOW
    assert grown["journal", "capture"].grown_bytes == 1_000
    assert next(size for size in second.sizes if size.name == ticks.name).grown_rows == 0


def test_the_write_ahead_log_is_moved_into_the_file(warehouse, profile):
    wal = profile.database.with_name(profile.database.name + ".wal")
    warehouse.connection.execute("CREATE TABLE much AS SELECT range AS n, hash(range) AS h FROM range(20000)")
    assert wal.stat().st_size > 10_000
    upkeep(warehouse, profile)
    assert warehouse.select("SELECT outcome FROM order_log").item() == "done"
    assert not wal.exists() or wal.stat().st_size < 10_000


def test_the_history_is_kept_for_a_season(warehouse, profile):
    for days in (0, 50, 100):
        upkeep(warehouse, profile, now=NOW + timedelta(days=days))
    kept = warehouse.select("SELECT DISTINCT measured_at FROM sizes ORDER BY 1")["measured_at"].to_list()
    assert kept == [NOW + timedelta(days=50), NOW + timedelta(days=100)]
    assert warehouse.select("SELECT count(*) AS n FROM stage_sizes").item() == 0


def test_a_disk_that_fills_is_said_before_it_is_full(warehouse, profile, caplog):
    assert upkeep(warehouse, profile, warn_below_gb=0).warning == ""
    done = upkeep(warehouse, profile, now=NOW + timedelta(hours=1), warn_below_gb=10_000_000)
    assert "less than the setting disk_free_warn_gb (1e+07 GB); make room" in done.warning
    assert "\n" not in done.warning
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["disk.low"]
    free = warehouse.select("SELECT bytes FROM sizes WHERE part = 'disk' ORDER BY measured_at DESC LIMIT 1").item()
    assert free == done.free_bytes


def test_logs_of_running_processes_are_moved_aside_while_they_are_written(warehouse, profile):
    log: Path = profile.logs / "capture.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d" % number * 1_500 + b"\n")
            done = upkeep(warehouse, profile, now=NOW + timedelta(minutes=number))
            assert done.rotated == 1
        writer.write(b"still here\n")
    assert log.read_bytes() == b"still here\n"
    assert sorted(path.name for path in profile.logs.iterdir()) == ["capture.log", "capture.log.1", "capture.log.2", "capture.log.3"]
    assert (profile.logs / "capture.log.1").read_bytes().startswith(b"4444")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (-2_500_000, "-2.5 MB"), (3_000_000_000_000, "3000.0 GB")]
)
def test_sizes_for_people(size, text):
    assert told(size) == text


def test_measurements_are_exportable_rows(warehouse, profile):
    upkeep(warehouse, profile)
    frame = warehouse.select("FROM sizes")
    assert frame.schema == {
        "measured_at": pl.Datetime("us", "UTC"),
        "part": pl.String,
        "name": pl.String,
        "rows": pl.Int64,
        "bytes": pl.Int64,
    }

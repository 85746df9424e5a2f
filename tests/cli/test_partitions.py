"""`spreadwatch partitions`: the ledger from the command line."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from pipeline.cli import main
from pipeline.model.event import TradeKind
from pipeline.model.universe import Universe
from pipeline.profile import Kind, open_profile, publish_universe
from pipeline.settings import settings
from pipeline.store import open_local
from pipeline.store.partitions import Made, put_partitions

DAY = date(2026, 3, 2)


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("SPREADWATCH_DATA_DIR", str(tmp_path))
    settings.cache_clear()
    profile = open_profile(tmp_path, "parts", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    publish_universe(profile, Universe(("BTCUSDT",), (), 1))
    with open_local(profile) as warehouse:
        warehouse.connection.execute("INSERT INTO journal_clock VALUES ('2026-03-03 01:00:00+00', 1, 1000, FALSE, now())")
        noon = datetime.fromisoformat("2026-03-02T12:00:00Z")
        ticks = Made("ticks", f"BTCUSDT/{DAY}", True, 9, "t", "BTCUSDT", None, DAY, noon, noon)
        bars = Made("bars", f"BTCUSDT/1m/{DAY}", True, 1440, "b", "BTCUSDT", "1m", DAY, noon, noon, (f"ticks/BTCUSDT/{DAY}",))
        put_partitions(warehouse, [ticks, bars], run="resample:first")
    yield
    settings.cache_clear()


def told(capsys, *arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        main(["partitions", "--profile", "parts", *arguments])
    assert ended.value.code == code
    out = capsys.readouterr()
    return out.err if code else out.out


@pytest.mark.usefixtures("ledger")
def test_partitions_are_summed_up_listed_and_traced(capsys):
    summary = told(capsys)
    assert "bars   BTCUSDT  1m         1           0           1440  0" in summary
    assert f"BTCUSDT/1m/{DAY}  yes       1440  0" in told(capsys, "--asset", "bars")
    assert "<- ticks/BTCUSDT/2026-03-02" in told(capsys, "--lineage", f"bars/BTCUSDT/1m/{DAY}")
    assert "-> bars/BTCUSDT/1m/2026-03-02 (revision 0, resample:first)" in told(capsys, "--lineage", f"ticks/BTCUSDT/{DAY}")


@pytest.mark.usefixtures("ledger")
def test_days_that_are_not_whole_are_named(capsys):
    missing = told(capsys, "--missing", "2")
    assert "5 of 6 days of bars before 2026-03-03 are not whole" in missing
    assert "BTCUSDT  1m         2026-03-01  no" in missing


@pytest.mark.usefixtures("ledger")
def test_two_questions_at_once_are_refused(capsys):
    assert "exclude each other" in told(capsys, "--asset", "bars", "--missing", "2", code=2)

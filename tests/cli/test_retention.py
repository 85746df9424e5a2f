"""The commands of old data and of whole profiles."""

from __future__ import annotations

import pytest

from pipeline.cli import main
from pipeline.journal import JournalWriter, open_journal
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings, settings
from pipeline.store import open_local
from pipeline.supervisor import lock
from pipeline.warehouse import Engine

T0 = 1_772_409_600_000


@pytest.fixture
def spreadwatch(monkeypatch, capsys, tmp_path):
    """A command in this process: exit code, output, errors."""
    monkeypatch.setenv("SPREADWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SPREADWATCH_TICK_ARCHIVE_DAYS", "1")

    def run(*arguments):
        settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    yield run
    settings.cache_clear()


@pytest.fixture
def profile(tmp_path):
    """Four days of a trade every six hours, landed."""
    made = open_profile(tmp_path, "old", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    with JournalWriter(made.journal / "ingest", fsync_s=1, segment_bytes=1 << 20, segment_seconds=3_600) as writer:
        for number in range(16):
            time_ms = T0 + number * 21_600_000
            raw = f'{{"e":"trade","E":{time_ms},"T":{time_ms},"s":"BTCUSDT","t":{number},"p":"1.5","q":"2","X":"MARKET","m":false}}'
            writer.append(time_ms * 1_000_000, raw.encode())
    with open_local(made) as opened:
        engine = Engine(made, Settings(), opened)
        engine.land_everything()
        engine.close()
    return made


def test_a_journal_moves_to_redis_and_back(spreadwatch, profile, redis_server, monkeypatch):
    monkeypatch.setenv("SPREADWATCH_REDIS_URL", redis_server.url)
    code, out, err = spreadwatch("profile", "journal", "old", "--to", "redis")
    assert (code, err) == (0, "")
    assert out == 'The journal of profile old is in Redis (2 sources moved); now set journal = "redis".\n'
    code, _, err = spreadwatch("profile", "rebuild", "old")
    assert code == 2
    assert err.startswith("spreadwatch: the journal of profile 'old' is in Redis (spreadwatch:{old-")
    monkeypatch.setenv("SPREADWATCH_JOURNAL", "redis")
    assert "16 lines of the journal: 16 trades" in spreadwatch("profile", "rebuild", "old")[1]
    assert "nothing had to be moved" in spreadwatch("profile", "journal", "old", "--to", "redis")[1]
    assert spreadwatch("profile", "journal", "old", "--to", "files")[1].startswith("The journal of profile old is in files (2 sources")
    monkeypatch.delenv("SPREADWATCH_JOURNAL")
    assert "16 lines of the journal: 16 trades" in spreadwatch("profile", "rebuild", "old")[1]
    spreadwatch("profile", "journal", "old", "--to", "redis")
    redis_server.flush()
    assert "has no journal" in spreadwatch("profile", "journal", "old", "--to", "files")[2]
    assert spreadwatch("profile", "journal", "old", "--to", "files", "--lost")[0] == 0
    with open_local(profile) as opened, open_journal(profile, Settings()).writer("ingest") as writer:
        writer.append(1, b"{}")
        writer.commit()
        engine = Engine(profile, Settings(), opened)
        assert engine.land_everything() == 1
        engine.close()


def test_a_reset_takes_the_journal_in_redis_along(spreadwatch, profile, redis_server, monkeypatch):
    monkeypatch.setenv("SPREADWATCH_REDIS_URL", redis_server.url)
    redis_server.flush()
    spreadwatch("profile", "journal", "old", "--to", "redis")
    assert redis_server.keys() > 0
    assert spreadwatch("profile", "reset", "old", "--yes")[0] == 0
    assert redis_server.keys() == 0


def test_archive_backup_restore_and_rebuild(spreadwatch, profile, tmp_path):
    code, out, _ = spreadwatch("archive", "--profile", "old")
    assert (code, out[:29]) == (0, "2 days with 8 rows archived (")
    assert spreadwatch("archive", "--profile", "old")[1].startswith("0 days with 0 rows")
    assert "16" in spreadwatch("sql", "SELECT count(*) FROM ticks", "--profile", "old")[1]
    file = tmp_path / "old.tar.zst"
    assert spreadwatch("profile", "backup", "old", str(file))[0] == 0
    code, _, err = spreadwatch("profile", "restore", str(file))
    assert code == 2
    assert "never overwritten" in err
    assert err.count("\n") == 1
    code, out, _ = spreadwatch("profile", "restore", str(file), "--as", "new")
    assert (code, out) == (0, "Profile new (recorded) restored; `spreadwatch up --profile new` starts it.\n")
    code, out, err = spreadwatch("profile", "rebuild", "new")
    assert (code, err) == (0, "")
    assert out == "Profile new rebuilt from 2 files of the archive and 16 lines of the journal: 16 trades, 0 quotes.\n"
    assert "16" in spreadwatch("sql", "SELECT count(*) FROM ticks", "--profile", "new")[1]


def test_a_running_profile_is_not_rebuilt(spreadwatch, profile):
    with lock.hold(profile.run):
        code, _, err = spreadwatch("profile", "rebuild", "old")
    assert code == 1
    assert "is running" in err


def test_a_dataset_that_is_not_known_is_bad_usage(spreadwatch, profile):
    code, _, err = spreadwatch("archive", "--profile", "old", "--dataset", "bars")
    assert code == 2
    assert "dataset 'bars' is not known" in err


def test_what_cannot_be_restored_is_said(spreadwatch, tmp_path):
    assert "does not exist" in spreadwatch("profile", "restore", str(tmp_path / "none"))[2]
    (tmp_path / "no").write_text("no backup")
    assert "is not a whole backup" in spreadwatch("profile", "restore", str(tmp_path / "no"))[2]

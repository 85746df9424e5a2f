"""Tables anew from archive and journal equal the original ones; backups of running profiles are whole."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from pipeline.errors import DataError, ProfileError, StoreError, UsageError
from pipeline.jobs.archive import Ages, archive
from pipeline.jobs.backup import backup, restore
from pipeline.jobs.resample import resample
from pipeline.journal import JournalWriter
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, list_profiles, open_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.warehouse import Engine
from pipeline.warehouse.rebuild import rebuild

T0 = 1_772_409_600_000
DAY_MS = 86_400_000
AGES = Ages(timedelta(days=1), timedelta(hours=1), timedelta(days=2), None)
KEPT = ("fits", "klines", "gaps", "coverage", "journal_clock", "ingest_offsets", "landing_counts", "archived", "universe", "partitions")


def quote(symbol, update_id, time_ms):
    data = f'{{"e":"bookTicker","u":{update_id},"s":"{symbol}","b":"99.5","B":"1.0","a":"100.5","A":"2.0","T":{time_ms},"E":{time_ms}}}'
    return b"%d %b" % (time_ms * 1_000_000, data.encode())


class Stage:
    """A recorded profile with a journal of four days, landed, resampled and partly archived."""

    def __init__(self, directory, trade):
        self.directory = directory
        self.profile = open_profile(directory, "first", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
        self.settings = Settings(timeframes=("1s", "1m"), data_dir=directory)
        lines = []
        for number in range(4 * 50):
            time_ms = T0 + number * DAY_MS // 50
            if number != 70:  # a gap that stays
                lines += [trade(symbol, number, time_ms, f"{100 + number % 7}.5") for symbol in ("BTCUSDT", "ETHUSDT")]
            lines.append(quote("BTCUSDT", 7 * number, time_ms))
        lines.append(trade("BTCUSDT", 900, T0 + 5, "97.25"))
        self.write(lines[:300])
        self.write(lines[300:])
        with open_local(self.profile) as opened:
            self.land(opened)
            opened.connection.execute(
                """INSERT INTO fits (model_id, y, x, timeframe, lookback, method, scale, fitted_at, window_start, window_end, n)
                   VALUES ('m', 'Y', 'X', '1m', 5, 'ols', 'price', now(), now(), now(), 5)"""
            )
            archive(opened, self.profile, AGES, run="test")
            resample(opened, self.settings.parsed_timeframes)

    def write(self, lines):
        with JournalWriter(self.profile.journal / "ingest", fsync_s=0.05, segment_bytes=1 << 26, segment_seconds=3_600) as writer:
            for line in lines:
                recv_ns, _, raw = line.partition(b" ")
                writer.append(int(recv_ns), raw)
            writer.rotate()

    def land(self, opened):
        engine = Engine(self.profile, self.settings, opened)
        engine.land_everything()
        engine.close()
        resample(opened, self.settings.parsed_timeframes)

    def segments(self):
        return sorted((self.profile.journal / "ingest").glob("*.jnl*"))


def picture(profile):
    with open_local(profile) as opened:
        found = {name: opened.select(f"SELECT * FROM {name} ORDER BY ALL").rows() for name in ("ticks", "quotes", *KEPT)}
        for name in ("bars_1s", "bars_resampled", "bars"):
            found[name] = opened.select(f"SELECT * EXCLUDE (revision) FROM {name} ORDER BY ALL").rows()
        return found


@pytest.fixture
def stage(tmp_path, trade):
    return Stage(tmp_path, trade)


def nothing(_what, _count):
    pass


def assert_same(one, other):
    for name in one:
        assert one[name] == other[name], name


def test_a_rebuild_gives_the_original_tables(stage):
    before = picture(stage.profile)
    assert len(before["ticks"]) == 2 * 199 + 1
    done = rebuild(stage.profile, stage.settings, nothing)
    assert (done.ticks, done.quotes) == (399, 200)
    assert done.files == len([row for row in before["archived"] if row[3] == "archived"]) > 0
    assert_same(before, picture(stage.profile))
    assert not list(stage.profile.run.glob("copy-*"))


def test_lost_and_wrong_rows_are_back(stage):
    before = picture(stage.profile)
    with open_local(stage.profile) as opened:
        opened.connection.execute("DELETE FROM ticks_recent WHERE trade_id % 3 = 0; UPDATE bars_1s_recent SET high = 9999")
        opened.connection.execute("DELETE FROM bars_resampled")
    rebuild(stage.profile, stage.settings, nothing)
    assert_same(before, picture(stage.profile))


def test_a_pruned_journal_is_enough_when_the_archive_has_the_rest(stage):
    with open_local(stage.profile) as opened:
        archive(opened, stage.profile, Ages(timedelta(hours=1), timedelta(hours=1), timedelta(hours=1), None), run="test")
    before = picture(stage.profile)
    stage.segments()[0].unlink()
    rebuild(stage.profile, stage.settings, nothing)
    assert_same(before, picture(stage.profile))


def test_a_rebuild_that_would_lose_something_changes_nothing(stage):
    before = picture(stage.profile)
    stage.segments()[-1].unlink()
    with pytest.raises(StoreError, match=r"do not cover the history of profile 'first': \d+ trades and \d+ quotes are in neither"):
        rebuild(stage.profile, stage.settings, nothing)
    assert_same(before, picture(stage.profile))


def test_a_damaged_file_of_the_archive_is_named(stage):
    path = next(stage.profile.archive.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="missing or not what it was"):
        rebuild(stage.profile, stage.settings, nothing)


def test_a_backup_is_restored_under_another_name(stage, tmp_path):
    before = picture(stage.profile)
    (stage.profile.reports / "a.html").write_text("report")
    file = tmp_path / "backup.tar.zst"
    assert backup(stage.profile, file, settings=stage.settings) == file.stat().st_size
    shutil.rmtree(stage.profile.path)  # nothing of it may name the old place
    restored = restore(stage.directory, file, name="second")
    assert (restored.name, restored.kind, restored.trade_stream) == ("second", Kind.RECORDED, TradeKind.RAW)
    assert_same(before, picture(restored))
    assert (restored.reports / "a.html").read_text() == "report"
    assert [one.name for one in list_profiles(stage.directory)] == ["second"]
    rebuild(restored, stage.settings, nothing)
    assert_same(before, picture(restored))


def test_a_moved_profile_reads_its_archive_from_where_it_is(stage):
    before = picture(stage.profile)
    elsewhere = stage.directory / "elsewhere"
    elsewhere.mkdir()
    stage.directory.joinpath("profiles").rename(elsewhere / "profiles")
    moved = open_profile(elsewhere, "first", Kind.RECORDED, TradeKind.RAW, created_at="")
    assert_same(before, picture(moved))


def test_nothing_is_overwritten(stage, tmp_path):
    file = tmp_path / "backup.tar.zst"
    backup(stage.profile, file, settings=stage.settings)
    with pytest.raises(ProfileError, match="never overwritten"):
        restore(stage.directory, file)
    with pytest.raises(UsageError, match="exists already"):
        backup(stage.profile, file, settings=stage.settings)
    with pytest.raises(ProfileError, match="cannot be used"):
        restore(stage.directory, file, name="../x")


@pytest.mark.parametrize("harm", ["cut", "flip", "other"])
def test_a_damaged_backup_is_refused_and_leaves_nothing(stage, tmp_path, harm):
    file = tmp_path / "backup.tar.zst"
    backup(stage.profile, file, settings=stage.settings)
    content = bytearray(file.read_bytes())
    if harm == "cut":
        content = content[: len(content) // 2]
    elif harm == "flip":
        content[len(content) // 2] ^= 1
    else:
        content = bytearray(b"no backup at all")
    file.write_bytes(content)
    with pytest.raises(DataError):
        restore(stage.directory, file, name="second")
    assert [one.name for one in list_profiles(stage.directory)] == ["first"]
    assert sorted(path.name for path in (stage.directory / "profiles").iterdir()) == ["first"]

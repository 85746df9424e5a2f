"""A profile whose journal is in Redis: the same tables, rebuilt, backed up and restored as one with files."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from pipeline.errors import JournalUnavailable
from pipeline.jobs.backup import backup, restore
from pipeline.journal import START, FileJournal, merge_recordings, open_journal
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import open_local
from pipeline.warehouse import Engine
from pipeline.warehouse.ingest import ingest
from pipeline.warehouse.rebuild import rebuild


def journalled(lab, lines, commit_every):
    """Lines into the lab's journal, as capture writes them."""
    with open_journal(lab.profile, lab.settings).writer(lab.source) as writer:
        for number, line in enumerate(lines):
            recv, raw = line.split(b" ", 1)
            writer.append(int(recv), raw)
            if number % commit_every == 0:
                writer.commit()
            if number == len(lines) // 2:
                writer.rotate()


@pytest.mark.parametrize(("commit_every", "batch"), [(7, 50_000), (2_500, 700)])
def test_tables_are_those_of_files_however_it_is_split(make_lab, real_lines, redis_server, commit_every, batch):
    lines = real_lines[:2_500]
    pictures = []
    for changes in ({"batch_max_lines": 50_000}, {"journal": "redis", "redis_url": redis_server.url, "batch_max_lines": batch}):
        lab = make_lab(**changes)
        journalled(lab, lines, commit_every)
        assert lab.engine.land_everything() == len(lines)
        assert lab.engine.land_everything() == 0
        lab.restart()
        assert lab.engine.land_everything() == 0
        pictures.append(lab.picture())
    assert pictures[0] == pictures[1]
    assert pictures[0]["ticks"]


def test_ingested_rebuilt_backed_up_and_restored(usdm, redis_server, tmp_path):
    source = tmp_path / "part.jnl"
    source.write_bytes(b"".join(b"%d %b\n" % line for line in _some(usdm)))
    profile = open_profile(tmp_path, "one", Kind.RECORDED, TradeKind.RAW, created_at="2026-03-02T00:00:00Z")
    settings = Settings(data_dir=tmp_path, journal="redis", redis_url=redis_server.url)
    report = ingest(profile, settings, [source], lambda *_: None)
    assert report.added.ticks > 100
    assert not list(profile.journal.glob("*/*.jnl*"))
    assert rebuild(profile, settings, lambda *_: None).ticks == report.added.ticks

    with open_journal(profile, settings).writer("ingest") as writer:  # not landed when the backup is made
        for recv_ns, raw in _some(usdm, 3_000, 3_500):
            writer.append(recv_ns, raw)
    backup(profile, tmp_path / "backup.tar.zst", settings=settings)
    restored = restore(tmp_path, tmp_path / "backup.tar.zst", name="two")
    files = Settings(data_dir=tmp_path)
    assert isinstance(open_journal(restored, files), FileJournal)
    with open_local(restored) as opened:
        engine = Engine(restored, files, opened)
        assert engine.land_everything() == 500
        engine.close()
    assert rebuild(restored, files, lambda *_: None).ticks > report.added.ticks


def _some(usdm, first=0, last=3_000):
    return list(itertools.islice(merge_recordings(usdm), first, last))


def test_while_redis_is_away_the_warehouse_stays_and_lands_on_afterwards(make_lab, real_lines, own_redis):
    lab = make_lab(journal="redis", redis_url=own_redis.url)
    journalled(lab, real_lines[:500], 50)
    while lab.engine.run_once():
        pass
    own_redis.kill()
    with pytest.raises(JournalUnavailable, match="cannot be reached to read the journal"):
        lab.engine.run_once()
    own_redis.start()
    journalled(lab, real_lines[500:900], 50)
    until = time.monotonic() + 10
    while lab.rows("SELECT sum(lines) FROM ingest_offsets WHERE source = 'ingest'") != [(900,)] and time.monotonic() < until:
        lab.engine.run_once()
    assert lab.rows("SELECT sum(lines) FROM ingest_offsets WHERE source = 'ingest'") == [(900,)]


@pytest.mark.parametrize("kind", ["files", "redis"])
def test_landed_segments_go_after_the_retention_and_no_others(make_lab, real_lines, kind, request, monkeypatch):
    url = {"redis_url": request.getfixturevalue("redis_server").url} if kind == "redis" else {}
    lab = make_lab(journal=kind, journal_retention_hours=1, **url)
    journalled(lab, real_lines[:400], 50)
    lab.engine.land_everything()
    journalled(lab, real_lines[400:600], 50)  # not landed
    with open_journal(lab.profile, lab.settings).reader("ingest") as reader:
        whole = reader.backlog_bytes(START)
        waiting = reader.backlog_bytes(lab.engine._lander.position("ingest"))
        lab.engine._prune()
        assert reader.backlog_bytes(START) == whole
        later = time.time_ns() + 2 * 3_600 * 10**9
        with monkeypatch.context() as patch:
            patch.setattr("time.time_ns", lambda: later)
            lab.engine._prune()
        assert waiting <= reader.backlog_bytes(START) < whole
    assert lab.engine.land_everything() == 200


def test_a_capture_that_was_replaced_ends(make_lab, redis_server):
    from pipeline.capture.committing import Committer
    from pipeline.capture.intake import Intake
    from pipeline.errors import WriterFenced
    from pipeline.venues import venue

    lab = make_lab(journal="redis", redis_url=redis_server.url)
    writer = open_journal(lab.profile, lab.settings).writer("capture")
    writer.append(1, b"{}")
    writer._fence()
    with pytest.raises(WriterFenced):
        asyncio.run(Committer(writer, Intake(writer, venue()), 0.01).run())
    with pytest.raises(WriterFenced):
        writer.close()

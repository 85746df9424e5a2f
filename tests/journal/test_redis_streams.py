"""What only a journal on a server has to stand: the server dies, hangs, forgets, or is another one; so do its writers."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import threading
import time

import pytest

from pipeline.errors import DiskFull, JournalError, JournalUnavailable, SettingsError, WriterFenced
from pipeline.journal import START, FileJournal, Position, journal_answers, open_journal, written_file
from pipeline.journal.moving import begin_files, move_to_files, move_to_redis
from pipeline.journal.naming import load_name
from pipeline.journal.redis_streams import Durability, RedisJournal, RedisWriter, Server
from pipeline.journal.redis_streams.owner import Owner
from pipeline.journal.redis_streams.server import Keys
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, create_profile
from pipeline.settings import Settings

OPTIONS = {"fsync_s": 0.0, "segment_bytes": 1 << 20, "segment_seconds": 3_600.0}


class Place:
    """One source on one server."""

    def __init__(self, server):
        self.server = Server(server.url)
        self.prefix = f"spreadwatch:{{t-{secrets.token_hex(4)}}}"
        self.keys = Keys.of(self.prefix, "capture")
        self.server.begin_journal(self.prefix, "t")
        self.client = self.server.connect()

    def writer(self, **options):
        return RedisWriter(self.server, self.prefix, "capture", **(OPTIONS | options))

    def journal(self):
        return RedisJournal(self.server, self.prefix, **OPTIONS)

    def numbers(self, position=START):
        found = []
        with self.journal().reader("capture") as reader:
            while True:
                block, position = reader.read(position, 1_000)
                if not block:
                    return found
                found += [int(line.split()[0]) for line in block.splitlines()]


@pytest.fixture
def place(redis_server):
    made = Place(redis_server)
    yield made
    made.client.close()


@pytest.fixture
def own(own_redis):
    made = Place(own_redis)
    yield made
    made.client.close()


def put(writer, *numbers):
    for number in numbers:
        writer.append(number, b"{}")


def no_pause(writer):
    writer._retry_at = 0.0


# ---------------------------------------------------------------------------------------------------- the server


def test_a_server_killed_again_and_again_loses_nothing_committed(own, own_redis):
    committed, number = 0, 0
    with own.writer() as writer:
        for _ in range(4):
            stop = time.monotonic() + 0.15
            killer = threading.Timer(0.08, own_redis.kill)
            killer.start()
            while time.monotonic() < stop:
                put(writer, *range(number, number + 20))
                number += 20
                try:
                    writer.commit()
                    committed = number
                except JournalError:
                    break
            killer.join()
            own_redis.start()
            assert own.numbers()[:committed] == list(range(committed))
            no_pause(writer)
            writer.commit()
            committed = number
            assert own.numbers() == list(range(number))
    assert number >= 80


def test_while_it_is_away_lines_wait_up_to_a_bound_and_are_kept(own, own_redis):
    writer = own.writer(buffer_bytes=100)
    put(writer, 0)
    writer.commit()
    own_redis.kill()
    put(writer, 1, 2)
    with pytest.raises(JournalUnavailable, match=r"127\.0\.0\.1:\d+ cannot be reached to write the journal"):
        writer.commit()
    put(writer, 3)
    with pytest.raises(JournalUnavailable, match="bytes wait, the next try is in"):
        writer.commit()
    with pytest.raises(JournalUnavailable, match="the buffer is full and lines are being refused"):
        put(writer, *range(4, 40))
    with pytest.raises(JournalUnavailable, match="to read the journal"):
        own.numbers()
    taken = writer.buffered_bytes
    assert 90 < taken <= 100
    own_redis.start()
    until = time.monotonic() + 10
    while writer.buffered_bytes and time.monotonic() < until:
        try:
            writer.commit()
        except JournalUnavailable:
            time.sleep(0.02)
    found = own.numbers()
    assert found == list(range(len(found)))
    assert sum(len(b"%d {}\n" % number) for number in found[1:]) == taken
    put(writer, 99)
    writer.close()
    assert own.numbers()[-1] == 99


def test_pauses_between_attempts_grow(own, own_redis):
    writer = own.writer()
    own_redis.kill()
    put(writer, 1)
    pauses = []
    for _ in range(8):
        no_pause(writer)
        with pytest.raises(JournalUnavailable):
            writer.commit()
        pauses.append(writer._retry_at - time.monotonic())
    assert pauses[0] <= 0.2
    assert 0.9 < pauses[-1] <= 2
    own_redis.start()
    writer.close()  # waits for no pause
    assert own.numbers() == [1]


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_commit_whose_answer_was_lost_is_not_repeated(own, own_redis, monkeypatch, blocks):
    monkeypatch.setattr("pipeline.journal.redis_streams.server._ANSWER_S", 0.8)
    monkeypatch.setattr("pipeline.journal.redis_streams.writer._BLOCK", 50)
    with own.writer() as writer:
        put(writer, 0)
        writer.commit()
        own_redis.freeze(frozen=True)
        put(writer, *range(1, 10 * blocks))
        with pytest.raises(JournalUnavailable):
            writer.commit()
        put(writer, *range(10 * blocks, 10 * blocks + 5))
        own_redis.freeze(frozen=False)
        no_pause(writer)
        writer.commit()
        assert own.numbers() == list(range(10 * blocks + 5))
        put(writer, 777)
    assert own.numbers() == [*range(10 * blocks + 5), 777]


def test_without_room_lines_wait(own):
    with own.writer() as writer:
        put(writer, 0)
        writer.commit()
        own.client.config_set("maxmemory", 1)
        put(writer, 1)
        with pytest.raises(DiskFull, match=r"has no room to write the journal .* give it memory"):
            writer.commit()
        assert own.numbers() == [0]
        own.client.config_set("maxmemory", 0)
        no_pause(writer)
        writer.commit()
    assert own.numbers() == [0, 1]


@pytest.mark.parametrize("own_redis", [("--appendonly", "no")], indirect=True)
def test_a_server_that_has_lost_its_last_lines_is_said_and_nothing_is_skipped(own, own_redis, caplog):
    with own.writer() as writer:
        assert "Redis can lose committed lines" in caplog.text
        put(writer, 0, 1)
        writer.commit()
        own.client.save()
        put(writer, 2, 3)
        landed = writer.commit()
        own_redis.kill()
        own_redis.start()
        assert own.numbers() == [0, 1]  # 2 and 3 were landed before: they are in the tables
        put(writer, 4)
        no_pause(writer)
        after = writer.commit()
    assert "Redis has lost committed lines" in caplog.text
    assert after > landed
    assert own.numbers(landed) == [4]
    assert own.numbers() == [0, 1, 4]
    assert "journal lines are gone" in caplog.text  # for whoever had not landed 2 and 3


@pytest.mark.parametrize("own_redis", [("--appendonly", "no")], indirect=True)
def test_a_writer_opened_after_a_loss_goes_on_behind_what_was_landed(own, own_redis):
    with own.writer() as writer:
        put(writer, 0)
        writer.commit()
        own.client.save()
        for number in (1, 2, 3):
            put(writer, number)
            landed = writer.commit()
            writer.rotate()
        own_redis.kill()
        own_redis.start()
        writer._lease.close()
        time.sleep(0.01)
        with own.writer() as other:
            put(other, 4)
            assert other.commit() > landed
        assert own.numbers(landed) == [4]
        writer._queue.clear()


def test_a_process_that_starts_while_it_is_away_waits(profile, own_redis):
    _, redis = both(own_redis)
    open_journal(profile, redis).writer("capture").close()

    async def begin(stop_after_s=None):
        stop = asyncio.Event()
        if stop_after_s is not None:
            asyncio.get_running_loop().call_later(stop_after_s, stop.set)
        return await journal_answers(profile, redis, stop)

    assert asyncio.run(begin())
    own_redis.kill()
    assert not asyncio.run(begin(0.1))
    back = threading.Timer(0.3, own_redis.start)
    back.start()
    assert asyncio.run(begin())
    back.join()


def test_an_emptied_server_is_refused(own):
    writer = own.writer()
    put(writer, 1)
    writer.commit()
    own.client.flushall()
    put(writer, 2)
    with pytest.raises(WriterFenced, match="has another writer now, or is gone"):
        writer.commit()
    with pytest.raises(WriterFenced):
        put(writer, 3)
    with pytest.raises(WriterFenced):
        writer.close()
    for use in (own.writer, own.numbers, own.journal().sources):
        with pytest.raises(JournalError, match=r"has no journal .* it was emptied, or redis_url names another server"):
            use()


def test_what_was_added_and_not_published_is_seen_after_the_next_opening(place):
    with place.writer() as writer:
        put(writer, 1)
        first = writer.commit()
        put(writer, 2)
        second = writer.commit()
    place.client.hset(place.keys.state, "head", f"{first.seq}-{first.offset}")  # a writer that died between the two
    assert place.numbers() == [1]
    with place.writer() as writer:
        assert writer.commit() == second
    assert place.numbers() == [1, 2]


def test_a_damaged_block_is_an_error(place):
    with place.writer() as writer:
        put(writer, 1)
        at = writer.commit()
    place.client.xadd(place.keys.lines, {"b": b"rubbish", "p": "0-0"}, id=f"{at.seq}-{at.offset + 9}")
    place.client.hset(place.keys.state, "head", f"{at.seq}-{at.offset + 9}")
    with pytest.raises(JournalError, match=r"block \d+-14 of .* is damaged"):
        place.numbers()


def test_what_a_server_promises(need_redis, own, own_redis):
    new = tuple(map(int, own.client.info()["redis_version"].split(".")[:2])) >= (7, 2)
    assert own.server.durability() is Durability.ALWAYS
    own.client.config_set("appendfsync", "everysec")
    assert own.server.durability() is (Durability.CONFIRMED if new else Durability.SECOND)
    own.client.config_set("appendonly", "no")
    assert own.server.durability() is Durability.SNAPSHOT
    own.client.config_set("maxmemory", "1gb")
    own.client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(JournalError, match="may evict the journal"):
        own.writer()


@pytest.mark.parametrize("own_redis", [("--appendonly", "yes", "--appendfsync", "everysec")], indirect=True)
def test_each_fsync_is_confirmed_where_the_server_can(own, own_redis):
    if own.server.durability() is not Durability.CONFIRMED:
        pytest.skip("needs Redis 7.2 or newer (WAITAOF)")
    with own.writer() as writer:
        for number in range(3):
            put(writer, number)
            writer.commit()
            own_redis.kill()
            own_redis.start()
            assert own.numbers() == list(range(number + 1))
        own.client.hset(own.keys.state, "head", "0-0")
    own.writer().close()
    assert own.numbers() == [0, 1, 2]


# ---------------------------------------------------------------------------------------------------- one writer


def test_a_writer_that_was_replaced_stops(place):
    old = place.writer(lease_s=0.2)
    put(old, 1)
    old.commit()
    old._lease._stop.set()  # as if its machine had stalled
    old._lease._thread.join()
    time.sleep(0.25)
    with place.writer() as new:
        put(new, 2)
        new.commit()
        put(old, 3)
        with pytest.raises(WriterFenced, match="has another writer now"):
            old.commit()
        with pytest.raises(WriterFenced):
            put(old, 4)
        with pytest.raises(WriterFenced):
            old.close()
        put(new, 5)
    assert place.numbers() == [1, 2, 5]


def test_a_replaced_writer_learns_it_without_committing(place):
    old = place.writer(lease_s=0.2)
    place.client.hset(place.keys.state, "writer", "somebody")
    until = time.monotonic() + 5
    while old._fenced is None and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(WriterFenced):
        put(old, 1)
    place.client.delete(place.keys.lock)


def test_a_lock_that_ran_out_unnoticed_is_taken_again(place):
    with place.writer() as writer:
        place.client.delete(place.keys.lock)
        put(writer, 1)
        writer.commit()
        assert place.client.exists(place.keys.lock)
        with pytest.raises(JournalError, match="one writer"):
            place.writer()


def test_it_is_renewed_without_commits(place):
    with place.writer(lease_s=2.5):
        time.sleep(3.0)
        with pytest.raises(JournalError, match=r"is being written by process \d+ on .*one writer"):
            place.writer()


def test_a_writer_of_another_machine_is_waited_for_until_its_lock_runs_out(place):
    far = Owner("token", "elsewhere", "another boot", 1, "1")
    began = time.monotonic()
    place.client.set(place.keys.lock, far.encode(), px=400)
    place.writer().close()
    assert 0.35 < time.monotonic() - began < 10

    stop = threading.Event()

    def renew():
        while not stop.wait(0.1):
            place.client.pexpire(place.keys.lock, 1_000)

    place.client.set(place.keys.lock, far.encode(), px=1_000)
    thread = threading.Thread(target=renew)
    thread.start()
    with pytest.raises(JournalError, match="process 1 on elsewhere"):
        place.writer()
    stop.set()
    thread.join()
    place.client.delete(place.keys.lock)


# ---------------------------------------------------------------------------------------------------- which journal


@pytest.fixture
def profile(tmp_path):
    return create_profile(tmp_path / "data", "one", Kind.RECORDED, TradeKind.RAW, created_at="2026-01-01T00:00:00Z")


def both(server, **changes):
    return Settings(journal="files", redis_url=server.url, **changes), Settings(journal="redis", redis_url=server.url, **changes)


def test_redis_without_a_url_or_the_client(profile):
    with pytest.raises(SettingsError, match='journal = "redis" needs redis_url'):
        open_journal(profile, Settings(journal="redis"))
    for url in ("http://nowhere", "redis://me:sec:ret/x@host:6379", "redis://host:secret"):
        with pytest.raises(SettingsError, match="redis_url cannot be used") as refused:
            open_journal(profile, Settings(journal="redis", redis_url=url))
        assert "secret" not in str(refused.value)
    script = (
        "import sys; sys.modules['redis'] = None\n"
        "from pathlib import Path; from pipeline.journal import open_journal; from pipeline.profile import load_profile\n"
        "from pipeline.settings import Settings\n"
        f"open_journal(load_profile(Path({str(profile.path.parents[1])!r}), 'one'), Settings(journal='redis', redis_url='redis://x'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install 'spreadwatch[redis]'" in done.stderr.splitlines()[-1]


def test_a_profile_keeps_the_journal_that_it_began_with(profile, redis_server):
    files, redis = both(redis_server)
    journal = open_journal(profile, redis)
    prefix = journal.prefix
    with journal.writer("capture") as writer:
        put(writer, 1)
    assert written_file(profile, redis, "capture").exists()
    again = open_journal(profile, redis)
    assert again.prefix == prefix
    assert again.sources() == ["capture"]
    with pytest.raises(SettingsError, match=r"the journal of profile 'one' is in Redis .* profile journal one --to files"):
        open_journal(profile, files)
    other = create_profile(profile.path.parents[1], "two", Kind.RECORDED, TradeKind.RAW, created_at="2026-01-01T00:00:00Z")
    open_journal(other, files)
    with open_journal(other, files).writer("capture") as writer:
        put(writer, 1)
    with pytest.raises(SettingsError, match=r"the journal of profile 'two' is in files .* profile journal two --to redis"):
        open_journal(other, redis)


def test_processes_that_begin_a_journal_at_once_agree(profile, redis_server):
    _, redis = both(redis_server)
    found = []
    threads = [threading.Thread(target=lambda: found.append(open_journal(profile, redis).prefix)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_another_server_is_refused(profile, redis_server, own_redis):
    _, redis = both(redis_server)
    open_journal(profile, redis).writer("capture").close()
    _, elsewhere = both(own_redis)
    with pytest.raises(JournalError, match="redis_url names another server"):
        open_journal(profile, elsewhere).sources()


def everything(journal, source):
    found, position = [], START
    with journal.reader(source) as reader:
        while True:
            block, position = reader.read(position, 1)
            if not block:
                assert reader.missing_segments == 0
                return found
            found.append((position, block))


def test_a_journal_moves_there_and_back_under_the_same_positions(profile, redis_server):
    files, redis = both(redis_server, segment_mb=1)
    journal = open_journal(profile, files)
    for source in ("capture", "control"):
        with journal.writer(source) as writer:
            for number in range(7):
                writer.append(number, b"{}" + secrets.token_hex(9).encode())
                if number % 3 == 2:
                    writer.rotate()
    with journal.reader("capture") as reader:  # its oldest segment is gone
        assert reader.prune(time.time_ns() + 10**12, Position(2, 0)) == 1
    before = {source: everything(journal, source) for source in ("capture", "control")}

    assert move_to_redis(profile, redis, lambda *_: None) == 2
    assert move_to_redis(profile, redis, lambda *_: None) == 0
    there = open_journal(profile, redis)
    assert {source: everything(there, source) for source in there.sources()} == before
    assert there.reader("capture").durable() == before["capture"][-1][0]
    with there.writer("capture") as writer:
        put(writer, 100)
    assert not list(profile.journal.glob("*/HEAD"))
    before["capture"] = everything(there, "capture")
    assert len(before["capture"]) == 5

    assert move_to_files(profile, redis, lambda *_: None) == 2
    assert move_to_files(profile, redis, lambda *_: None) == 0
    back = open_journal(profile, files)
    assert isinstance(back, FileJournal)
    with back.writer("capture") as writer:
        put(writer, 101)
        end = writer.commit()
    found = everything(back, "capture")
    assert found[:-1] == before["capture"]
    assert found[-1] == (end, b"101 {}\n")
    assert everything(back, "control") == before["control"]
    with pytest.raises(JournalError, match="has no journal"):
        there.sources()


def test_files_begin_behind_what_was_landed_of_a_journal_that_is_lost(profile, redis_server):
    files, redis = both(redis_server)
    journal = open_journal(profile, redis)
    with journal.writer("capture") as writer:
        put(writer, 1)
        landed = writer.commit()
    journal.drop()
    begin_files(profile, {"capture": landed})
    assert load_name(profile.journal) is None
    with open_journal(profile, files).writer("capture") as writer:
        put(writer, 2)
        assert writer.commit() > landed
    with open_journal(profile, files).reader("capture") as reader:
        assert reader.read(landed, 10)[0] == b"2 {}\n"
        assert reader.missing_segments == 0

"""Reading ahead changes nothing but the time, and no source keeps a live line waiting for long."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import StoreError
from pipeline.journal import START, FileJournal, Position
from pipeline.model.event import TradeKind
from pipeline.profile import Kind
from pipeline.venues import venue
from pipeline.warehouse.intake import Intake
from pipeline.warehouse.turns import BLOCK_S, Pace, Turns

T0 = 1_723_161_300_000
NS = 1_000_000


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def journal(tmp_path):
    return FileJournal(tmp_path, fsync_s=0.1, segment_bytes=20_000, segment_seconds=3_600)


def append(journal, source, lines):
    writer = journal.writer(source)
    for line in lines:
        recv_ns, _, raw = line.partition(b" ")
        writer.append(int(recv_ns), raw)
    writer.close()


def ids(block):
    return block.batch.trades.trade_id.tolist()


def test_blocks_follow_each_other_without_a_hole(journal, executor, trade):
    append(journal, "capture", [trade("BTCUSDT", number, T0 + number) for number in range(1_000)])
    intake = Intake(journal.reader("capture"), venue().decode_batch, executor)
    found, position, behind = [], START, []
    while (block := intake.take(position, 70)) is not None:
        assert len(ids(block)) <= 70
        found += ids(block)
        position = block.position
        behind.append(block.behind)
    assert found == list(range(1_000))
    assert behind == [True] * (len(behind) - 1) + [False]
    assert intake.take(position, 70) is None
    append(journal, "capture", [trade("BTCUSDT", 1_000, T0)])
    assert ids(intake.take(position, 70)) == [1_000]
    intake.close()


def test_a_block_that_was_not_committed_comes_again(journal, executor, trade):
    append(journal, "capture", [trade("BTCUSDT", number, T0 + number) for number in range(50)])
    intake = Intake(journal.reader("capture"), venue().decode_batch, executor)
    first = intake.take(START, 10)
    second = intake.take(first.position, 10)
    again = intake.take(first.position, 10)
    assert ids(second) == ids(again) == list(range(10, 20))
    assert ids(intake.take(START, 10)) == list(range(10))
    assert ids(intake.take(first.position, 10)) == ids(second)
    intake.close()


def test_one_block_ahead_and_none_for_live_lines(journal, executor, trade):
    append(journal, "capture", [trade("BTCUSDT", number, T0 + number) for number in range(40)])
    threads = []

    def decode(block):
        threads.append(threading.current_thread() is threading.main_thread())
        return venue().decode_batch(block)

    intake = Intake(journal.reader("capture"), decode, executor)
    block = intake.take(START, 10)
    until = time.monotonic() + 30
    while len(threads) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert threads == [True, False]  # never further than one
    while block.behind:
        block = intake.take(block.position, 10)
    assert threads == [True, False, False, False]
    append(journal, "capture", [trade("BTCUSDT", 40, T0)])
    assert ids(intake.take(block.position, 10)) == [40]
    assert threads[4:] == [True]
    intake.close()


def test_what_reading_ahead_meets_is_raised_where_the_block_is_asked_for(journal, executor, trade):
    append(journal, "capture", [trade("BTCUSDT", number, T0 + number) for number in range(20)])

    def decode(block):
        if threading.current_thread() is not threading.main_thread():
            raise StoreError
        return venue().decode_batch(block)

    intake = Intake(journal.reader("capture"), decode, executor)
    position = intake.take(START, 10).position
    with pytest.raises(StoreError):
        intake.take(position, 10)
    assert ids(intake.take(position, 10)) == list(range(10, 20))
    intake.close()


def test_turns():
    turns = Turns()
    sources = ["backfill", "capture", "control", "repair", "upload"]
    assert turns.first(sources) == ["control", "capture"]
    assert turns.first(["repair"]) == []
    had = []
    for _ in range(6):
        had.append(turns.others(sources, catching_up=False)[0])
        turns.took(had[-1])
    assert had == ["backfill", "repair", "upload"] * 2
    rounds = [turns.others(sources, catching_up=True) for _ in range(12)]
    assert sum(map(bool, rounds)) == 3
    assert turns.others([*sources, "more"], catching_up=False) == ["backfill", "repair", "upload", "more"]
    assert turns.others(["capture", "upload"], catching_up=False) == ["upload"]


def test_blocks_grow_and_shrink_with_the_time_that_they_take():
    pace = Pace(50_000)
    for _ in range(5):
        pace.took(pace.lines, pace.lines / 1_000_000)
    assert pace.lines == 50_000
    pace.took(50_000, BLOCK_S * 5)
    assert pace.lines == 10_000
    pace.took(10_000, BLOCK_S * 100)
    assert pace.lines == 1_000
    pace.took(10, 0.02)  # says nothing of a large block
    assert pace.lines == 1_000
    assert Pace(100).lines == 100


def test_a_live_line_waits_for_one_block_of_a_large_backfill(make_lab, trade):
    lab = make_lab(kind=Kind.LIVE, stream=TradeKind.RAW)
    append(lab.engine._journal, "backfill", [trade("ETHUSDT", number, T0 - 3_600_000 + number) for number in range(60_000)])
    append(lab.engine._journal, "repair", [trade("SOLUSDT", number, T0 - 3_600_000 + number) for number in range(30_000)])
    waited, rounds = [], 0
    for number in range(1, 11):
        append(lab.engine._journal, "capture", [trade("BTCUSDT", number, T0 + number)])
        began = time.process_time()  # what others do on the machine says nothing of us
        while lab.rows("SELECT max(trade_id) FROM ticks WHERE symbol = 'BTCUSDT'") != [(number,)]:
            assert lab.engine.run_once()
            rounds += 1
        waited.append(time.process_time() - began)
    assert rounds == 10  # seen by the first round after it was durable
    assert max(waited) < 20 * BLOCK_S
    landed = dict(lab.rows("SELECT symbol, count(*) FROM ticks GROUP BY ALL"))
    assert landed["ETHUSDT"] > 1_000
    assert landed["SOLUSDT"] > 1_000
    lab.engine.land_everything()
    assert dict(lab.rows("SELECT symbol, count(*) FROM ticks GROUP BY ALL")) == {"BTCUSDT": 10, "ETHUSDT": 60_000, "SOLUSDT": 30_000}


def test_others_go_on_while_capture_catches_up(make_lab, trade):
    lab = make_lab(kind=Kind.LIVE, stream=TradeKind.RAW, batch_max_lines=100)
    append(lab.engine._journal, "capture", [trade("BTCUSDT", number, T0 + number) for number in range(2_000)])
    append(lab.engine._journal, "repair", [trade("ETHUSDT", number, T0) for number in range(200)])
    for _ in range(8):
        assert lab.engine.run_once()
    assert dict(lab.rows("SELECT symbol, count(*) FROM ticks GROUP BY ALL")) == {"BTCUSDT": 800, "ETHUSDT": 200}


def test_a_transaction_that_fails_in_a_backlog_is_landed_again(make_lab, trade):
    lab = make_lab(kind=Kind.LIVE, stream=TradeKind.RAW, batch_max_lines=100)
    append(lab.engine._journal, "capture", [trade("BTCUSDT", number, T0 + number) for number in range(500)])
    assert lab.engine.run_once()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab.engine._alerts, "landed", lambda _landed: (_ for _ in ()).throw(StoreError))
        with pytest.raises(StoreError):
            lab.engine.run_once()
    lab.engine.land_everything()
    assert lab.rows("SELECT count(*), count(DISTINCT trade_id) FROM ticks") == [(500, 500)]
    assert lab.engine._lander.position("capture") > Position(0, 0)

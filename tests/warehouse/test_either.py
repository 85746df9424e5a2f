"""The tables of a profile whose warehouse comes and goes, and a repair that never keeps the file from it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import pytest

from pipeline.cli.asking import ask
from pipeline.cli.quality import _repaired
from pipeline.errors import WarehouseBusy, WarehouseUnavailable
from pipeline.jobs import repair_gaps as repairing
from pipeline.jobs.venue_rest import VenueRest
from pipeline.journal import open_journal
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, open_profile
from pipeline.settings import Settings
from pipeline.store import Role, connect
from pipeline.store.requests import AddSymbol
from pipeline.store.warehouse import publish_endpoint
from pipeline.venues import venue
from pipeline.warehouse.either import EitherWarehouse

T0 = 1_723_161_300_000
ONE = "SELECT 1 AS one"


@pytest.fixture
def life(tmp_path, trade):
    """A profile with a gap in its journal, and nobody who lands it."""
    profile = open_profile(tmp_path, "either", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    settings = Settings(symbols=("BTCUSDT",), pairs=())
    writer = open_journal(profile, settings).writer("capture")
    for trade_id in (1, 2, 6, 7):
        recv_ns, _, raw = aggregate(trade_id).partition(b" ")
        writer.append(int(recv_ns), raw)
    writer.close()
    return profile, settings


def aggregate(trade_id):
    time_ms = T0 + trade_id
    text = (
        f'{time_ms * 1_000_000} {{"e":"aggTrade","E":{time_ms},"s":"BTCUSDT","a":{trade_id},"p":"1.5","q":"2","f":{trade_id},'
        f'"l":{trade_id},"T":{time_ms},"m":true}}'
    )
    return text.encode()


@contextmanager
def another_process(profile):
    """It holds the file until its standard input is closed; locks are between processes."""
    script = f"""
import sys
from pathlib import Path
from pipeline.profile import load_profile
from pipeline.store import open_local
with open_local(load_profile(Path({str(profile.path.parents[1])!r}), {profile.name!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(20)


def test_the_file_is_held_for_one_question_only(life):
    profile, settings = life
    with EitherWarehouse(profile, settings, open_journal(profile, settings), patience_s=0.3) as either:
        either.land("repair")  # everything, there being no process
        assert either.select("SELECT count(*) FROM ticks").item() == 4
        with another_process(profile) as said:
            assert said == "held"
            with pytest.raises(WarehouseBusy):
                either.select(ONE)
        assert either.select(ONE).item() == 1


def test_a_process_that_was_killed_is_nobody(life):
    """It has left its address behind."""
    profile, settings = life
    publish_endpoint(profile, "127.0.0.1", 9)
    with pytest.raises(WarehouseUnavailable):
        connect(profile, Role.READER)
    with EitherWarehouse(profile, settings, open_journal(profile, settings)) as either:
        assert either.select(ONE).item() == 1


def test_the_file_is_free_while_a_repair_waits_for_the_venue(life, monkeypatch):
    """It was not: the warehouse, started meanwhile, gave up after 20 s."""
    profile, settings = life
    asked = []

    def tell(_self, symbol, **given):
        with another_process(profile) as said:  # as a warehouse that has just been started does
            assert said == "held"
        asked.append(given)
        rows = range(given["from_id"], given["from_id"] + given["limit"])
        return [venue().decode(aggregate(trade_id).partition(b" ")[2], trade_id) for trade_id in rows if trade_id < 8]

    monkeypatch.setattr(VenueRest, "agg_trades", tell)
    monkeypatch.setattr(VenueRest, "server_time_ms", lambda _self: T0 + 60_000)
    (row,) = _repaired(profile, settings, None, (), 10, settled=timedelta(0))
    assert (row.state, row.fetched, row.left) == (repairing.REFILLED, 3, 0)
    assert [given["from_id"] for given in asked] == [3]


def test_a_request_beside_a_killed_process_does_not_wait_for_it(life, monkeypatch):
    """It held the file for ten seconds meanwhile, and so kept the process that it waited for from starting."""
    profile, _ = life
    publish_endpoint(profile, "127.0.0.1", 9)
    held_for = []
    monkeypatch.setattr("pipeline.cli.asking.time.sleep", held_for.append)
    assert ask(profile, [AddSymbol("BNBUSDT")])
    assert held_for == []


def test_a_landing_here_gives_way_again_and_again(life, monkeypatch):
    profile, settings = life
    pauses = []
    monkeypatch.setattr("pipeline.warehouse.either._HELD_S", -1.0)
    monkeypatch.setattr("pipeline.warehouse.either._GIVES_WAY_S", 0.0)
    monkeypatch.setattr("pipeline.warehouse.either.time.sleep", pauses.append)
    small = settings.model_copy(update={"batch_max_lines": 2})
    with EitherWarehouse(profile, small, open_journal(profile, settings)) as either:
        either.land("repair")
        assert len(pauses) >= 2
        assert either.select("SELECT count(*) FROM ticks").item() == 4

"""The same recording over a real WebSocket and by one-shot ingest: the same tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline.profile import load_profile
from pipeline.store import open_local

TICKS = "SELECT * EXCLUDE (recv_time, source) FROM ticks ORDER BY symbol, trade_id"
BARS = "SELECT * EXCLUDE (revision) FROM bars ORDER BY symbol, timeframe, ts"
"""Less what depends on arrival: when a line came and from where, and how often a bar was written."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_replay_over_the_wire_and_ingest_give_the_same_ticks_and_bars(platform: Callable[[str], Any], market_data: Path) -> None:
    recordings = sorted(map(str, (market_data / "ws_usdm_20240808").glob("*.gz")))
    wire = platform("wire")
    wire.up("--kind", "recorded", "--speed", "20", *(argument for path in recordings for argument in ("--replay", path)))
    wire.until(lambda: wire.select("FROM journal_clock WHERE ended").height, "the end of the replay", 180)
    wire.until(lambda: wire.select("SELECT count(*) AS n FROM ticks").item() == 21_313 + 14_076, "the landing of every trade", 30)

    files = platform("files")
    landed = files.run("ingest", *recordings)
    assert landed.returncode == 0, landed.stderr
    assert "35389 new trades, 120081 new quotes, 0 new gaps, 18 new bars" in landed.stdout
    again = files.run("ingest", *recordings)
    assert "0 new trades, 0 new quotes, 0 new gaps, 0 new bars" in again.stdout

    assert wire.select("SELECT count(*) AS n FROM gaps").item() == 0
    for sql in (TICKS, BARS):
        assert_frame_equal(wire.select(sql), table(files, sql))
    exported = wire.run("export", "bars", "--symbol", "BTCUSDT", "--timeframe", "1m")
    assert len(exported.stdout.splitlines()) == 7
    fitted = wire.run("fit", "ETHUSDT/BTCUSDT", "--timeframe", "1s", "--lookback", "300")
    assert fitted.returncode == 0, fitted.stderr
    assert "beta 0.0095397591" in fitted.stdout
    assert wire.stop() == 0
    assert wire.family() == []


def table(stopped: Any, sql: str) -> pl.DataFrame:
    """Read the file of a platform that does not run."""

    with open_local(load_profile(stopped.data_dir, stopped.name)) as warehouse:
        return warehouse.select(sql)

"""Faults and kill -9 for half a minute: what has landed in the end is what the simulator made. The long run is `make chaos`."""

from __future__ import annotations

import importlib
from pathlib import Path

import psutil
import pytest

from pipeline.store import open_local

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ONE = "(symbol, trade_id) IN (SELECT (symbol, trade_id) FROM ticks ORDER BY symbol, trade_id LIMIT 1 OFFSET 3)"
BAR = "(symbol, ts) = (SELECT min((symbol, ts)) FROM bars_1s)"
TAMPERED = {
    "ticks of": f"UPDATE ticks_recent SET price = price + 0.00000001 WHERE {ONE}",
    "landed twice": f"INSERT INTO ticks_recent FROM ticks_recent WHERE {ONE}",
    "coverage of": "UPDATE coverage SET last_id = last_id + 1",
    "but all of it has landed": "UPDATE gaps SET state = 'unrecoverable' WHERE state = 'refilled'",
    "found None": f"DELETE FROM ticks_recent WHERE {ONE}",
    "bars: ": f"UPDATE bars_1s_recent SET close = close + 0.00000001 WHERE {BAR}",
    "bars_resampled: ": "UPDATE bars_resampled SET volume = volume + 1 WHERE timeframe = '5m'",
}
"""What the judge must say of which damage."""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_wrong_after_faults_and_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    story = importlib.import_module("chaos_story")
    before = set(psutil.Process().children(recursive=True))
    run = story.Run(story.Order(tmp_path / "data", seconds=24, kills=7, seed=4, settled_after_s=6, calm_s=3), lambda _: None)
    told = run.tell()
    assert told.verdict.wrong == []
    assert all(told.kills[name] for name in ("capture", "warehouse", "simulator")), told
    assert set(psutil.Process().children(recursive=True)) <= before

    for said, damage in TAMPERED.items():
        database = run.profile.database
        kept = database.read_bytes()
        with open_local(run.profile) as warehouse:
            warehouse.connection.execute(damage)
        assert any(said in wrong for wrong in run.judged().wrong), said
        database.write_bytes(kept)
    assert run.judged().wrong == []

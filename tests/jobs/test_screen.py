from __future__ import annotations

import pytest

from pipeline.errors import TooShort, UsageError
from pipeline.jobs.resample import resample
from pipeline.jobs.screen import screen
from pipeline.model.timeframe import Timeframe

MINUTE = Timeframe.parse("1m")


def test_every_ordered_pair_is_tested_and_ranked(warehouse):
    resample(warehouse, (MINUTE,))
    found = screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=110)
    assert found.height == 2
    assert found["outcome"].to_list() == ["tested", "tested"]
    assert found["p_value"].is_sorted()
    assert (found["q_value"] >= found["p_value"]).all()
    assert screen(warehouse, ["ETHUSDT", "BTCUSDT"], MINUTE, lookback=110, both_directions=False).height == 1


def test_symbols_without_bars_are_refused_plainly(warehouse):
    with pytest.raises(TooShort, match="1 of 2 symbols have complete 1m bars"):
        screen(warehouse, ["ETHUSDT", "NOPEUSDT"], MINUTE)
    with pytest.raises(UsageError, match="at least two different symbols"):
        screen(warehouse, ["ETHUSDT", "ETHUSDT"], MINUTE)

"""A rule tried on the past does what the engine did when it lived through it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.alerts import AlertEvent, Rule
from pipeline.errors import UsageError
from pipeline.store.replay import Grain
from pipeline.warehouse.backtest import backtest

BASE = {"rule_id": "r", "name": "a rule", "target": "BTCUSDT", "metric": "price", "condition": "above", "threshold": 100.0}
PAIR = {"target": "ETHUSDT/BTCUSDT", "timeframe": "1s"}
RULES = {
    "price": {"threshold": 60_300.0, "recovery_threshold": 60_250.0},
    "zscore": {**PAIR, "metric": "zscore", "threshold": 1.2, "recovery_threshold": 0.2, "for_s": 1.0},
    "zscore on close": {**PAIR, "timeframe": "5s", "metric": "zscore", "condition": "outside", "threshold": 1.0, "evaluate": "bar_close"},
    "correlation": {**PAIR, "metric": "correlation", "condition": "below", "threshold": 0.3, "keep_firing_for_s": 2.0},
    "return": {"metric": "return", "timeframe": "1s", "window": 3, "condition": "outside", "threshold": 0.0002},
    "volume": {"target": "*", "metric": "volume", "timeframe": "5s", "threshold": 20.0},
    "age": {"target": "*", "metric": "data_age", "threshold": 2.0},
    "hedge ratio": {**PAIR, "metric": "beta", "threshold": 0.041},
    "once": {"threshold": 60_300.0, "evaluate": "once"},
}


def key(event):
    return event.series, event.kind, event.at_us, event.value


def happened(lab, rule_id):
    texts = lab.rows(f"SELECT CAST(payload AS VARCHAR) FROM alert_events WHERE rule_id = '{rule_id}' ORDER BY occurred_at, rowid")
    return [AlertEvent.from_json(text) for (text,) in texts]


def second_begins(lines, at):
    """The first line at or behind ``at`` with the first trade of a second."""
    newest = 0
    for number, line in enumerate(lines):
        found = re.search(rb'"T":(\d{13})', line) if b'"e":"trade"' in line else None
        if found:
            second = int(found[1]) // 1_000
            if number >= at and second > newest:
                return number
            newest = max(newest, second)
    raise AssertionError(at)


@pytest.fixture
def minute(make_lab, real_lines):
    """A busy minute of two real symbols, with rules that were made after its beginning and a model that changes within it."""
    lab = make_lab()
    third = second_begins(real_lines, len(real_lines) // 3)
    lab.fit("m1", 0.0404)
    lab.fit("m5", 0.0404, timeframe="5s")
    lab.land(real_lines[:third])
    lab.activate("m1")
    lab.activate("m5", "5s")
    (made_us,) = lab.rows("SELECT epoch_us(journal_time) // 1000000 * 1000000 + 1000000 FROM journal_clock")[0]
    for name, changes in RULES.items():
        lab.request("rule.put", rule={**BASE, **changes, "rule_id": name.replace(" ", "-")})
    for at in range(third, 2 * third, 700):
        lab.land(real_lines[at : min(at + 700, 2 * third)])
    lab.fit("m2", 0.0412, at=2)
    lab.activate("m2")
    for at in range(2 * third, len(real_lines), 1_100):
        lab.land(real_lines[at : at + 1_100])
    return lab, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=made_us)


def tried(lab, rule, start, **more):
    return backtest(
        lab.warehouse, rule, lab.engine.universe, lab.settings, start=start, end=datetime(2100, 1, 1, tzinfo=UTC), recorded=True, **more
    )


def test_over_trades_every_event_is_that_of_the_live_engine(minute):
    lab, made = minute
    told = {}
    for name, changes in RULES.items():
        rule = Rule.from_row({**BASE, **changes, "rule_id": name.replace(" ", "-")})
        live = happened(lab, rule.rule_id)
        found = tried(lab, rule, made)
        assert found.grain is Grain.TICKS
        assert [key(event) for event in found.events] == [key(event) for event in live], name
        assert [event.event_id for event in found.events] == [event.event_id for event in live], name
        told[name] = len(live)
    assert sum(1 for count in told.values() if count) >= 6, told
    stored = lab.rows("SELECT count(*) FROM alert_events")
    assert found.episodes == tried(lab, rule, made).episodes
    assert lab.rows("SELECT count(*) FROM alert_events") == stored


def test_it_tells_how_often_and_for_how_long_and_from_what(lab, trade):
    first = 1_723_161_300_000
    prices = [90, 101, 102, 90, 90, 103, 103, 103]
    lab.land([trade("BTCUSDT", number, first + 1_000 * number, f"{price}.0") for number, price in enumerate(prices, 1)])
    rule = Rule.from_row({**BASE, "enabled": False, "expires_at_us": 1})
    start = datetime.fromtimestamp(first / 1e3, UTC)
    found = tried(lab, rule, start)
    assert [(episode.start - start, episode.value) for episode in found.episodes] == [
        (timedelta(seconds=2), 101.0),
        (timedelta(seconds=6), 103.0),
    ]
    assert found.episodes[0].end == start + timedelta(seconds=4)
    assert found.episodes[1].end is None
    assert found.firing == timedelta(seconds=2) + (found.end - found.episodes[1].start)
    seconds = tried(lab, rule, start, grain=Grain.SECONDS)
    assert "each is seen when it is over" in seconds.note
    assert [episode.start - start for episode in seconds.episodes] == [timedelta(seconds=3), timedelta(seconds=7)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "gaps"}, "open gaps cannot be replayed"),
        ({"target": "pipeline", "metric": "flow_failures"}, "flow failures cannot be replayed"),
        ({"target": "ETHUSDT"}, "there are no trades or bars of ETHUSDT"),
    ],
)
def test_what_cannot_be_replayed_is_said(lab, trade, changes, said):
    lab.land([trade("BTCUSDT", number, 1_723_161_300_000 + 1_000 * number) for number in range(5)])
    with pytest.raises(UsageError, match=said):
        tried(lab, Rule.from_row({**BASE, **changes}), datetime(2024, 8, 8, tzinfo=UTC))

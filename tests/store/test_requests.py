"""Requests: what is written is what is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pipeline.alerts import Condition, Metric, Rule
from pipeline.errors import UsageError
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Method, PairSpec, Scale
from pipeline.profile import Kind, TradeKind, create_profile
from pipeline.store import open_local
from pipeline.store.requests import (
    AcknowledgeAlert,
    AddPair,
    AddSymbol,
    DeleteRule,
    EnableRule,
    PutRule,
    RemovePair,
    RemoveSymbol,
    describe_change,
    load_outcome,
    load_pending,
    parse_change,
    send,
)

PAIR = Pair("ETHUSDT", "BTCUSDT")
RULE = Rule(
    rule_id="r1",
    name="rich",
    target=str(PAIR),
    metric=Metric.ZSCORE,
    condition=Condition.ABOVE,
    threshold=2.0,
    timeframe=Timeframe.parse("1m"),
)
CHANGES = [
    PutRule(RULE),
    DeleteRule("r1"),
    EnableRule("r1", enabled=False),
    AcknowledgeAlert("r1", str(PAIR), "me"),
    AddSymbol("SOLUSDT"),
    RemoveSymbol("SOLUSDT"),
    AddPair(PairSpec(PAIR, Method.HUBER, 300, Scale.LOG)),
    RemovePair(PAIR),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_every_change_comes_back_as_it_went(change):
    kind, payload = describe_change(change)
    assert parse_change(kind.value, json.dumps(payload)) == change


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("rule.burn", "{}"),
        ("rule.delete", "not json"),
        ("rule.delete", "[]"),
        ("rule.delete", "{}"),
        ("rule.delete", '{"rule_id": 7}'),
        ("rule.enable", '{"rule_id": "r", "enabled": "yes"}'),
        ("rule.put", '{"rule": "all"}'),
        ("rule.put", '{"rule": {"name": "half"}}'),
        ("universe.add_symbol", '{"symbol": "btc; DROP"}'),
        ("universe.add_pair", '{"pair": "ETHUSDT/ETHUSDT"}'),
        ("universe.add_pair", '{"pair": "ETHUSDT/BTCUSDT", "lookback": 1}'),
        ("universe.add_pair", '{"pair": "ETHUSDT/BTCUSDT", "method": "magic"}'),
    ],
)
def test_what_means_nothing_is_refused(kind, payload):
    with pytest.raises(UsageError):
        parse_change(kind, payload)


def test_a_request_waits_in_the_table_until_it_has_an_outcome(tmp_path):
    profile = create_profile(tmp_path, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2024-08-08T00:00:00+00:00")
    now = datetime(2024, 8, 8, tzinfo=UTC)
    with open_local(profile) as warehouse:
        request_id = send(warehouse, AddSymbol("SOLUSDT"), now=now)
        waiting = load_pending(warehouse).row(0, named=True)
        assert parse_change(waiting["kind"], waiting["payload"]) == AddSymbol("SOLUSDT")
        assert load_outcome(warehouse, request_id) is None
        warehouse.connection.execute("INSERT INTO request_log VALUES (?, ?, now(), 'applied')", [request_id, waiting["kind"]])
        assert load_outcome(warehouse, request_id) == "applied"

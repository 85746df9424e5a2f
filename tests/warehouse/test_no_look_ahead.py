"""No row of a table may depend on what came after it: land a beginning of the journal, land all of it, compare the beginnings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.analytics import signal_series

BETA = 0.0434
RULES = [
    {"rule_id": "price", "metric": "price", "target": "ETHUSDT", "condition": "above", "threshold": 2681.8},
    {"rule_id": "z", "metric": "zscore", "target": "*", "condition": "outside", "threshold": 1.2, "timeframe": "1s", "for_s": 0.3},
    {"rule_id": "b", "metric": "zscore", "target": "*", "condition": "outside", "threshold": 1, "timeframe": "1s", "evaluate": "bar_close"},
    {"rule_id": "return", "metric": "return", "target": "*", "condition": "outside", "threshold": 3e-5, "timeframe": "1s", "window": 2},
    {"rule_id": "volume", "metric": "volume", "target": "BTCUSDT", "condition": "above", "threshold": 3.0, "timeframe": "5s"},
    {"rule_id": "corr", "metric": "correlation", "target": "*", "condition": "above", "threshold": 0.1, "timeframe": "1s"},
]  # fmt: skip
ENDS = {
    "ticks": ("epoch_us(event_time)", "* EXCLUDE (recv_time)"),
    "bars_1s": ("epoch_us(ts) + 1000000", "* EXCLUDE (revision)"),
    "bars": ("epoch_us(ts) + CASE timeframe WHEN '1s' THEN 1000000 ELSE 5000000 END", "* EXCLUDE (revision)"),
    "signals": ("epoch_us(ts) + CASE timeframe WHEN '1s' THEN 1000000 ELSE 5000000 END", "*"),
    "alert_events": ("epoch_us(occurred_at)", "*"),
}
"""When a row of a table is about the past (its end, in microseconds), and what is compared of it."""


def landed(lab, lines):
    """All of it in one block, where most of the future is at hand."""
    lab.fit("m1", BETA)
    lab.fit("m5", BETA * 1.01, timeframe="5s")
    lab.activate("m1")
    lab.activate("m5", "5s")
    for rule in RULES:
        lab.request("rule.put", rule={"name": rule["rule_id"], **rule})
    assert lab.rows("SELECT DISTINCT outcome FROM request_log") == [("applied",)]
    lab.land(lines)
    return lab


def look_ahead(make_lab, lines, cut):
    """The tables whose rows up to the time of the cut are not the same; and how many rows of each were compared."""
    part, whole = landed(make_lab(), lines[:cut]), landed(make_lab(), lines)
    newest = part.rows("SELECT epoch_us(min(newest)) FROM (SELECT max(event_time) AS newest FROM ticks GROUP BY symbol)")
    known_us = newest[0][0] // 1_000_000 * 1_000_000 - 1_000_000  # what is younger than lateness may still wait
    changed, counted = [], {}
    for table, (end, columns) in ENDS.items():
        query = f"SELECT {columns} FROM {table} WHERE {end} <= {known_us} ORDER BY ALL"
        before, after = part.rows(query), whole.rows(query)
        counted[table] = len(before)
        if before != after:
            changed.append(table)
    return changed, counted


@pytest.fixture(scope="module")
def lines(real_lines):
    return [line for line in real_lines if b"bookTicker" not in line][:2_000]


def test_the_tables_of_the_past_do_not_change_when_the_future_lands(make_lab, lines):
    changed, counted = look_ahead(make_lab, lines, int(0.35 * len(lines)))
    assert changed == []
    assert all(counted.values()), counted


def test_a_leak_is_caught(make_lab, lines, monkeypatch):
    def leaking(y, x, beta, **options):
        found = signal_series(y, x, beta, **options)
        return dataclasses.replace(found, zscore=np.append(found.zscore[1:], np.nan))

    monkeypatch.setattr("pipeline.warehouse.signals.signal_series", leaking)
    assert look_ahead(make_lab, lines, int(0.5 * len(lines)))[0] == ["signals"]

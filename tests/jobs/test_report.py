from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from pipeline.jobs.choice import published_universe
from pipeline.jobs.fit_pairs import fit_pairs, model_specs
from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.report import write_report
from pipeline.jobs.resample import resample
from pipeline.jobs.svg import Level, line_chart
from pipeline.settings import Settings
from pipeline.store.reports import list_reports

NOW = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
T0 = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_report_stands_alone_and_is_listed_once(warehouse, profile):
    settings, universe = Settings(), published_universe(profile)
    resample(warehouse, settings.parsed_timeframes)
    specs = model_specs(universe.pairs, settings.parsed_timeframes, ("ols", "huber"))
    fit_pairs(warehouse, specs, max_fill=5, significance=0.05, now=NOW)
    measure_liquidity(warehouse, universe.symbols, settings.parsed_timeframes, window=20)
    row = write_report(warehouse, profile, universe, settings, now=NOW, hours=24)
    write_report(warehouse, profile, universe, settings, now=NOW + timedelta(seconds=20), hours=24)
    (listed,) = list_reports(warehouse)
    assert listed.report_id == row.report_id == "20260302T1200Z-24h"
    text = (profile.reports / row.path).read_text()
    assert len(text.encode()) == listed.bytes
    assert "ETHUSDT/BTCUSDT" in text
    assert "Cointegrated at the 5 % level" in text or "Not shown to be cointegrated at the 5 % level" in text
    assert "No gap: every trade id" in text
    assert "Simulated data" in text
    assert text.count("<svg") == 4  # spread and z-score on 1s and 1m; 5m has too few bars
    assert re.findall(r"(?:https?:)?//[a-z]|<script|<link|src=|@import|url\(", text) == []
    for drawing in re.findall(r"<svg.*?</svg>", text):
        ET.fromstring(drawing)


def test_an_empty_warehouse_gives_a_report_that_says_so(warehouse, profile):
    for name in ("bars_1s_recent", "ticks_recent", "quotes_recent", "journal_clock"):
        warehouse.connection.execute(f"DELETE FROM {name}")
    row = write_report(warehouse, profile, published_universe(profile), Settings(), now=NOW, hours=1)
    text = (profile.reports / row.path).read_text()
    assert "No model yet" in text
    assert "No bar yet." in text
    assert "Nothing has been landed yet." in text


def test_a_chart_has_holes_where_values_are_missing():
    times = [T0 + timedelta(minutes=minute) for minute in range(6)]
    drawing = ET.fromstring(line_chart("z & more", times, [1.0, 2.0, None, float("nan"), 3.0, 1.0], levels=[Level(2, "z = 2")]))
    lines = [element.attrib["points"].split() for element in drawing if element.tag == "polyline"]
    assert [len(points) for points in lines] == [2, 2]
    assert drawing.attrib["aria-label"] == "z & more"
    heights = [float(point.split(",")[1]) for points in lines for point in points]
    assert heights[2] == min(heights)  # 3 is the highest value


@pytest.mark.parametrize("values", [[5.0, 5.0], [0.0, 0.0], [-1e-7, 1e-7], [60_000.0, 60_000.5], [-3e9, 4e9]])
def test_any_range_of_values_has_ticks(values):
    drawing = ET.fromstring(line_chart("s", [T0, T0 + timedelta(hours=30)], values))
    labels = [element.text for element in drawing if element.tag == "text" and element.attrib["text-anchor"] == "end"]
    assert 2 <= len(set(labels)) == len(labels) <= 8


def test_too_little_to_draw_is_a_sentence():
    assert line_chart("<z>", [T0], [1.0]) == '<p class="none">&lt;z&gt;: nothing to draw yet.</p>'

"""The report: what it says, that it stands alone, which files stay."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from pipeline.errors import UsageError
from pipeline.jobs.choice import published_universe
from pipeline.jobs.fit_pairs import fit_pairs, model_specs
from pipeline.jobs.liquidity import measure_liquidity
from pipeline.jobs.report import make_order, report_time, write_report
from pipeline.jobs.resample import resample
from pipeline.jobs.screen import keep_screen
from pipeline.jobs.svg import Band, Level, line_chart
from pipeline.model.timeframe import Timeframe
from pipeline.profile import Kind
from pipeline.settings import Settings
from pipeline.store.flow_runs import note_flow_run
from pipeline.store.outbox import OutboxStore
from pipeline.store.partitions import load_partitions
from pipeline.store.reports import list_reports

NOW = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
T0 = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = Timeframe.parse("1m")


@pytest.fixture
def analysed(warehouse, profile):
    """The market with everything that flows make of it."""
    settings, universe = Settings(), published_universe(profile)
    resample(warehouse, settings.parsed_timeframes)
    fit_pairs(warehouse, model_specs(universe.pairs, settings.parsed_timeframes, ("ols", "huber")), max_fill=5, significance=0.05, now=NOW)
    measure_liquidity(warehouse, universe.symbols, settings.parsed_timeframes, window=20)
    return warehouse


def written(warehouse, profile, *, settings=None, now=NOW, deliver=False, **asked):
    universe = published_universe(profile)
    order = make_order(profile, universe, now=now, **asked)
    row = write_report(warehouse, profile, universe, settings or Settings(), order, now=now, run="test", deliver=deliver)
    return row, (profile.reports / row.path).read_text()


def test_a_report_stands_alone_and_is_listed_once(analysed, profile):
    row, text = written(analysed, profile)
    again, same = written(analysed, profile, now=NOW + timedelta(seconds=20))
    (listed,) = list_reports(analysed)
    assert listed.report_id == row.report_id == again.report_id == "20260302T1200Z-24h"
    assert len(same.encode()) == listed.bytes
    assert text.count("<svg") == 4  # spread and z-score on 1s and 1m; 5m has too few bars
    assert re.findall(r"(?:https?:)?//[a-z]|<script|<link|src=|@import|url\(", text) == []
    for drawing in re.findall(r"<svg.*?</svg>", text):
        ET.fromstring(drawing)
    assert "@media print" in text
    (entry,) = load_partitions(analysed, asset="reports").to_dicts()
    assert (entry["partition"], entry["complete"], entry["rows"], entry["run"]) == (row.report_id, True, 1, "test")
    assert entry["inputs"] == ["models/ETHUSDT/BTCUSDT/1s", "models/ETHUSDT/BTCUSDT/1m"]


def test_it_depends_on_nothing_but_the_tables(analysed, profile):
    def told(later_s):
        text = written(analysed, profile, now=NOW + timedelta(seconds=later_s))[1]
        return text[: text.index(">Sizes<")]  # the database's file grows when it likes

    assert told(0) == told(20) == told(40)


def test_everything_that_is_known_of_a_pair_is_said(analysed, profile):
    connection = analysed.connection
    for series, minute in (("ETHUSDT/BTCUSDT", 30), ("BTCUSDT", 40), ("ETHUSDT/BTCUSDT", -400)):
        at = NOW - timedelta(hours=1) + timedelta(minutes=minute)
        connection.execute(
            "INSERT INTO alert_events VALUES (?, 'r', ?, 'firing', ?, 2.5, 2.0, 'critical', ?, '{}')",
            [f"{series}{minute}", series, at, f"<{series}> at {minute}"],
        )
    gap = NOW - timedelta(minutes=20)
    connection.execute("INSERT INTO gaps VALUES ('g', 'BTCUSDT', 100, 131, ?, ?, ?, 'open', NULL, '')", [gap, gap, gap])
    connection.execute(
        """INSERT INTO quality_checks BY NAME SELECT ?::TIMESTAMPTZ AS checked_at, 'gaps' AS name, 'BTCUSDT' AS subject, '' AS timeframe,
           'error' AS severity, 'error' AS state, 32.0 AS "value", 0.0 AS threshold, true AS blocking, '32 ids are missing' AS detail,
           ?::TIMESTAMPTZ AS since, 'x' AS run""",
        [NOW, NOW],
    )
    for run, minute, ok, detail in (("a", 30, True, ""), ("b", 40, False, "disk <full>"), ("c", -400, False, "long ago")):
        at = NOW - timedelta(hours=1) + timedelta(minutes=minute)
        note_flow_run(analysed, run=run, flow="resample", ended_at=at, ok=ok, detail=detail)
    _, text = written(analysed, profile, hours=2)
    (flow,) = re.findall(r"<tr><td>resample</td>.*?</tr>", text)
    assert re.findall(r">([^<]+)<", flow) == ["resample", "2", "1", "2026-03-02 11:40:05", "2026-03-02 11:40:05", "disk &lt;full&gt;"]
    assert "not screened" in text
    assert "Cointegrated at the 5 % level" in text or "Not shown to be cointegrated at the 5 % level" in text
    assert "&lt;ETHUSDT/BTCUSDT&gt; at 30" in text
    assert "at -400" not in text  # before the period
    for said in ("Simulated data", "intercept", "ADF p *", "32 ids are missing", "error, blocking", "1 failing"):
        assert said in text, said
    keep_screen(analysed, ["ETHUSDT", "BTCUSDT"], MINUTE, now=NOW, keep=5, run="test", lookback=100)
    row = analysed.select("SELECT q_value FROM screens WHERE y = 'ETHUSDT'").item()
    later = written(analysed, profile, hours=2)[1]
    assert later.count("not screened") == text.count("not screened") - 2  # at a glance and among the tests
    assert ("&lt; 0.001" if row < 0.001 else f"{row:.3f}") in later


def test_an_empty_warehouse_gives_a_report_that_says_so(warehouse, profile):
    for name in ("bars_1s_recent", "ticks_recent", "quotes_recent", "journal_clock"):
        warehouse.connection.execute(f"DELETE FROM {name}")
    _, text = written(warehouse, profile, hours=1)
    for said in (
        "No model yet",
        "No bar yet.",
        "Nothing has been landed yet.",
        "No check has run yet.",
        "Not measured yet.",
        "No run has ended",
    ):
        assert said in text, said


def test_periods_pairs_and_titles(warehouse, profile):
    universe = published_universe(profile)
    order = make_order(profile, universe, now=NOW, start=T0 + timedelta(hours=10, minutes=5, seconds=9), end=T0 + timedelta(hours=11))
    assert (order.start.minute, order.end.hour, order.report_id) == (5, 11, "20260302T1100Z-55m")
    named = make_order(profile, universe, now=NOW, pairs=["ETHUSDT/BTCUSDT"], title=" Morning   <review> ")
    assert named.title == "Morning <review>"
    assert re.fullmatch(r"20260302T1200Z-24h-[0-9a-f]{6}", named.report_id)
    _, text = written(warehouse, profile, pairs=["ETHUSDT/BTCUSDT"], title="Morning <review>")
    assert "<h1>Morning &lt;review&gt;</h1>" in text
    for said, asked in (
        ("is empty; the end must be after the start", {"start": NOW}),
        ("is too long; expected at most 366 days", {"start": NOW - timedelta(days=400)}),
        ("title has 200 characters", {"title": "x" * 200}),
        ("pair AAA/BBB is not in the universe", {"pairs": ["AAA/BBB"]}),
    ):
        with pytest.raises(UsageError, match=said):
            make_order(profile, universe, now=NOW, **asked)
    assert report_time(warehouse, profile, NOW + timedelta(days=9)) == NOW + timedelta(days=9)
    assert report_time(warehouse, replace(profile, kind=Kind.RECORDED), NOW + timedelta(days=9)) == T0 + timedelta(hours=12)


def test_the_oldest_reports_go_with_their_files(warehouse, profile):
    settings = Settings(report_keep=2)
    stray = profile.reports / "report-20200101T0000Z-1h.html"
    stray.write_text("not listed any more")
    other = profile.reports / "mine.html"
    other.write_text("a user's own file")
    paths = [written(warehouse, profile, settings=settings, now=NOW + timedelta(hours=hour), hours=1)[0].path for hour in range(3)]
    assert [row.path for row in list_reports(warehouse)] == paths[:0:-1]
    assert {path.name for path in profile.reports.iterdir()} == {*paths[1:], "mine.html"}
    assert load_partitions(warehouse, asset="reports").height == 2


def test_a_report_is_delivered_once_over_each_channel(warehouse, profile):
    now = datetime.now(UTC)
    outbox = OutboxStore(warehouse.connection)
    for second in range(2):
        written(warehouse, profile, now=now + timedelta(microseconds=second), hours=1, deliver=True)
        outbox.take_notices(["webhook", "callback"])
    waiting = outbox.look().waiting
    assert sorted(row.channel for row in waiting) == ["callback", "webhook"]
    (event_id,) = {row.event_id for row in waiting}
    content = json.loads(waiting[0].payload)
    assert content["event_id"] == event_id
    assert content["kind"] == "report"
    assert content["title"].startswith("Spreadwatch report: Profile jobs, ")
    assert content["summary"].startswith("ETHUSDT/BTCUSDT: no model yet. 0 open gaps")
    assert content["path"] == str(profile.reports.resolve() / list_reports(warehouse)[0].path)
    outbox.record([("delivered", 1, None, None, event_id, event_id, channel) for channel in ("webhook", "callback")])
    outbox.take_notices(["webhook", "callback"])
    assert outbox.look().waiting == ()


def test_a_long_series_keeps_its_extremes_and_stays_small():
    times = [T0 + timedelta(seconds=second) for second in range(50_000)]
    values = [0.0] * 50_000
    values[12_345], values[43_210] = 9.0, -9.0
    drawing = ET.fromstring(line_chart("s", times, values, band=Band(-2, 2), span=(T0, T0 + timedelta(days=1))))
    points = [point.split(",") for element in drawing if element.tag == "polyline" for point in element.attrib["points"].split()]
    assert len(points) < 2_000
    heights = [float(y) for _, y in points]
    assert min(heights) < 25
    assert max(heights) > 160
    assert [element.tag for element in drawing].count("rect") == 1


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
    labels = [element.text for element in drawing if element.tag == "text" and element.attrib.get("text-anchor") == "end"]
    assert 2 <= len(set(labels)) == len(labels) <= 8


def test_too_little_to_draw_is_a_sentence():
    assert line_chart("<z>", [T0], [1.0]) == '<p class="none">&lt;z&gt;: nothing to draw yet.</p>'

"""The Pair tab in a real browser: a verdict is read, a past range is computed and taken along, a link is followed, zoom stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipeline.analytics import align, fit_kalman, threshold_marks
from pipeline.model.timeframe import Timeframe
from pipeline.store import Role, connect
from pipeline.store.bars import load_bars

pytestmark = pytest.mark.browser

MINUTE = Timeframe.parse("1m")
LEAD, FILL = 120, 5
"""Bars before a range that its windows look back on, and over which a close is carried forward, as the settings have it."""

_MOVING = """() => { for (const m of Bokeh.documents[0].all_models)
    if (m.type === "ColumnDataSource" && m.data.zscore && m.data.correlation && m.data.ts.length === 1) return m.data.spread[0] }"""
_RANGES = """() => [...Bokeh.documents[0].all_models].filter((m) => m.type === "Figure" && m.x_range.follow)
    .map((m) => `${m.x_range.start} ${m.x_range.end}`)"""


def verdict_of(page) -> str:
    return page.locator(".verdict h2").inner_text()


@pytest.mark.parametrize("width", [1440, 390])
def test_pick_a_pair_and_read_its_verdict(tab, width):
    page = tab.open("?view=pair", width)
    page.get_by_text("ETHUSDT/BTCUSDT 1m").first.wait_for()
    page.get_by_label("Pair", exact=True).click()
    page.get_by_role("menuitem", name="SOLUSDT/ETHUSDT").click()
    page.get_by_text("SOLUSDT/ETHUSDT 1m").first.wait_for()
    page.locator(".verdict h2", has_text="Not shown to be cointegrated").wait_for()
    card = page.locator(".verdict")
    for words in ("Engle-Granger", "ADF of the spread", "KPSS of the spread", "Johansen (trace)", "q-value", "rejects below", "Fitted on"):
        assert words in card.inner_text()
    # Every chart that is shown says in words what it shows.
    charts = page.locator('.bk-Figure[role="img"]')
    said = [charts.nth(at).get_attribute("aria-label") for at in range(charts.count())]
    assert any(words.startswith("z-score of the spread, ") and "beyond \u00b12 at" in words for words in said)
    # Sections are folded and unfolded by the keyboard.
    page.get_by_role("button", name="Liquidity").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Corwin-Schultz spread").wait_for()
    page.wait_for_url("**open=legs.residuals.liquidity**")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("radio", name="Computed").click()
    page.get_by_text("not stored").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_past_range_by_kalman_is_computed_taken_along_and_found_again_by_its_link(tab, stage):
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    start = end - timedelta(minutes=300)
    span = f"from={start:%Y-%m-%dT%H:%M}Z&to={end:%Y-%m-%dT%H:%M}Z"
    page = tab.open(f"?view=pair&pair=XRPUSDT/SOLUSDT&timeframe=1m&method=kalman&{span}&entry=1.5&exit=0.25&open=statistics")
    page.get_by_text("not stored").first.wait_for()
    line = page.locator(".bar").first.inner_text()
    assert "300 bars, Kalman" in line
    page.get_by_text("1 to 20 of 300").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Parquet").click()
    got = pl.read_parquet(waiting.value.path())
    with connect(stage.profile, Role.READER) as warehouse:
        before = start - timedelta(minutes=LEAD + FILL)
        bars = load_bars(warehouse, ["XRPUSDT", "SOLUSDT"], MINUTE, start=before, end=end, complete_only=True)
    columns = []
    for symbol in ("XRPUSDT", "SOLUSDT"):
        leg = bars.filter(symbol=symbol)
        columns += [leg["ts"].dt.epoch("us").to_numpy(), leg["close"].to_numpy().astype(float)]
    legs = align(*columns, MINUTE.us, FILL)
    lead = min(LEAD, len(legs) - 300)
    direct = fit_kalman(legs.y[-300 - lead :], legs.x[-300 - lead :])
    assert got["ts"].dt.epoch("us").to_list() == legs.ts[-300:].tolist()
    for name in ("beta", "alpha", "spread", "zscore"):
        np.testing.assert_array_equal(got[name].to_numpy(), getattr(direct, name)[-300:])
    assert got["position"].to_list() == threshold_marks(got["zscore"].to_numpy(), entry=1.5, leave=0.25).position.tolist()
    page.wait_for_url("**method=kalman**")
    again = tab.open(page.url[page.url.index("?") :])
    again.get_by_text("not stored").first.wait_for()
    assert "300 bars, Kalman" in again.locator(".bar").first.inner_text()
    assert again.get_by_label("Enter at z").input_value() == "1.5"
    assert verdict_of(again) == verdict_of(page)


def test_zoom_is_kept_while_the_bar_moves_and_what_cannot_be_computed_is_told(tab):
    page = tab.open("?view=pair&pair=ETHUSDT/BTCUSDT&timeframe=1m")
    page.wait_for_function(f"({_MOVING})() !== undefined")
    canvas = page.locator("canvas").first.bounding_box()
    page.mouse.move(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    whole = page.evaluate(_RANGES)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"(before) => JSON.stringify(({_RANGES})()) !== before", arg=json.dumps(whole, separators=(",", ":")))
    page.wait_for_timeout(1_500)
    zoomed, value = page.evaluate(_RANGES), page.evaluate(_MOVING)
    assert len(set(zoomed)) == 1
    page.wait_for_function(f"({_MOVING})() !== {value}")
    assert page.evaluate(_RANGES) == zoomed
    page.get_by_role("radio", name="Computed").click()
    page.get_by_text("not stored").first.wait_for()
    page.get_by_label("From (UTC)").fill("2024-01-01 00:00")
    page.get_by_label("From (UTC)").press("Enter")
    page.get_by_label("Before (UTC)").fill("2024-03-01 00:00")
    page.get_by_label("Before (UTC)").press("Enter")
    page.get_by_role("button", name="Compute", exact=True).click()
    page.get_by_role("alert").get_by_text("at most 20,000 at once; shorten the range").wait_for()

"""Every view in a real browser, over a warehouse that moves."""

from __future__ import annotations

import io
import json
import re
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from dashboards.app import VIEWS
from pipeline.model.timeframe import Timeframe
from pipeline.store import Role, connect
from pipeline.store.bars import load_bars
from pipeline.store.requests import PutRule, parse_change

pytestmark = pytest.mark.browser

_CANDLES = """() => { for (const m of Bokeh.documents[0].all_models)
    if (m.type === "ColumnDataSource" && m.data.half) return { n: m.data.ts.length, last: m.data.close.at(-1), ts: m.data.ts.at(-1) } }"""


def text_of(page, words: str):
    return page.get_by_text(words).first


WORDS = {
    "Overview": "24 h high",
    "Pair": "Engle-Granger p",
    "Screener": "shown of",
    "Alerts": "every symbol data age",
    "Data": "Download CSV",
    "Health": "btcusdt@aggTrade",
}


@pytest.mark.parametrize("width", [1440, 390])
def test_each_view_draws_itself_and_fits(tab, width):
    page = tab.open("", width)
    page.get_by_text("DEMO").filter(visible=True).first.wait_for()
    for name, words in WORDS.items():
        page.get_by_role("tab", name=name).click()
        text_of(page, words).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_jumps_while_a_view_arrives_and_while_it_lives(tab, width):
    for name in ("overview", "screener", "health"):
        page = tab.open(f"?view={name}", width)
        text_of(page, WORDS[name.title()]).wait_for()
        page.locator("#loader").wait_for(state="detached")
        page.wait_for_timeout(2_500)
        shifts = page.evaluate("window.shifts")
        assert sum(far for far, _ in shifts) < 0.1, (name, shifts)  # what Web Vitals call good


def test_candles_move_and_keep_the_zoom(tab):
    page = tab.open("?view=overview&symbol=ETHUSDT&timeframe=1s")
    text_of(page, "24 h high").wait_for()
    page.wait_for_function(f"(({_CANDLES})()?.n ?? 0) > 30")
    first = page.evaluate(_CANDLES)
    page.wait_for_function(f"({_CANDLES})().ts > {first['ts']}")
    box = page.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(500)
    ranges = """() => { for (const m of Bokeh.documents[0].all_models) if (m.type === "Figure") return [m.x_range.start, m.x_range.end] }"""
    zoomed = page.evaluate(ranges)
    now = page.evaluate(_CANDLES)
    page.wait_for_function(f"({_CANDLES})().ts > {now['ts']} + 1000")
    assert page.evaluate(ranges) == zoomed


def test_prices_in_the_market_table_change(tab):
    page = tab.open()
    cell = page.locator("tr", has_text="BTCUSDT").locator("td").nth(2)
    cell.wait_for()
    before = cell.inner_text()
    for _ in range(50):
        if cell.inner_text() != before:
            return
        page.wait_for_timeout(200)
    pytest.fail(f"still {before} after ten seconds")


def test_a_click_on_a_symbol_goes_into_the_address_and_back(tab):
    page = tab.open()
    page.get_by_text("SOLUSDT").first.click()
    page.get_by_role("radio", name="5m").click()
    page.wait_for_url("**symbol=SOLUSDT&timeframe=5m**")
    again = tab.open("?view=overview&symbol=SOLUSDT&timeframe=5m")
    again.locator(".head .name", has_text="SOLUSDT").wait_for()
    assert again.get_by_role("radio", name="5m").get_attribute("aria-checked") == "true"


def test_compute_a_pair_that_nobody_configured(tab):
    page = tab.open("?view=pair&pair=XRPUSDT/SOLUSDT&timeframe=1m&lookback=300&window=30&method=theil_sen&scale=log")
    text_of(page, "not stored").wait_for()
    said = page.locator(".bar").first.inner_text()
    assert "XRPUSDT/SOLUSDT 1m" in said
    assert "300 bars" in said
    assert "Theil-Sen, z over 30" in said
    page.get_by_label("x (hedge)").wait_for()
    page.get_by_text("Theil-Sen on log prices").wait_for()


def test_a_rule_is_judged_while_it_is_written_then_asked_for(tab, stage):
    from playwright.sync_api import expect

    page = tab.open("?view=alerts")
    text_of(page, "Silent symbol").wait_for()
    page.get_by_label("Threshold").fill("9")
    text_of(page, "can never fire").wait_for()
    expect(page.get_by_role("button", name="Create rule")).to_be_disabled()
    page.get_by_label("Threshold").fill("2.25")
    page.get_by_label("Name (optional)").fill("From the browser")
    page.get_by_label("Name (optional)").blur()
    page.get_by_role("button", name="Create rule").click()
    text_of(page, "is in force").wait_for()
    with connect(stage.profile, Role.READER) as warehouse:
        assert "rule.put" in warehouse.select("SELECT kind FROM request_log")["kind"].to_list()
    row = page.locator("tr", has_text="From the browser")
    row.get_by_role("button", name="Disable").click()
    row.get_by_role("button", name="Enable").wait_for()
    row.get_by_role("button", name="Delete").click()
    row.get_by_text("Really delete?").click()
    row.wait_for(state="detached")


def test_a_request_is_a_row_that_the_warehouse_can_read(tab, stage):
    """While the warehouse holds still, the request lies in the table as it will be applied."""
    page = tab.open("?view=alerts")
    text_of(page, "Silent symbol").wait_for()
    stage.say("pause")
    try:
        page.get_by_label("Name (optional)").fill("Waiting")
        page.get_by_label("Name (optional)").blur()
        page.get_by_role("button", name="Create rule").click()
        with connect(stage.profile, Role.READER) as warehouse:
            for _ in range(50):
                found = warehouse.select("SELECT kind, CAST(payload AS VARCHAR) AS payload FROM requests")
                if found.height:
                    break
                time.sleep(0.1)
        change = parse_change(*found.row(0))
        assert isinstance(change, PutRule)
        assert change.rule.name == "Waiting"
        assert change.rule.threshold == 2.0
    finally:
        stage.say("go")


def test_a_firing_alert_is_acknowledged(tab, stage):
    stage.say("fire")  # one that no other test has acknowledged
    page = tab.open("?view=alerts")
    page.get_by_role("button", name="Acknowledge").first.click()
    text_of(page, "acknowledged").wait_for()


@pytest.mark.parametrize("form", ["CSV", "JSON", "Parquet"])
def test_an_export_reopens_equal_to_the_store(tab, stage, form):
    page = tab.open("?view=export&table=bars&symbol=ETHUSDT&timeframe=1m")
    page.get_by_role("radio", name=form).click()
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    page.get_by_label("Before (UTC)").fill(f"{end:%Y-%m-%d %H:%M}")
    page.get_by_label("Before (UTC)").press("Enter")
    page.locator("a.go[href*='&to=']").wait_for()
    page.get_by_role("cell", name="kline").first.wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=f"Download {form}").click()
    content = io.BytesIO(waiting.value.path().read_bytes())
    with connect(stage.profile, Role.READER) as warehouse:
        first = datetime(2020, 1, 1, tzinfo=UTC)
        stored = load_bars(warehouse, "ETHUSDT", Timeframe.parse("1m"), start=first, end=end)
    assert stored.height > 1000
    exact = ["open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"]
    if form == "Parquet":
        assert pl.read_parquet(content).equals(stored)
        return
    got = (
        pl.read_csv(content, infer_schema_length=None, schema_overrides=dict.fromkeys(exact, pl.String))
        if form == "CSV"
        else pl.DataFrame(json.load(content), infer_schema_length=None)
    )
    assert got["ts"].str.to_datetime(time_zone="UTC", time_unit="us").to_list() == stored["ts"].to_list()
    for name in exact:
        assert got[name].to_list() == stored[name].cast(pl.String).to_list()
    assert got["complete"].to_list() == stored["complete"].to_list()


def test_the_theme_changes_while_it_runs(tab):
    page = tab.open()
    text_of(page, "24 h high").wait_for()
    page.get_by_role("button", name="Preferences", exact=True).click()
    page.get_by_label("Light", exact=True).check()
    page.wait_for_url("**theme=light**")
    page.wait_for_function("""() => Bokeh.documents[0].all_models.size !== 0 &&
        [...Bokeh.documents[0].all_models].some((m) => m.type === "Figure" && m.background_fill_color === "#FFFFFF")""")


def test_a_killed_warehouse_shows_within_seconds_and_is_found_again(tab, stage):
    page = tab.open()
    text_of(page, "24 h high").wait_for()
    begun = time.monotonic()
    stage.kill()
    try:
        text_of(page, "has not answered").wait_for()
        assert time.monotonic() - begun < 3
    finally:
        stage.start()
    page.get_by_text("has not answered").wait_for(state="detached")
    text_of(page, "Streaming").wait_for()


def test_health_lists_what_was_made_and_data_the_reports(tab, stage):
    page = tab.open("?view=health")
    # The stage was set some time ago: around midnight its yesterday is the day before.
    yesterday = re.compile("|".join((datetime.now(UTC) - timedelta(days=days)).strftime("%m-%d") for days in (1, 2)))
    bars = page.locator("tr", has_text="XRPUSDT").filter(has_text="5m")
    bars.filter(has_text="1 of 3 open").filter(has_text=yesterday).wait_for()
    page.locator("tr", has_text="error, blocking").filter(has_text="XRPUSDT").wait_for()
    text_of(page, "1 failing, 1 to look at, 2 well of 4").wait_for()
    page.get_by_role("tab", name="Data").click()
    page.get_by_role("radio", name="Reports").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Profile demo", exact=True).click()
    report = opened.value
    report.get_by_role("heading", name="Pairs at a glance").wait_for()
    assert report.locator("svg").count() >= 6
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download").last.click()
    name = kept.value.suggested_filename
    assert kept.value.path().read_bytes() == (stage.profile.reports / name).read_bytes()


EXPLAINED: dict[str, str] = {}
"""Rule of axe-core: why what it finds here is no fault."""

_RUN = """async () => {
    const ask = { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }
    const of = (node) => `${node.target.flat().join(" >> ")}: ${node.html.slice(0, 160)} | ${node.any[0]?.message ?? ""}`
    return (await axe.run(document, ask)).violations.filter((v) => ["serious", "critical"].includes(v.impact))
        .map((v) => ({ id: v.id, nodes: v.nodes.slice(0, 6).map(of) })) }"""


def settled(page):
    """What axe finds once the colours have stopped changing."""
    for _ in range(6):
        page.wait_for_timeout(500)
        violations = page.evaluate(_RUN)
        if not violations:
            break
    return violations


def test_no_view_has_a_serious_finding(tab):
    base = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python brings axe-core; `make setup` installs it")
    page = tab.open()
    page.evaluate(base.AXE_FILE_PATH.read_text())
    found = {}
    for name, (title, _) in VIEWS.items():
        page.set_viewport_size({"width": 1440, "height": 900})
        page.get_by_role("tab", name=title).click()
        page.get_by_text(WORDS[title]).first.wait_for()
        for theme in ("dark", "light"):
            page.get_by_role("button", name="Preferences", exact=True).click()
            page.get_by_label(theme.title(), exact=True).check()
            page.keyboard.press("Escape")
            page.locator(f".mui-{theme}").first.wait_for()
            for width in (1440, 390):
                page.set_viewport_size({"width": width, "height": 900})
                for violation in settled(page):
                    if violation["id"] not in EXPLAINED:
                        found.setdefault(f"{violation['id']} in {name}, {theme}, {width}", violation["nodes"])
    assert found == {}

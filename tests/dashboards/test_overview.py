"""The first tab in a real browser: how far back the chart goes, how the market is sorted, and what can be clicked."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.browser

_CHART = """() => { for (const m of Bokeh.documents[0].all_models)
    if (m.type === "ColumnDataSource" && m.data.half && m.data.count && m.data.ts.length) {
        const {ts, count} = m.data, day = ts.at(-1) - 86_400_000
        const sum = (from) => ts.reduce((all, t, i) => all + (t >= from ? count[i] : 0), 0)
        return { n: ts.length, first: ts[0], last: ts.at(-1), step: ts.at(-1) - ts.at(-2), bars: sum(0), day: sum(day) }
    } return null }"""
_SEEN = "() => { for (const m of Bokeh.documents[0].all_models) if (m.type === 'Figure') return [m.x_range.start, m.x_range.end] }"
_HOLE = """() => { for (const m of Bokeh.documents[0].all_models) if (m.data?.history?.parts) {
    const { parts, step, from, to } = m.data.history, at = parts.findIndex(([ts], i) => i && ts - parts[i - 1][0] > step)
    return (parts[at][0] - step / 2 - from) / (to - from) } }"""
COLUMNS = ["Symbol", "Last", "Change", "Volume", "Turnover", "Trades", "Spread", "Quoted", "Amihud", "Age"]


def waited(page, condition: str) -> dict:
    """The chart as soon as a condition on it (``c``) holds."""
    page.wait_for_function(f"(() => {{ const c = ({_CHART})(); return c && ({condition}) }})()", timeout=60_000)
    return page.evaluate(_CHART)


def test_a_day_of_seconds_opens_as_candles_that_hold_every_bar(tab):
    page = tab.open("?view=overview&symbol=BNBUSDT&timeframe=1s")
    waited(page, "c.step === 1000 && c.n > 900")
    page.get_by_role("radio", name="1d", exact=True).click()
    day = waited(page, "c.step > 60_000 && c.day > 84_000")
    assert day["n"] < 2_000, "candles, not bars, are sent"
    page.wait_for_url("**range=1d**")
    page.wait_for_function(f"(() => {{ const [a, b] = ({_SEEN})(); return b - a >= 86_400_000 && b - a < 1.2 * 86_400_000 }})()")
    page.get_by_text("5 min candle").first.wait_for()
    label = page.locator('[role=img][aria-label^="Candlesticks of BNBUSDT, 1s bars as"]').first
    label.wait_for(state="attached")
    assert "candles of 5 min" in label.get_attribute("aria-label")
    page.get_by_role("radio", name="1h", exact=True).click()
    waited(page, "c.step <= 15_000")
    # A wheel turned inwards shows shorter candles, and the range is no longer that of the button.
    box = page.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    for _ in range(8):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(40)
    waited(page, "c.step === 1000")
    page.wait_for_url(re.compile("from=.*to="))
    assert page.get_by_role("radio", name="1h", exact=True).get_attribute("aria-checked") == "false"


def test_an_address_shows_any_part_of_the_past_and_panning_loads_more(tab):
    to = datetime.now(UTC) - timedelta(hours=9)
    start = to - timedelta(minutes=10)
    page = tab.open(f"?view=overview&symbol=BNBUSDT&timeframe=1s&from={start:%Y-%m-%dT%H:%M:%SZ}&to={to:%Y-%m-%dT%H:%M:%SZ}")
    here = waited(page, f"c.first < {start.timestamp() * 1000}")
    seen = page.evaluate(_SEEN)
    assert abs(seen[0] - start.timestamp() * 1000) < 2_000
    box = page.locator("canvas").first.bounding_box()
    for _ in range(3):
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 120, box["y"] + 100, steps=4)
        page.mouse.up()
    older = waited(page, f"c.first < {here['first']} - 300_000")
    assert older["n"] < 4_000, "a session holds a part of the past, not all of it"
    page.get_by_role("button", name="Live").click()
    page.wait_for_function(f"({_SEEN})()[1] > ({_CHART})().last")


def test_the_history_is_told_and_a_click_on_it_moves_the_chart(tab):
    page = tab.open("?view=overview&symbol=BNBUSDT&timeframe=1s")
    strip = page.get_by_role("slider", name="History of BNBUSDT 1s")
    strip.wait_for()
    page.get_by_text("of the intervals").first.wait_for()
    waited(page, "c.n > 900")
    box = strip.bounding_box()
    # The stage left a hole of half an hour.
    strip.hover(position={"x": box["width"] * page.evaluate(_HOLE), "y": 8})
    page.get_by_text("none of").wait_for()
    strip.click(position={"x": box["width"] * 0.25, "y": 8})
    page.wait_for_url(re.compile("from=.*to="))
    middle = sum(page.evaluate(_SEEN)) / 2
    day_ago = (datetime.now(UTC) - timedelta(days=1)).timestamp() * 1000
    assert 0.15 < (middle - day_ago) / 86_400_000 < 0.35
    strip.focus()
    page.keyboard.press("End")
    assert "own trades" in strip.get_attribute("aria-valuetext") or "not complete" in strip.get_attribute("aria-valuetext")


def test_the_market_sorts_by_every_column_and_is_found_by_typing(tab):
    page = tab.open()
    table = page.get_by_role("table", name="Symbols")
    table.locator("tbody tr").nth(5).wait_for()

    def order() -> list[str]:
        return table.locator("tbody tr td:first-child").all_inner_texts()

    for name in COLUMNS:
        head = table.get_by_role("button", name=name)
        head.click()
        column = [title.split(" ")[0] for title in table.locator("thead th").all_inner_texts()].index(name)
        cells = [text for text in table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts() if text != "\u2013"]
        if name in ("Change", "Amihud", "Quoted"):
            numbers = [float(text.replace("\u2212", "-").rstrip("%")) for text in cells]
            assert numbers == sorted(numbers, reverse=True), name
        if name in ("Symbol", "Turnover", "Amihud"):
            falling = order()
            head.click()
            rising = order()
            known = len(cells)
            assert rising[:known] == falling[:known][::-1], name
            assert rising[known:] == falling[known:], "what is not known comes last either way"
            page.wait_for_url(f"**sort={name.lower()}**")
        page.wait_for_timeout(50)
    page.get_by_label("Filter Symbols").fill("so")
    table.locator("tbody tr").nth(1).wait_for(state="detached")
    page.wait_for_url("**filter=so**")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".head .name", has_text="SOLUSDT").wait_for()
    again = tab.open("?view=overview&sort=-turnover&filter=usdt")
    head = again.get_by_role("columnheader", name="Turnover")
    head.wait_for()
    assert head.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("width", [1440, 390])
def test_a_tile_chooses_its_symbol_and_a_pair_opens(tab, width):
    page = tab.open("", width)
    symbols = page.get_by_role("toolbar", name="Symbols")
    tile = symbols.get_by_role("button", name=re.compile("^ETHUSDT"))
    tile.click()
    page.locator(".head .name", has_text="ETHUSDT").wait_for()
    assert tile.get_attribute("aria-pressed") == "true"
    before = tile.locator(".value").inner_text()
    page.wait_for_function("([tile, was]) => tile.querySelector('.value').textContent !== was", arg=[tile.element_handle(), before])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("toolbar", name="Pairs").get_by_role("button", name=re.compile("SOLUSDT.ETHUSDT.*z-score")).click()
    page.wait_for_url("**view=pair**")
    page.get_by_text("Engle-Granger p").first.wait_for()


def test_the_first_visitor_of_a_dashboard_sees_candles_and_a_spread(chromium, stage, served_dashboard):
    """Nothing has been read yet when the page is made, so charts hear how far they may be zoomed before they show anything."""
    for view, least in (("overview", 2), ("pair", 6)):
        with served_dashboard(stage) as url:
            context = chromium.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            page.goto(f"{url}/?view={view}")
            page.wait_for_function(
                """(least) => { const shown = [...(globalThis.Bokeh?.documents[0]?.all_models ?? [])].filter((m) => m.type === "Figure"
                    && Number.isFinite(m.x_range.start + m.x_range.end) && Number.isFinite(m.y_range.start + m.y_range.end))
                    return shown.length >= least }""",
                arg=least,
                timeout=60_000,
            )
            context.close()

"""What is there in every view: keys, finding, the list of keys, preferences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboards.clock import clock_of
from dashboards.theme import Signs, palette

pytestmark = pytest.mark.browser


def test_views_symbols_and_pairs_are_found_by_keys(tab):
    page = tab.open()
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("sol")
    page.get_by_role("option").first.filter(has_text="SOLUSDT/ETHUSDT").wait_for()
    assert page.get_by_role("option").all_inner_texts()[:2] == ["SOLUSDT/ETHUSDT\npair", "SOLUSDT\nsymbol"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**view=overview&symbol=SOLUSDT**")
    page.keyboard.press("/")
    page.keyboard.type("xrp sol")
    page.keyboard.press("Enter")
    page.wait_for_url("**view=pair&pair=XRPUSDT/SOLUSDT**")
    page.keyboard.press("/")
    page.keyboard.type("no such thing")
    page.get_by_text("Nothing is called no such thing").wait_for()
    page.keyboard.press("Escape")
    views = page.get_by_role("tab").all_inner_texts()
    page.keyboard.press(str(1 + views.index("Alerts")))
    page.wait_for_url("**view=alerts**")
    page.get_by_label("Threshold").fill("1")  # a key that is typed opens nothing
    assert "view=alerts" in page.url
    assert page.get_by_role("tab", name="Alerts").get_attribute("aria-selected") == "true"


def test_a_browser_is_known_again_and_keeps_its_zone_and_colours(tab):
    page = tab.open("?view=overview&symbol=ETHUSDT&timeframe=5m")
    menu = page.get_by_role("button", name="Preferences", exact=True)
    menu.click()
    page.get_by_label("Light", exact=True).check()
    page.get_by_label("Blue and orange").check()
    page.wait_for_url("**theme=light&colours=colour-blind**")
    safe = palette(dark=False, signs=Signs.COLOUR_BLIND)
    page.wait_for_function(f"""() => [...Bokeh.documents[0].all_models].some((m) => m.type === "Div" && m.tags.includes("{safe.up}"))""")
    up = "(e) => getComputedStyle(e).getPropertyValue('--sw-up')"
    assert page.locator(".main").first.evaluate(up) == safe.up
    page.get_by_label("Time zone").select_option("Asia/Kolkata")
    page.wait_for_url("**symbol=ETHUSDT&timeframe=5m&theme=light&colours=colour-blind&tz=Asia/Kolkata**")
    page.get_by_text("Kolkata").first.wait_for()
    page.goto(tab.url)  # the bare address: what the browser prefers
    page.wait_for_url("**theme=light&colours=colour-blind&tz=Asia/Kolkata**")
    status = page.locator("[data-live]")
    status.get_by_text("Kolkata").wait_for()
    now = clock_of("Asia/Kolkata").local(datetime.now(UTC))
    assert status.inner_text().split()[-2][:5] in {f"{now - timedelta(minutes=back):%H:%M}" for back in (-1, 0, 1)}
    page.get_by_role("img", name="Candlesticks of").first.wait_for(state="attached")
    assert "Asia/Kolkata" in page.get_by_role("img", name="Candlesticks of").first.get_attribute("aria-label")
    page.goto(f"{tab.url}/?tz=UTC&theme=dark")  # an address has the last word
    page.wait_for_url("**theme=dark&colours=colour-blind&tz=UTC**")

"""The Screener tab in a real browser, over screens that the flow's own function made of the stage's bars."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from pipeline.model.pair import Pair
from pipeline.profile import read_universe
from pipeline.store import Role, connect
from pipeline.store.screens import list_screens, load_screen

pytestmark = pytest.mark.browser

expect.set_options(timeout=60_000)


def newest(stage):
    with connect(stage.profile, Role.READER) as warehouse:
        return load_screen(warehouse, list_screens(warehouse).item(0, "screen_id"))


def pairs_of(stage) -> list[str]:
    return [str(spec.pair) for spec in read_universe(stage.profile).pairs]


def test_rank_filter_sort_share_and_open_a_pair(tab, stage):
    rows = newest(stage)
    passing = rows.filter(rows["q_value"] <= 0.05)
    assert passing.height > 0
    page = tab.open("?view=screener")
    table = page.get_by_role("table", name="Pairs of the screen")
    expect(page.get_by_text(f"{rows.height} shown of {rows.height} tested")).to_be_visible()
    expect(table.locator("tbody tr").first).to_contain_text(f"{rows['y'][0]}/{rows['x'][0]}")
    expect(page.get_by_text("1000PEPEUSDT is not in it")).to_be_visible()
    page.get_by_label("q up to").fill("0.05")
    page.get_by_label("q up to").press("Enter")
    expect(page.get_by_text(f"{passing.height} shown of {rows.height} tested")).to_be_visible()
    table.get_by_role("button", name="Volume").click()
    expect(table.get_by_role("columnheader", name="Volume")).to_have_attribute("aria-sort", "descending")
    most = passing.sort("liquidity", "rank", descending=[True, False])
    expect(table.locator("tbody tr").first).to_contain_text(f"{most['y'][0]}/{most['x'][0]}")
    page.wait_for_url("**q=0.05&sort=-liquidity**")

    shared = tab.open(page.url.rpartition("/")[2], 390)
    expect(shared.get_by_text(f"{passing.height} shown of {rows.height} tested")).to_be_visible()
    assert shared.evaluate("document.documentElement.scrollWidth") <= 390
    shared.close()

    page.get_by_label("q up to").fill("2")
    page.get_by_label("q up to").press("Enter")
    expect(page.get_by_text("expected a number of at most 1")).to_be_visible()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_text(f"{rows.height} shown of {rows.height} tested")).to_be_visible()

    map_ = page.get_by_role("application", name="Cointegration of every ordered pair")
    map_.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    told = page.locator(".said", has_text="/")
    name = told.inner_text().split(",")[0]
    row = rows.filter((rows["y"] + "/" + rows["x"]) == name).row(0, named=True)
    q = told.inner_text().split(", ")[1].removeprefix("q ")
    assert row["q_value"] < 0.001 if q == "< 0.001" else abs(float(q) - row["q_value"]) < 0.001
    page.keyboard.press("Enter")
    page.wait_for_url(f"**view=pair&pair={name}&timeframe=1m**")
    assert "lookback=1440" in page.url


def test_a_timeframe_without_a_screen_says_so_and_shows_no_maps(tab):
    page = tab.open("?view=screener&timeframe=5m")
    maps = page.get_by_text("of one-bar log returns")
    expect(page.get_by_text("No screen of this timeframe yet")).to_be_visible()
    expect(page.get_by_text("The flow screen makes those of 1m. Run a screen to have one of 5m")).to_be_visible()
    expect(maps).to_be_hidden()
    page.get_by_role("radio", name="1m").click()
    expect(maps).to_be_visible()
    expect(page.get_by_role("table", name="Pairs of the screen").locator("tbody tr").first).to_be_visible()
    page.get_by_role("radio", name="5m").click()
    expect(maps).to_be_hidden()


def test_a_pair_is_modelled_from_its_row_and_removed_again_and_a_screen_made_here(tab, stage):
    page = tab.open("?view=screener&find=XRP/SOL")
    table = page.get_by_role("table", name="Pairs of the screen")
    universe = page.get_by_role("table", name="Pairs of the universe")
    table.get_by_role("button", name="Model XRPUSDT/SOLUSDT from now on").click()
    expect(table.get_by_text("modelled")).to_be_visible()
    expect(universe.get_by_text("XRPUSDT/SOLUSDT")).to_be_visible()
    assert Pair("XRPUSDT", "SOLUSDT") in {spec.pair for spec in read_universe(stage.profile).pairs}

    for _ in range(2):
        page.get_by_role("table", name="Symbols of the universe").get_by_role("button", name="Remove XRPUSDT").click()
    page.get_by_text("XRPUSDT is a leg of XRPUSDT/SOLUSDT").wait_for()
    for _ in range(2):
        universe.get_by_role("button", name="Remove XRPUSDT/SOLUSDT").click()
    expect(universe.get_by_text("XRPUSDT/SOLUSDT")).to_have_count(0)
    assert "XRPUSDT/SOLUSDT" not in pairs_of(stage)

    page.get_by_label("Pair (y/x)").fill("ltcusdt/ltcusdt")
    page.get_by_text("expected two different symbols").wait_for()
    page.get_by_label("Pair (y/x)").fill("ltcusdt/btcusdt")
    page.get_by_text("LTCUSDT will be followed too").wait_for()

    page.get_by_role("button", name="Run a screen").click()
    page.get_by_text("Prefect does not answer").first.wait_for()
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    before = newest(stage)
    page.get_by_role("button", name="Screen here, unstored").click()
    page.get_by_text("XRPUSDT is not in it: check gaps fails").wait_for()
    assert newest(stage)["screen_id"][0] == before["screen_id"][0]

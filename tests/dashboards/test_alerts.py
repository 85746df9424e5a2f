"""An alert from its rule to the moment when somebody takes note of it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

_NOTED = """() => { window.noted = []; window.Notification = class {
    static permission = "default"; static async requestPermission() { return (this.permission = "granted") }
    constructor(title, { body }) { window.noted.push(body) } close() {} } }"""


def test_an_alert_is_made_fires_is_heard_and_seen_and_acknowledged(tab, stage):
    page = tab.open("?view=alerts")
    page.evaluate(_NOTED)
    page.get_by_role("button", name="Preferences", exact=True).click()
    page.get_by_role("checkbox", name="Sound").check()
    page.get_by_role("checkbox", name="Browser notification").check()
    page.wait_for_function("window.noted.length === 1")  # what it will be like
    page.keyboard.press("Escape")
    page.get_by_label("Name (optional)").fill("Journey")
    page.get_by_label("Name (optional)").blur()
    page.get_by_role("button", name="Create rule").click()
    page.get_by_text("is in force").first.wait_for()
    stage.say("fire")
    page.get_by_text("[Journey]").first.wait_for()
    page.wait_for_function("window.noted.at(-1).includes('[Journey]')")
    assert page.locator("[data-rung]").get_attribute("data-rung") == "2"  # when it was switched on, and now
    row = page.get_by_role("row").filter(has_text="Journey").filter(has_text="firing").first
    row.get_by_role("button", name="Acknowledge").click()
    row.get_by_text("acknowledged by").wait_for()
    page.get_by_role("textbox", name="Find").fill("Journey")
    page.get_by_role("textbox", name="Find").press("Enter")
    page.wait_for_url("**find=Journey**")
    page.locator("tr", has_text="[Journey]").get_by_role("link").click()
    page.wait_for_url("**view=pair**&at=**")
    page.get_by_role("tab", name="Alerts").click()
    rule = page.get_by_role("row").filter(has_text="Journey").filter(has=page.get_by_role("button", name="Delete"))
    rule.get_by_role("button", name="Delete").click()
    rule.get_by_text("Really delete?").click()
    rule.wait_for(state="detached")

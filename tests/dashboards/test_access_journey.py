"""What a viewer may not do, and whose name an operator leaves, in a real browser over a warehouse that moves."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from dashboards.access.account import Account
from dashboards.access.logins import Access
from dashboards.link import Link
from pipeline.errors import NotAllowed, StatementRefused
from pipeline.settings import Settings
from pipeline.store import Role, connect
from pipeline.store.requests import (
    AcknowledgeAlert,
    AddSymbol,
    DeleteRule,
    EnableRule,
    MuteAlert,
    RemoveSymbol,
    ResendEvent,
    SnoozeAlert,
    send,
)
from pipeline.users import UserFile, UserRole

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def guarded(stage, served_dashboard):
    """A dashboard over the stage that asks for a login: ann is an operator, vic a viewer."""
    users = UserFile(stage.data_dir)
    for name, role in (("ann", UserRole.OPERATOR), ("vic", UserRole.VIEWER)):
        users.add(name, role, PASSWORD)
    with served_dashboard(stage, login="always") as url:
        yield SimpleNamespace(url=url, users=users, stage=stage)
    for name in list(users.users()):
        users.remove(name)


def test_a_viewer_is_refused_twice_over_for_each_change(guarded):
    settings = Settings(data_dir=guarded.stage.data_dir, login="always")
    access = Access(settings)
    ann, vic = (Account(user.name, user.role, "login", user.stamp) for user in map(guarded.users.users().get, ("ann", "vic")))
    access.permit(ann, "change rules")
    with pytest.raises(NotAllowed, match="vic is a viewer; only an operator may change rules"):
        access.permit(vic, "change rules")
    link = Link(guarded.stage.profile, Role.READER)
    changes = (
        DeleteRule("r"), EnableRule("r", enabled=True), AcknowledgeAlert("r", "s", "vic"), SnoozeAlert("r", "s", None, "vic"),
        MuteAlert("r", "s", True, "vic"), ResendEvent("e", "c"), AddSymbol("SOLUSDT"), RemoveSymbol("SOLUSDT"),
    )  # fmt: skip
    try:
        for change in changes:
            with pytest.raises(StatementRefused):
                link.use(lambda warehouse, change=change: send(warehouse, change, now=datetime.now(UTC)))
    finally:
        link.drop()


_ASKED = """SELECT count(*) AS n FROM (SELECT kind FROM requests UNION ALL SELECT kind FROM request_log) WHERE kind = 'alert.ack'"""
_FORGE = """() => {
  const history = [...Bokeh.documents[0].all_models].find((m) => m.data?.label === "History of alerts")
  history.trigger_event = (event) => { window.made = event.constructor }
}"""


def test_a_viewer_looks_and_an_operator_acknowledges_under_the_own_name(chromium, guarded):
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(60_000)

    def log_in(name):
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.locator('[data-live="True"]').wait_for(state="attached")

    with connect(guarded.stage.profile, Role.READER) as warehouse:
        asked = warehouse.select(_ASKED).item()
    page.goto(f"{guarded.url}/?view=alerts")
    log_in("vic")
    page.wait_for_url("**/?view=alerts**")
    state = page.get_by_role("table", name="State of every alert")
    firing = state.locator("tr", has_text="firing").first
    firing.wait_for()
    page.get_by_text("creating it takes an operator").wait_for()
    assert page.get_by_role("button", name="Create rule").is_disabled()
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    # What the page does not offer is sent all the same, as a page that was tampered with would.
    page.evaluate(_FORGE)
    page.get_by_role("table", name="History of alerts").get_by_role("link").first.click()
    page.wait_for_function("window.made !== undefined")
    page.evaluate(
        """() => { const m = [...Bokeh.documents[0].all_models].find((m) => m.data?.label === "State of every alert")
             const row = m.data.rows.find((row) => row.cells[0].t === "firing")
             m.trigger_event(new window.made({ action: "ack", id: row.id })) }"""
    )
    page.get_by_text("vic is a viewer; only an operator may").first.wait_for()
    with connect(guarded.stage.profile, Role.READER) as warehouse:
        assert warehouse.select(_ASKED).item() == asked

    page.get_by_label("Logged in as vic, viewer").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Name").wait_for()
    page.goto(f"{guarded.url}/?view=alerts")
    log_in("ann")
    page.get_by_role("button", name="Acknowledge").first.click()
    page.get_by_text("acknowledged by ann").first.wait_for()
    guarded.users.set_role("ann", UserRole.VIEWER)
    page.wait_for_url("**/login?next=**")
    guarded.users.set_role("ann", UserRole.OPERATOR)
    assert errors == []
    context.close()

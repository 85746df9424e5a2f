"""Who is logged in, in the header: the name, what it may do, and the way out."""

from __future__ import annotations

from dashboards.access.account import LOCAL, Account
from dashboards.access.gate import LOGIN
from dashboards.access.pages import LOGOUT
from dashboards.assets import asset
from dashboards.format import escape

WHO_CSS = asset("who.css")


def who(account: Account, *, may_log_in: bool) -> str:
    """A small menu of the account; at a machine that asks for no login, a link to the login where there are users, or nothing."""
    if account is LOCAL:
        return f'<a class="in" href=".{LOGIN}">Log in</a>' if may_log_in else ""
    may = "may change rules, run flows and upload" if account.operator else "may look; changing things takes an operator"
    name = escape(account.name)
    return (
        f'<details><summary aria-label="Logged in as {name}, {account.role.value}" title="{name} ({account.role.value})">'
        f"{name[:1].upper()}</summary>"
        f'<div class="menu"><b>{name}</b><span>{account.role.value.capitalize()}: {may}.</span>'
        f'<form method="post" action=".{LOGOUT}"><button type="submit">Log out</button></form></div></details>'
    )

"""The page of one session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pandas as pd  # noqa: F401  Bokeh takes it from sys.modules at every stream: half imported by a worker, it fails there
import panel as pn
import panel_material_ui as pmui
import param
from bokeh.document import Document
from bokeh.themes import Theme
from panel.io.resources import LOCAL_DIST

from dashboards.access.account import Account
from dashboards.hub import STATUS, Hub, Status, Topic
from dashboards.link import Link
from dashboards.parts.bell import Bell
from dashboards.parts.choice import Segments
from dashboards.parts.finder import Finder
from dashboards.parts.html import html
from dashboards.parts.preferences import PreferencesMenu
from dashboards.parts.status import badge, banner, pill
from dashboards.parts.who import WHO_CSS, who
from dashboards.preferences import COOKIE, Preferences, preferences_of
from dashboards.session import Session
from dashboards.shell import PAGE, SETTLED, shell
from dashboards.tables.alerts import NewsTopic
from dashboards.tables.universe import UniverseTopic
from dashboards.theme import BADGES, page_style, theme_config
from dashboards.views.alerts import AlertsView
from dashboards.views.data import DataView
from dashboards.views.health import HealthView
from dashboards.views.overview import Overview
from dashboards.views.pair import PairView
from dashboards.views.screener import ScreenerView
from dashboards.views.view import Context, Desk, View, ViewFactory
from pipeline.model.universe import Universe
from pipeline.store import Role

VIEWS: Mapping[str, tuple[str, ViewFactory]] = {
    "overview": ("Overview", Overview),
    "pair": ("Pair", PairView),
    "screener": ("Screener", ScreenerView),
    "alerts": ("Alerts", AlertsView),
    "data": ("Data", DataView),
    "health": ("Health", HealthView),
}
"""Name in the address, title, and what makes it."""

_MOVED = {"export": "data"}
"""Names that addresses had once."""

_FORGET_S = 5.0
_MAIN_CSS = """
.scroll-button { display: none; }
:host { padding: 12px 16px 32px; flex: none !important; height: auto !important; max-height: none !important; }
@media (max-width: 640px) { :host { padding: 8px 8px 76px; } }
"""


def _leave_busy(page: pmui.Page) -> None:
    """The process-wide busy state would keep each page that has ever followed it."""
    for watcher in list(pn.state.param.watchers.get("busy", {}).get("value", ())):
        if getattr(getattr(watcher.fn, "__self__", None), "self", None) is page:
            pn.state.param.unwatch(watcher)


def _forget_views(document: Document) -> None:
    """What Panel's own cleaning, which comes first, has left of a page's roots in its list of all."""
    views = pn.state._views  # noqa: SLF001  there is no other way to it
    for ref in [ref for ref, view in views.items() if view[2] is document]:
        del views[ref]


class Dashboard:
    """One browser tab."""

    def __init__(self, context: Context, hub: Hub, account: Account) -> None:
        self._context = context
        document = pn.state.curdoc
        # What a document's theme names is left alone by Material UI: our figures bring their own colours.
        document.theme = Theme(json={"attrs": {"Axis": {}, "Grid": {}, "Figure": {}, "Plot": {}}})
        # A session that is made anew for a page that comes back would otherwise ask for its style sheets elsewhere.
        document.template_variables["dist_url"] = LOCAL_DIST
        self._session = Session(hub, document, asyncio.get_running_loop())
        self._location = location = pn.state.location
        query = {key: str(value) for key, value in (location.query_params if location else {}).items()}
        self._preferences = preferences_of(query, (pn.state.cookies or {}).get(COOKIE))
        self._desk = Desk(
            context=context,
            session=self._session,
            colours=self._preferences.palette,
            remember=self._remember,
            go=self._go,
            toast=self._toast,
            query=query,
            clock=self._preferences.clock,
            account=account,
        )
        self._views: dict[str, View] = {}
        self._followed: dict[str, Universe] = {}
        self._universe = context.universe
        asked = query.get("view", "")
        self._current = next((name for name in (_MOVED.get(asked), asked) if name in VIEWS), "overview")
        document.template_variables["shell"] = shell(context.profile.kind, VIEWS[self._current][0], self._preferences.palette)
        self._going = False
        self._status: Status | None = None
        word, colour, _ink = BADGES[context.profile.kind.value]
        self._tabs = Segments(
            options=[[name, text] for name, (text, _) in VIEWS.items()],
            value=self._current,
            label="Views",
            kind="tabs",
            on_pick=self._open,
            css_classes=["sw-views"],
        )
        self._bell = Bell(self._preferences, toast=self._toast, opened=lambda: self._go("alerts", {}))
        self._finder = Finder(self._universe, views=[[name, text] for name, (text, _) in VIEWS.items()], go=self._find, align="center")
        menu = PreferencesMenu(self._preferences, changed=self._prefer, align="center")
        self._pill = html(css=pill.css, sizing_mode=None)
        self._banner = html(css=banner.css, height=0)
        self._body = pn.Column(sizing_mode="stretch_width", margin=0, stylesheets=[_MAIN_CSS])
        text = who(account, may_log_in=bool(context.access.users()))
        login = [html(text, css=WHO_CSS, sizing_mode=None)] if text else []
        self.page = pmui.Page(
            title="Spreadwatch",
            header=[
                html(badge(context.profile), css=badge.css, sizing_mode=None),
                self._tabs,
                pn.HSpacer(),
                self._finder,
                self._pill,
                menu,
                self._bell,
                *login,
            ],
            main=[self._banner, self._body],
            sidebar_variant="temporary",
            sidebar_open=False,
            dark_theme=self._preferences.dark,
            theme_toggle=False,
            theme_config=theme_config(self._preferences.signs),
            busy_indicator=None,
            sx=page_style(colour, self._preferences.signs),
            meta_name=f"Spreadwatch {word}",
            meta_description="Real-time pair trading analytics",
            template=PAGE,
        )
        # Page follows the process-wide busy state: every callback of any session would send a message to every page.
        with param.edit_constant(self.page):
            self.page.busy = False
        _leave_busy(self.page)
        page_id = document.session_context.id
        context.access.opened(page_id, account, self._leave)
        pn.state.on_session_destroyed(lambda _context: self._close(page_id, document))
        self._session.want(self._show_status, [STATUS])
        self._session.want(self._show_news, [NewsTopic()])
        self._session.want(self._follow, [UniverseTopic(context.profile)])
        self._open(self._current)
        self._session.when_settled(lambda: setattr(self._pill, "tags", [SETTLED]))
        self._session.show_now()
        pn.state.onload(self._session.arrived)
        # For Panel a page is there when it says that it is ready; what is done in it before would be heard, and the answer dropped.
        pn.state._connected[document] = True  # noqa: SLF001  there is no other way to it

    def _close(self, page_id: str, document: Document) -> None:
        self._context.access.closed(page_id)
        self._session.close()
        # Panel keeps these under the document, which they lead back to: of a page that was closed before it had arrived they would stay.
        for kept in (pn.state._onload, pn.state._stylesheets):  # noqa: SLF001  there is no other way to them
            kept.pop(document, None)
        asyncio.get_running_loop().call_later(_FORGET_S, _forget_views, document)

    def _leave(self) -> None:
        """The login has ended: the page loads anew, which leads to the login page."""
        location = self._location
        self._session.later(lambda: setattr(location, "reload", True))

    # ------------------------------------------------------------------------------------------------ views

    def _view(self, name: str) -> View:
        if name not in self._views:
            self._views[name] = VIEWS[name][1](self._desk)
        elif self._followed[name] != self._universe:
            self._views[name].follow(self._universe)
        self._followed[name] = self._universe
        return self._views[name]

    def _open(self, name: str) -> None:
        if name not in VIEWS:
            return
        if self._current in self._views:
            self._views[self._current].hidden()
        self._current = name
        view = self._view(name)
        self._body.objects = [view.panel()]
        view.shown()
        self._remember(view.state())

    def _go(self, name: str, query: dict[str, str]) -> None:
        # Until the view is the one that is looked at, its state does not belong into the address.
        self._going = name != self._current
        view = self._view(name)
        view.opened(query)
        self._going = False
        if name == self._current:
            view.shown()
            self._remember(view.state())
        else:
            self._tabs.value = name

    def _remember(self, state: dict[str, str]) -> None:
        location = pn.state.location
        if location is None or self._going:
            return
        parts = {"view": self._current, **state, **self._preferences.address()}
        location.search = "?" + urlencode({key: value for key, value in parts.items() if value}, safe="/:")

    def _find(self, name: str, query: dict[str, str] | None) -> None:
        if query is None:
            self._tabs.value = name
        else:
            self._go(name, query)

    def _prefer(self, preferences: Preferences) -> None:
        """Take on other colours, tell alerts otherwise."""
        before, self._preferences = self._preferences, preferences
        self._bell.prefer(preferences)
        if preferences.palette == before.palette:
            return
        self._desk.colours = preferences.palette
        self.page.param.update(
            dark_theme=preferences.dark,
            theme_config=theme_config(preferences.signs),
            sx=page_style(BADGES[self._context.profile.kind.value][1], preferences.signs),
        )
        for view in self._views.values():
            view.restyle(self._desk.colours)
        if self._current in self._views:
            self._remember(self._views[self._current].state())

    def _follow(self, _topic: Topic, universe: Universe) -> None:
        """Symbols or pairs have changed: the view that is looked at follows at once, the others when they are opened."""
        if universe != self._universe:
            self._universe = universe
            self._finder.follow(universe)
            self._view(self._current).shown()

    # ------------------------------------------------------------------------------------------------ status

    def _show_status(self, _topic: Topic, status: Any) -> None:
        self._pill.object = pill(status, self._context.profile, self._desk.clock, live=self._session.live)
        text = banner(status, self._context.profile, self._desk.clock)
        if text != self._banner.object:
            self._banner.object = text

    def _show_news(self, _topic: Topic, news: Any) -> None:
        self._bell.hear(news)

    def _toast(self, kind: str, text: str) -> None:
        notifications = pn.state.notifications
        if notifications is not None:
            getattr(notifications, kind)(text, duration=5000)


def make_page(context: Context, hub: Hub) -> Callable[[], pmui.Page]:
    """What Panel calls for each new session; viewers get a link to the warehouse that can only read."""
    reading = replace(context, link=Link(context.profile, Role.READER))

    def page() -> pmui.Page:
        account = pn.state.curdoc.session_context.request.account
        return Dashboard(context if account.operator else reading, hub, account).page

    return page

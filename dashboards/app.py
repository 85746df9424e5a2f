"""The page of one session, and the server: one process, one hub, everything from this machine."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd  # noqa: F401  Bokeh takes it from sys.modules at every stream: half imported by a worker, it fails there
import panel as pn
import panel_material_ui as pmui
import param
from bokeh.themes import Theme
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from dashboards.clock import clock_of
from dashboards.compute import warm_up
from dashboards.downloads import DownloadHandler
from dashboards.hub import STATUS, Hub, Status, Topic
from dashboards.link import Link
from dashboards.parts.bell import Bell
from dashboards.parts.choice import Segments
from dashboards.parts.html import html
from dashboards.parts.status import badge, banner, pill
from dashboards.reports import ROUTE, ReportHandler
from dashboards.session import Session
from dashboards.tables.alerts import NewsTopic
from dashboards.theme import BADGES, page_style, palette, theme_config
from dashboards.views.alerts import AlertsView
from dashboards.views.export import ExportView
from dashboards.views.health import HealthView
from dashboards.views.overview import Overview
from dashboards.views.pair import PairView
from dashboards.views.view import Context, Desk, View, ViewFactory
from pipeline.errors import SettingsError
from pipeline.notify import channels_of
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import Role
from pipeline.supervisor.plan import base_url, prefect_auth

_log = logging.getLogger(__name__)

VIEWS: Mapping[str, tuple[str, ViewFactory]] = {
    "overview": ("Overview", Overview),
    "pair": ("Pair", PairView),
    "alerts": ("Alerts", AlertsView),
    "export": ("Export", ExportView),
    "health": ("Health", HealthView),
}
"""Name in the address, title, and what makes it."""

_MAIN_CSS = """
.scroll-button { display: none; }
:host { padding: 12px 16px 32px; flex: none !important; height: auto !important; max-height: none !important; }
@media (max-width: 640px) { :host { padding: 8px 8px 24px; } }
"""


class Dashboard:
    """One browser tab."""

    def __init__(self, context: Context, hub: Hub) -> None:
        self._context = context
        document = pn.state.curdoc
        # What a document's theme names is left alone by Material UI: our figures bring their own colours.
        document.theme = Theme(json={"attrs": {"Axis": {}, "Grid": {}, "Figure": {}, "Plot": {}}})
        self._session = Session(hub, document)
        location = pn.state.location
        query = {key: str(value) for key, value in (location.query_params if location else {}).items()}
        dark = query.get("theme") != "light"
        self._desk = Desk(
            context=context,
            session=self._session,
            colours=palette(dark=dark),
            remember=self._remember,
            go=self._go,
            toast=self._toast,
            query=query,
            clock=clock_of(query.get("tz")),
        )
        self._views: dict[str, View] = {}
        self._current = query["view"] if query.get("view") in VIEWS else "overview"
        self._status: Status | None = None
        word, colour, _ink = BADGES[context.profile.kind.value]
        self._tabs = Segments(
            options=[[name, text] for name, (text, _) in VIEWS.items()], value=self._current, label="Views", kind="tabs", on_pick=self._open
        )
        self._bell = Bell(toast=self._toast, opened=lambda: self._go("alerts", {}), align="center")
        self._pill = html(css=pill.css, sizing_mode=None)
        self._banner = html(css=banner.css, height=0)
        self._body = pn.Column(sizing_mode="stretch_width", margin=0, stylesheets=[_MAIN_CSS])
        self.page = pmui.Page(
            title="Spreadwatch",
            header=[html(badge(context.profile), css=badge.css, sizing_mode=None), self._tabs, pn.HSpacer(), self._bell, self._pill],
            main=[self._banner, self._body],
            sidebar_variant="temporary",
            sidebar_open=False,
            dark_theme=dark,
            theme_config=theme_config(),
            busy_indicator=None,
            sx=page_style(colour),
            meta_name=f"Spreadwatch {word}",
            meta_description="Real-time pair trading analytics",
        )
        # Page follows the process-wide busy state: every callback of any session would send a message to every page.
        with param.edit_constant(self.page):
            self.page.busy = False
        self.page.param.watch(lambda event: self._restyle(dark=event.new), "dark_theme")
        pn.state.on_session_destroyed(lambda _context: self._session.close())
        self._session.want(self._show_status, [STATUS])
        self._session.want(self._show_news, [NewsTopic()])
        self._open(self._current)
        self._session.show_now()
        pn.state.onload(self._session.arrived)

    # ------------------------------------------------------------------------------------------------ views

    def _view(self, name: str) -> View:
        if name not in self._views:
            self._views[name] = VIEWS[name][1](self._desk)
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
        self._view(name).opened(query)
        self._tabs.value = name

    def _remember(self, state: dict[str, str]) -> None:
        location = pn.state.location
        if location is None:
            return
        theme = {} if self.page.dark_theme else {"theme": "light"}
        text = "&".join(f"{key}={value}" for key, value in {"view": self._current, **state, **theme}.items() if value)
        location.search = f"?{text}"

    def _restyle(self, *, dark: bool) -> None:
        self._desk.colours = palette(dark=dark)
        for view in self._views.values():
            view.restyle(self._desk.colours)
        if self._current in self._views:
            self._remember(self._views[self._current].state())

    # ------------------------------------------------------------------------------------------------ status

    def _show_status(self, _topic: Topic, status: Any) -> None:
        self._pill.object = pill(status, self._context.profile, live=self._session.live)
        text = banner(status, self._context.profile)
        if text != self._banner.object:
            self._banner.object = text

    def _show_news(self, _topic: Topic, news: Any) -> None:
        self._bell.hear(news)

    def _toast(self, kind: str, text: str) -> None:
        notifications = pn.state.notifications
        if notifications is not None:
            getattr(notifications, kind)(text, duration=5000)


def make_context(profile: Profile, settings: Settings) -> Context:
    """What every session of this process shares."""
    return Context(
        profile=profile,
        settings=settings,
        link=Link(profile, Role.OPERATOR),
        workers=ThreadPoolExecutor(max_workers=2, thread_name_prefix="ask"),
        prefect_url=base_url(settings.host, settings.prefect_port),
        prefect_auth=prefect_auth(settings),
        channels=_channels(settings),
    )


def _channels(settings: Settings) -> tuple[str, ...] | None:
    """Names of the alert channels, none of which is used here."""
    try:
        return tuple(channels_of(settings)) or None
    except SettingsError as error:
        _log.warning("alert channels cannot be read", extra={"error": str(error)})
        return None


def make_page(context: Context, hub: Hub) -> Callable[[], pmui.Page]:
    """What Panel calls for each new session."""

    def page() -> pmui.Page:
        return Dashboard(context, hub).page

    return page


def _quiet_when_closed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A tab that was closed while it was being written to is no error."""
    if not isinstance(context.get("exception"), WebSocketClosedError | StreamClosedError):
        loop.default_exception_handler(context)


async def run(profile: Profile, settings: Settings, stop: asyncio.Event) -> None:
    """Serve the dashboard of a profile until ``stop`` is set."""
    pn.extension(notifications=True, respect_explicit_sizing=True, disconnect_notification="", ready_notification="")
    context = make_context(profile, settings)
    hub = Hub(Link(profile, Role.READER))
    port = settings.dashboard_port
    origins = [f"{settings.host}:{port}", f"127.0.0.1:{port}", f"localhost:{port}"]
    server = pn.serve(
        {"/": make_page(context, hub)},
        address=settings.host,
        port=port,
        websocket_origin=origins,
        title="Spreadwatch",
        show=False,
        start=False,
        verbose=False,
        threaded=False,
        cookie_secret=secrets.token_urlsafe(32),
        extra_patterns=[
            (r"/download", DownloadHandler, {"context": context, "hosts": frozenset(origins)}),
            (ROUTE, ReportHandler, {"context": context, "hosts": frozenset(origins)}),
        ],
        session_token_expiration=3600,
        unused_session_lifetime=15_000,
        check_unused_sessions=5_000,
        keep_alive=10_000,
    )
    asyncio.get_running_loop().set_exception_handler(_quiet_when_closed)
    server.start()
    hub.start()
    context.workers.submit(warm_up)
    _log.info("dashboard serves", extra={"url": base_url(settings.host, port), "profile": profile.name})
    try:
        await stop.wait()
    finally:
        server.stop()
        hub.stop()
        context.link.drop()
        context.workers.shutdown(wait=False, cancel_futures=True)

"""The server: one process, one hub, every route behind one gate, everything from this machine."""

from __future__ import annotations

import asyncio
import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import panel as pn
from bokeh.server.server import Server
from panel.reactive import Syncable
from tornado.iostream import StreamClosedError
from tornado.routing import Rule
from tornado.websocket import WebSocketClosedError

from dashboards.access.gate import LOGIN, Gate, Refuse
from dashboards.access.headers import SecurityHeaders
from dashboards.access.logins import Access
from dashboards.access.pages import LOGOUT, Door, LoginHandler, LogoutHandler
from dashboards.app import make_page
from dashboards.compute import warm_up
from dashboards.downloads import DownloadHandler
from dashboards.hub import Hub
from dashboards.link import Link
from dashboards.preferences import COOKIE
from dashboards.reports import ROUTE, ReportHandler
from dashboards.resources import find_once
from dashboards.statistics_route import PATTERN, StatisticsHandler
from dashboards.uploads import ROUTE as UPLOAD
from dashboards.uploads import UploadHandler
from dashboards.views.view import Context
from pipeline.errors import SettingsError
from pipeline.notify import channels_of
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import Role
from pipeline.supervisor.plan import base_url, prefect_auth
from pipeline.users import require_users

_log = logging.getLogger(__name__)

_LOGINS_EVERY_S = 1.0


def make_context(profile: Profile, settings: Settings, access: Access) -> Context:
    """What every session of this process shares."""
    return Context(
        profile=profile,
        settings=settings,
        link=Link(profile, Role.OPERATOR),
        workers=ThreadPoolExecutor(max_workers=2, thread_name_prefix="ask"),
        access=access,
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


def _quiet_when_closed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A tab that was closed while it was being written to is no error."""
    if not isinstance(context.get("exception"), WebSocketClosedError | StreamClosedError):
        loop.default_exception_handler(context)


def _unless_cut_off(record: logging.LogRecord) -> bool:
    """What was being written to a tab when the server ended is no error."""
    return not (record.exc_info and record.exc_info[0] is asyncio.CancelledError)


async def run(profile: Profile, settings: Settings, stop: asyncio.Event) -> None:
    """Serve the dashboard of a profile until ``stop`` is set.

    Raises:
        UsersError: when a login is required and there is no user.
        SettingsError: when the certificate cannot be used.
    """
    require_users(settings)
    access = Access(settings)
    context = make_context(profile, settings, access)
    hub = Hub(Link(profile, Role.READER))
    door = Door(access, profile, settings.proxies)
    server = make_server(context, hub, door)
    asyncio.get_running_loop().set_exception_handler(_quiet_when_closed)
    logging.getLogger("tornado.application").addFilter(_unless_cut_off)
    server.start()
    hub.start()
    watching = asyncio.create_task(_watch_logins(access, server))
    context.workers.submit(warm_up)
    _log.info("dashboard serves", extra={"url": base_url(settings.host, settings.dashboard_port), "profile": profile.name})
    try:
        await stop.wait()
    finally:
        watching.cancel()
        server.stop()
        hub.stop()
        door.close()
        context.link.drop()
        context.workers.shutdown(wait=False, cancel_futures=True)


def make_server(context: Context, hub: Hub, door: Door) -> Server:
    """The server with every route behind the gate; not started."""
    # What queues behind a change would run without the document's lock, and Bokeh refuses any change of our charts then.
    for queued in (Syncable._event_coroutine, Syncable._change_coroutine):  # noqa: SLF001  Panel asks for the attribute
        vars(queued)["lock"] = True
    pn.extension(notifications=True, respect_explicit_sizing=True, disconnect_notification="", ready_notification="")
    find_once()
    # A timer of the whole process, which would otherwise keep the page that happens to start it.
    pn.state._schedule_busy_cleanup()  # noqa: SLF001
    settings, access = context.settings, context.access
    largest = settings.upload_max_mb * 1_000_000
    server = pn.serve(
        {"/": make_page(context, hub)},
        address=settings.host,
        port=settings.dashboard_port,
        websocket_origin=access.origins.hosts,
        title="Spreadwatch",
        show=False,
        start=False,
        verbose=False,
        threaded=False,
        cookie_secret=access.secret,
        secret_key=access.secret.encode(),
        sign_sessions=True,
        # The page carries what a session keeps of its request: the login has no place there.
        include_cookies=[COOKIE],
        exclude_headers=["Cookie", "Authorization"],
        transforms=[SecurityHeaders],
        extra_patterns=[
            (LOGIN, LoginHandler, {"door": door}),
            (LOGOUT, LogoutHandler, {"door": door}),
            (r"/download", DownloadHandler, {"context": context}),
            (PATTERN, StatisticsHandler, {"context": context}),
            (ROUTE, ReportHandler, {"context": context}),
            (UPLOAD, UploadHandler, {"context": context}),
        ],
        http_server_kwargs={"max_body_size": largest, "max_header_size": 65_536},
        session_token_expiration=3600,
        unused_session_lifetime=30_000,
        check_unused_sessions=5_000,
        keep_alive=10_000,
        **_tls(settings),
    )
    server._tornado.add_handlers(".*", [Rule(Gate(access), Refuse)])  # noqa: SLF001  Bokeh has no other way to its application
    return server


def _tls(settings: Settings) -> dict[str, str]:
    """Certificate and key, where there are any."""
    if settings.tls_certificate is None and settings.tls_key is None:
        return {}
    if settings.tls_certificate is None or settings.tls_key is None:
        msg = "tls_certificate and tls_key belong together; set both or none"
        raise SettingsError(msg)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one
        msg = f"tls_certificate and tls_key cannot be used ({error}); expected a PEM chain and its private key"
        raise SettingsError(msg) from error
    return {"ssl_certfile": str(settings.tls_certificate), "ssl_keyfile": str(settings.tls_key)}


async def _watch_logins(access: Access, server: Server) -> None:
    """Close the pages of logins that have ended: every second, for users are changed by other processes."""
    leaving: list[str] = []
    while True:
        await asyncio.sleep(_LOGINS_EVERY_S)
        # A page that was told to leave has had a second for it: whoever does not listen hears nothing more.
        for connection in list(server._tornado._clients) if leaving else ():  # noqa: SLF001  as in make_server
            if connection.session.id in leaving:
                connection._socket.close(1008, "the login has ended")  # noqa: SLF001
        leaving = access.close_ended()

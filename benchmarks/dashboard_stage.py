"""What the benchmark of the dashboard looks at: simulator, capture and warehouse as they are, a dashboard that tells its figures, tabs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect

from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, open_profile
from pipeline.settings import Settings
from pipeline.store import Role, open_local
from pipeline.store import connect as connect_store
from pipeline.supervisor.plan import make_plan

HERE = Path(__file__).resolve().parent
_DAY_S = 86_400
_HISTORY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Figures:
    """What the dashboard's process says of itself."""

    queries: int
    cpu_s: float
    rss_mb: float
    pages: int
    watched: int


@dataclass(slots=True)
class Dashboard:
    """A dashboard that serves."""

    url: str
    process: subprocess.Popen[str]

    def figures(self) -> Figures:
        """Its figures now."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError
        self.process.stdin.write("figures\n")
        self.process.stdin.flush()
        return Figures(**json.loads(self.process.stdout.readline()))


@contextmanager
def chain(directory: Path) -> Iterator[tuple[Profile, Dashboard]]:
    """Simulator, capture, warehouse and dashboard of a profile with a day of history, without Prefect and its flows."""
    ports = dict(zip(("dashboard_port", "prefect_port", "warehouse_port", "simulator_port"), _free_ports(4), strict=True))
    settings = Settings(data_dir=directory, metrics_port=0, log_level="WARNING", **ports)
    profile = open_profile(directory, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at=datetime.now(UTC).isoformat())
    _fill(profile, settings.symbols)
    chosen = {f"SPREADWATCH_{name.upper()}": str(value) for name, value in {**ports, "metrics_port": 0, "log_level": "WARNING"}.items()}
    with ExitStack() as ends:
        log = ends.enter_context((directory / "processes.log").open("w"))
        for spec in make_plan(profile, settings).processes:
            if spec.name in {"simulate", "capture", "warehouse"}:
                environment = os.environ | dict(spec.env) | chosen
                ends.callback(_stop, subprocess.Popen(spec.command, env=environment, stdout=log, stderr=log))
        _until(lambda: _lands(profile), directory / "processes.log")
        process = subprocess.Popen(
            [sys.executable, str(HERE / "dashboard_process.py"), profile.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            text=True, env=os.environ | chosen | {"SPREADWATCH_DATA_DIR": str(directory), "PYTHONPATH": str(HERE.parent)},
        )  # fmt: skip
        ends.callback(_stop, process)
        dashboard = Dashboard(f"http://127.0.0.1:{ports['dashboard_port']}", process)
        _until(lambda: httpx.get(dashboard.url, timeout=60).raise_for_status(), directory / "processes.log")
        yield profile, dashboard


@dataclass(slots=True)
class Tab:
    """A tab as the server sees it: its socket, and how many messages have come."""

    socket: ClientConnection
    messages: int = 0

    async def listen(self) -> None:
        """Take what comes until the socket is closed."""
        async for _ in self.socket:
            self.messages += 1


_READY = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map"}},
}


async def open_tab(client: httpx.AsyncClient, url: str, query: str, tabs: AsyncExitStack) -> Tab:
    """Load the page, open its socket, fetch its document and say that it is drawn, as a browser does."""
    page = await client.get(f"{url}/{query}")
    token = re.search(r'"token":"([^"]+)"', page.text)
    if token is None:
        sys.exit(f"{url} sends no page: {page.status_code} {page.text[:200]}")
    opened = connect(f"{url.replace('http', 'ws')}/ws", subprotocols=["bokeh", token[1]], origin=url, max_size=None)  # type: ignore[list-item, arg-type]
    tab = Tab(await tabs.enter_async_context(opened))
    while "ACK" not in str(await tab.socket.recv()):
        pass
    for kind, content, answer in (("PULL-DOC-REQ", {}, "PULL-DOC-REPLY"), ("PATCH-DOC", {"events": [_READY]}, '"OK"')):
        for part in ({"msgid": kind, "msgtype": kind}, {}, content):
            await tab.socket.send(json.dumps(part))
        while answer not in str(await tab.socket.recv()):
            pass
    return tab


def _fill(profile: Profile, symbols: tuple[str, ...]) -> None:
    """A day of 1s bars and of 1m candlesticks before now, for first pages that look like those of a profile that has run."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=60)
    with open_local(profile) as warehouse:
        for at, symbol in enumerate(symbols):
            base = 60_000.0 / (20 * at + 1)
            warehouse.connection.execute(
                """INSERT INTO bars_1s_recent SELECT ?, ?::TIMESTAMPTZ - to_seconds(n), p, p * 1.0001, p * 0.9999, p, 0.5, p * 0.5,
                   3, 0.25, 3 * n, 3 * n + 2, 0
                   FROM (SELECT n, ? * (1 + 0.01 * sin(n / 4000) + 0.001 * sin(n / 37)) AS p FROM range(1, ?) r(n))""",
                [symbol, now, base, _DAY_S],
            )
            warehouse.connection.execute(
                """INSERT INTO klines SELECT ?, '1m', date_trunc('minute', ?::TIMESTAMPTZ) - to_minutes(n), p, p * 1.001, p * 0.999, p, 30,
                   p * 30, 200, 15, true, ?::TIMESTAMPTZ FROM (SELECT n, ? * (1 + 0.01 * sin(n / 66)) AS p FROM range(1, ?) r(n))""",
                [symbol, now, now, base, _HISTORY_MIN],
            )


def _lands(profile: Profile) -> None:
    with connect_store(profile, Role.READER) as warehouse:
        if not warehouse.select("SELECT 1 FROM journal_clock WHERE commit_no > 20").height:
            msg = "nothing has been landed yet"
            raise OSError(msg)


def _until(try_it: object, log: Path, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            return try_it()  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001  whatever is not there yet
            if time.monotonic() > until:
                sys.exit(f"the platform does not come up ({error}); its last words:\n{log.read_text()[-2000:]}")
            time.sleep(0.25)


def _stop(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    else:
        process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()
    process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports

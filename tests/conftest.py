"""Fixtures that every part shares."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Real captures, used in place; where they are absent the test is skipped."""
    named = os.environ.get("MARKET_DATA")
    path = Path(named) if named else _HERE.parent / "shared" / "market-data"
    if not path.is_dir():
        pytest.skip(f"real captures are not at {path}; set MARKET_DATA to their directory")
    return path


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """What runs a program's main in this process makes its log its own; the next test has a log as pytest made it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


class RedisServer:
    """A real redis-server on a port and in a directory of its own; by default it fsyncs before it answers."""

    def __init__(self, directory: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.directory = directory
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options or ("--appendonly", "yes", "--appendfsync", "always")
        self.start()

    def start(self) -> None:
        """Start it, with what is on its disk, and wait until it answers."""
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "")
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(["redis-server", *where, *self._options], stdout=log, stderr=log)
        until = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "redis.log").read_text()[-500:]
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def configure(self, name: str, value: str) -> None:
        """Change one of its options."""
        assert self._said(f"CONFIG SET {name} {value}") == "+OK"

    def flush(self) -> None:
        """Forget everything."""
        assert self._said("FLUSHALL") == "+OK"

    def keys(self) -> int:
        """How many keys it has."""
        return int(self._said("DBSIZE").removeprefix(":"))

    def _said(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(200).decode().strip()

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self, *, frozen: bool) -> None:
        """Let it hang, or go on."""
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)


@pytest.fixture(scope="session")
def need_redis() -> None:
    """Skips where redis-server is absent; CI has it."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server (Debian: apt install redis-server)")


@pytest.fixture(scope="module")
def redis_server(need_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the tests of a module, which use prefixes of their own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def own_redis(need_redis: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that a test may kill, started with other options where the test gives some."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis", *getattr(request, "param", ()))
    yield server
    server.kill()


_TOGETHER = frozenset({"dashboards", "flows", "platform", "supervisor"})
"""Directories whose tests share a server that takes seconds to start, or need the machine for themselves: one worker runs each."""
_ALONE = frozenset({"dashboards/test_newcomer.py", "dashboards/test_newcomer_demo.py", "dashboards/test_sealed.py"})
"""Files of those directories that start servers of their own, and may as well run beside the others."""
_LONGEST_FIRST = ("platform", "dashboards", "jobs", "supervisor", "flows", "warehouse")
"""Begun first, so that no worker is left with a long one at the end."""


def _scope(path: str) -> str:
    """What runs on one worker: a directory of those above, else a file. ``path`` is relative to ``tests``."""
    first = path.split("/", 1)[0]
    return first if first in _TOGETHER and path not in _ALONE else path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest directories first, whether there are several workers (`-n`) or one."""
    rank = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    for item in items:
        if item.get_closest_marker("browser"):  # on a busy machine Chromium may be too slow for one wait; twice is a fault
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: rank.get(item.path.relative_to(Path(__file__).parent).parts[0], len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers, tests that share something expensive stay together, in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid.split("::", 1)[0].removeprefix("tests/"))

    config.option.loadscopereorder = False
    return Together(config, log)

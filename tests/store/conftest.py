"""A warehouse served by a process of its own, as the platform does, and to be killed like one."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, open_profile

_SERVE = """
import sys
from pathlib import Path
from pipeline.profile import load_profile
from pipeline.store import open_local
from pipeline.store.access import Gatekeeper
from pipeline.store.quack import serve, stop
from pipeline.store.warehouse import publish_endpoint

secret_in_the_process = [1, 2, 3]
directory, name, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_local(load_profile(Path(directory), name)) as local:
    endpoint = publish_endpoint(load_profile(Path(directory), name), "127.0.0.1", port)
    keeper = Gatekeeper({token: role for role, token in endpoint.tokens.items()})
    serve(local.connection, host="127.0.0.1", port=port, gatekeeper=keeper, server_token="s" * 32)
    print("serving", flush=True)
    for line in sys.stdin:
        local.connection.execute(line)
        print("done", flush=True)
    stop(local.connection, host="127.0.0.1", port=port)
"""


class Server:
    """One serving process after the other, on one port."""

    def __init__(self, profile: Profile, directory: Path) -> None:
        self.profile = profile
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", _SERVE, str(self._directory), self.profile.name, str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "serving\n"

    def execute(self, sql: str) -> None:
        """Run one line of SQL in the server, as its owner."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(sql + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._reap()

    def close(self) -> None:
        """Stop serving, then exit."""
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait(10)
        self._reap()

    def _reap(self) -> None:
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return open_profile(tmp_path, "store", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")


@pytest.fixture
def server(profile: Profile, tmp_path: Path) -> Iterator[Server]:
    started = Server(profile, tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for the tests of a module that change nothing that another one looks at."""
    directory = tmp_path_factory.mktemp("served")
    profile = open_profile(directory, "shared", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-03-02T00:00:00Z")
    started = Server(profile, directory)
    yield started
    started.close()

"""The chaos run with the journal in Redis, whose server is killed with -9 again and again, too. Takes the options of `chaos.py`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import chaos

_LIVES_S = 17.0
_AWAY_S = 2.5


class Redis:
    """A server that fsyncs before it answers, lives for some seconds, is killed, and comes back with what is on its disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._program = shutil.which("redis-server") or "redis-server"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.kills = 0
        self._ended = threading.Event()
        self._process = self._started()
        self._thread = threading.Thread(target=self._die_again_and_again, daemon=True)
        self._thread.start()

    def _started(self) -> subprocess.Popen[bytes]:
        where = ("--port", str(self._port), "--dir", str(self._directory), "--save", "")
        with (self._directory / "redis.log").open("ab") as log:
            durable = ("--appendonly", "yes", "--appendfsync", "always")
            return subprocess.Popen([self._program, *where, *durable], stdout=log, stderr=log)

    def _die_again_and_again(self) -> None:
        while not self._ended.wait(_LIVES_S):
            self._process.kill()
            self._process.wait()
            self.kills += 1
            self._ended.wait(_AWAY_S)
            self._process = self._started()

    def close(self) -> None:
        """End it for good."""
        self._ended.set()
        self._thread.join()
        self._process.kill()
        self._process.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Run, print a summary, exit with 1 when anything is wrong."""
    with tempfile.TemporaryDirectory(prefix="spreadwatch-chaos-redis-") as name:
        redis = Redis(Path(name))
        os.environ |= {"SPREADWATCH_JOURNAL": "redis", "SPREADWATCH_REDIS_URL": redis.url}
        try:
            chaos.main(argv)
        finally:
            redis.close()
            print(f"redis:      killed {redis.kills} times")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Peers live in environments of their own, made on demand with uv beside the user's caches: they never bind our lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spreadwatch" / "peers"


def peer_python(*requirements: str) -> Path:
    """The interpreter of an environment that has exactly ``requirements``; made at the first call, kept for the next.

    Raises:
        subprocess.CalledProcessError: when a package cannot be installed.
    """
    name = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()[:12]
    place = _CACHE / name
    python = place / "bin" / "python"
    made = place / "made"
    if made.exists():
        return python
    shutil.rmtree(place, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(place)], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *requirements], check=True)
    made.touch()
    return python

"""Ports are looked at before anything starts, so that a taken one is a sentence and not a restart loop."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

from pipeline.errors import PortInUse


@dataclass(frozen=True, slots=True)
class PortNeed:
    """A port that a process will listen on, and the setting that moves it."""

    host: str
    port: int
    used_by: str
    setting: str


def is_free(host: str, port: int) -> bool:
    """Whether we could listen on ``host:port`` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free(needs: tuple[PortNeed, ...]) -> None:
    """Refuse the first port that is taken or asked for twice.

    Raises:
        PortInUse: names the port, who has it where that can be seen, and the setting to change.
    """
    asked: dict[int, PortNeed] = {}
    for need in needs:
        variable = f"SPREADWATCH_{need.setting.upper()}"
        if need.port in asked:
            both = f"{asked[need.port].used_by} and {need.used_by}"
            msg = f"port {need.port} is set for both {both}; give {need.setting} ({variable}) another value"
            raise PortInUse(msg)
        asked[need.port] = need
        if not is_free(need.host, need.port):
            taken = f"port {need.port} of the {need.used_by} is taken{owner(need.port)}"
            msg = f"{taken}; stop that or set {need.setting} ({variable}) to a free one"
            raise PortInUse(msg)


def owner(port: int) -> str:
    """`` by name (pid)`` of the process that listens on a port; empty where that cannot be seen."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return ""

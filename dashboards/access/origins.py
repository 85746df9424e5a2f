"""The addresses under which the dashboard answers; whatever names another one is refused (DNS rebinding, foreign pages)."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from pipeline.settings import Settings
from pipeline.users import is_loopback


@dataclass(frozen=True, slots=True)
class Origins:
    """Host, as browsers send it, to scheme."""

    schemes: dict[str, str]

    @property
    def hosts(self) -> list[str]:
        """Every ``name:port``."""
        return list(self.schemes)

    def secure(self, host: str) -> bool:
        """Whether the way to this host is HTTPS, so that its cookies may be kept to it."""
        return self.schemes.get(host) == "https"

    def own(self, origin: str, host: str) -> bool:
        """Whether a page of ``origin`` may talk to ``host``: when it is the same, and one of ours."""
        return host in self.schemes and origin.lower() == f"{self.schemes[host]}://{host}"


def own_origins(settings: Settings) -> Origins:
    """The public addresses that the settings name, and this machine's own as far as it listens on them."""
    scheme = "https" if settings.tls_certificate else "http"
    port = settings.dashboard_port
    names = dict.fromkeys(["127.0.0.1", "localhost"])
    if settings.host in {"0.0.0.0", "::", ""}:  # noqa: S104  compared, not bound
        names |= dict.fromkeys(_machine_names())
    elif not is_loopback(settings.host) and ":" not in settings.host:
        names[settings.host] = None
    shown = {("https", 443), ("http", 80)}
    schemes = {name.lower() if (scheme, port) in shown else f"{name.lower()}:{port}": scheme for name in names}
    for origin in settings.dashboard_origins:
        parts = urlsplit(origin)
        schemes[_without_usual_port(parts.netloc, parts.scheme)] = parts.scheme
    return Origins(schemes)


def _machine_names() -> list[str]:
    """Addresses and name of this machine. Of the sixth version none: Bokeh takes no origin of them; a name does."""
    found = [address for interface in psutil.net_if_addrs().values() for address in interface]
    return [*(address.address for address in found if address.family is socket.AF_INET), socket.gethostname()]


def _without_usual_port(host: str, scheme: str) -> str:
    return host.removesuffix(":443" if scheme == "https" else ":80")

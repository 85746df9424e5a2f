"""Where a webhook may connect to.

A name is resolved once for each connection, every address that it has is judged, and the connection goes to one of those very addresses:
a name that is answered differently the next time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

import httpcore

from pipeline.errors import NotifyError

_OWN_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_MOST_ADDRESSES = 4


def is_private(address: str) -> bool:
    """Whether an IP address is of this machine, of a local network, or otherwise none of the public internet."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_private(str(inner))
    return not found.is_global or found.is_multicast


def says_private(host: str) -> bool:
    """Whether a host, as it is written, is openly of a private network: an address, a name without dots, or such as ``x.internal``."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_OWN_SUFFIXES)
    return True


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, and to no others.

    Args:
        private: whether private addresses are allowed.
    """

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, judge and connect.

        Raises:
            NotifyError: when an address of the host is private and that is not allowed.
            ConnectError: when nobody is there.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            msg = "the host name is not known"
            raise httpcore.ConnectError(msg) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._private and any(map(is_private, addresses)):
            msg = f"webhook at {host} has a private address, to which nothing is sent; set webhook_private to allow it"
            raise NotifyError(msg, retryable=True)
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)

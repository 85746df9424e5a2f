"""The port that a simulated venue listens on, which can be shut and opened again while connections go on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import Server

from pipeline.errors import PortInUse

_log = logging.getLogger(__name__)

_AGAIN_S = 0.2


class Door:
    """Listens, stops listening, listens again.

    Args:
        listen: starts a server on a host and a port (0: a free one).
        host: address to bind to.
        port: port to bind to.
    """

    def __init__(self, listen: Callable[[str, int], Awaitable[Server]], host: str, port: int) -> None:
        self._listen = listen
        self._host = host
        self.port = port
        self._servers: list[Server] = []

    async def open(self) -> None:
        """Accept connections, on the same port each time.

        Raises:
            PortInUse: when the port is taken.
        """
        try:
            server = await self._listen(self._host, self.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            msg = f"port {self.port} of {self._host} is in use; stop what uses it or choose another simulator_port"
            raise PortInUse(msg) from error
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    async def open_again(self) -> None:
        """The same, and wait where somebody else has taken the port in the meantime."""
        while True:
            try:
                await self.open()
            except PortInUse as error:
                _log.warning("simulator.port_taken", extra={"port": self.port, "error": str(error)})
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def shut(self) -> None:
        """Accept nothing any more; what is connected stays."""
        self._servers[-1].close(close_connections=False)

    async def close(self) -> None:
        """Accept nothing and close every connection."""
        for server in self._servers:
            server.close()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*(connection.close(1001) for connection in server.connections), return_exceptions=True)
        await asyncio.gather(*(server.wait_closed() for server in self._servers))

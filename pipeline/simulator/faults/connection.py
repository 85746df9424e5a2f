"""A server's connection that can fall silent, or send slowly."""

from __future__ import annotations

import socket
import struct
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


class BreakableConnection(ServerConnection):
    """As the library's, until it is told otherwise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._muted = False
        self._held: deque[bytes] | None = None

    def mute(self) -> None:
        """Send nothing and hear nothing from now on, pings included; the socket stays."""
        self._muted = True

    def slow_down(self) -> None:
        """Hold back what is to be sent until `pump` lets it go."""
        self._held = self._held if self._held is not None else deque()

    def pump(self, size: int) -> None:
        """Send up to ``size`` bytes of what is held back."""
        while self._held and size > 0 and not self.transport.is_closing():
            data = self._held.popleft()
            if not data:
                self.transport.write_eof()
                continue
            self.transport.write(data[:size])
            if len(data) > size:
                self._held.appendleft(data[size:])
            size -= len(data)

    def speed_up(self) -> None:
        """Send what is held back, and hold back no more."""
        self.pump(1 << 62)
        self._held = None

    def reset(self) -> None:
        """End the connection with a TCP reset; what is on its way is lost."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None and not self.transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def send_data(self) -> None:
        """What the library calls to put bytes on the wire; an empty one stands for the end."""
        if self._muted:
            self.protocol.data_to_send()
        elif self._held is not None:
            self._held.extend(self.protocol.data_to_send())
        else:
            super().send_data()

    def data_received(self, data: bytes) -> None:
        """What the event loop calls when bytes have come."""
        if not self._muted:
            super().data_received(data)

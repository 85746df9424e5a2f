"""One connection to the warehouse that survives its restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import StatementRefused, WarehouseUnavailable
from pipeline.profile import Profile
from pipeline.store import Role, Warehouse, connect

T = TypeVar("T")


class Link:
    """Connects when first used; after a failure it connects anew, for a restarted warehouse has another port and other tokens."""

    def __init__(self, profile: Profile, role: Role) -> None:
        self._profile = profile
        self._role = role
        self._lock = threading.Lock()
        self._warehouse: Warehouse | None = None

    def use(self, read: Callable[[Warehouse], T]) -> T:
        """Run ``read`` with the warehouse; a connection that has gone stale is made anew once.

        Raises:
            WarehouseUnavailable: when nobody answers.
            StoreError: when the query itself fails.
        """
        fresh = self._warehouse is None
        try:
            return read(self._connected())
        except (WarehouseUnavailable, StatementRefused):
            self.drop()
            if fresh:
                raise
        return read(self._connected())

    def drop(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            gone, self._warehouse = self._warehouse, None
        if gone is not None:
            gone.close()

    def _connected(self) -> Warehouse:
        with self._lock:
            if self._warehouse is None:
                self._warehouse = connect(self._profile, self._role)
            return self._warehouse

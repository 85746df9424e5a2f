"""The tables of a profile whose warehouse may come and go: asked of the process while it serves, of the file when it does not.

The file is held for one question only, or for some seconds of landing. Who held it while waiting for a venue would keep the warehouse
out, which gives up after a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self, TypeVar

import polars as pl
import pyarrow as pa

from pipeline.errors import WarehouseBusy, WarehouseUnavailable
from pipeline.jobs.landed import wait_until_landed
from pipeline.journal.interface import Journal
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import Role, connect, open_local
from pipeline.store.binding import Value
from pipeline.store.protocol import Warehouse
from pipeline.store.statements import Statement
from pipeline.warehouse.engine import Engine

R = TypeVar("R")

_PATIENCE_S = 60.0
_LOOK_AGAIN_S = 0.25
_HELD_S = 5.0
_GIVES_WAY_S = 1.0


class EitherWarehouse:
    """A warehouse that outlives the process behind it.

    Args:
        profile: whose.
        settings: of the profile, for landing without a process.
        journal: of the profile.
        patience_s: longest time in which neither the process answers nor the file is free, such as while the process starts.
    """

    def __init__(self, profile: Profile, settings: Settings, journal: Journal, *, patience_s: float = _PATIENCE_S) -> None:
        self._profile = profile
        self._settings = settings
        self._journal = journal
        self._patience_s = patience_s
        self._served: Warehouse | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the server."""
        if self._served is not None:
            self._served.close()
            self._served = None

    def arrow(self, sql: str, **parameters: Value) -> pa.Table:
        """See ``Warehouse.arrow``."""
        return self._ask(lambda warehouse: warehouse.arrow(sql, **parameters))

    def select(self, sql: str, **parameters: Value) -> pl.DataFrame:
        """See ``Warehouse.select``."""
        return self._ask(lambda warehouse: warehouse.select(sql, **parameters))

    def run(self, statement: Statement, rows: pl.DataFrame) -> None:
        """See ``Warehouse.run``."""
        self._ask(lambda warehouse: warehouse.run(statement, rows))

    def request(self, rows: pl.DataFrame) -> None:
        """See ``Warehouse.request``."""
        self._ask(lambda warehouse: warehouse.request(rows))

    def land(self, source: str) -> None:
        """Return when every durable line of a journal source is in the tables; without a process it is landed here.

        Raises:
            WarehouseBusy: when somebody holds the file and does not serve it.
            WarehouseUnavailable: when the process that serves it lands nothing.
        """
        while not self._patiently(lambda: self._wait_until_landed(source), self._land_some):
            time.sleep(_GIVES_WAY_S)  # to a warehouse that waits for the file, and lands better than we do

    def _ask(self, question: Callable[[Warehouse], R]) -> R:
        def ask_the_file() -> R:
            with open_local(self._profile) as warehouse:
                return question(warehouse)

        return self._patiently(lambda: question(self._connected()), ask_the_file)

    def _patiently(self, served: Callable[[], R], held: Callable[[], R]) -> R:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return served()
            except WarehouseUnavailable as error:
                # One that has answered before and lands nothing now says more than that the file is taken.
                silent = error if self._served is not None else None
                self.close()
            try:
                return held()
            except WarehouseBusy:
                if time.monotonic() > deadline:
                    if silent is not None:
                        raise silent from None
                    raise
            time.sleep(_LOOK_AGAIN_S)

    def _connected(self) -> Warehouse:
        if self._served is None:
            self._served = connect(self._profile, Role.WRITER)
        return self._served

    def _wait_until_landed(self, source: str) -> bool:
        wait_until_landed(self._connected(), self._journal, source)
        return True

    def _land_some(self) -> bool:
        """Land for a few seconds; whether nothing was left."""
        with open_local(self._profile) as warehouse:
            engine = Engine(self._profile, self._settings, warehouse)
            try:
                until = time.monotonic() + _HELD_S
                while engine.land_next():
                    if time.monotonic() > until:
                        return False
            finally:
                engine.close()
        return True

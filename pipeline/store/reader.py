"""The tables for Python users: ``pipeline.open("live").bars("BTCUSDT", "1m")`` and so on, as polars frames."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

import polars as pl

from pipeline.errors import UsageError
from pipeline.profile import load_profile
from pipeline.settings import settings
from pipeline.store.access import Role
from pipeline.store.export import Selection, read_rows
from pipeline.store.protocol import Warehouse
from pipeline.store.warehouse import open_warehouse, select_only

Time = datetime | str | None
"""A time with a zone, ISO text (UTC unless it says otherwise), or None for no limit."""


class Reader:
    """Reads one profile, running or not. Times are UTC microseconds, prices and quantities exact decimals; frames are ordered by time."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file or the server."""
        self._warehouse.close()

    def ticks(self, symbol: str | None = None, *, start: Time = None, end: Time = None) -> pl.DataFrame:
        """Trades with ``start <= event_time < end``: symbol, trade_id, price, qty, event_time, recv_time, buyer_is_maker, first_id, ...

        Raises:
            UsageError: when the symbol or a time is not understood.
        """
        return self._read("ticks", symbol, None, start, end)

    def bars(self, symbol: str | None = None, timeframe: str | None = None, *, start: Time = None, end: Time = None) -> pl.DataFrame:
        """Bars with ``start <= ts < end`` from the best source: ts is the open time; ``complete`` and ``source`` say what they are.

        Raises:
            UsageError: when the symbol, the timeframe or a time is not understood.
        """
        return self._read("bars", symbol, timeframe, start, end)

    def models(self, pair: str | None = None, timeframe: str | None = None, *, start: Time = None, end: Time = None) -> pl.DataFrame:
        """Models fitted in ``start <= fitted_at < end``, with their tests; ``active_from`` is NULL for one that was never live.

        Raises:
            UsageError: when the pair, the timeframe or a time is not understood.
        """
        return self._read("models", pair, timeframe, start, end)

    def signals(self, pair: str | None = None, timeframe: str | None = None, *, start: Time = None, end: Time = None) -> pl.DataFrame:
        """Spread, z-score and correlation of complete bars with ``start <= ts < end``, each under the model that was live then.

        Raises:
            UsageError: when the pair, the timeframe or a time is not understood.
        """
        return self._read("signals", pair, timeframe, start, end)

    def sql(self, select: str) -> pl.DataFrame:
        """One SELECT over the warehouse's tables and views.

        Raises:
            StatementRefused: for anything else.
            StoreError: when the query is wrong.
        """
        return select_only(self._warehouse, select)

    def _read(self, table: str, symbol: str | None, timeframe: str | None, start: Time, end: Time) -> pl.DataFrame:
        return read_rows(self._warehouse, Selection(table, symbol, timeframe, _time(start), _time(end)))


def open_profile_reader(name: str | None = None) -> Reader:
    """Read a profile by name; None is the one that the settings name.

    Raises:
        ProfileError: when there is none of that name.
        WarehouseBusy: when somebody holds its database and does not serve it.
    """
    chosen = settings()
    return Reader(open_warehouse(load_profile(chosen.data_dir, name or chosen.profile), Role.READER))


def _time(given: Time) -> datetime | None:
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as error:
        msg = f"time {given!r} is not understood; expected ISO text such as 2026-11-22T14:00:00Z"
        raise UsageError(msg) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time

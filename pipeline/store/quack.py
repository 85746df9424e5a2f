"""Every detail of Quack, DuckDB's client-server protocol: serving, attaching, querying, appending.

Measured with DuckDB 1.5.5: a transaction around remote inserts does not roll back, and an attached
client fails with "Invalid connection id" after the server has restarted. So writes go through
``statements``, and a client attaches anew when the server has gone.
"""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable
from typing import NamedTuple, Self

import duckdb
import polars as pl
import pyarrow as pa

from pipeline.errors import PortInUse, StatementRefused, StoreError, WarehouseUnavailable
from pipeline.store.access import Gatekeeper
from pipeline.store.binding import Value, bind, literal
from pipeline.store.connection import configure, load_extensions
from pipeline.store.frames import to_frame
from pipeline.store.statements import Statement

# First lines of the errors that mean that the server is not there, or not the one that was attached. Compared as a whole
# or from their start: anywhere else in an error they may be words of the query that it quotes.
_GONE = "Invalid Input Error: Invalid connection id"
_UNREACHABLE = "IO Error: Failed to send message"
_NOT_ALLOWED = "Invalid Input Error: Authorization failed"
_PROBE_S = 1.0
_NOT_KNOWN = ("Invalid Input Error: Authentication failed", "Invalid Input Error: Could not find a Quack authentication token")


class Address(NamedTuple):
    """Where a warehouse is served, and the token to show there."""

    host: str
    port: int
    token: str


def serve(connection: duckdb.DuckDBPyConnection, *, host: str, port: int, gatekeeper: Gatekeeper, server_token: str) -> None:
    """Serve the database that ``connection`` has open; returns at once, queries run on DuckDB's own threads.

    Raises:
        PortInUse: when somebody listens there already.
        StoreError: when the address cannot be listened on.
    """
    _require_free(host, port)
    load_extensions(connection)
    connection.create_function("spreadwatch_authenticate", gatekeeper.authenticate, ["VARCHAR"] * 3, "BOOLEAN")
    connection.create_function("spreadwatch_authorize", gatekeeper.authorize, ["VARCHAR"] * 2, "BOOLEAN")
    connection.execute("SET GLOBAL quack_authentication_function = 'spreadwatch_authenticate'")
    connection.execute("SET GLOBAL quack_authorization_function = 'spreadwatch_authorize'")
    try:
        connection.execute(f"CALL quack_serve({literal(_uri(host, port))}, token = {literal(server_token)})")
    except duckdb.Error as error:
        msg = f"the warehouse cannot listen on {host}:{port}: {_line(error)}; set warehouse_port to a free port"
        raise StoreError(msg) from error


def _require_free(host: str, port: int) -> None:
    # Quack's server shares its port (SO_REUSEPORT): a second one would get every other connection, and nobody would be told.
    # Asked by connecting: binding is refused for a while after a server was killed, though nobody listens any more.
    try:
        socket.create_connection((host, port), timeout=_PROBE_S).close()
    except OSError:
        return
    msg = f"port {port} of {host} cannot be listened on (somebody does already); stop what uses it or choose another warehouse_port"
    raise PortInUse(msg)


def stop(connection: duckdb.DuckDBPyConnection, *, host: str, port: int) -> None:
    """Stop serving."""
    connection.execute(f"CALL quack_stop({literal(_uri(host, port))})")


class RemoteWarehouse:
    """The warehouse behind a token. Safe to use from several threads, one query at a time.

    ``find`` says where it is; it is asked again whenever the server has gone, for a restarted one has other tokens.
    """

    def __init__(self, find: Callable[[], Address]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._connection = duckdb.connect()
        self._attached = False
        self._uri = ""
        try:
            configure(self._connection)
            load_extensions(self._connection)
            self._attach()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the server."""
        with self._lock:
            self._connection.close()

    def arrow(self, sql: str, **parameters: Value) -> pa.Table:
        """Run one SELECT on the server and return its rows; ``$name`` stands for a parameter.

        Raises:
            WarehouseUnavailable: when nobody answers.
            StatementRefused: when this role may not run it.
            StoreError: when the server says that the query is wrong.
        """
        call = f"FROM wh.query({literal(bind(sql, parameters) if parameters else sql)})"
        with self._lock:
            return self._execute(call, again=True)

    def select(self, sql: str, **parameters: Value) -> pl.DataFrame:
        """``arrow`` as a polars frame."""
        return to_frame(self.arrow(sql, **parameters))

    def run(self, statement: Statement, rows: pl.DataFrame) -> None:
        """Stage ``rows`` (columns by name, those missing NULL) and run ``statement`` over them, all or nothing.

        Raises:
            WarehouseUnavailable: when nobody answers; running again is safe.
            StoreError: when the server refuses it.
        """
        batch = uuid.uuid4().hex
        staged = rows.with_columns(pl.lit(batch).alias("batch")).to_arrow()
        with self._lock:
            self._append(statement.stage, staged)
            try:
                self._execute(f"FROM wh.query({literal(statement.text(batch))})", again=False)
            except StoreError:
                self._detach()
                raise

    def request(self, rows: pl.DataFrame) -> None:
        """Append to ``requests``."""
        with self._lock:
            self._append("requests", rows.to_arrow())

    def _append(self, table: str, rows: pa.Table) -> None:
        self._ensure_attached()
        self._connection.register("outgoing", rows)
        try:
            self._execute(f"INSERT INTO wh.main.{table} BY NAME SELECT * FROM outgoing", again=False)  # noqa: S608  a table of ours
        finally:
            self._connection.unregister("outgoing")

    def _execute(self, sql: str, *, again: bool) -> pa.Table:
        """Run on the client and take the rows; ``again``: once more when the server was lost, for the text changes nothing."""
        self._ensure_attached()
        try:
            return self._connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            if not _is_lost(error):
                raise _translated(error) from error
            self._detach()
            if not again:
                raise _unavailable(self._uri, error) from error
        self._ensure_attached()
        return self._execute(sql, again=False)

    def _ensure_attached(self) -> None:
        if not self._attached:
            self._attach()

    def _attach(self) -> None:
        address = self._find()
        self._uri = _uri(address.host, address.port)
        try:
            self._connection.execute(f"CREATE OR REPLACE SECRET wh (TYPE quack, TOKEN {literal(address.token)})")
            self._connection.execute(f"ATTACH {literal(self._uri)} AS wh")
        except duckdb.Error as error:
            if _line(error) in _NOT_KNOWN:
                msg = f"the warehouse at {self._uri} refuses this token: it serves another profile; stop that one or change warehouse_port"
                raise WarehouseUnavailable(msg) from error
            raise _unavailable(self._uri, error) from error
        self._attached = True

    def _detach(self) -> None:
        self._attached = False
        self._connection.execute("DETACH DATABASE IF EXISTS wh")


def _uri(host: str, port: int) -> str:
    return f"quack:{host}:{port}"


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _is_lost(error: duckdb.Error) -> bool:
    line = _line(error)
    return line == _GONE or line.startswith(_UNREACHABLE)


def _unavailable(uri: str, error: Exception) -> WarehouseUnavailable:
    return WarehouseUnavailable(
        f"the warehouse at {uri} does not answer ({_line(error)}); start it with `spreadwatch up`, or wait until it is back"
    )


def _translated(error: duckdb.Error) -> StoreError:
    if _line(error) == _NOT_ALLOWED:
        return StatementRefused(
            "the warehouse refuses this statement for this role; expected one SELECT over its own tables, without file functions"
        )
    return StoreError(f"the warehouse could not run the query: {_line(error)}")

"""The warehouse as its readers and writers see it, whether they hold the file or ask the process that does."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Self

import duckdb
import polars as pl
import pyarrow as pa

from pipeline.errors import StoreError, WarehouseUnavailable
from pipeline.profile import Profile, write_atomically
from pipeline.store.access import Role, check_select
from pipeline.store.binding import Value
from pipeline.store.connection import open_database
from pipeline.store.frames import to_frame
from pipeline.store.migrations import migrate
from pipeline.store.protocol import Warehouse
from pipeline.store.quack import Address, RemoteWarehouse
from pipeline.store.statements import Statement, stages
from pipeline.store.views import create_views


class LocalWarehouse:
    """The warehouse in this process: it holds the file, and nobody else can open it meanwhile."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def arrow(self, sql: str, **parameters: Value) -> pa.Table:
        """See ``Warehouse.arrow``.

        Raises:
            StoreError: when the query is wrong.
        """
        try:
            return self.connection.cursor().execute(sql, parameters or None).to_arrow_table()
        except duckdb.Error as error:
            raise _translated(error) from error

    def select(self, sql: str, **parameters: Value) -> pl.DataFrame:
        """See ``Warehouse.select``."""
        return to_frame(self.arrow(sql, **parameters))

    def run(self, statement: Statement, rows: pl.DataFrame) -> None:
        """See ``Warehouse.run``."""
        batch = uuid.uuid4().hex
        staged = rows.with_columns(pl.lit(batch).alias("batch")).to_arrow()
        cursor = self.connection.cursor()
        try:
            cursor.register("outgoing", staged)
            cursor.execute(f"INSERT INTO {statement.stage} BY NAME SELECT * FROM outgoing")  # noqa: S608  a table of ours
            cursor.execute(statement.text(batch))
        except duckdb.Error as error:
            cursor.close()  # and with it the transaction that failed
            self.connection.cursor().execute(f"DELETE FROM {statement.stage} WHERE batch = ?", [batch])  # noqa: S608  a table of ours
            raise _translated(error) from error
        cursor.close()

    def request(self, rows: pl.DataFrame) -> None:
        """See ``Warehouse.request``."""
        cursor = self.connection.cursor()
        cursor.register("outgoing", rows.to_arrow())
        cursor.execute("INSERT INTO requests BY NAME SELECT * FROM outgoing")
        cursor.close()


class OpenTransaction(LocalWarehouse):
    """The same connection, inside the transaction that it has open: reads see what has been written so far."""

    def arrow(self, sql: str, **parameters: Value) -> pa.Table:
        """See ``Warehouse.arrow``.

        Raises:
            StoreError: when the query is wrong.
        """
        try:
            return self.connection.execute(sql, parameters or None).to_arrow_table()
        except duckdb.Error as error:
            raise _translated(error) from error


def open_local(profile: Profile) -> LocalWarehouse:
    """Open the profile's file in this process, with its schema up to date.

    Raises:
        WarehouseBusy: when another process holds it.
    """
    connection = open_database(profile.database)
    try:
        migrate(connection)
        create_views(connection, profile.archive)
        for stage in sorted(stages()):
            # Rows of clients that died, or lost the server, between staging and running.
            connection.execute(f"DELETE FROM {stage}")  # noqa: S608  a table of ours
    except BaseException:
        connection.close()
        raise
    return LocalWarehouse(connection)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running warehouse listens, and the token of each role."""

    host: str
    port: int
    tokens: dict[Role, str]


def publish_endpoint(profile: Profile, host: str, port: int) -> Endpoint:
    """Make new tokens and write them where only this user can read them."""
    endpoint = Endpoint(host, port, {role: secrets.token_urlsafe(24) for role in Role})
    content = {"host": host, "port": port, "tokens": {role.value: token for role, token in endpoint.tokens.items()}}
    write_atomically(profile.run / "warehouse.json", json.dumps(content) + "\n", mode=0o600)
    return endpoint


def read_endpoint(profile: Profile) -> Endpoint:
    """Where the profile's warehouse listens.

    Raises:
        WarehouseUnavailable: when none has been started.
    """
    try:
        content = json.loads((profile.run / "warehouse.json").read_text())
    except FileNotFoundError:
        msg = f"profile {profile.name!r} is not running; start it with `spreadwatch up --profile {profile.name}`"
        raise WarehouseUnavailable(msg) from None
    return Endpoint(content["host"], content["port"], {Role(name): token for name, token in content["tokens"].items()})


def withdraw_endpoint(profile: Profile) -> None:
    """Remove the endpoint file when serving ends."""
    (profile.run / "warehouse.json").unlink(missing_ok=True)


def connect(profile: Profile, role: Role) -> RemoteWarehouse:
    """Attach to the running warehouse of a profile.

    Raises:
        WarehouseUnavailable: when it is not running.
    """

    def find() -> Address:
        endpoint = read_endpoint(profile)
        return Address(endpoint.host, endpoint.port, endpoint.tokens[role])

    return RemoteWarehouse(find)


def open_warehouse(profile: Profile, role: Role) -> LocalWarehouse | RemoteWarehouse:
    """The running warehouse when there is one, the file itself otherwise.

    Raises:
        WarehouseBusy: when somebody holds the file and does not serve it.
    """
    try:
        return connect(profile, role)
    except WarehouseUnavailable:
        return open_local(profile)


def select_only(warehouse: Warehouse, sql: str) -> pl.DataFrame:
    """Run a user's own text: one SELECT over the warehouse's tables, no file functions.

    Raises:
        StatementRefused: for anything else.
    """
    check_select(sql)
    return warehouse.select(sql)


def _translated(error: duckdb.Error) -> StoreError:
    return StoreError(f"the warehouse could not run the query: {str(error).strip().splitlines()[0]}")

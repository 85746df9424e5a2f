"""Who may run what on the served warehouse: roles, and the judge of a reader's SQL.

A reader runs one SELECT over the warehouse's own tables. DuckDB's own parser says what a text
is; what it cannot serialise (anything but SELECT) is refused, and so is every table function
that is not on a short list, because some of them read files or run SQL given as text.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any

import duckdb

from pipeline.errors import StatementRefused
from pipeline.store.statements import is_registered, stages


class Role(StrEnum):
    """What the holder of a token may do."""

    READER = "reader"
    """One SELECT at a time, no files."""
    OPERATOR = "operator"
    """A reader that may also append to ``requests``: the dashboard and the command line."""
    WRITER = "writer"
    """A reader that may also run the store's own write statements: the flows."""


_TABLE_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "duckdb_tables", "duckdb_views", "duckdb_columns", "pragma_database_size", "pragma_storage_info"}
)
_SCHEMAS = frozenset({"", "main", "information_schema"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Scalar functions that look or write outside the tables; those that are not known by name begin with _OWN.
_REFUSED_FUNCTIONS = frozenset(
    {"add_parquet_key", "current_setting", "getenv", "nextval", "read_blob", "read_text", "set_config", "write_log"}
)
_OWN = "spreadwatch_"
# Views that are not about tables: requests with their tokens would be in the log.
_REFUSED_VIEWS = frozenset({"duckdb_logs", "duckdb_log_contexts", "duckdb_databases", "pragma_database_list"})
# How Quack's client announces an append, before it streams the rows.
_APPEND = re.compile(r"INSERT INTO main\.([a-z_0-9]+) VALUES \(NULL(?:, NULL)*\)")
_SESSIONS_KEPT = 4096


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A database of its own, so that judging a text never waits for the warehouse; cursors of it are safe in any thread."""
    return duckdb.connect()


def check_select(sql: str) -> None:
    """Accept one SELECT that touches nothing but the warehouse's tables.

    Raises:
        StatementRefused: for anything else.
    """
    row = _parser().cursor().execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed.get("error"):
        reason = parsed.get("error_message") or "it is not a SELECT"
        msg = f"only SELECT may be run here: {str(reason).splitlines()[0]}; write one SELECT over the tables of the warehouse"
        raise StatementRefused(msg)
    if len(parsed["statements"]) != 1:
        msg = f"{len(parsed['statements'])} statements were given; expected one SELECT"
        raise StatementRefused(msg)
    for node in _nodes(parsed):
        _check_node(node)


def _check_node(node: dict[str, object]) -> None:
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        function = node["function"]
        name = str(function["function_name"]) if isinstance(function, dict) else "?"
        if name.lower() not in _TABLE_FUNCTIONS:
            msg = f"table function {name} is not allowed here; read the tables of the warehouse (information_schema.tables lists them)"
            raise StatementRefused(msg)
    elif kind == "BASE_TABLE":
        table = str(node.get("table_name", ""))
        outside = _NAME.fullmatch(table) is None or table.lower() in _REFUSED_VIEWS
        if outside or str(node.get("schema_name", "")) not in _SCHEMAS or node.get("catalog_name"):
            msg = f"table {table!r} is not one of the warehouse's; files and other databases cannot be read here"
            raise StatementRefused(msg)
    elif node.get("class") == "FUNCTION" and _is_refused(str(node.get("function_name", "")).lower()):
        msg = f"function {node['function_name']} is not allowed here; remove it"
        raise StatementRefused(msg)


def _is_refused(function: str) -> bool:
    return function in _REFUSED_FUNCTIONS or function.startswith(_OWN)


def _nodes(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


class Gatekeeper:
    """The server's memory of which session holds which role; its two methods are Quack's callbacks."""

    def __init__(self, tokens: dict[str, Role]) -> None:
        self._tokens = tokens
        self._sessions: OrderedDict[str, Role] = OrderedDict()
        self._lock = threading.Lock()

    def authenticate(self, session: str, client_token: str, _server_token: str) -> bool:
        """Whether the token is known; remembers the session's role."""
        role = self._tokens.get(client_token)
        if role is None:
            return False
        with self._lock:
            self._sessions[session] = role
            while len(self._sessions) > _SESSIONS_KEPT:
                self._sessions.popitem(last=False)
        return True

    def authorize(self, session: str, sql: str) -> bool:
        """Whether the session's role may run this text."""
        role = self._sessions.get(session)
        if role is None:
            return False
        append = _APPEND.fullmatch(sql)
        if append is not None:
            return (role is Role.WRITER and append[1] in stages()) or (role is Role.OPERATOR and append[1] == "requests")
        if role is Role.WRITER and (sql == "ROLLBACK" or is_registered(sql)):
            return True
        try:
            check_select(sql)
        except StatementRefused:
            return False
        return True

"""Carrying out orders, by the process that holds the database.

A day of a symbol goes to the archive in one safe order:

1. beside landing, on a cursor of its own: its rows, sorted, into a temporary file; fsync; read back and compared with the
   table; renamed to its place;
2. between two landing transactions, in one of its own: if the rows in the table are still those of the file, they are
   deleted, the file is entered in ``archived``, and the view is made anew over it;
3. afterwards: files that no row of ``archived`` names are removed.

Killed before the second step's commit, nothing has happened but a file that nobody names; killed behind it, all is done. A row
that lands into an archived day brings the day back first (``thawing``), and the next run writes it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from pipeline.errors import StoreError
from pipeline.profile import Profile
from pipeline.store.orders import Order, OrderKind, Outcome, Report
from pipeline.store.views import TIME_COLUMNS, create_dataset_view
from pipeline.store.warehouse import LocalWarehouse

ARCHIVED, THAWED, EXPIRED = "archived", "thawed", "expired"

_KEYS = {"ticks": "trade_id", "quotes": "update_id", "bars_1s": "ts"}
"""What the rows of a file are sorted by."""
_IDS = {"ticks": ("trade_id", "trade_id"), "quotes": ("update_id", "update_id"), "bars_1s": ("first_id", "last_id")}
_CHANGING = frozenset({"bars_1s"})
"""Datasets in which a row may be replaced by another one: a bar, when a late trade lands."""
_ROW_GROUP = 100_000
_PARTIAL = ".partial"
_GRACE_S = 600.0  # a reader that began before the view was made anew may still read a file that nobody names now
_COPY = "copy"
_PAUSE_S = 0.1
_ATTEMPTS = 50  # of a checkpoint, which other writers keep from happening for a moment


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is in its place and equal to the rows of the table when it was written."""

    order: Order
    file: str
    revision: int
    rows: int
    bytes: int
    fingerprint: str
    sha256: str
    first_id: int
    last_id: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that nobody has carried out yet."""

    order_id: str
    order: Order
    run: str


class Archiver:
    """Carries out orders of one profile.

    ``waiting``, ``settle`` and ``sweep`` are for the thread that lands; ``prepare`` is for a thread beside it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, profile: Profile) -> None:
        self._connection = connection
        self._profile = profile
        self._archive = profile.archive
        self._unnamed: dict[Path, float] = {}
        self._tried: dict[str, int] = {}

    # ------------------------------------------------------------------ the thread that lands

    def waiting(self) -> list[Waiting]:
        """Orders in the order of their asking."""
        rows = self._connection.execute(
            """SELECT order_id, kind, dataset, symbol, strftime(day, '%Y-%m-%d'), run FROM orders
               ORDER BY ordered_at, day, dataset, symbol, order_id"""
        ).fetchall()
        return [
            Waiting(order_id, Order(OrderKind(kind), dataset, symbol, day and date.fromisoformat(day)), run)
            for order_id, kind, dataset, symbol, day, run in rows
        ]

    def settle(self, waiting: Waiting, prepared: Written | dict[str, Any] | None, *, began: float) -> Report | None:
        """The second step: what must happen between two landing transactions, with the outcome, in one transaction.

        Args:
            waiting: the order.
            prepared: what ``prepare`` returned.
            began: ``time.monotonic`` when it was taken.

        Returns:
            What became of it; None when it has to be prepared again, because rows have landed since.

        Raises:
            StoreError: when it cannot be done; nothing has changed then.
        """
        try:
            return self._settle(waiting, prepared, began)
        except duckdb.Error as error:
            msg = f"{waiting.order.kind} could not be carried out: {str(error).strip().splitlines()[0]}"
            raise StoreError(msg) from error

    def _settle(self, waiting: Waiting, prepared: Written | dict[str, Any] | None, began: float) -> Report | None:
        order = waiting.order
        paused = time.monotonic()
        if order.kind is OrderKind.CHECKPOINT:
            detail = self._checkpoint(waiting.order_id)
            return None if detail is None else self._log(waiting, Outcome.DONE, {**detail, "pause_s": _since(paused)}, began)
        if isinstance(prepared, dict):
            return self._log(waiting, Outcome.DONE, prepared, began)
        self._connection.execute("BEGIN")
        try:
            if order.kind is OrderKind.EXPIRE:
                detail, outcome = self._expire(order)
            elif prepared is None:
                detail, outcome = {}, Outcome.NOTHING
            elif not self._move(prepared):
                self._connection.execute("ROLLBACK")
                return None
            else:
                detail, outcome = {"rows": prepared.rows, "bytes": prepared.bytes, "revision": prepared.revision}, Outcome.DONE
                detail |= {"fingerprint": prepared.fingerprint, "first_us": prepared.first_us, "last_us": prepared.last_us}
            report = self._entered(waiting, outcome, {**detail, "pause_s": _since(paused)}, began)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return report

    def fail(self, waiting: Waiting, error: Exception, *, began: float) -> Report:
        """Note that an order could not be carried out."""
        return self._log(waiting, Outcome.FAILED, {"error": str(error).strip().splitlines()[0]}, began)

    def sweep(self, *, at_start: bool = False) -> int:
        """Remove files that no row of ``archived`` names: at once at the start, else when nobody has named them for a while.

        Must not be called while ``prepare`` runs. Returns how many were removed.
        """
        rows = self._connection.execute("SELECT file FROM archived WHERE state = 'archived'").fetchall()
        named = {self._archive / str(file) for (file,) in rows}
        there = {path for path in self._archive.rglob("*") if path.suffix in {".parquet", _PARTIAL} and path not in named}
        now = time.monotonic()
        self._unnamed = {path: self._unnamed.get(path, now) for path in there}
        gone = [path for path, since in self._unnamed.items() if at_start or now - since >= _GRACE_S]
        for path in gone:
            path.unlink(missing_ok=True)
            del self._unnamed[path]
        if at_start:
            for left in self._profile.run.glob(f"{_COPY}-*"):
                shutil.rmtree(left, ignore_errors=True)
        return len(gone)

    # ------------------------------------------------------------------ beside landing

    def prepare(self, waiting: Waiting) -> Written | dict[str, Any] | None:
        """The first step: what takes long and changes no table. None when there is nothing to do, or nothing takes long.

        Raises:
            StoreError: when the file cannot be written, or is not what the table has.
        """
        try:
            match waiting.order.kind:
                case OrderKind.ARCHIVE:
                    return self._write(waiting.order)
                case OrderKind.COPY:
                    return self._copy(waiting.order_id)
                case _:
                    return None
        except (duckdb.Error, OSError) as error:
            msg = f"{waiting.order.kind} could not be carried out: {str(error).strip().splitlines()[0]}"
            raise StoreError(msg) from error

    def _write(self, order: Order) -> Written | None:
        dataset = _dataset(order)
        cursor = self._connection.cursor()
        try:
            # One snapshot for the file and for what it is compared with.
            cursor.execute("BEGIN")
            source = f"(FROM {dataset}_recent WHERE {_partition(order)})"
            rows, fingerprint = _content(cursor, source)
            if not rows:
                return None
            revision = _next_revision(cursor, order)
            file = f"{dataset}/symbol={order.symbol}/day={order.day}/{revision}.parquet"
            path = self._archive / file
            partial = path.with_suffix(_PARTIAL)
            path.parent.mkdir(parents=True, exist_ok=True)
            cursor.execute(
                f"COPY (FROM {source} ORDER BY {_KEYS[dataset]}) TO {_text(partial)} "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            )
            first, last = _IDS[dataset]
            span = cursor.execute(
                f"""SELECT min({first}), max({last}), epoch_us(min({TIME_COLUMNS[dataset]})), epoch_us(max({TIME_COLUMNS[dataset]}))
                    FROM read_parquet({_text(partial)}, hive_partitioning = false)"""  # noqa: S608  our own file
            ).fetchone()
            back = _content(cursor, f"read_parquet({_text(partial)}, hive_partitioning = false)")
        finally:
            cursor.close()
        if span is None or back != (rows, fingerprint):
            partial.unlink(missing_ok=True)
            msg = f"{file} was written with {back[0]} rows that are not the {rows} of the table; the disk may be failing: try again"
            raise StoreError(msg)
        digest = _fsynced_digest(partial)
        partial.replace(path)
        for directory in (path.parent, *path.parent.parents):
            _fsync_directory(directory)
            if directory == self._archive:
                break
        return Written(order, file, revision, rows, path.stat().st_size, fingerprint, digest, *span)

    def _copy(self, order_id: str) -> dict[str, Any]:
        target = self._profile.run / f"{_COPY}-{order_id}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        name = f"copy_{order_id}"
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"ATTACH {_text(target / 'warehouse.duckdb')} AS {name}")
            try:
                # One statement, so one snapshot: journal offsets and rows belong together.
                cursor.execute(f"COPY FROM DATABASE {self._profile.database.stem} TO {name}")
                files = [str(file) for (file,) in cursor.execute(f"SELECT file FROM {name}.archived WHERE state = 'archived'").fetchall()]  # noqa: S608
            finally:
                cursor.execute(f"DETACH {name}")
        finally:
            cursor.close()
        for file in files:
            path = target / "archive" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            _linked(self._archive / file, path)
        return {"path": str(target), "files": len(files)}

    # ------------------------------------------------------------------ inside a transaction

    def _move(self, written: Written) -> bool:
        """Take the rows of a file out of the database; False when the table has other rows by now."""
        order = written.order
        dataset = _dataset(order)
        source = f"(FROM {dataset}_recent WHERE {_partition(order)})"
        if dataset in _CHANGING:
            same = _content(self._connection, source) == (written.rows, written.fingerprint)
        else:  # a row that has landed stays as it is, so their number tells, in a tenth of the time
            same = self._connection.execute(f"SELECT count(*) FROM {source}").fetchone() == (written.rows,)  # noqa: S608  constant pieces
        if not same:
            return False
        self._connection.execute(f"DELETE FROM {dataset}_recent WHERE {_partition(order)}")  # noqa: S608  constant pieces
        key = [dataset, order.symbol, order.day]
        self._connection.execute("DELETE FROM archived WHERE dataset = ? AND symbol = ? AND day = ?", key)
        facts = [written.revision, written.file, written.rows, written.bytes, written.fingerprint, written.sha256]
        self._connection.execute(
            """INSERT INTO archived
               VALUES (?, ?, ?, 'archived', ?, ?, ?, ?, ?, ?, ?, ?, make_timestamptz(?), make_timestamptz(?), now())""",
            [*key, *facts, written.first_id, written.last_id, written.first_us, written.last_us],
        )
        create_dataset_view(self._connection, self._archive, dataset)
        return True

    def _expire(self, order: Order) -> tuple[dict[str, Any], Outcome]:
        dataset = _dataset(order)
        changed = self._connection.execute(
            """UPDATE archived SET state = 'expired' WHERE dataset = ? AND symbol = ? AND day = ? AND state = 'archived'
               RETURNING "rows", bytes""",
            [dataset, order.symbol, order.day],
        ).fetchone()
        if changed is None:
            return {}, Outcome.NOTHING
        create_dataset_view(self._connection, self._archive, dataset)
        return {"rows": changed[0], "bytes": changed[1]}, Outcome.DONE

    def _checkpoint(self, order_id: str) -> dict[str, Any] | None:
        before = self._sizes("_before")
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.TransactionException as error:
            self._tried[order_id] = self._tried.get(order_id, 0) + 1
            if self._tried[order_id] < _ATTEMPTS:
                return None
            msg = f"the database was being written all the time ({str(error).splitlines()[0]}); try again later"
            raise StoreError(msg) from error
        return before | self._sizes("")

    def _sizes(self, suffix: str) -> dict[str, int]:
        wal = self._profile.database.with_name(self._profile.database.name + ".wal")
        return {f"file_bytes{suffix}": _size(self._profile.database), f"wal_bytes{suffix}": _size(wal)}

    def _log(self, waiting: Waiting, outcome: Outcome, detail: dict[str, Any], began: float) -> Report:
        self._connection.execute("BEGIN")
        try:
            report = self._entered(waiting, outcome, detail, began)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return report

    def _entered(self, waiting: Waiting, outcome: Outcome, detail: dict[str, Any], began: float) -> Report:
        self._tried.pop(waiting.order_id, None)
        order = waiting.order
        seconds = time.monotonic() - began
        self._connection.execute("DELETE FROM orders WHERE order_id = ?", [waiting.order_id])
        self._connection.execute(
            "INSERT INTO order_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, now())",
            [
                waiting.order_id,
                order.kind.value,
                order.dataset,
                order.symbol,
                order.day,
                waiting.run,
                outcome.value,
                json.dumps(detail),
                seconds,
            ],
        )
        self._connection.execute("DELETE FROM order_log WHERE finished_at < now() - INTERVAL 30 DAY")
        return Report(waiting.order_id, order, outcome, detail, seconds)


def carry_out(warehouse: LocalWarehouse, profile: Profile, *, done: Callable[[Report], None] | None = None) -> list[Report]:
    """Carry out every order that waits, in the process that has opened the file."""
    archiver = Archiver(warehouse.connection, profile)
    reports = []
    for waiting in archiver.waiting():
        began = time.monotonic()
        try:
            while (report := archiver.settle(waiting, archiver.prepare(waiting), began=began)) is None:
                time.sleep(_PAUSE_S)
        except StoreError as error:
            report = archiver.fail(waiting, error, began=began)
        reports.append(report)
        if done is not None:
            done(report)
    archiver.sweep()
    return reports


def _dataset(order: Order) -> str:
    if order.dataset not in TIME_COLUMNS or order.symbol is None or order.day is None:
        msg = f"an order for {order.partition} is not understood; expected one of {', '.join(TIME_COLUMNS)}, a symbol and a day"
        raise StoreError(msg)
    return order.dataset


def _partition(order: Order) -> str:
    """SQL of the condition that a row belongs to the order's day."""
    time_column = TIME_COLUMNS[_dataset(order)]
    day = f"TIMESTAMPTZ '{order.day} 00:00:00+00'"
    return f"symbol = {_text(order.symbol)} AND {time_column} >= {day} AND {time_column} < {day} + INTERVAL 24 HOUR"


def _content(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[int, str]:
    """Number of rows, and a text that changes exactly when the rows do, in whatever order they are."""
    row = connection.execute(
        f"SELECT count(*), coalesce(bit_xor(hash(r)), 0), coalesce(sum(hash(r)), 0) FROM (FROM {source}) r"  # noqa: S608
    ).fetchone()
    rows, mixed, total = row or (0, 0, 0)
    return int(rows), f"{int(rows)}-{int(mixed):016x}-{int(total) % (1 << 64):016x}"


def _next_revision(connection: duckdb.DuckDBPyConnection, order: Order) -> int:
    row = connection.execute(
        "SELECT max(revision) + 1 FROM archived WHERE dataset = ? AND symbol = ? AND day = ?", [order.dataset, order.symbol, order.day]
    ).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _fsynced_digest(path: Path) -> str:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _since(began: float) -> float:
    return round(time.monotonic() - began, 6)


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"

"""Upkeep: a checkpoint, what takes how much room and how it grows, and a warning before the disk is full."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from pipeline.profile import Profile
from pipeline.store import LocalWarehouse
from pipeline.store.archiving import carry_out
from pipeline.store.orders import Order, OrderKind, await_orders, place_orders, require_success
from pipeline.store.protocol import Warehouse
from pipeline.store.sizes import load_blocks, load_last_sizes, load_table_sizes, save_sizes

_log = logging.getLogger(__name__)

DATABASE = "database"
TABLES = "tables"
_WAL_SUFFIX = ".wal"
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """One thing that takes room.

    Attributes:
        part: ``database``, ``tables``, ``journal``, ``archive``, ``reports``, ``logs``, ``prefect``, ``other`` or ``disk``.
        name: of it, such as a table or a journal source.
        rows: of a table; None otherwise.
        bytes: how much; of a table the blocks that hold its rows.
        grown_rows: rows more than the last time; None when it was not there then.
        grown_bytes: bytes more than the last time; None when it was not there then.
    """

    part: str
    name: str
    rows: int | None
    bytes: int
    grown_rows: int | None = None
    grown_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Maintained:
    """What a run found.

    Attributes:
        sizes: everything measured, by part, the largest first.
        since: when it was measured before; None when never.
        free_bytes: free on the disk that holds the profile.
        warning: what is wrong with the disk and what to do, or empty.
        rotated: log files that were moved aside.
    """

    sizes: tuple[Size, ...]
    since: datetime | None
    free_bytes: int
    warning: str
    rotated: int

    def bytes_of(self, part: str, name: str | None = None) -> int:
        """Bytes of a part, or of one thing of it."""
        return sum(size.bytes for size in self.sizes if size.part == part and name in (None, size.name))

    @property
    def total(self) -> int:
        """Bytes that the profile takes on the disk; tables are inside the database."""
        return sum(size.bytes for size in self.sizes if size.part != TABLES)

    @property
    def summary(self) -> str:
        """One line for the log."""
        parts = ", ".join(f"{part} {told(self.bytes_of(part))}" for part in _SUMMED if self.bytes_of(part))
        return f"{parts}; {told(self.free_bytes)} free on the disk" + (f"; {self.rotated} logs moved aside" if self.rotated else "")


_SUMMED = (DATABASE, "journal", "archive", "reports", "logs", "prefect", "other")


def maintain(
    warehouse: Warehouse,
    profile: Profile,
    *,
    now: datetime,
    checkpoint: Callable[[], None],
    rotate_logs: Callable[[Path], int],
    warn_below_gb: float,
) -> Maintained:
    """Checkpoint, move large logs aside, measure, keep the measurement, warn.

    Args:
        warehouse: as a writer.
        profile: whose files are measured.
        now: time of the measurement.
        checkpoint: has the write-ahead log moved into the file.
        rotate_logs: moves aside what is too large in a directory of logs, and says how many files.
        warn_below_gb: least free room on the disk, in units of 10^9 bytes, below which a warning is given.
    """
    checkpoint()
    rotated = rotate_logs(profile.logs)
    since, before = load_last_sizes(warehouse)
    sizes = [_grown(size, before) for size in (*_database(warehouse, profile), *_files(profile))]
    free = shutil.disk_usage(profile.path).free
    rows = [{"measured_at": now, **{name: value for name, value in asdict(size).items() if not name.startswith("grown")}} for size in sizes]
    rows.append({"measured_at": now, "part": "disk", "name": "free", "rows": None, "bytes": free})
    save_sizes(warehouse, pl.DataFrame(rows, schema=_SCHEMA))
    warning = ""
    if free < warn_below_gb * _GIGABYTE:
        warning = (
            f"{told(free)} free on the disk of {profile.path}, less than the setting disk_free_warn_gb ({warn_below_gb:g} GB); "
            "make room, or shorten journal_retention_hours and quote_retention_hours: capture stops writing when the disk is full"
        )
        _log.warning("disk.low", extra={"free_bytes": free, "warn_below_gb": warn_below_gb, "path": str(profile.path)})
    return Maintained(tuple(sizes), since, free, warning, rotated)


def checkpointed(warehouse: Warehouse, profile: Profile, *, run: str) -> None:
    """Have the write-ahead log moved into the file: by the warehouse process, or here when this process holds the file.

    Raises:
        WarehouseBusy: when the warehouse does not get to it.
        StoreError: when it fails.
    """
    ids = place_orders(warehouse, [Order(OrderKind.CHECKPOINT)], run=run)
    if isinstance(warehouse, LocalWarehouse):
        require_success(carry_out(warehouse, profile))
    else:
        await_orders(warehouse, ids, patience_s=120)


def told(size: int) -> str:
    """Bytes for people, such as ``1.5 GB``; a minus stands before shrinkage."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1_000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_000
    return f"{value:.1f} GB"


def _database(warehouse: Warehouse, profile: Profile) -> Iterator[Size]:
    blocks = load_blocks(warehouse)
    wal = profile.database.with_name(profile.database.name + _WAL_SUFFIX)
    yield Size(DATABASE, "in use", None, blocks.used_blocks * blocks.block_size)
    yield Size(DATABASE, "free blocks", None, blocks.free_blocks * blocks.block_size)
    yield Size(DATABASE, "write-ahead log", None, _bytes_of(wal))
    for table in load_table_sizes(warehouse):
        yield Size(TABLES, table.name, table.rows, table.blocks * blocks.block_size)


def _files(profile: Profile) -> list[Size]:
    """Directories of the profile: the journal by source, Prefect's database by itself."""
    places = {profile.archive: "archive", profile.reports: "reports", profile.logs: "logs", profile.prefect_home: "prefect"}
    sizes = []
    own = {profile.database.name, profile.database.name + _WAL_SUFFIX}
    for entry in sorted(profile.path.iterdir()):
        if entry == profile.journal:
            sizes += [Size("journal", source.name, None, _bytes_of(source)) for source in sorted(entry.iterdir()) if source.is_dir()]
        elif entry == profile.prefect_home:
            database = sum(_bytes_of(file) for file in entry.glob("prefect.db*"))
            sizes += [Size("prefect", "database", None, database), Size("prefect", "other files", None, _bytes_of(entry) - database)]
        elif entry.name not in own:
            sizes.append(Size(places.get(entry, "other"), entry.name, None, _bytes_of(entry)))
    return [size for size in sizes if size.bytes > 0]


def _bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; those that go meanwhile count 0."""
    if not path.is_dir():
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0
    return sum(_bytes_of(Path(place) / name) for place, _, names in os.walk(path) for name in names)


def _grown(size: Size, before: dict[tuple[str, str], tuple[int | None, int]]) -> Size:
    was = before.get((size.part, size.name))
    if was is None:
        return size
    rows = size.rows - was[0] if size.rows is not None and was[0] is not None else None
    return Size(size.part, size.name, size.rows, size.bytes, rows, size.bytes - was[1])


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "measured_at": pl.Datetime("us", "UTC"),
    "part": pl.String,
    "name": pl.String,
    "rows": pl.Int64,
    "bytes": pl.Int64,
}

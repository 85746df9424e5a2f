"""Old days out of the database into the archive: which ones are due, asked for as orders, entered in the ledger of partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.errors import UsageError
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse, Warehouse
from pipeline.store.archive import DATASETS, archive_due, archive_expired, load_archived
from pipeline.store.archiving import carry_out
from pipeline.store.health import load_clock
from pipeline.store.orders import Order, OrderKind, Outcome, Report, await_orders, order_reports, place_orders, require_success
from pipeline.store.partitions import Made, put_partitions

_DAY = timedelta(days=1)
_INPUTS = {"ticks": "ticks", "bars_1s": "ticks"}
"""What the rows of a dataset come from, as an asset by symbol and day."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How long after its end a UTC day stays in the database, and in the archive (None for ever)."""

    ticks: timedelta
    quotes: timedelta
    bars_1s: timedelta
    kept: timedelta | None

    @staticmethod
    def of(settings: Settings) -> Ages:
        """As the settings have them."""
        return Ages(
            timedelta(days=settings.tick_archive_days),
            timedelta(hours=settings.quote_archive_hours),
            timedelta(days=settings.bar_1s_archive_days),
            timedelta(days=settings.archive_retention_days) if settings.archive_retention_days else None,
        )

    def of_dataset(self, dataset: str) -> timedelta:
        """How long a dataset's days stay in the database."""
        return {"ticks": self.ticks, "quotes": self.quotes, "bars_1s": self.bars_1s}[dataset]


@dataclass(frozen=True, slots=True)
class Archived:
    """What was done with one day: ``action`` is archived, expired, or nothing (its rows had gone already)."""

    partition: str
    action: str
    rows: int
    bytes: int
    seconds: float


def chosen_datasets(names: Sequence[str] | None) -> tuple[str, ...]:
    """The named datasets, all of them when none is named.

    Raises:
        UsageError: when one is not known.
    """
    unknown = [name for name in names or () if name not in DATASETS]
    if unknown:
        msg = f"dataset {unknown[0]!r} is not known; expected one of {', '.join(DATASETS)}"
        raise UsageError(msg)
    return tuple(names) if names else DATASETS


def due_orders(warehouse: Warehouse, ages: Ages, datasets: Sequence[str]) -> list[Order]:
    """What has to be done now, by journal time: days to be removed for good, then days to be archived, oldest first.

    Days that have expired while they were still in the database are archived first and removed by the next run.
    """
    clock = load_clock(warehouse)
    if clock is None:
        return []
    now = clock.journal_time
    orders = []
    if ages.kept is not None:
        expired = archive_expired(warehouse, before=_midnight(now - ages.kept)).iter_rows(named=True)
        orders = [Order(OrderKind.EXPIRE, row["dataset"], row["symbol"], row["day"]) for row in expired if row["dataset"] in datasets]
    due = [
        Order(OrderKind.ARCHIVE, dataset, row["symbol"], row["day"])
        for dataset in datasets
        for row in archive_due(warehouse, dataset, before=_midnight(now - ages.of_dataset(dataset))).iter_rows(named=True)
    ]
    return orders + sorted(due, key=lambda order: (order.day, order.dataset, order.symbol))


def archive(
    warehouse: Warehouse,
    profile: Profile,
    ages: Ages,
    *,
    run: str,
    datasets: Sequence[str] = DATASETS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Archived]:
    """Have everything archived that is due. Repeating it, also after a kill at any moment, changes nothing that is done.

    The process that holds the database does the work: the warehouse process when one runs, this one otherwise.

    Args:
        warehouse: as a writer.
        profile: whose.
        ages: how long days stay where.
        run: who does it, for orders and ledger.
        datasets: which of ``ticks``, ``quotes`` and ``bars_1s``.
        progress: called with days done and days to do.

    Raises:
        StoreError: when a day could not be archived; the others are.
        WarehouseBusy: when the warehouse process does not get on.
    """
    orders = due_orders(warehouse, ages, datasets)
    ids = place_orders(warehouse, orders, run=run)
    if isinstance(warehouse, LocalWarehouse):
        done: list[Report] = []

        def count(report: Report) -> None:
            done.append(report)
            if progress is not None:
                progress(len(done), max(len(ids), len(done)))

        carry_out(warehouse, profile, done=count)
        reports = order_reports(warehouse, ids)
    else:
        reports = await_orders(warehouse, ids, progress=progress, failing=False)
    # The whole ledger, not only what this run did: an earlier one may have been killed before it could enter its part.
    put_partitions(warehouse, _made(warehouse), run=run)
    require_success(reports)
    return [_told(report) for report in reports]


def _made(warehouse: Warehouse) -> list[Made]:
    made = []
    for row in load_archived(warehouse).iter_rows(named=True):
        key = f"{row['symbol']}/{row['day']}"
        there = row["state"] == "archived"
        inputs = (f"{_INPUTS[row['dataset']]}/{key}",) if row["dataset"] in _INPUTS else ()
        made.append(
            Made(
                "archive",
                f"{row['dataset']}/{key}",
                there,
                row["rows"] if there else 0,
                row["fingerprint"] if there else row["state"],
                symbol=row["symbol"],
                day=row["day"],
                first_ts=row["first_ts"],
                last_ts=row["last_ts"],
                inputs=inputs,
            )
        )
    return made


def _told(report: Report) -> Archived:
    actions = {OrderKind.ARCHIVE: "archived", OrderKind.EXPIRE: "expired"}
    action = actions[report.order.kind] if report.outcome is Outcome.DONE else "nothing"
    return Archived(report.order.partition, action, report.detail.get("rows", 0), report.detail.get("bytes", 0), round(report.seconds, 3))


def _midnight(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

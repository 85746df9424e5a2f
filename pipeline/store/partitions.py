"""The ledger of partitions: which parts of each asset exist, whether they are whole, and what they were made from.

An asset is a family of rows that one flow makes (``bars``, ``klines``, ``trades``, ``archive``, ...); a partition is one part
of it, named by a path such as ``BTCUSDT/1m/2026-11-22``. A row of the ledger changes only when the part's content does, so its
``run`` and ``made_at`` tell who made what is there now; ``revision`` counts how often a part that was complete has been made
with other content. Where it can, a flow writes the ledger in the transaction that writes the rows (:func:`ledger_sql`), so that
the two agree after any failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

import polars as pl

from pipeline.store.protocol import Warehouse
from pipeline.store.statements import statement


def ledger_sql(rows_query: str) -> str:
    """SQL that enters partitions into the ledger, to be part of a registered statement: ``{batch}`` stands for its batch.

    Args:
        rows_query: a SELECT of asset, partition, symbol, timeframe, day, complete, rows, fingerprint, first_ts, last_ts, run,
            inputs (a list of ``asset/partition``); each (asset, partition) once.
    """
    # The new row is written beside the old one, which then goes: the old revision is still there to be read.
    return f"""
    INSERT INTO partitions BY NAME
    SELECT fresh.*, now() AS made_at, '{{batch}}' AS batch,
           coalesce(old.revision + CASE WHEN old.complete AND old.fingerprint <> fresh.fingerprint THEN 1 ELSE 0 END, 0) AS revision
    FROM ({rows_query}) fresh LEFT JOIN partitions old ON old.asset = fresh.asset AND old.partition = fresh.partition
    WHERE old.fingerprint IS NULL OR old.fingerprint <> fresh.fingerprint OR old.complete <> fresh.complete;
    DELETE FROM partitions p USING (SELECT asset, partition FROM partitions WHERE batch = '{{batch}}') fresh
    WHERE p.asset = fresh.asset AND p.partition = fresh.partition AND p.batch <> '{{batch}}'
    """  # noqa: S608  constant text


_PUT = statement(
    "put_partitions",
    stage="stage_partitions",
    sql=ledger_sql("SELECT * EXCLUDE (batch) FROM stage_partitions WHERE batch = '{batch}'"),
)

_LOAD = """
    SELECT asset, partition, symbol, timeframe, day, complete, "rows", fingerprint, revision, first_ts, last_ts, run, made_at, inputs
    FROM partitions
    WHERE ($every_asset OR asset IN (SELECT unnest($assets))) AND ($every_symbol OR symbol IN (SELECT unnest($symbols)))
      AND (day IS NULL OR (day >= CAST($start AS DATE) AND day < CAST($end AS DATE)))
    ORDER BY asset, symbol, timeframe, day, partition
"""

_FRESHNESS = """
    SELECT asset, symbol, timeframe, count(*) AS partitions, count(*) FILTER (NOT complete) AS incomplete, max(day) AS newest_day,
           max(last_ts) AS last_ts, max(made_at) AS made_at, CAST(sum("rows") AS BIGINT) AS "rows",
           CAST(sum(revision) AS BIGINT) AS restated, arg_max(run, made_at) AS run
    FROM partitions GROUP BY asset, symbol, timeframe ORDER BY asset, symbol, timeframe
"""

# A day of a timeframe is there when our own bars of it are whole, or the exchange's are.
_MISSING = """
    SELECT symbol, timeframe, CAST(day AS DATE) AS day, bool_or(p.partition IS NOT NULL) AS started
    FROM (SELECT unnest($symbols) AS symbol) CROSS JOIN (SELECT unnest($timeframes) AS timeframe)
    CROSS JOIN (SELECT unnest(generate_series(CAST($start AS TIMESTAMPTZ), CAST($last AS TIMESTAMPTZ), INTERVAL 1 DAY)) AS day)
    LEFT JOIN partitions p USING (symbol, timeframe, day)
    WHERE p.asset IS NULL OR p.asset IN ('bars', 'klines')
    GROUP BY ALL HAVING NOT coalesce(bool_or(p.complete), FALSE) ORDER BY ALL
"""

_LINEAGE = """
    WITH RECURSIVE upstream AS (
        SELECT asset || '/' || partition AS node, unnest(inputs) AS input, 1 AS depth FROM partitions
        WHERE asset || '/' || partition = $node
        UNION ALL
        SELECT u.input, unnest(p.inputs), u.depth + 1 FROM upstream u JOIN partitions p ON p.asset || '/' || p.partition = u.input
        WHERE u.depth < 10
    )
    SELECT DISTINCT node, input, depth FROM upstream ORDER BY depth, node, input
"""

_DOWNSTREAM = """
    SELECT asset, partition, complete, revision, made_at, run FROM partitions WHERE list_contains(inputs, $node) ORDER BY asset, partition
"""

_EVER = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), datetime.fromisoformat("9999-01-01T00:00:00+00:00"))


@dataclass(frozen=True, slots=True)
class Made:
    """One partition as a flow has made it.

    Attributes:
        asset: the family, such as ``liquidity``.
        partition: its name within the family, such as ``BTCUSDT/1m/2026-11-22``.
        complete: whether nothing more is expected in it.
        rows: how many rows it has.
        fingerprint: a text that changes exactly when the content does.
        symbol: whose, where the asset has symbols.
        timeframe: of the bars, where it has them.
        day: UTC day, where it is made by day.
        first_ts: first time in it.
        last_ts: last time in it.
        inputs: what it was made from, as ``asset/partition``.
    """

    asset: str
    partition: str
    complete: bool
    rows: int
    fingerprint: str
    symbol: str | None = None
    timeframe: str | None = None
    day: date | None = None
    first_ts: datetime | None = None
    last_ts: datetime | None = None
    inputs: tuple[str, ...] = ()


_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "asset": pl.String,
    "partition": pl.String,
    "complete": pl.Boolean,
    "rows": pl.Int64,
    "fingerprint": pl.String,
    "symbol": pl.String,
    "timeframe": pl.String,
    "day": pl.Date,
    "first_ts": pl.Datetime("us", "UTC"),
    "last_ts": pl.Datetime("us", "UTC"),
    "inputs": pl.List(pl.String),
}


def put_partitions(warehouse: Warehouse, made: Sequence[Made], *, run: str) -> None:
    """Enter partitions into the ledger; one whose content and completeness are as before stays as it is.

    Args:
        warehouse: where the ledger is.
        made: the partitions, each once.
        run: who made them: a flow run's name, or ``cli:<command>``.
    """
    if made:
        rows = [asdict(one) | {"inputs": list(one.inputs)} for one in made]
        warehouse.run(_PUT, pl.DataFrame(rows, schema=_SCHEMA).with_columns(pl.lit(run).alias("run")))


def load_partitions(
    warehouse: Warehouse,
    *,
    asset: str | Iterable[str] | None = None,
    symbols: Iterable[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> pl.DataFrame:
    """Rows of the ledger, of every asset and symbol unless some are named, and of days from ``start`` to before ``end``."""
    assets = [asset] if isinstance(asset, str) else list(asset or ())
    names = list(symbols or ())
    first, last = start or _EVER[0], end or _EVER[1]
    return warehouse.select(
        _LOAD, every_asset=asset is None, assets=assets, every_symbol=symbols is None, symbols=names, start=first, end=last
    )


def freshness(warehouse: Warehouse) -> pl.DataFrame:
    """How far each asset, symbol and timeframe has come.

    Returns:
        asset, symbol, timeframe, partitions, incomplete, newest_day, last_ts, made_at (of the newest change), rows, restated
        (revisions), run (of the newest change).
    """
    return warehouse.select(_FRESHNESS)


def missing_days(warehouse: Warehouse, symbols: Sequence[str], timeframes: Sequence[str], *, start: date, end: date) -> pl.DataFrame:
    """Days from ``start`` to before ``end`` whose bars are whole neither from our own trades nor from the exchange.

    Returns:
        symbol, timeframe, day, started (whether some of it is there).
    """
    if not symbols or not timeframes or end <= start:
        return pl.DataFrame(schema={"symbol": pl.String, "timeframe": pl.String, "day": pl.Date, "started": pl.Boolean})
    return warehouse.select(
        _MISSING,
        symbols=list(symbols),
        timeframes=list(timeframes),
        start=f"{start.isoformat()} 00:00:00+00",
        last=f"{(end - timedelta(days=1)).isoformat()} 00:00:00+00",
    )


def upstream(warehouse: Warehouse, node: str) -> pl.DataFrame:
    """What a partition (``asset/partition``) was made from, and that in turn: node, input, depth (1 for its own inputs)."""
    return warehouse.select(_LINEAGE, node=node)


def downstream(warehouse: Warehouse, node: str) -> pl.DataFrame:
    """What has been made from a partition (``asset/partition``): asset, partition, complete, revision, made_at, run."""
    return warehouse.select(_DOWNSTREAM, node=node)

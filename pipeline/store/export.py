"""Any table as CSV, JSON or Parquet, read in slices of time, so that a large one is never held in memory whole.

Amounts are exact in every format: decimal digits in CSV, decimal text in JSON (as the venue itself sends them),
DECIMAL in Parquet. Times are UTC with microseconds, ISO 8601 with ``Z`` in CSV and JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import BinaryIO

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UsageError
from pipeline.model.pair import Pair, parse_symbol
from pipeline.model.timeframe import Timeframe
from pipeline.store.alert_history import EVENT_COLUMNS, OF_SERIES
from pipeline.store.bars import bars_query
from pipeline.store.binding import Value
from pipeline.store.protocol import Warehouse

_ROWS_A_SLICE = 100_000
_TIME_TEXT = "%Y-%m-%dT%H:%M:%S%.6fZ"


class Format(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """The MIME type."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.PARQUET: "application/vnd.apache.parquet",
}


class Filter(StrEnum):
    """How rows of a table belong to a symbol."""

    NONE = "none"
    SYMBOL = "symbol"
    PAIR = "pair"
    SERIES = "series"


@dataclass(frozen=True, slots=True)
class ExportTable:
    """A table or view that may be exported.

    Attributes:
        name: what users call it.
        time: the column that a range is taken on; None for small tables without one.
        order: SQL of a total order within one time.
        filter: how ``symbol`` selects rows: by a symbol, by a pair (``Y/X``, or a symbol that is one leg), or by a series, which is either.
        timed: whether a timeframe selects rows.
        columns: SQL of the columns; JSON columns are given as text.
        meaning: one line for people.
    """

    name: str
    time: str | None
    order: str
    filter: Filter
    timed: bool
    meaning: str
    columns: str = "*"


def _tables(*tables: ExportTable) -> Mapping[str, ExportTable]:
    return MappingProxyType({table.name: table for table in tables})


TABLES: Mapping[str, ExportTable] = _tables(
    ExportTable("ticks", "event_time", "symbol, trade_id", Filter.SYMBOL, timed=False, meaning="Trades, as they were landed"),
    ExportTable("quotes", "event_time", "symbol, update_id", Filter.SYMBOL, timed=False, meaning="Best bid and ask"),
    ExportTable("bars", "ts", "symbol, timeframe", Filter.SYMBOL, timed=True, meaning="Bars of every timeframe, best source"),
    ExportTable("klines", "ts", "symbol, timeframe", Filter.SYMBOL, timed=True, meaning="The exchange's own bars, as fetched"),
    ExportTable("models", "fitted_at", "y, x, timeframe, model_id", Filter.PAIR, timed=True, meaning="Hedge ratios and their tests"),
    ExportTable("signals", "ts", "y, x, timeframe", Filter.PAIR, timed=True, meaning="Spread, z-score and correlation"),
    ExportTable("liquidity", "ts", "symbol, timeframe", Filter.SYMBOL, timed=True, meaning="Volume, spreads and price impact"),
    ExportTable("gaps", "from_time", "symbol, first_missing", Filter.SYMBOL, timed=False, meaning="The gap ledger"),
    ExportTable("coverage", None, "symbol, first_id", Filter.SYMBOL, timed=False, meaning="Intervals of trade ids that were landed"),
    ExportTable("stream_health", "observed_at", "stream", Filter.NONE, timed=False, meaning="State of each stream"),
    ExportTable(
        "alert_events",
        "occurred_at",
        "event_id",
        Filter.SERIES,
        timed=False,
        meaning="History of alerts: each transition with value, threshold, model and bars",
        columns=EVENT_COLUMNS,
    ),
    ExportTable(
        "alert_rules",
        "created_at",
        "rule_id",
        Filter.NONE,
        timed=False,
        meaning="Alert rules",
        columns="rule_id, CAST(rule AS VARCHAR) AS rule, enabled, created_at, updated_at",
    ),
    ExportTable("reports", "created_at", "report_id", Filter.NONE, timed=False, meaning="Reports that were made"),
    ExportTable("landing_counts", None, "source, name", Filter.NONE, timed=False, meaning="Lines landed, by source and name"),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of which table.

    Attributes:
        table: a name in ``TABLES``.
        symbol: a symbol, or for tables of pairs ``Y/X`` or one leg; None for all.
        timeframe: None for all.
        start: first time, inclusive; None for the beginning.
        end: last time, exclusive; None for no end.
    """

    table: str
    symbol: str | None = None
    timeframe: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def facts(self) -> ExportTable:
        """What is known about the table."""
        return TABLES[self.table]

    def check(self) -> None:
        """Refuse a selection that means nothing.

        Raises:
            UsageError: when the table is unknown, a filter does not fit it, or the range is empty or has no time zone.
        """
        facts = TABLES.get(self.table)
        if facts is None:
            msg = f"table {self.table!r} cannot be exported; expected one of {', '.join(TABLES)}"
            raise UsageError(msg)
        if self.symbol is not None:
            _check_symbol(facts, self.symbol)
        if self.timeframe is not None:
            Timeframe.parse(self.timeframe)
            if not facts.timed:
                msg = f"table {facts.name} has no timeframe; leave the timeframe out"
                raise UsageError(msg)
        if (self.start or self.end) and facts.time is None:
            msg = f"table {facts.name} has no time; leave the range out"
            raise UsageError(msg)
        if any(time is not None and time.tzinfo is None for time in (self.start, self.end)):
            msg = "a time without a time zone was given; add one, such as 2024-08-08T12:00:00Z"
            raise UsageError(msg)
        if self.start and self.end and self.start >= self.end:
            msg = f"the range from {self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S} is empty; the end must be after the start"
            raise UsageError(msg)

    def file_name(self, form: Format) -> str:
        """A name for the file, such as ``bars_BTCUSDT_1m.csv``."""
        parts = [self.table, (self.symbol or "").replace("/", "-"), self.timeframe or ""]
        return "_".join(part for part in parts if part) + f".{form.value}"


def _check_symbol(facts: ExportTable, symbol: str) -> None:
    if facts.filter is Filter.NONE:
        msg = f"table {facts.name} has no symbol; leave the symbol out"
        raise UsageError(msg)
    if "/" not in symbol:
        parse_symbol(symbol)
        return
    if facts.filter is Filter.SYMBOL:
        msg = f"table {facts.name} is of single symbols, and {symbol} is a pair; choose one symbol"
        raise UsageError(msg)
    Pair.parse(symbol)


def count_rows(warehouse: Warehouse, selection: Selection) -> int:
    """How many rows an export has.

    Raises:
        UsageError: as ``Selection.check``.
    """
    selection.check()
    source, parameters = _source(selection)
    return int(warehouse.select(f"SELECT count(*) AS n FROM {source}", **parameters).item())  # noqa: S608  constant pieces


def read_rows(warehouse: Warehouse, selection: Selection, *, most: int | None = None) -> pl.DataFrame:
    """The rows at once, ordered by time; ``most`` takes only the first so many.

    Raises:
        UsageError: as ``Selection.check``.
    """
    selection.check()
    return _read(warehouse, selection, most)


def read_slices(warehouse: Warehouse, selection: Selection, *, rows: int = _ROWS_A_SLICE) -> Iterator[pl.DataFrame]:
    """The same rows as ``read_rows`` in frames of about ``rows`` rows each, in time order; at least one frame, which may be empty.

    The range is halved until a part is small enough, down to one second.

    Raises:
        UsageError: as ``Selection.check``.
    """
    selection.check()
    span = _span(warehouse, selection)
    if span is None:
        yield _read(warehouse, selection, None)
        return
    whole = Selection(selection.table, selection.symbol, selection.timeframe, span[0], span[1])
    yield from _halved(warehouse, whole, rows, first=True)


def write_export(warehouse: Warehouse, selection: Selection, form: Format, sink: BinaryIO) -> int:
    """Write the rows into ``sink`` slice by slice and return how many there were.

    Raises:
        UsageError: as ``Selection.check``.
    """
    return write_frames(read_slices(warehouse, selection), form, sink)


def write_frames(frames: Iterable[pl.DataFrame], form: Format, sink: BinaryIO) -> int:
    """Write frames of one schema, one after the other, as an export has them, and return how many rows there were."""
    writer = _WRITERS[form](sink)
    total = 0
    for frame in frames:
        writer.add(frame)
        total += frame.height
    writer.close()
    return total


def estimated_bytes(sample: pl.DataFrame, form: Format, rows: int) -> int:
    """About how large a file of ``rows`` rows becomes, judged by the size of some of them; 0 for an empty sample.

    Parquet is compressed by column, which a small sample shows less of than a large file: there it is an upper bound.
    """
    if sample.is_empty():
        return 0
    sizes: list[int] = []
    for part in (sample.head(0), sample):
        sink = io.BytesIO()
        writer = _WRITERS[form](sink)
        writer.add(part)
        writer.close()
        sizes.append(sink.tell())
    return sizes[0] + (sizes[1] - sizes[0]) * rows // sample.height


# ------------------------------------------------------------------------------------------------ reading


def _source(selection: Selection) -> tuple[str, dict[str, Value]]:
    """``table WHERE ...`` of constant pieces, and the values of its parameters."""
    facts = selection.facts
    conditions: list[str] = []
    parameters: dict[str, Value] = {}
    if selection.symbol is not None:
        if facts.filter is not Filter.PAIR:
            conditions.append("symbol = $symbol" if facts.filter is Filter.SYMBOL else OF_SERIES)
            parameters["symbol"] = selection.symbol
        elif "/" in selection.symbol:
            pair = Pair.parse(selection.symbol)
            conditions.append("y = $y AND x = $x")
            parameters |= {"y": pair.y, "x": pair.x}
        else:
            conditions.append("(y = $symbol OR x = $symbol)")
            parameters["symbol"] = selection.symbol
    if selection.timeframe is not None:
        conditions.append("timeframe = $timeframe")
        parameters["timeframe"] = selection.timeframe
    if selection.start is not None:
        conditions.append(f"{facts.time} >= $start")
        parameters["start"] = selection.start
    if selection.end is not None:
        conditions.append(f"{facts.time} < $end")
        parameters["end"] = selection.end
    where = " AND ".join(conditions) or "TRUE"
    if facts.name == "bars":  # the condition goes into each of the view's sources
        return f"({bars_query(where)})", parameters
    return f"{facts.name} WHERE {where}", parameters


def _read(warehouse: Warehouse, selection: Selection, most: int | None) -> pl.DataFrame:
    facts = selection.facts
    source, parameters = _source(selection)
    order = f"{facts.time}, {facts.order}" if facts.time else facts.order
    limit = "" if most is None else " LIMIT $most"
    if most is not None:
        parameters["most"] = most
    return warehouse.select(f"SELECT {facts.columns} FROM {source} ORDER BY {order}{limit}", **parameters)  # noqa: S608  constant pieces


def _span(warehouse: Warehouse, selection: Selection) -> tuple[datetime, datetime] | None:
    """First time and the end just after the last; None when the table has no time or no rows."""
    time = selection.facts.time
    if time is None:
        return None
    source, parameters = _source(selection)
    row = warehouse.select(f"SELECT min({time}) AS low, max({time}) AS high FROM {source}", **parameters).row(0)  # noqa: S608
    return None if row[0] is None else (row[0], row[1] + timedelta(microseconds=1))


def _halved(warehouse: Warehouse, selection: Selection, rows: int, *, first: bool = False) -> Iterator[pl.DataFrame]:
    start, end = selection.start, selection.end
    if start is None or end is None:  # never: made by read_slices
        return
    count = count_rows(warehouse, selection)
    if count > rows and end - start > timedelta(seconds=1):
        middle = start + (end - start) / 2
        yield from _halved(warehouse, _within(selection, start, middle), rows, first=first)
        yield from _halved(warehouse, _within(selection, middle, end), rows)
    elif count or first:
        yield _read(warehouse, selection, None)


def _within(selection: Selection, start: datetime, end: datetime) -> Selection:
    return Selection(selection.table, selection.symbol, selection.timeframe, start, end)


# ------------------------------------------------------------------------------------------------ writing


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Times and decimals as text."""
    return frame.with_columns(cs.datetime().dt.to_string(_TIME_TEXT), cs.decimal().cast(pl.String))


class _Csv:
    """A header once, then rows."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._started = False

    def add(self, frame: pl.DataFrame) -> None:
        # Not into the sink by polars: it would write to the file below, and tell of a reader who has gone in words of its own.
        self._sink.write(_plain(frame).write_csv(include_header=not self._started).encode())
        self._started = True

    def close(self) -> None:
        """Nothing is held back."""


class _Json:
    """One array of objects, one object a line."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._lead = b"[\n"

    def add(self, frame: pl.DataFrame) -> None:
        lines = _finite(_plain(frame)).write_ndjson().encode().splitlines()
        for at in range(0, len(lines), 10_000):
            self._sink.write(self._lead + b",\n".join(lines[at : at + 10_000]))
            self._lead = b",\n"

    def close(self) -> None:
        self._sink.write(b"\n]\n" if self._lead == b",\n" else json.dumps([]).encode() + b"\n")


def _finite(frame: pl.DataFrame) -> pl.DataFrame:
    """JSON has no NaN and no infinity: they become null."""
    return frame.with_columns(
        pl.when(column.is_finite()).then(column) for column in (pl.col(name) for name in frame.select(cs.float()).columns)
    )


class _Parquet:
    """One row group a slice."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        table: pa.Table = frame.to_arrow()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._sink, table.schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


_WRITERS: Mapping[Format, type[_Csv | _Json | _Parquet]] = {Format.CSV: _Csv, Format.JSON: _Json, Format.PARQUET: _Parquet}

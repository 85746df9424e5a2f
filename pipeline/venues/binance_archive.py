"""Binance's public data archive: names of its files, their checksums, and their CSV as columns. Nothing here talks to the network.

A file is ``data/futures/um/{daily,monthly}/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11-20.zip`` (``2026-11`` for a month), or
``.../aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-11-20.zip``: a zip of one CSV, beside a ``.CHECKSUM`` that holds its SHA-256.

What is known to be wrong with some of them, and what happens then: a header row is there or not, and may have other or more
columns (taken by name, else by place); rows are out of order (sorted); ids or open times come twice (the first is taken);
quantities are zero (left out, the ids are told); ``is_buyer_maker`` is true in every row (told by the counts); times are in
microseconds (cut to milliseconds, as everywhere else at this venue); a row cannot be read (left out and counted).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from pipeline.errors import MalformedMessage
from pipeline.model.pair import parse_symbol

_ROOT: Final = "data/futures/um"
_CHECKSUM: Final = re.compile(rb"\s*([0-9a-fA-F]{64})(?:\s+\*?(\S+))?\s*")
_PRICE: Final = r"^[0-9]{1,10}(?:\.[0-9]{1,8})?$"
_AMOUNT: Final = r"^[0-9]{1,20}(?:\.[0-9]{1,8})?$"
_TRIMMED: Final = (b" ", b'"', b"\r")
_TRUE: Final = ("true", "1", "t")
_FALSE: Final = ("false", "0", "f")
_MICROSECONDS_FROM: Final = 10**14  # of milliseconds that would be the year 5138
_LATEST_MS: Final = 4_102_444_800_000  # the year 2100

TRADE_COLUMNS: Final = ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker")
KLINE_COLUMNS: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One zip of the archive.

    Attributes:
        path: below the archive's base URL.
        first: first UTC day in it.
        days: how many days are in it.
    """

    path: str
    first: date
    days: int

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]

    @property
    def checksum_path(self) -> str:
        """Where its checksum is."""
        return self.path + ".CHECKSUM"


@dataclass(frozen=True, slots=True)
class ArchivedTrades:
    """Aggregate trades of a block of a file, in order of id.

    Attributes:
        rows: trade_id, price and qty (exact text), first_id, last_id, time_ms, buyer_is_maker; each id once.
        zero_ids: ids of the rows whose quantity was zero, which are not in ``rows``.
        duplicates: rows left out because their id came twice in the block.
        malformed: rows that could not be read.
    """

    rows: pl.DataFrame
    zero_ids: tuple[int, ...]
    duplicates: int
    malformed: int


@dataclass(frozen=True, slots=True)
class ArchivedKlines:
    """Candlesticks of a file, in order of time.

    Attributes:
        rows: open_time_ms, open, high, low, close, volume, quote_volume, taker_buy_volume (exact text), trades; each open time once.
        duplicates: rows left out because their open time came twice.
        malformed: rows that could not be read.
    """

    rows: pl.DataFrame
    duplicates: int
    malformed: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in a row each column stands, as the file's first line says, and whether that line is a header."""

    places: tuple[int, ...]
    width: int
    header: bool


def kline_file(symbol: str, interval: str, day: date, *, monthly: bool = False) -> ArchiveFile:
    """The file with a day's candlesticks, or those of its month."""
    return _file(f"klines/{parse_symbol(symbol)}/{interval}/{symbol}-{interval}", day, monthly=monthly)


def trade_file(symbol: str, day: date, *, monthly: bool = False) -> ArchiveFile:
    """The file with a day's aggregate trades, or those of its month."""
    return _file(f"aggTrades/{parse_symbol(symbol)}/{symbol}-aggTrades", day, monthly=monthly)


def _file(stem: str, day: date, *, monthly: bool) -> ArchiveFile:
    if not monthly:
        return ArchiveFile(f"{_ROOT}/daily/{stem}-{day.isoformat()}.zip", day, 1)
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return ArchiveFile(f"{_ROOT}/monthly/{stem}-{first:%Y-%m}.zip", first, (following - first).days)


def parse_checksum(body: bytes, name: str) -> str:
    """The SHA-256, in small hexadecimal digits, that a ``.CHECKSUM`` file tells of the file ``name``.

    Raises:
        MalformedMessage: when it is not of the form ``<64 hexadecimal digits>  <name>``, or tells of another file.
    """
    match = _CHECKSUM.fullmatch(body)
    if match is None or (match[2] is not None and match[2].decode(errors="replace") != name):
        msg = f"{name}.CHECKSUM is not of the form `<sha256>  {name}`: {body[:80]!r}"
        raise MalformedMessage(msg)
    return match[1].decode().lower()


def trade_layout(first_line: bytes) -> Layout:
    """How the rows of a file of trades are laid out, by its first line.

    Raises:
        MalformedMessage: when the line has too few columns.
    """
    return _layout(first_line, TRADE_COLUMNS)


def parse_trades(block: bytes, layout: Layout) -> ArchivedTrades:
    """Whole CSV lines, without the header, as trades."""
    raw = _read(block, layout, TRADE_COLUMNS)
    rows = raw.select(
        trade_id=_count("agg_trade_id"),
        price=_matching("price", _PRICE),
        qty=_matching("quantity", _PRICE),
        first_id=_count("first_trade_id"),
        last_id=_count("last_trade_id"),
        time_ms=_time("transact_time"),
        buyer_is_maker=_flag("is_buyer_maker"),
    )
    good = rows.drop_nulls().filter(pl.col("first_id") <= pl.col("last_id"), pl.col("time_ms") < _LATEST_MS)
    malformed = raw.height - good.height
    zero = good["qty"].str.strip_chars("0.") == ""
    zero_ids = tuple(good.filter(zero)["trade_id"].unique().sort().to_list())
    good = good.filter(~zero)
    once = _once(good, "trade_id")
    return ArchivedTrades(once, zero_ids, good.height - once.height, malformed)


def parse_klines(text: bytes) -> ArchivedKlines:
    """The CSV of a file of candlesticks.

    Raises:
        MalformedMessage: when the first line has too few columns.
    """
    first_line, _, rest = text.partition(b"\n")
    layout = _layout(first_line, KLINE_COLUMNS[:-1])
    raw = _read(rest if layout.header else text, layout, KLINE_COLUMNS[:-1])
    rows = raw.select(
        _time("open_time").alias("open_time_ms"),
        *(_matching(name, _PRICE).alias(name) for name in ("open", "high", "low", "close")),
        *(_matching(name, _AMOUNT).alias(name) for name in ("volume", "quote_volume", "taker_buy_volume")),
        _count("count").alias("trades"),
    )
    good = rows.drop_nulls().filter(pl.col("open_time_ms") < _LATEST_MS)
    once = _once(good, "open_time_ms")
    return ArchivedKlines(once, good.height - once.height, raw.height - good.height)


def _layout(first_line: bytes, columns: tuple[str, ...]) -> Layout:
    fields = [field.strip().strip('"').lower() for field in first_line.decode("utf-8", "replace").removeprefix("\ufeff").split(",")]
    if len(fields) < len(columns):
        msg = f"the first line has {len(fields)} columns, expected {len(columns)} ({', '.join(columns)}): {first_line[:80]!r}"
        raise MalformedMessage(msg)
    by_place = tuple(range(len(columns)))
    if fields[0].isdigit():
        return Layout(by_place, len(fields), header=False)
    known = all(name in fields for name in columns)
    return Layout(tuple(fields.index(name) for name in columns) if known else by_place, len(fields), header=True)


def _read(block: bytes, layout: Layout, columns: tuple[str, ...]) -> pl.DataFrame:
    names = [f"column_{place}" for place in range(layout.width)]
    for place, name in zip(layout.places, columns, strict=True):
        names[place] = name
    if not block.strip():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    frame = pl.read_csv(
        block,
        has_header=False,
        schema=dict.fromkeys(names, pl.String),
        truncate_ragged_lines=True,
        encoding="utf8" if block.isascii() else "utf8-lossy",
        quote_char=None,
        ignore_errors=True,
    )
    if any(mark in block for mark in _TRIMMED):
        return frame.select(pl.col(name).str.strip_chars(' "\r') for name in columns)
    return frame.select(columns)


def _once(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """The first row of each key, in order of the key."""
    steps = rows[key].diff().min()
    if steps is None or steps > 0:  # type: ignore[operator]  # a column of numbers
        return rows
    return rows.unique(key, keep="first", maintain_order=True).sort(key)


def _count(name: str) -> pl.Expr:
    """A whole number that is not negative, else null."""
    number = pl.col(name).cast(pl.Int64, strict=False)
    return pl.when(number >= 0, ~pl.col(name).str.starts_with("+")).then(number)


def _matching(name: str, pattern: str) -> pl.Expr:
    return pl.when(pl.col(name).str.contains(pattern)).then(pl.col(name))


def _time(name: str) -> pl.Expr:
    """Milliseconds since the epoch, whatever the file counts in."""
    number = _count(name)
    return pl.when(number >= _MICROSECONDS_FROM).then(number // 1_000).otherwise(number)


def _flag(name: str) -> pl.Expr:
    text = pl.col(name).str.to_lowercase()
    yes, no = text.is_in(_TRUE), text.is_in(_FALSE)
    return pl.when(yes).then(pl.lit(value=True)).when(no).then(pl.lit(value=False))

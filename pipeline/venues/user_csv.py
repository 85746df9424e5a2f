"""A user's own CSV, as bars or as trades: which column is what, and rows of text into exact, typed columns.

What a file may look like is told by its first line: a header with usual names in any case, or one of Binance's own layouts,
which often come without one. Every value is judged; the first that cannot be used is named with its line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType

import polars as pl

from pipeline.errors import UploadError
from pipeline.model.event import TradeKind

_PRICE_DIGITS = 10
_AMOUNT_DIGITS = 20
_SCALE = 8
_FINE_SCALE = 16
_EXACT = Context(prec=_AMOUNT_DIGITS + _FINE_SCALE + 4)
_EPOCH_LIMITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))  # below: seconds, milliseconds, microseconds; above: nanoseconds
_TIME = (
    r"^(\d{4})[-/.](\d{2})[-/.](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*(Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?$"
)
_EPOCH = r"^\d{1,19}(?:\.\d+)?$"
_TRUE = ("true", "t", "1", "yes")
_FALSE = ("false", "f", "0", "no")
_BUYS = ("buy", "b", "bid", "long")
_SELLS = ("sell", "s", "ask", "short")
_EXPECTED_TIME = "expected ISO time such as 2024-08-08T12:00:00Z (UTC without a zone), or seconds, ms, us or ns since 1970"
_EXPECTED_COLUMNS = (
    "expected a header with a time, open, high, low, close (and volume, quote_volume, trades, taker_buy_volume where there are), "
    "or with a time, price and qty (and side or is_buyer_maker, and trade_id), or Binance's own layout"
)


class Form(StrEnum):
    """What the rows of a file are."""

    BARS = "bars"
    TICKS = "ticks"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read.

    Attributes:
        form: bars or trades.
        separator: between the fields.
        fields: how many there are in a row.
        columns: our name of a column -> its position.
        header: whether the first line is one.
        exchange: whether this is the layout of Binance's own files, whose ids and volumes are the exchange's.
        kind: which trade ids an exchange's file has; None otherwise.
    """

    form: Form
    separator: str
    fields: int
    columns: Mapping[str, int]
    header: bool
    exchange: bool = False
    kind: TradeKind | None = None


_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "volume": ("volume", "vol", "base_volume"),
        "quote_volume": ("quote_volume", "quote_asset_volume"),
        "trades": ("trades", "count", "number_of_trades", "num_trades", "trade_count"),
        "taker_buy_volume": ("taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume"),
        "complete": ("complete", "closed"),
        "symbol": ("symbol",),
        "timeframe": ("timeframe",),
    }
)
_BAR_TIMES = ("open_time", "ts", "timestamp", "datetime", "date", "time")
_TICK_TIMES = ("transact_time", "event_time", "timestamp", "datetime", "time", "date", "ts")
_TICK_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "price": ("price",),
        "qty": ("qty", "size", "amount", "quantity", "volume"),
        "side": ("side",),
        "maker": ("is_buyer_maker", "buyer_is_maker", "isbuyermaker"),
        "trade_id": ("agg_trade_id", "trade_id", "id"),
        "first_id": ("first_trade_id", "first_id"),
        "last_id": ("last_trade_id", "last_id"),
        "symbol": ("symbol",),
    }
)
_KLINE = ("time", "open", "high", "low", "close", "volume", "", "quote_volume", "trades", "taker_buy_volume", "", "")
_AGGREGATE = ("trade_id", "price", "qty", "first_id", "last_id", "time", "maker", "")
_RAW = ("trade_id", "price", "qty", "", "time", "maker", "")
_EXCHANGE_HEADERS: Mapping[str, TradeKind | None] = MappingProxyType(
    {
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore": None,
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker": TradeKind.AGGREGATE,
        "id,price,qty,quote_qty,time,is_buyer_maker": TradeKind.RAW,
    }
)


def read_layout(first_line: str, name: str) -> Layout:
    """What a file's first line says about the rest.

    Args:
        first_line: without its line end.
        name: of the file, for messages.

    Raises:
        UploadError: when the columns are not recognised.
    """
    line = first_line.removeprefix("\ufeff").strip()
    separator = max(",;\t|", key=line.count)
    raw = next(csv.reader([line], delimiter=separator), [])
    words = tuple(re.sub(r"[\s-]+", "_", word.strip().lower()) for word in raw)
    if words and all(not re.match(r"[+-]?\.?\d", word) for word in words):
        return _named(words, separator, name)
    for columns, form, kind, matches in _BARE:
        if matches(words):
            positions = {column: at for at, column in enumerate(columns[: len(words)]) if column}
            return Layout(form, separator, len(words), MappingProxyType(positions), header=False, exchange=True, kind=kind)
    msg = f"{name}:1: columns are not recognised in {line[:80]!r}; {_EXPECTED_COLUMNS}"
    raise UploadError(msg)


def _is_number(word: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", word) is not None


def _bare(columns: Sequence[str], lengths: Sequence[int]) -> Callable[[tuple[str, ...]], bool]:
    maker = columns.index("maker") if "maker" in columns else None

    def matches(words: tuple[str, ...]) -> bool:
        if len(words) not in lengths:
            return False
        truth = (words[maker] in ("true", "false")) if maker is not None else True
        return truth and all(_is_number(word) for word, column in zip(words, columns, strict=False) if column and column != "maker")

    return matches


_BARE = (
    (_KLINE, Form.BARS, None, _bare(_KLINE, (12,))),
    (_AGGREGATE, Form.TICKS, TradeKind.AGGREGATE, _bare(_AGGREGATE, (7, 8))),
    (_RAW, Form.TICKS, TradeKind.RAW, _bare(_RAW, (6, 7))),
)


def _named(words: tuple[str, ...], separator: str, name: str) -> Layout:
    def find(wanted: Mapping[str, tuple[str, ...]], times: tuple[str, ...]) -> dict[str, int]:
        found = {}
        for column, names in {"time": times, **wanted}.items():
            at = next((words.index(alias) for alias in names if alias in words), None)
            if at is not None:
                found[column] = at
        return found

    heading = ",".join(words)
    exchange, kind = heading in _EXCHANGE_HEADERS, _EXCHANGE_HEADERS.get(heading)
    bars = find(_NAMES, _BAR_TIMES)
    if {"time", "open", "high", "low", "close"} <= bars.keys():
        return Layout(Form.BARS, separator, len(words), MappingProxyType(bars), header=True, exchange=exchange)
    ticks = find(_TICK_NAMES, _TICK_TIMES)
    if {"time", "price", "qty"} <= ticks.keys():
        return Layout(Form.TICKS, separator, len(words), MappingProxyType(ticks), header=True, exchange=exchange, kind=kind)
    msg = f"{name}:1: columns {', '.join(words)[:120]!r} are neither bars nor trades; {_EXPECTED_COLUMNS}"
    raise UploadError(msg)


# ------------------------------------------------------------------------------------------------ rows


def parse_rows(block: bytes, layout: Layout, *, first_line: int, name: str, now_us: int) -> pl.DataFrame:
    """Whole lines of a file, without its header, as typed columns.

    Args:
        block: the lines.
        layout: of the file.
        first_line: number of the block's first line in the file.
        name: of the file, for messages.
        now_us: nothing may be later, microseconds since the epoch.

    Returns:
        For bars: line, time_us, open, high, low, close (DECIMAL of scale 8), volume, taker_buy_volume, quote_volume (scale 16),
        trades, complete. For trades: line, time_us, price, qty, buyer_is_maker, trade_id, first_id, last_id. And symbol and timeframe.
        NULL where the file has no such column or the field is empty.

    Raises:
        UploadError: at the first row that cannot be used, with its line.
    """
    frame, lines = _fields(block, layout, first_line, name)
    reader = _Rows(frame, lines, layout, name)
    columns = {"line": pl.Series("line", lines, dtype=pl.Int64), "time_us": reader.times("time")}
    reader.refuse("time", columns["time_us"] > now_us, "lies in the future", "expected times that have passed; check the unit and the zone")
    if layout.form is Form.BARS:
        columns |= {side: reader.decimals(side, digits=_PRICE_DIGITS, required=True) for side in ("open", "high", "low", "close")}
        columns |= {part: reader.decimals(part, digits=_AMOUNT_DIGITS) for part in ("volume", "taker_buy_volume")}
        columns["quote_volume"] = reader.decimals("quote_volume", digits=_AMOUNT_DIGITS, scale=_FINE_SCALE)
        columns |= {"trades": reader.integers("trades"), "complete": reader.truths("complete")}
        high, low = columns["high"], columns["low"]
        reader.refuse("low", columns["low"] <= 0, "is not above 0", "expected prices above 0")
        reader.refuse("high", high < low, "is below the low", "expected high >= low")
        for side in ("open", "close"):
            outside = (columns[side] > high) | (columns[side] < low)
            reader.refuse(side, outside, "is not between low and high", "expected low <= open, close <= high")
        columns["timeframe"] = reader.texts("timeframe")
    else:
        columns["price"] = reader.decimals("price", digits=_PRICE_DIGITS, required=True)
        columns["qty"] = reader.decimals("qty", digits=_PRICE_DIGITS, required=True)
        reader.refuse("price", columns["price"] <= 0, "is not above 0", "expected prices above 0")
        columns["buyer_is_maker"] = reader.truths("maker") if "maker" in layout.columns else reader.sides("side")
        columns |= {part: reader.integers(part, required=part in layout.columns) for part in ("trade_id", "first_id", "last_id")}
        backwards = columns["first_id"] > columns["last_id"]
        reader.refuse("first_id", backwards, "is above the last id", "expected first id <= last id")
    columns["symbol"] = reader.texts("symbol")
    return pl.DataFrame([series.alias(column) for column, series in columns.items()])


def _fields(block: bytes, layout: Layout, first_line: int, name: str) -> tuple[pl.DataFrame, list[int]]:
    """Every field as text, and the line number of each row; lines that are blank are passed over."""
    texts = block.split(b"\n")
    lines = [number for number, text in enumerate(texts, first_line) if text.strip()]
    if len(lines) != len(texts):
        block = b"\n".join(text for text in texts if text.strip())
    names = [f"f{at}" for at in range(layout.fields)]
    if not lines:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String)), lines
    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            new_columns=names,
            schema=dict.fromkeys(names, pl.String),
            separator=layout.separator,
        )
    except (pl.exceptions.PolarsError, ValueError, OSError):
        frame = None  # OSError: the reader takes a block that begins like a compressed file for one
    # A line that is too short is filled up with NULL by the reader: counted instead.
    if frame is None or frame.height != len(lines) or block.count(layout.separator.encode()) != len(lines) * (layout.fields - 1):
        _refuse_ragged([text for text in texts if text.strip()], lines, layout, name)
    if frame is None or frame.height != len(lines):
        msg = f"{name}:{first_line}: the lines cannot be read as {layout.fields} fields of UTF-8 text; write the file as plain CSV"
        raise UploadError(msg)
    return frame, lines


def _refuse_ragged(texts: list[bytes], lines: list[int], layout: Layout, name: str) -> None:
    for number, text in zip(lines, texts, strict=True):
        try:
            found = len(next(csv.reader([text.decode()], delimiter=layout.separator)))
        except (UnicodeDecodeError, csv.Error) as error:
            msg = f"{name}:{number}: the line is not UTF-8 text in fields ({error}); expected {layout.fields} fields"
            raise UploadError(msg) from error
        if found != layout.fields:
            msg = f"{name}:{number}: {found} fields; expected {layout.fields}, as in the first line"
            raise UploadError(msg)


class _Rows:
    """The columns of a block, each judged as what it has to be."""

    def __init__(self, frame: pl.DataFrame, lines: list[int], layout: Layout, name: str) -> None:
        self._frame = frame
        self._lines = lines
        self._layout = layout
        self._name = name

    def texts(self, column: str) -> pl.Series:
        """Text without blanks around it; NULL where it is empty or there is no such column."""
        at = self._layout.columns.get(column)
        if at is None:
            return pl.Series(column, [None] * len(self._lines), dtype=pl.String)
        stripped = self._frame.to_series(at).str.strip_chars()
        return stripped.to_frame("v").select(pl.when(pl.col("v") != "").then("v").alias(column)).to_series()

    def refuse(self, column: str, bad: pl.Series, what: str, expected: str) -> None:
        """Raise at the first row that is bad (NULL is not)."""
        first = bad.fill_null(value=False).arg_true()
        if len(first):
            at = int(first[0])
            shown = self.texts(column)[at] if column in self._layout.columns else None
            msg = f"{self._name}:{self._lines[at]}: {self._said(column)} {shown or 'empty'!r} {what}; {expected}"
            raise UploadError(msg)

    def decimals(self, column: str, *, digits: int, scale: int = _SCALE, required: bool = False) -> pl.Series:
        """Amounts of at most ``digits`` before and ``scale`` after the point, exactly."""
        texts = self.texts(column)
        if required:
            self.refuse(column, texts.is_null(), "is missing", "expected a number")
        plain = texts.str.contains(rf"^[0-9]{{1,{digits}}}(?:\.[0-9]{{1,{scale}}}0*)?$")
        odd = texts.filter(~plain & texts.is_not_null()).unique().to_list()
        if odd:
            read = {text: _number(text, digits, scale) for text in odd}
            wrong = {text: said for text, (value, said) in read.items() if value is None}
            for said in dict.fromkeys(wrong.values()):
                self.refuse(column, texts.is_in([text for text in odd if wrong.get(text) == said]), *said)
            texts = texts.replace({text: value for text, (value, _) in read.items()})
        cut = texts.str.replace(rf"(\.[0-9]{{{scale}}})0+$", "$1")
        return cut.cast(pl.Decimal(38, scale)).alias(column)

    def integers(self, column: str, *, required: bool = False) -> pl.Series:
        """Whole numbers from 0."""
        texts = self.texts(column)
        if required:
            self.refuse(column, texts.is_null(), "is missing", "expected a whole number")
        whole = texts.str.contains(r"^[0-9]{1,18}(?:\.0+)?$")
        self.refuse(column, ~whole & texts.is_not_null(), "is not a whole number", "expected digits only")
        return texts.str.replace(r"\.0+$", "").cast(pl.Int64).alias(column)

    def truths(self, column: str) -> pl.Series:
        """True or false."""
        return self._words(column, _TRUE, _FALSE, "expected true or false")

    def sides(self, column: str) -> pl.Series:
        """Whether the buyer was the maker, from the taker's side."""
        return self._words(column, _SELLS, _BUYS, "expected the taker's side, buy or sell")

    def _words(self, column: str, yes: tuple[str, ...], no: tuple[str, ...], expected: str) -> pl.Series:
        texts = self.texts(column).str.to_lowercase()
        true, false = texts.is_in(list(yes)), texts.is_in(list(no))
        self.refuse(column, ~(true | false) & texts.is_not_null(), "is not understood", expected)
        return true.alias(column)

    def times(self, column: str) -> pl.Series:
        """Microseconds since the epoch; what is finer is cut."""
        texts = self.texts(column)
        self.refuse(column, texts.is_null(), "is missing", _EXPECTED_TIME)
        epoch = texts.str.contains(_EPOCH)
        values = pl.DataFrame({"t": texts, "epoch": epoch}).select(
            pl.when("epoch").then(_epoch_us(pl.col("t"))).otherwise(_iso_us(pl.col("t"))).alias(column)
        )
        found = values.to_series()
        self.refuse(column, found.is_null(), "is not a time", _EXPECTED_TIME)
        return found

    def _said(self, column: str) -> str:
        return {"maker": "is_buyer_maker"}.get(column, column)


def _epoch_us(text: pl.Expr) -> pl.Expr:
    whole = text.str.extract(r"^(\d+)").cast(pl.Int64, strict=False)
    fraction = (text.str.extract(r"\.(\d{1,6})").fill_null("0") + "000000").str.slice(0, 6).cast(pl.Int64, strict=False)
    seconds, milliseconds, microseconds = _EPOCH_LIMITS
    return (
        pl.when(whole < seconds[0])
        .then(whole * seconds[1] + fraction)
        .when(whole < milliseconds[0])
        .then(whole * milliseconds[1] + fraction // 1_000)
        .when(whole < microseconds[0])
        .then(whole)
        .otherwise(whole // 1_000)
    )


def _iso_us(text: pl.Expr) -> pl.Expr:
    def part(group: int, missing: str) -> pl.Expr:
        return text.str.extract(_TIME, group).fill_null(missing)

    plain = part(1, "") + "-" + part(2, "") + "-" + part(3, "") + " " + part(4, "00") + ":" + part(5, "00") + ":" + part(6, "00")
    local = plain.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us").cast(pl.Int64)
    fraction = (part(7, "0") + "000000").str.slice(0, 6).cast(pl.Int64, strict=False)
    zone = part(8, "").str.replace(r"^(?:Z|z|UTC|GMT)$", "").str.replace(":", "")
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    hours = zone.str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = zone.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0)
    return local + fraction - sign * (hours * 60 + minutes) * 60_000_000


def _number(text: str, digits: int, scale: int) -> tuple[str | None, tuple[str, str]]:
    """Plain text of a number in another notation (1e-05, .5, +3), or None and what is wrong, and what was expected."""
    plain = ("", "")
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None, ("is not a number", "expected plain digits with a point, no thousands separators")
    if not value.is_finite():
        return None, ("is not finite", "expected a number in every row; leave rows without one out")
    if value < 0:
        return None, ("is negative", "expected numbers of 0 and more")
    if value >= 10**digits:
        return None, (f"has more than {digits} digits before the point", "expected smaller numbers; check the unit")
    exact = value.quantize(Decimal(1).scaleb(-scale), context=_EXACT) if value.adjusted() > -(scale + 20) else Decimal(0)
    if exact != value:
        return None, (f"has more than {scale} decimals", f"round it before, such as with `frame.round({scale})` in pandas or polars")
    return f"{exact:f}", plain

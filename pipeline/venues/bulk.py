"""Blocks of journal lines with Binance messages into columns, several times faster than line by line.

Lines go through the same structures as `pipeline.venues.binance_decode.decode`, and the values of a
column are judged together. A line that is out of the ordinary in any way is a *stray*: it is decoded
by ``decode`` itself, so that the outcome of every line is the one that ``decode`` gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np

from pipeline.errors import MalformedMessage
from pipeline.model.event import Quote, Trade, Unused
from pipeline.venues.batch import Batch, Tally, split_block, split_line
from pipeline.venues.binance_decode import UNDECODABLE, decode
from pipeline.venues.binance_wire import USD_MARGINED, AggTrade, BookTicker, DepthUpdate, RawTrade, decode_bare, decode_wrapped
from pipeline.venues.columns import Int64s, QuoteColumns, Symbols, TradeColumns, bools, int64s
from pipeline.venues.plain import all_prices, all_symbols

_HEAD: Final = 19  # digits of a receive time in nanoseconds, from the year 2001 to 2286
_BODY: Final = _HEAD + 1
_KEY: Final = _BODY + 2  # where the first key's first letter stands in `{"e":...` and `{"stream":...`
_E: Final = ord("e")
_POWERS: Final = 10 ** np.arange(_HEAD - 1, -1, -1, dtype=np.uint64)
_CHUNK: Final = 4096  # lines whose structures stay in the processor's cache until they are columns
_STRAY: Final = (*UNDECODABLE, IndexError)

W = TypeVar("W", AggTrade, RawTrade, BookTicker)


@dataclass(slots=True)
class _Rows(Generic[W]):
    """Structures of one type, and the lines that they stand on."""

    wires: list[W] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def judged(self, strays: list[int], *, sound: bool) -> _Rows[W]:
        """The rows whose values are in bounds; the lines of the others are added to ``strays``."""
        if sound:
            return self
        good: _Rows[W] = _Rows()
        for wire, line in zip(self.wires, self.lines, strict=True):
            try:
                usable = not isinstance(wire.event(0), Unused)
            except MalformedMessage:
                usable = False
            if usable:
                good.wires.append(wire)
                good.lines.append(line)
            else:
                strays.append(line)
        return good


def decode_batch(block: bytes) -> Batch:
    r"""Decode whole journal lines into columns.

    Args:
        block: any number of lines ``<recv_ns> <json>\n``; a last line without a line end counts as a line.

    Returns:
        Every line accounted for once, exactly as ``decode`` judges it. Nothing is raised for a line
        that does not decode: it is counted, and the first few are kept as samples.
    """
    lines = split_block(block)
    recv_ns = _receive_times(block, lines)
    ordinary = _ordinary(block, lines, recv_ns)
    tally = Tally()
    trades: list[TradeColumns] = []
    quotes: list[QuoteColumns] = []
    strays: list[int] = []
    for start in range(0, max(len(lines), 1), _CHUNK):
        aggregates: _Rows[AggTrade] = _Rows()
        raws: _Rows[RawTrade] = _Rows()
        tickers: _Rows[BookTicker] = _Rows()
        _sort_out(ordinary[start : start + _CHUNK], start, (aggregates, raws, tickers), strays, tally)
        trades.append(_aggregate_columns(aggregates.judged(strays, sound=_sound_aggregates(aggregates.wires)), recv_ns))
        trades.append(_raw_columns(raws.judged(strays, sound=_sound_raws(raws.wires)), recv_ns))
        quotes.append(_quote_columns(tickers.judged(strays, sound=_sound_quotes(tickers.wires)), recv_ns))
    if strays:
        stray_trades, stray_quotes = _one_by_one(lines, sorted(strays), recv_ns, tally)
        trades.append(stray_trades)
        quotes.append(stray_quotes)
    timed = recv_ns[recv_ns >= 0]
    last = int(timed[-1]) if len(timed) else None
    return tally.batch(len(lines), last, TradeColumns.merge(trades), QuoteColumns.merge(quotes))


def _receive_times(block: bytes, lines: list[bytes]) -> Int64s:
    """The receive time of every line that begins with exactly 19 digits and a blank, -1 for the others."""
    times = np.full(len(lines), -1, np.int64)
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    starts = np.cumsum(lengths + 1) - lengths - 1
    long_enough = np.flatnonzero(lengths > _BODY)
    heads = np.frombuffer(block, np.uint8)[starts[long_enough, None] + np.arange(_BODY)]
    digits = heads[:, :_HEAD] - ord("0")  # wraps around for what stands before the digits
    values = digits.astype(np.uint64) @ _POWERS
    regular = (digits <= 9).all(axis=1) & (heads[:, _HEAD] == ord(" ")) & (values < 2**63)
    times[long_enough[regular]] = values[regular].astype(np.int64)
    return times


def _ordinary(block: bytes, lines: list[bytes], recv_ns: Int64s) -> list[bytes]:
    """The lines, with an empty one in place of each that only `_one_by_one` may judge."""
    if (recv_ns >= 0).all() and block.isascii():
        return lines
    # The structures' decoders do not look at the encoding of what they skip.
    return [line if timed and line.isascii() else b"" for line, timed in zip(lines, (recv_ns >= 0).tolist(), strict=True)]


def _sort_out(
    lines: list[bytes],
    start: int,
    rows: tuple[_Rows[AggTrade], _Rows[RawTrade], _Rows[BookTicker]],
    strays: list[int],
    tally: Tally,
) -> None:
    """Put each line's structure where it belongs, and the lines that have none of these structures among the strays.

    ``start`` is the index of the first of these lines in the block.
    """
    aggregates, raws, quotes = rows
    depth_updates = 0
    for at, line in enumerate(lines, start):
        try:
            wire = decode_bare(line[_BODY:]) if line[_KEY] == _E else decode_wrapped(line[_BODY:]).data
        except _STRAY:
            strays.append(at)
            continue
        # By exact type, the most frequent first: this is the hot loop of landing.
        kind = type(wire)
        if kind is AggTrade:
            aggregates.wires.append(wire)  # type: ignore[arg-type]
            aggregates.lines.append(at)
        elif kind is BookTicker:
            quotes.wires.append(wire)  # type: ignore[arg-type]
            quotes.lines.append(at)
        elif kind is RawTrade:
            raws.wires.append(wire)  # type: ignore[arg-type]
            raws.lines.append(at)
        elif kind is DepthUpdate:
            depth_updates += 1
        else:
            strays.append(at)
    if depth_updates:
        tally.unused["depthUpdate"] += depth_updates


def _one_by_one(lines: list[bytes], strays: list[int], recv_ns: Int64s, tally: Tally) -> tuple[TradeColumns, QuoteColumns]:
    """Decode the strays, note their receive times in ``recv_ns``, and return the trades and quotes among them."""
    trades: list[Trade] = []
    trade_lines: list[int] = []
    quotes: list[Quote] = []
    quote_lines: list[int] = []
    for at in strays:
        line = lines[at]
        try:
            received, body = split_line(line)
            recv_ns[at] = received
            event = decode(body, received)
        except MalformedMessage as error:
            tally.refuse(at, line, error)
            continue
        if isinstance(event, Trade):
            trades.append(event)
            trade_lines.append(at)
        elif isinstance(event, Quote):
            quotes.append(event)
            quote_lines.append(at)
        else:
            tally.add(at, received, event, line)
    return TradeColumns.of(trades, trade_lines), QuoteColumns.of(quotes, quote_lines)


def _sound_aggregates(wires: list[AggTrade]) -> bool:
    return (
        all_prices({wire.price for wire in wires} | {wire.qty for wire in wires})
        and all_symbols({wire.symbol for wire in wires})
        and {wire.st for wire in wires} <= {USD_MARGINED}
        and all(wire.first_id <= wire.last_id for wire in wires)
    )


def _sound_raws(wires: list[RawTrade]) -> bool:
    return (
        all_prices({wire.price for wire in wires} | {wire.qty for wire in wires})
        and all_symbols({wire.symbol for wire in wires})
        and {wire.st for wire in wires} <= {USD_MARGINED}
    )


def _sound_quotes(wires: list[BookTicker]) -> bool:
    texts = (
        {wire.bid for wire in wires} | {wire.bid_qty for wire in wires} | {wire.ask for wire in wires} | {wire.ask_qty for wire in wires}
    )
    return all_prices(texts) and all_symbols({wire.symbol for wire in wires}) and {wire.st for wire in wires} <= {USD_MARGINED}


def _aggregate_columns(rows: _Rows[AggTrade], recv_ns: Int64s) -> TradeColumns:
    wires = rows.wires
    line = np.array(rows.lines, np.int64)
    return TradeColumns(
        symbols=Symbols.of([wire.symbol for wire in wires]),
        trade_id=int64s(wires, "trade_id"),
        price=[wire.price for wire in wires],
        qty=[wire.qty for wire in wires],
        event_time_ms=int64s(wires, "event_time_ms"),
        recv_ns=recv_ns[line],
        buyer_is_maker=bools(wires, "buyer_is_maker"),
        first_id=int64s(wires, "first_id"),
        last_id=int64s(wires, "last_id"),
        market=np.ones(len(wires), np.bool_),
        aggregate=np.ones(len(wires), np.bool_),
        line=line,
    )


def _raw_columns(rows: _Rows[RawTrade], recv_ns: Int64s) -> TradeColumns:
    wires = rows.wires
    line = np.array(rows.lines, np.int64)
    trade_id = int64s(wires, "trade_id")
    return TradeColumns(
        symbols=Symbols.of([wire.symbol for wire in wires]),
        trade_id=trade_id,
        price=[wire.price for wire in wires],
        qty=[wire.qty for wire in wires],
        event_time_ms=int64s(wires, "event_time_ms"),
        recv_ns=recv_ns[line],
        buyer_is_maker=bools(wires, "buyer_is_maker"),
        first_id=trade_id,
        last_id=trade_id,
        market=np.array([wire.origin == "MARKET" for wire in wires], np.bool_),
        aggregate=np.zeros(len(wires), np.bool_),
        line=line,
    )


def _quote_columns(rows: _Rows[BookTicker], recv_ns: Int64s) -> QuoteColumns:
    wires = rows.wires
    line = np.array(rows.lines, np.int64)
    return QuoteColumns(
        symbols=Symbols.of([wire.symbol for wire in wires]),
        update_id=int64s(wires, "update_id"),
        bid=[wire.bid for wire in wires],
        bid_qty=[wire.bid_qty for wire in wires],
        ask=[wire.ask for wire in wires],
        ask_qty=[wire.ask_qty for wire in wires],
        event_time_ms=int64s(wires, "event_time_ms"),
        recv_ns=recv_ns[line],
        line=line,
    )

"""Blocks of journal lines with Binance messages into columns, many times faster than line by line.

`pipeline.venues.binance_scan` reads the ordinary lines. Every other line is a *stray*: it is decoded by
`pipeline.venues.binance_decode.decode` itself, so that the outcome of every line is the one that ``decode`` gives.
"""

from __future__ import annotations

import numpy as np

from pipeline.venues.batch import Batch, Tally, decode_each
from pipeline.venues.binance_decode import decode
from pipeline.venues.columns import Int64s, QuoteColumns, Symbols, TradeColumns


def decode_batch(block: bytes) -> Batch:
    r"""Decode whole journal lines into columns.

    The first call in a process loads the compiled scanner, or compiles it when nobody has yet on this machine.

    Args:
        block: any number of lines ``<recv_ns> <json>\n``; a last line without a line end counts as a line.

    Returns:
        Every line accounted for once, exactly as ``decode`` judges it. Nothing is raised for a line
        that does not decode: it is counted, and the first few are kept as samples.
    """
    from pipeline.venues.binance_scan import scan  # noqa: PLC0415 - numba

    if block and not block.endswith(b"\n"):
        block += b"\n"
    found = scan(block)
    tally = Tally()
    if found.depth_updates:
        tally.unused["depthUpdate"] += found.depth_updates
    trades, quotes, last = _trade_columns(found.symbols, found.trades), _quote_columns(found.symbols, found.quotes), found.last
    if found.strays.size:
        strays = ((at, block[first:end]) for at, first, end in found.strays.T.tolist())
        odd_trades, odd_quotes, odd_last = decode_each(strays, decode, tally)
        trades, quotes = TradeColumns.merge([trades, odd_trades]), QuoteColumns.merge([quotes, odd_quotes])
        last = max(last, odd_last or last)
    line, recv_ns = last
    return tally.batch(found.lines, None if line < 0 else recv_ns, trades, quotes)


def _trade_columns(names: tuple[str, ...], rows: Int64s) -> TradeColumns:
    symbol, trade_id, price, qty, event_time_ms, maker, first_id, last_id, market, aggregate, recv_ns, line = rows
    return TradeColumns(
        symbols=Symbols(names, symbol.astype(np.int32)),
        trade_id=trade_id,
        price=price,
        qty=qty,
        event_time_ms=event_time_ms,
        recv_ns=recv_ns,
        buyer_is_maker=maker.astype(np.bool_),
        first_id=first_id,
        last_id=last_id,
        market=market.astype(np.bool_),
        aggregate=aggregate.astype(np.bool_),
        line=line,
    )


def _quote_columns(names: tuple[str, ...], rows: Int64s) -> QuoteColumns:
    symbol, update_id, bid, bid_qty, ask, ask_qty, event_time_ms, recv_ns, line = rows
    return QuoteColumns(Symbols(names, symbol.astype(np.int32)), update_id, bid, bid_qty, ask, ask_qty, event_time_ms, recv_ns, line)

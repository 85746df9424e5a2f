"""Messages and rows exactly as the venue writes them: key order, number formats, no spaces.

Key sets follow recorded frames; ``nq``, ``st`` (1 = USD-M) and ``ps`` are what the venue has added since.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from pipeline.simulator.candles import Candles
from pipeline.simulator.quotes import Quotes
from pipeline.simulator.trades import Trades
from pipeline.simulator.universe import Instrument

REPLAY_END = '{"stream":"!replay","data":{"e":"replayEnd"}}'
"""Sent once on every connection when a replay has sent its last frame."""


def decimal_text(units: int, decimals: int) -> str:
    """An integer number of the last decimal, written out: ``decimal_text(6180020, 2) == "61800.20"``. Not negative."""
    if not decimals:
        return str(units)
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def wrapped(stream: str, data: str) -> str:
    """The combined form of a message."""
    return f'{{"stream":"{stream}","data":{data}}}'


def agg_trade_frames(instrument: Instrument, trades: Trades) -> list[str]:
    """``aggTrade`` messages, without the combined wrapper."""
    symbol, price_decimals, qty_decimals = instrument.symbol, instrument.price_decimals, instrument.qty_decimals
    frames = []
    for trade_id, time, event, price, qty, first, last, maker in _trade_rows(trades):
        amount = decimal_text(qty, qty_decimals)
        frames.append(
            f'{{"e":"aggTrade","E":{event},"a":{trade_id},"s":"{symbol}","p":"{decimal_text(price, price_decimals)}","q":"{amount}",'
            f'"nq":"{amount}","f":{first},"l":{last},"T":{time},"m":{flag(maker)},"st":1}}'
        )
    return frames


def agg_trade_rows(instrument: Instrument, trades: Trades) -> str:
    """Body of ``GET /fapi/v1/aggTrades``."""
    rows = []
    for trade_id, time, _, price, qty, first, last, maker in _trade_rows(trades):
        amount = decimal_text(qty, instrument.qty_decimals)
        rows.append(
            f'{{"a":{trade_id},"p":"{decimal_text(price, instrument.price_decimals)}","q":"{amount}","nq":"{amount}",'
            f'"f":{first},"l":{last},"T":{time},"m":{flag(maker)}}}'
        )
    return f"[{','.join(rows)}]"


def ledger_lines(instrument: Instrument, trades: Trades) -> str:
    """One JSON line for each aggregate trade, as the ledger of a simulator keeps them."""
    symbol, price_decimals, qty_decimals = instrument.symbol, instrument.price_decimals, instrument.qty_decimals
    return "".join(
        f'{{"s":"{symbol}","a":{trade_id},"p":"{decimal_text(price, price_decimals)}","q":"{decimal_text(qty, qty_decimals)}",'
        f'"f":{first},"l":{last},"T":{time},"m":{flag(maker)}}}\n'
        for trade_id, time, _, price, qty, first, last, maker in _trade_rows(trades)
    )


def agg_trade_csv(instrument: Instrument, trades: Trades) -> str:
    """Rows of a file of the data archive: the same trades as ``agg_trade_rows``."""
    price_decimals, qty_decimals = instrument.price_decimals, instrument.qty_decimals
    return "".join(
        f"{trade_id},{decimal_text(price, price_decimals)},{decimal_text(qty, qty_decimals)},{first},{last},{time},{flag(maker)}\n"
        for trade_id, time, _, price, qty, first, last, maker in _trade_rows(trades)
    )


def raw_trade_frames(instrument: Instrument, trades: Trades) -> list[list[str]]:
    """``trade`` messages behind each aggregate trade, see `fills`."""
    frames: list[list[str]] = []
    for fill in fills(trades):
        if fill.first:
            frames.append([])
        frames[-1].append(
            f'{{"e":"trade","E":{fill.event_ms},"T":{fill.time_ms},"s":"{instrument.symbol}","t":{fill.trade_id},'
            f'"p":"{decimal_text(fill.price, instrument.price_decimals)}","q":"{decimal_text(fill.qty, instrument.qty_decimals)}",'
            f'"X":"MARKET","m":{flag(fill.maker)}}}'
        )
    return frames


@dataclass(frozen=True, slots=True)
class Fill:
    """One raw trade behind an aggregate trade; ``first`` of its fills or a further one."""

    trade_id: int
    price: int
    qty: int
    time_ms: int
    event_ms: int
    maker: bool
    first: bool


def fills(trades: Trades) -> Iterator[Fill]:
    """The raw trades behind aggregate ones: the quantity in equal parts, the first taking what remains."""
    for _, time, event, price, qty, first, last, maker in _trade_rows(trades):
        part, rest = divmod(qty, last - first + 1)
        for raw_id in range(first, last + 1):
            yield Fill(raw_id, price, part + (rest if raw_id == first else 0), time, event, maker, raw_id == first)


def quote_frames(instrument: Instrument, quotes: Quotes) -> list[str]:
    """``bookTicker`` messages, without the combined wrapper."""
    symbol, price_decimals, qty_decimals = instrument.symbol, instrument.price_decimals, instrument.qty_decimals
    columns = (getattr(quotes, field.name).tolist() for field in fields(quotes))
    return [
        f'{{"e":"bookTicker","u":{update},"s":"{symbol}","b":"{decimal_text(bid, price_decimals)}",'
        f'"B":"{decimal_text(bid_qty, qty_decimals)}","a":"{decimal_text(ask, price_decimals)}",'
        f'"A":"{decimal_text(ask_qty, qty_decimals)}","T":{time},"E":{event},"st":1,"ps":"{symbol}"}}'
        for update, time, event, bid, bid_qty, ask, ask_qty in zip(*columns, strict=True)
    ]


@dataclass(slots=True)
class Candle:
    """One candle in the making; numbers as in ``Candles``."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int
    buy_volume: int
    buy_quote: int
    first: int
    last: int


def rows_of(candles: Candles) -> Iterator[Candle]:
    """The rows of ``candles``, one by one."""
    columns = (getattr(candles, field.name).tolist() for field in fields(candles))
    return (Candle(*row) for row in zip(*columns, strict=True))


def kline_frame(instrument: Instrument, interval: str, interval_ms: int, candle: Candle, event_ms: int, *, closed: bool) -> str:
    """A ``kline`` message, without the combined wrapper."""
    price, qty = instrument.price_decimals, instrument.qty_decimals
    symbol = instrument.symbol
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{{"t":{candle.open_ms},"T":{candle.open_ms + interval_ms - 1},'
        f'"s":"{symbol}","i":"{interval}","f":{candle.first},"L":{candle.last},'
        f'"o":"{decimal_text(candle.open, price)}","c":"{decimal_text(candle.close, price)}",'
        f'"h":"{decimal_text(candle.high, price)}","l":"{decimal_text(candle.low, price)}",'
        f'"v":"{decimal_text(candle.volume, qty)}","n":{candle.trades},"x":{flag(closed)},'
        f'"q":"{decimal_text(candle.quote, price + qty)}","V":"{decimal_text(candle.buy_volume, qty)}",'
        f'"Q":"{decimal_text(candle.buy_quote, price + qty)}","B":"0"}}}}'
    )


def kline_rows(instrument: Instrument, interval_ms: int, candles: Candles) -> str:
    """Body of ``GET /fapi/v1/klines`` and ``continuousKlines``."""
    price, qty = instrument.price_decimals, instrument.qty_decimals
    rows = [
        f'[{row.open_ms},"{decimal_text(row.open, price)}","{decimal_text(row.high, price)}","{decimal_text(row.low, price)}",'
        f'"{decimal_text(row.close, price)}","{decimal_text(row.volume, qty)}",{row.open_ms + interval_ms - 1},'
        f'"{decimal_text(row.quote, price + qty)}",{row.trades},"{decimal_text(row.buy_volume, qty)}",'
        f'"{decimal_text(row.buy_quote, price + qty)}","0"]'
        for row in rows_of(candles)
    ]
    return f"[{','.join(rows)}]"


def kline_csv(instrument: Instrument, interval_ms: int, candles: Candles) -> str:
    """Rows of a file of the data archive: the same candles as ``kline_rows``."""
    rows = kline_rows(instrument, interval_ms, candles)[1:-1].replace('"', "")
    return rows.replace("],[", "\n").strip("[]") + "\n" if rows else ""


def _trade_rows(trades: Trades) -> Iterator[tuple[int, int, int, int, int, int, int, bool]]:
    columns = (getattr(trades, field.name).tolist() for field in fields(trades))
    return zip(*columns, strict=True)


def flag(value: bool) -> str:  # noqa: FBT001  one word of JSON
    """A truth value as JSON writes it."""
    return "true" if value else "false"

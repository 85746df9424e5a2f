"""Bodies of the venue's small answers about the present: last price, best quote, the last 24 hours, the latest fills."""

from __future__ import annotations

from pipeline.simulator import frames
from pipeline.simulator.candles import INTERVALS, Candles, bucket_ms
from pipeline.simulator.frames import decimal_text
from pipeline.simulator.quotes import Quotes
from pipeline.simulator.trades import Trades
from pipeline.simulator.universe import Instrument

_MINUTE_MS = INTERVALS["1m"]
_PERCENT_DECIMALS = 3


def price(instrument: Instrument, last: Trades) -> str:
    """One symbol of ``ticker/price``: the price and time of its last trade."""
    text = decimal_text(int(last.price[-1]), instrument.price_decimals)
    return f'{{"symbol":"{instrument.symbol}","price":"{text}","time":{int(last.time_ms[-1])}}}'


def quote(instrument: Instrument, last: Quotes) -> str:
    """One symbol of ``ticker/bookTicker``: best bid and ask."""
    prices, sizes = instrument.price_decimals, instrument.qty_decimals
    return (
        f'{{"symbol":"{instrument.symbol}","bidPrice":"{decimal_text(int(last.bid[-1]), prices)}",'
        f'"bidQty":"{decimal_text(int(last.bid_qty[-1]), sizes)}","askPrice":"{decimal_text(int(last.ask[-1]), prices)}",'
        f'"askQty":"{decimal_text(int(last.ask_qty[-1]), sizes)}","time":{int(last.time_ms[-1])},"lastUpdateId":{int(last.ids[-1])}}}'
    )


def day_start_ms(now_ms: int) -> int:
    """Open time of the first minute of the 24 hours that ``ticker/24hr`` tells about: 1440 minutes, the running one included."""
    return bucket_ms(now_ms, _MINUTE_MS) - INTERVALS["1d"] + _MINUTE_MS


def day(instrument: Instrument, minutes: Candles, last: Trades) -> str:
    """One symbol of ``ticker/24hr``.

    Args:
        instrument: whose.
        minutes: candles of a minute with trades from ``day_start_ms`` on, at least one.
        last: trades that end with the last one.
    """
    prices, sizes = instrument.price_decimals, instrument.qty_decimals
    opened, closed = int(minutes.open[0]), int(last.price[-1])
    volume, turnover = int(minutes.volume.sum()), int(minutes.quote.sum())
    change = closed - opened
    percent = 100 * 10**_PERCENT_DECIMALS * change // opened
    numbers = {
        "priceChange": _signed(change, prices),
        "priceChangePercent": _signed(percent, _PERCENT_DECIMALS),
        "weightedAvgPrice": decimal_text(turnover // volume, prices),
        "lastPrice": decimal_text(closed, prices),
        "lastQty": decimal_text(int(last.qty[-1]), sizes),
        "openPrice": decimal_text(opened, prices),
        "highPrice": decimal_text(int(minutes.high.max()), prices),
        "lowPrice": decimal_text(int(minutes.low.min()), prices),
        "volume": decimal_text(volume, sizes),
        "quoteVolume": decimal_text(turnover, prices + sizes),
    }
    texts = ",".join(f'"{name}":"{text}"' for name, text in numbers.items())
    return (
        f'{{"symbol":"{instrument.symbol}",{texts},"openTime":{int(minutes.open_ms[0])},"closeTime":{int(last.time_ms[-1])},'
        f'"firstId":{int(minutes.first[0])},"lastId":{int(minutes.last[-1])},"count":{int(minutes.trades.sum())}}}'
    )


def recent_trades(instrument: Instrument, trades: Trades, limit: int) -> str:
    """Body of ``GET /fapi/v1/trades``: the last ``limit`` fills behind aggregate trades, oldest first."""
    rows = [
        f'{{"id":{fill.trade_id},"price":"{decimal_text(fill.price, instrument.price_decimals)}",'
        f'"qty":"{decimal_text(fill.qty, instrument.qty_decimals)}",'
        f'"quoteQty":"{decimal_text(fill.price * fill.qty, instrument.price_decimals + instrument.qty_decimals)}",'
        f'"time":{fill.time_ms},"isBuyerMaker":{frames.flag(fill.maker)},"isRPITrade":false}}'
        for fill in list(frames.fills(trades))[-limit:]
    ]
    return f"[{','.join(rows)}]"


def _signed(units: int, decimals: int) -> str:
    return f"-{decimal_text(-units, decimals)}" if units < 0 else decimal_text(units, decimals)

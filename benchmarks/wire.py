"""Messages as the venue writes them, for benchmarks that need many."""

from __future__ import annotations

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "ADAUSDT", "AVAXUSDT", "LINKUSDT", "LTCUSDT", "BCHUSDT")

_STREAMS = tuple(f"{symbol.lower()}@aggTrade" for symbol in SYMBOLS)


def agg_trade(number: int, time_ms: int) -> str:
    """The ``number``-th trade of all symbols in turn, wrapped as a combined stream delivers it; ids of a symbol have no holes."""
    which = number % len(SYMBOLS)
    trade_id = number // len(SYMBOLS) + 1
    cents = 6_000_000 + (number * 7_919) % 20_011
    return (
        f'{{"stream":"{_STREAMS[which]}","data":{{"e":"aggTrade","E":{time_ms},"a":{trade_id},"s":"{SYMBOLS[which]}",'
        f'"p":"{cents // 100}.{cents % 100:02d}","q":"0.{1 + number % 998:03d}","nq":"0.{1 + number % 998:03d}",'
        f'"f":{trade_id},"l":{trade_id},"T":{time_ms},"m":{"true" if number % 3 else "false"},"st":1}}}}'
    )


def book_ticker(number: int, time_ms: int) -> str:
    """The ``number``-th best bid and ask of all symbols in turn, wrapped; update ids only rise."""
    symbol = SYMBOLS[number % len(SYMBOLS)]
    cents = 6_000_000 + (number * 7_919) % 20_011
    return (
        f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"e":"bookTicker","u":{number + 1},"s":"{symbol}",'
        f'"b":"{cents // 100}.{cents % 100:02d}","B":"{1 + number % 98}.{number % 998:03d}",'
        f'"a":"{cents // 100 + 1}.{cents % 100:02d}","A":"{1 + number % 97}.{number % 997:03d}","T":{time_ms},"E":{time_ms},"st":1}}}}'
    )


def clock(number: int, time_ns: int) -> bytes:
    """The line that capture writes each second, after ``number`` trades."""
    each = f'{{"n":{number // len(SYMBOLS)},"last_ns":{time_ns}}}'
    streams = ",".join(f'"{stream}":{each}' for stream in _STREAMS)
    return f'{{"e":"sw.clock","connected":true,"streams":{{{streams}}},"reconnects":0,"conns":[]}}'.encode()

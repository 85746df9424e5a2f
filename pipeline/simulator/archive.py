"""The venue's data archive, as files of the simulated market: daily and monthly zips with checksums, the same bytes each time.

Built when they are asked for, out of the same history as the REST answers, and kept for a while, since a checksum is asked for
beside its file. A file is there when its last day is over, and not before the market began.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import zipfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pipeline.simulator import frames
from pipeline.simulator.candles import INTERVALS
from pipeline.simulator.history import History
from pipeline.simulator.rest import candles
from pipeline.simulator.trades import HOUR_MS
from pipeline.simulator.universe import Instrument

PREFIX = "/data/futures/um/"
TRADES_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
KLINES_HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
_DAY_MS = 24 * HOUR_MS
_MOST_TRADES_IN_AN_HOUR = 1 << 30
_KEPT_BYTES = 128 << 20
_STAMP = (2020, 1, 1, 0, 0, 0)  # of the file inside the zip, so that the bytes depend on the market alone
_NAME = re.compile(
    r"(?P<span>daily|monthly)/(?:klines/(?P<ks>[A-Z0-9_]+)/(?P<interval>[0-9]+[smhdw])/(?P=ks)-(?P=interval)"
    r"|aggTrades/(?P<ts>[A-Z0-9_]+)/(?P=ts)-aggTrades)-(?P<when>[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)\.zip"
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One file: whose, which candlesticks (None: trades), from its first millisecond to before its last."""

    symbol: str
    interval: str | None
    start_ms: int
    end_ms: int
    name: str


class Archive:
    """Answers GET requests for files out of a history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._building = asyncio.Lock()

    async def file(self, target: str) -> bytes | None:
        """The file, or checksum, at a path such as ``/data/futures/um/daily/...``; None when there is none."""
        path = target.partition("?")[0].removeprefix(PREFIX)
        plain = path.removesuffix(".CHECKSUM")
        async with self._building:
            body = self._kept.get(plain) or await self._built(plain)
        if body is None or path == plain:
            return body
        return f"{hashlib.sha256(body).hexdigest()}  {plain.rpartition('/')[2]}\n".encode()

    async def _built(self, path: str) -> bytes | None:
        wanted = _parsed(path)
        instrument = None if wanted is None else self._history.instrument(wanted.symbol)
        if wanted is None or instrument is None:
            return None
        if wanted.end_ms > self._history.now_ms() or wanted.end_ms <= self._history.first_hour(wanted.symbol) * HOUR_MS:
            return None
        body = await _zipped(wanted.name, self._trades(instrument, wanted) if wanted.interval is None else self._klines(instrument, wanted))
        self._kept[path] = body
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return body

    async def _trades(self, instrument: Instrument, wanted: _Wanted) -> AsyncIterator[str]:
        yield TRADES_HEADER
        for hour_ms in range(wanted.start_ms, wanted.end_ms, HOUR_MS):
            await asyncio.sleep(0)
            trades = self._history.oldest(instrument.symbol, hour_ms, hour_ms + HOUR_MS - 1, _MOST_TRADES_IN_AN_HOUR)
            yield frames.agg_trade_csv(instrument, trades)

    async def _klines(self, instrument: Instrument, wanted: _Wanted) -> AsyncIterator[str]:
        yield KLINES_HEADER
        interval_ms = INTERVALS[wanted.interval or "1m"]
        first = self._history.first_hour(instrument.symbol) * HOUR_MS // interval_ms * interval_ms
        for day_ms in range(max(wanted.start_ms, first), wanted.end_ms, _DAY_MS):
            last = min(day_ms + _DAY_MS, wanted.end_ms) - interval_ms
            yield frames.kline_csv(instrument, interval_ms, await candles(self._history, instrument.symbol, interval_ms, day_ms, last))


def _parsed(path: str) -> _Wanted | None:
    match = _NAME.fullmatch(path)
    if match is None:
        return None
    text = match["when"]
    if (match["span"] == "daily") != (len(text) == len("2026-11-20")):
        return None
    if match["interval"] is not None and not INTERVALS["1m"] <= INTERVALS.get(match["interval"], 0) <= _DAY_MS:
        return None
    try:
        first = date.fromisoformat(text if match["span"] == "daily" else f"{text}-01")
    except ValueError:
        return None
    end = first + timedelta(days=1) if match["span"] == "daily" else (first + timedelta(days=32)).replace(day=1)
    name = path.rpartition("/")[2].removesuffix(".zip") + ".csv"
    return _Wanted(match["ks"] or match["ts"], match["interval"], _ms(first), _ms(end), name)


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000


async def _zipped(name: str, parts: AsyncIterator[str]) -> bytes:
    """A zip with one file."""
    info = zipfile.ZipInfo(name, _STAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", compresslevel=1) as archive, archive.open(info, "w") as file:
        async for part in parts:
            file.write(part.encode())
    return body.getvalue()

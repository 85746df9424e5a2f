"""A user's own bars or trades as a symbol: judged whole, then written; the same file again changes nothing.

Bars go to the table ``klines`` of the symbol and timeframe, trades through the journal (source ``upload``), from where the warehouse
lands them and the bars follow. The symbol becomes one of the universe's uploaded ones: known everywhere, followed at no venue.
A file of the exchange's own for a symbol that is followed is taken as what backfill would have fetched.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from pipeline.errors import UploadError, UsageError, WarehouseUnavailable
from pipeline.jobs.landed import wait_until_landed
from pipeline.jobs.upload_file import Judged, judge_file
from pipeline.journal import open_journal
from pipeline.model.event import Trade, TradeKind
from pipeline.model.pair import parse_symbol
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Universe
from pipeline.profile import Kind, Profile, read_universe
from pipeline.settings import Settings
from pipeline.store.klines import save_klines
from pipeline.store.protocol import Warehouse
from pipeline.store.requests import AddSymbol, Change, load_outcome, send
from pipeline.store.uploads import count_klines, count_ticks, load_held, load_numbered
from pipeline.venues import venue
from pipeline.venues.user_csv import Form

UPLOAD = "upload"
BACKFILL = "backfill"
_GROUP = 20_000
_POLL_S = 0.05
_PATIENCE_S = 10.0

Progress = Callable[[int, int], None]
Land = Callable[[str], None]
"""Called with a journal source: returns when everything of it has been landed."""
Ask = Callable[[Change], None]
"""Called with a change of the universe: returns when it has been made."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of a file.

    Attributes:
        symbol: under which it is there now.
        form: bars or trades.
        timeframe: of bars; None for trades.
        rows: rows of the file that were taken.
        new: of them, those that were not there yet.
        first_ts: time of the first.
        last_ts: time of the last.
        notes: what was tolerated and what is to know, in words.
    """

    symbol: str
    form: str
    timeframe: str | None
    rows: int
    new: int
    first_ts: datetime
    last_ts: datetime
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an upload goes.

    Attributes:
        profile: whose.
        settings: as they hold for it.
        warehouse: its warehouse, as a writer.
        land: waits for landing, or does it.
        ask: has a change of the universe made.
        run: who uploads.
    """

    profile: Profile
    settings: Settings
    warehouse: Warehouse
    land: Land
    ask: Ask
    run: str


def upload(desk: Desk, path: Path, symbol: str, *, timeframe: Timeframe | None = None, progress: Progress | None = None) -> Uploaded:
    """Take a file as a symbol.

    Args:
        desk: where it goes.
        path: CSV, plain, .gz, .zst or .zip.
        symbol: its name from now on.
        timeframe: of bars, when their spacing shall not tell it.
        progress: called with rows written and rows in all.

    Raises:
        UsageError: when the name is not usable, or belongs to a symbol that the venue feeds.
        UploadError: when the file cannot be used; nothing of it has been written then.
    """
    parse_symbol(symbol)
    now = datetime.now(UTC)
    universe = read_universe(desk.profile) or Universe(())
    desk.profile.run.mkdir(parents=True, exist_ok=True)
    for left in desk.profile.run.glob("upload-*"):  # by one that was killed: there is one upload at a time
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="upload-", dir=desk.profile.run) as spool:
        judged = judge_file(path, Path(spool), timeframe=timeframe, configured=desk.settings.parsed_timeframes, now_us=_us(now))
        own = may_take(desk.profile, desk.warehouse, judged, symbol, universe)
        if own and symbol not in universe.uploaded:
            desk.ask(AddSymbol(symbol, uploaded=True))
        if judged.layout.form is Form.BARS:
            new = _write_bars(desk, judged, symbol, now, progress)
        else:
            new = _write_ticks(desk, judged, symbol, UPLOAD if own else BACKFILL, progress)
        return _told(judged, symbol, new)


def served_desk(profile: Profile, settings: Settings, warehouse: Warehouse, *, operator: Warehouse, run: str) -> Desk:
    """A desk beside a running warehouse, which lands and changes the universe itself; ``operator`` may append requests."""

    def land(source: str) -> None:
        wait_until_landed(warehouse, open_journal(profile, settings), source)

    def ask(change: Change) -> None:
        request = send(operator, change, now=datetime.now(UTC))
        until = time.monotonic() + _PATIENCE_S
        while (outcome := load_outcome(operator, request)) is None:
            if time.monotonic() > until:
                msg = f"the warehouse of profile {profile.name!r} did not take up a request within {_PATIENCE_S:g} s; look into its log"
                raise WarehouseUnavailable(msg)
            time.sleep(_POLL_S)
        if outcome.startswith("refused: "):
            raise UsageError(outcome.removeprefix("refused: "))

    return Desk(profile, settings, warehouse, land, ask, run)


# ------------------------------------------------------------------------------------------------ may it be taken


def may_take(profile: Profile, warehouse: Warehouse, judged: Judged, symbol: str, universe: Universe) -> bool:
    """Whether a file that is in order fits the symbol and what is there of it; changes nothing.

    Returns:
        True when the symbol is the user's own, False when it is the exchange's and so is the file.

    Raises:
        UsageError: when the symbol is the exchange's and the file is not, or not of this profile's kind.
        UploadError: when trades without ids are others than those that are there.
    """
    parse_symbol(symbol)
    own = _whose(profile, warehouse, judged, symbol, universe)
    if judged.layout.form is Form.TICKS and not judged.has_ids:
        _refuse_other_numbers(warehouse, judged, symbol)
    return own


def _whose(profile: Profile, warehouse: Warehouse, judged: Judged, symbol: str, universe: Universe) -> bool:
    if symbol in universe.uploaded:
        return True
    held = load_held(warehouse, symbol)
    if symbol not in universe.symbols and not held.ticks and (held.uploaded or not held.klines):
        return True
    fed = "is fed by the exchange" if symbol in universe.symbols else "has data that is not known to be uploaded"
    there = f"symbol {symbol} of profile {profile.name!r} {fed}"
    if not judged.layout.exchange:
        msg = f"{there}; upload under another name (such as {symbol[:26]}_OWN), or give a file in Binance's own layout"
        raise UsageError(msg)
    if profile.kind is Kind.SIMULATED:
        msg = f"{there}, a simulated one, whose data the real exchange's would mix with; upload under another name"
        raise UsageError(msg)
    if judged.layout.kind not in (None, profile.trade_stream):
        msg = f"{there} with ids of {profile.trade_stream}, and {judged.name} has those of {judged.layout.kind}; expected one kind"
        raise UsageError(msg)
    return False


def _refuse_other_numbers(warehouse: Warehouse, judged: Judged, symbol: str) -> None:
    """Trades without ids are numbered as they stand in the file: what is landed already must be the beginning of this very file."""
    held = load_numbered(warehouse, symbol)
    if not held.trades:
        return
    sums: tuple[int, Decimal, Decimal] = (0, Decimal(0), Decimal(0))
    last_us = 0
    for rows in judged.stretches():
        part = rows.filter(pl.col("trade_id") <= held.last_id)
        if part.height:
            amounts = part.select(pl.col("price").sum(), pl.col("qty").sum(), pl.col("time_us").max()).row(0)
            sums = (sums[0] + part.height, sums[1] + amounts[0], sums[2] + amounts[1])
            last_us = max(last_us, int(amounts[2]))
        if part.height < rows.height:
            break
    same_time = held.last_time is not None and _us(held.last_time) == last_us // 1_000 * 1_000
    if sums != (held.trades, held.prices, held.amounts) or not same_time:
        msg = (
            f"{judged.name}: its trades have no ids, and {symbol} holds {held.trades} other trades already; "
            "expected the same file, longer or not: add an id column, or upload under another name"
        )
        raise UploadError(msg)


# ------------------------------------------------------------------------------------------------ writing


def _write_bars(desk: Desk, judged: Judged, symbol: str, now: datetime, progress: Progress | None) -> int:
    frame = judged.timeframe
    if frame is None:  # never: bars have one
        return 0
    before = count_klines(desk.warehouse, symbol, frame.name)
    done = 0
    for rows in judged.stretches():
        if rows.is_empty():
            continue
        save_klines(
            desk.warehouse,
            rows.select(
                pl.lit(symbol).alias("symbol"),
                pl.lit(frame.name).alias("timeframe"),
                pl.col("time_us").cast(pl.Datetime("us", "UTC")).alias("ts"),
                *("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "trades"),
                pl.lit(value=True).alias("closed"),
                pl.lit(now, dtype=pl.Datetime("us", "UTC")).alias("fetched_at"),
            ),
            run=desk.run,
        )
        done += rows.height
        if progress is not None:
            progress(done, judged.rows)
    return count_klines(desk.warehouse, symbol, frame.name) - before


def _write_ticks(desk: Desk, judged: Judged, symbol: str, source: str, progress: Progress | None) -> int:
    encode = venue().encode_trade
    kind = desk.profile.trade_stream
    before = count_ticks(desk.warehouse, symbol)
    writer = open_journal(desk.profile, desk.settings).writer(source)
    received_ns = time.time_ns()
    done = 0
    try:
        for rows in judged.stretches():
            ids = rows["trade_id"]
            spans = kind is TradeKind.AGGREGATE
            table = rows.select(
                ids,
                pl.col("price").cast(pl.String),
                pl.col("qty").cast(pl.String),
                pl.col("time_us") // 1_000,
                # Unknown sides count as sells: the volume that takers bought is then 0, and said so.
                pl.col("buyer_is_maker").fill_null(value=True),
                pl.col("first_id").fill_null(ids) if spans else ids.alias("first_id"),
                pl.col("last_id").fill_null(ids) if spans else ids.alias("last_id"),
            )
            for trade_id, price, qty, time_ms, maker, first_id, last_id in table.iter_rows():
                trade = Trade(symbol, trade_id, price, qty, time_ms, received_ns, maker, first_id, last_id, kind)
                writer.append(received_ns, encode(trade))
                done += 1
                if done % _GROUP == 0:
                    writer.commit()
                    if progress is not None:
                        progress(done, judged.rows)
    finally:
        writer.close()
    desk.land(source)
    if progress is not None:
        progress(done, judged.rows)
    return count_ticks(desk.warehouse, symbol) - before


def _told(judged: Judged, symbol: str, new: int) -> Uploaded:
    frame = judged.timeframe.name if judged.timeframe else None
    first, last = times_of(judged)
    return Uploaded(symbol, judged.layout.form.value, frame, judged.rows, new, first, last, notes_of(judged))


def notes_of(judged: Judged) -> tuple[str, ...]:
    """What was tolerated in a file and what is to know of it, in words."""
    notes = [f"{count} {what}" for what, count in judged.notes.items() if count]
    bars = judged.layout.form is Form.BARS
    if bars and "volume" not in judged.layout.columns:
        notes.append("no volumes in the file: they are unknown, not 0")
    if not bars and not judged.has_ids:
        notes.append("no ids in the file: trades are numbered from 1 by time, and equal ones are kept")
    if not bars and not judged.has_sides:
        notes.append("no side in the file: the volume that takers bought is shown as 0")
    return tuple(notes)


def times_of(judged: Judged) -> tuple[datetime, datetime]:
    """Time of the first and of the last row that is taken."""
    last_us = min(judged.last_us, judged.until_us) if judged.layout.form is Form.BARS else judged.last_us
    first, last = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us) for us in (judged.first_us, last_us))
    return first, last


def _us(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)

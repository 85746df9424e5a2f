"""A user's file read to its end and judged as a whole before anything of it is kept; what passed lies in a spool beside the profile.

Memory does not grow with the file: rows go, as they are parsed, into one small file for each stretch of time (a day of trades, a
month of bars), and what has to be judged among neighbours (order, repetitions, spacing) is judged stretch by stretch.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import zstandard

from pipeline.errors import UploadError
from pipeline.journal.unpacking import unpacked
from pipeline.model.coverage import Coverage
from pipeline.model.timeframe import Timeframe
from pipeline.venues.user_csv import Form, Layout, parse_rows, read_layout

_BLOCK = 8 << 20
_LONGEST_LINE = 1 << 20
_ZIP = b"PK\x03\x04"
_DAY_US = 86_400_000_000
_MONTH_US = 30 * _DAY_US
_BAR_VALUES = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")
_TICK_VALUES = ("time_us", "price", "qty", "buyer_is_maker", "first_id", "last_id")

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Judged:
    """A file that may be taken.

    Attributes:
        name: of the file, for messages.
        layout: how it is read.
        rows: rows that will be taken.
        first_us: time of the earliest.
        last_us: time of the latest.
        timeframe: of bars; None for trades.
        until_us: bars that open later are left out: they are not over.
        notes: defects that were tolerated -> how many rows had them.
    """

    name: str
    layout: Layout
    spool: Path
    rows: int = 0
    first_us: int = 0
    last_us: int = 0
    timeframe: Timeframe | None = None
    until_us: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def has_ids(self) -> bool:
        """Whether trades have ids of their own."""
        return "trade_id" in self.layout.columns

    @property
    def has_sides(self) -> bool:
        """Whether trades tell who was the maker."""
        return bool({"maker", "side"} & self.layout.columns.keys())

    def stretches(self) -> Iterator[pl.DataFrame]:
        """The rows that will be taken, in order, one stretch of time after the other; trades without ids are numbered from 1."""
        number = 0
        for stretch in _stretches(self.spool):
            if self.layout.form is Form.BARS:
                yield _once(stretch.filter(pl.col("time_us") <= self.until_us).sort("time_us", "line"), "time_us")
            elif self.has_ids:
                yield _once(stretch.sort("trade_id", "line"), "trade_id")
            else:
                rows = stretch.sort("time_us", "line")
                yield rows.with_columns(trade_id=pl.int_range(number + 1, number + rows.height + 1, dtype=pl.Int64))
                number += rows.height


def judge_file(path: Path, spool: Path, *, timeframe: Timeframe | None, configured: tuple[Timeframe, ...], now_us: int) -> Judged:
    """Read a file whole and say what it is.

    Args:
        path: plain, .gz, .zst, or a .zip with one file in it.
        spool: an empty directory for what was read.
        timeframe: of bars, when told; found from their spacing otherwise.
        configured: timeframes that are taken without being told.
        now_us: nothing may be later, microseconds since the epoch.

    Raises:
        UploadError: when it cannot be taken; one line with file, line number, what was wrong and what was expected.
    """
    judged: Judged | None = None
    seen: dict[str, set[str]] = {"symbol": set(), "timeframe": set()}
    number, newest = 1, -1
    for at, read in enumerate(_line_blocks(path)):
        block = read
        if judged is None:
            first, _, rest = read.partition(b"\n")
            judged = Judged(path.name, read_layout(_decoded(first, path.name), path.name), spool)
            if judged.layout.header:
                block, number = rest, 2
            else:
                block = read.removeprefix(b"\xef\xbb\xbf")
        rows = parse_rows(block, judged.layout, first_line=number, name=path.name, now_us=now_us)
        number += block.count(b"\n")
        for column, values in seen.items():
            values.update(rows[column].drop_nulls().unique().to_list() if column in rows.columns else ())
        rows = _wanted(rows, judged, timeframe)
        newest = _spooled(rows, judged, at, newest)
    if judged is None or not judged.rows:
        msg = f"{path.name}: there are no rows in it; expected a header and at least one row"
        raise UploadError(msg)
    _refuse_several(judged, seen, timeframe)
    if judged.layout.form is Form.BARS:
        _judge_bars(judged, timeframe, seen["timeframe"], configured, now_us)
    else:
        _judge_ticks(judged)
    return judged


# ------------------------------------------------------------------------------------------------ reading


def _line_blocks(path: Path) -> Iterator[bytes]:
    """Blocks of whole lines."""
    rest = b""
    try:
        for chunk in _opened(path):
            rest += chunk
            if len(rest) < _BLOCK:
                continue
            whole, newline, rest = rest.rpartition(b"\n")
            if newline:
                yield whole + newline
            elif len(rest) > _BLOCK + _LONGEST_LINE:
                msg = f"{path.name}: a line of more than {_BLOCK >> 20} MB; expected CSV text with line ends"
                raise UploadError(msg)
        if rest.strip():
            yield rest
    except (EOFError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError, NotImplementedError, RuntimeError) as error:
        msg = f"{path.name}: the compressed file is damaged or ends too early ({error}); copy it again"
        raise UploadError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}; expected CSV, plain, .gz, .zst or .zip"
        raise UploadError(msg) from error


def _opened(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.read(4) != _ZIP:
            yield from unpacked(path)
            return
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        if len(names) != 1:
            msg = f"{path.name}: {len(names)} files in the archive; expected one CSV in it"
            raise UploadError(msg)
        inside: IO[bytes]
        with archive.open(names[0]) as inside:
            while chunk := inside.read(1 << 20):
                yield chunk


def _decoded(line: bytes, name: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{name}:1: not UTF-8 text; expected CSV, plain, .gz, .zst or .zip"
        raise UploadError(msg) from error


def _wanted(rows: pl.DataFrame, judged: Judged, timeframe: Timeframe | None) -> pl.DataFrame:
    """Without the bars of other timeframes than the one told, and without those that say they are not complete."""
    if judged.layout.form is not Form.BARS:
        judged.notes["quantity of zero, kept"] += rows.filter(pl.col("qty") == 0).height
        return rows
    if timeframe is not None:
        kept = rows.filter(pl.col("timeframe").is_null() | (pl.col("timeframe") == timeframe.name))
        judged.notes["of another timeframe, left out"] += rows.height - kept.height
        rows = kept
    whole = rows.filter(pl.col("complete").fill_null(value=True))
    judged.notes["bars that are not complete, left out"] += rows.height - whole.height
    return whole


def _spooled(rows: pl.DataFrame, judged: Judged, at: int, newest: int) -> int:
    """Put rows where their stretch of time is; returns the last row's time, for the judgement of order."""
    if rows.is_empty():
        return newest
    times = rows["time_us"].to_numpy()
    judged.notes["rows out of order, sorted"] += int(np.count_nonzero(np.diff(times, prepend=newest) < 0))
    judged.first_us = int(times.min()) if not judged.rows else min(judged.first_us, int(times.min()))
    judged.last_us = max(judged.last_us, int(times.max()))
    judged.rows += rows.height
    length = _MONTH_US if judged.layout.form is Form.BARS else _DAY_US
    parts = rows.with_columns(stretch=pl.col("time_us") // length).partition_by("stretch", as_dict=True, include_key=False)
    for (stretch,), part in parts.items():
        place = judged.spool / f"{int(stretch):012d}"
        place.mkdir(exist_ok=True)
        part.drop("symbol", "timeframe", "complete", strict=False).write_ipc(place / f"{at:09d}.arrow", compression="lz4")
    return int(times[-1])


def _stretches(spool: Path) -> Iterator[pl.DataFrame]:
    for place in sorted(spool.iterdir()):
        yield pl.concat(pl.read_ipc(part) for part in sorted(place.iterdir()))


def _once(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.unique(key, keep="first", maintain_order=True)


# ------------------------------------------------------------------------------------------------ judging


def _refuse_several(judged: Judged, seen: dict[str, set[str]], timeframe: Timeframe | None) -> None:
    if len(seen["symbol"]) > 1:
        msg = (
            f"{judged.name}: rows of {len(seen['symbol'])} symbols ({', '.join(sorted(seen['symbol'])[:3])}); expected one symbol in a file"
        )
        raise UploadError(msg)
    if timeframe is None and len(seen["timeframe"]) > 1:
        msg = f"{judged.name}: bars of {', '.join(sorted(seen['timeframe']))}; say which of them with --timeframe"
        raise UploadError(msg)


def _refuse_conflicts(judged: Judged, rows: pl.DataFrame, key: str, values: tuple[str, ...], what: str) -> int:
    """Rows that repeat another one; raise where two rows of one key differ."""
    repeated = rows.filter(pl.col(key).is_duplicated())
    if repeated.is_empty():
        return 0
    kinds = repeated.group_by(key, maintain_order=True).agg(pl.struct(values).n_unique().alias("kinds"), pl.col("line").sort().head(2))
    conflict = kinds.filter(pl.col("kinds") > 1)
    if conflict.height:
        first, second = conflict["line"][0].to_list()
        msg = f"{judged.name}:{second}: another {what} than line {first} has; expected one row for each, remove the wrong one"
        raise UploadError(msg)
    return repeated.height - kinds.height


def _judge_bars(judged: Judged, told: Timeframe | None, named: set[str], configured: tuple[Timeframe, ...], now_us: int) -> None:
    steps: Counter[int] = Counter()
    before: int | None = None
    repeated = 0
    for stretch in _stretches(judged.spool):
        rows = stretch.sort("time_us", "line")
        repeated += _refuse_conflicts(judged, rows, "time_us", _BAR_VALUES, "bar of the same time")
        times = np.unique(rows["time_us"].to_numpy())
        joined = times if before is None else np.concatenate([[before], times])
        values, counts = np.unique(np.diff(joined), return_counts=True)
        steps.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        before = int(times[-1])
    judged.notes["exact repetitions, left out"] += repeated
    judged.timeframe = frame = told or _found(judged, steps, named, configured)
    judged.until_us = now_us - frame.us
    ended = 0
    for stretch in _stretches(judged.spool):
        off = stretch.filter(pl.col("time_us") % frame.us != 0)
        if off.height:
            line = int(off["line"].min())  # type: ignore[arg-type]  # of a column of numbers
            msg = f"{judged.name}:{line}: not the open time of a {frame} bar; expected UTC multiples of {frame}, or another --timeframe"
            raise UploadError(msg)
        ended += stretch.filter(pl.col("time_us") <= judged.until_us)["time_us"].n_unique()
    judged.notes["bars that are not over yet, left out"] += judged.rows - repeated - ended
    judged.rows = ended


def _found(judged: Judged, steps: Counter[int], named: set[str], configured: tuple[Timeframe, ...]) -> Timeframe:
    """The timeframe that the file names, or that most of its rows are apart."""
    told = f"give it with --timeframe, or add it to the setting timeframes ({', '.join(frame.name for frame in configured)})"
    if named:
        name = next(iter(named))
        frame = next((frame for frame in configured if frame.name == name), None)
        if frame is None:
            msg = f"{judged.name}: bars of {name}, which is not configured; {told}"
            raise UploadError(msg)
        return frame
    if not steps:
        msg = f"{judged.name}: one row does not tell the timeframe; {told}"
        raise UploadError(msg)
    step = min(steps, key=lambda length: (-steps[length], length))
    if step > _DAY_US:
        msg = (
            f"{judged.name}: most rows are {step / _DAY_US:g} days apart; bars are of at most a day (1d): expected daily or finer rows, "
            "or --timeframe 1d to take each row as the bar of its one day"
        )
        raise UploadError(msg)
    frame = next((frame for frame in configured if frame.us == step), None)
    if frame is None:
        msg = f"{judged.name}: most rows are {step / 1_000_000:g} s apart, which is none of the configured timeframes; {told}"
        raise UploadError(msg)
    return frame


def _judge_ticks(judged: Judged) -> None:
    if not judged.has_ids:
        return
    covered = Coverage()
    repeated = 0
    for stretch in _stretches(judged.spool):
        rows = stretch.sort("trade_id", "line")
        repeated += _refuse_conflicts(judged, rows, "trade_id", _TICK_VALUES, "trade of the same id")
        ids = np.unique(rows["trade_id"].to_numpy())
        cuts = np.flatnonzero(np.diff(ids) != 1)
        for low, high in zip(ids[np.r_[0, cuts + 1]].tolist(), ids[np.r_[cuts, ids.size - 1]].tolist(), strict=True):
            free = covered.missing(low, high)
            if free != [(low, high)]:
                taken = low if not free or free[0][0] > low else free[0][1] + 1
                line = int(rows.filter(pl.col("trade_id") == taken)["line"].min())  # type: ignore[arg-type]  # of a column of numbers
                msg = f"{judged.name}:{line}: trade id {taken} is there on another day too; expected each id once"
                raise UploadError(msg)
            covered.add(low, high)
    judged.notes["exact repetitions, left out"] += repeated
    judged.rows -= repeated

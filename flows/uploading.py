"""The part of the flow backfill that takes a user's own file as a symbol."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from prefect import get_run_logger

from flows.session import here, progress, session, tell, with_retries
from pipeline.errors import UsageError
from pipeline.model.pair import parse_symbol


def take_file(source: str, symbols: Sequence[str] | None, timeframes: Sequence[str] | None, *, ranged: bool) -> int:
    """Take the file whole; returns the rows that are new.

    Raises:
        UsageError: when there is no such file, or not one symbol and at most one timeframe are given.
        UploadError: when the file cannot be used; nothing has been written then.
    """
    if not Path(source).is_file():
        msg = f"source {source!r} is not known and no file on this machine; expected rest, archive, or the path of a CSV file"
        raise UsageError(msg)
    if symbols is None or len(symbols) != 1 or len(timeframes or ()) > 1 or ranged:
        msg = "a file is one symbol and is taken whole; give one symbol, one timeframe or none, and no start or end"
        raise UsageError(msg)
    try:
        return with_retries(_upload, source, parse_symbol(symbols[0]), next(iter(timeframes or ()), None))
    finally:
        _tidy(Path(source))


def _tidy(path: Path) -> None:
    """Remove a file that came through the dashboard, whatever became of it; a user's own place is left alone."""
    place = path.resolve().parent
    if place.parent == here()[0].uploads.resolve():
        shutil.rmtree(place, ignore_errors=True)


def _upload(source: str, symbol: str, timeframe: str | None) -> int:
    """The work."""
    from pipeline.jobs.resample import resample
    from pipeline.jobs.turn import turn
    from pipeline.jobs.upload import served_desk, upload
    from pipeline.model.timeframe import Timeframe
    from pipeline.store import Role, connect

    with session("backfill") as at, connect(at.profile, Role.OPERATOR) as operator:
        desk = served_desk(at.profile, at.settings, at.warehouse, operator=operator, run=at.run)
        frame = Timeframe.parse(timeframe) if timeframe else None
        done = upload(desk, Path(source), symbol, timeframe=frame, progress=progress(f"rows of {Path(source).name} written"))
        with turn(at.profile, "resample"):
            resample(at.warehouse, at.settings.parsed_timeframes, run=at.run)
    for note in done.notes:
        get_run_logger().info("%s: %s", Path(source).name, note)
    row = {"symbol": symbol, "what": done.form, "timeframe": done.timeframe or "", "rows": done.rows, "new": done.new}
    times = {"first_ts": str(done.first_ts), "last_ts": str(done.last_ts), "notes": "; ".join(done.notes)}
    what = f"{done.timeframe} {done.form}" if done.timeframe else done.form
    tell("backfill", f"{done.rows} {what} of {symbol}, {done.new} of them new, from {Path(source).name}", [row | times])
    return done.new

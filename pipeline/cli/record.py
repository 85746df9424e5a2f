"""The command that records: the venue's streams into a journal, and nothing else."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.process import effective_settings, on_signals, process_profile, require_own_kind
from pipeline.errors import VenueUnavailable
from pipeline.model.pair import parse_symbol
from pipeline.profile import read_universe
from pipeline.settings import Settings, settings

if TYPE_CHECKING:
    from pipeline.capture import Progress
    from pipeline.journal import Journal, Writer

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}(@[0-9]{1,5}m?s)?")
_PLAIN_EVERY_S = 10.0
_SHOWN = 3


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Directory; recording-<time> in this one when left out."
)
@click.option("--profile", "profile_name", metavar="NAME", help="Record into this profile's journal instead; `up` lands it.")
@click.option("--symbols", metavar="S,S", multiple=True, help="Symbols; those of the profile, or of the settings, when left out.")
@click.option(
    "--streams",
    metavar="KIND,KIND",
    multiple=True,
    help="Kinds of streams, such as aggTrade,bookTicker,depth@100ms,kline_1m; trades and quotes as the settings say when left out.",
)
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="End by itself after so long.")
def record(
    *, out: Path | None, profile_name: str | None, symbols: tuple[str, ...], streams: tuple[str, ...], seconds: float | None
) -> None:
    """Record the venue's streams, journal only, until Ctrl-C.

    Segments are whole recordings: `ingest` lands them, `up --replay` plays them, each with DIR.
    """
    from pipeline.capture import SOURCE
    from pipeline.journal import open_journal
    from pipeline.journal.opening import file_journal
    from pipeline.logs import configure

    if out is not None and profile_name is not None:
        msg = "--out and --profile were both given; name one of them."
        raise click.UsageError(msg)
    configure("WARNING")
    if profile_name is None:
        chosen = settings()
        where = out or Path(f"recording-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        journal: Journal = file_journal(where.parent, chosen)
        source, shown, followed, trades = where.name, str(where), chosen.symbols, chosen.trade_stream.value
        hint = f"`spreadwatch ingest {where} --profile NAME` lands it, `spreadwatch up --replay {where}` plays it"
    else:
        profile = process_profile(profile_name)
        chosen = effective_settings(profile)
        require_own_kind(profile, chosen)
        journal = open_journal(profile, chosen)
        source, shown, trades = SOURCE, f"the journal of profile {profile.name}", profile.trade_stream.value
        universe = read_universe(profile)
        followed = chosen.symbols if universe is None else universe.symbols
        hint = f"`spreadwatch up --profile {profile.name}` lands it"
    kinds = _split(streams) or [trades, *(["bookTicker"] if chosen.quotes else [])]
    names = stream_names([parse_symbol(text) for text in _split(symbols)] or list(followed), kinds)
    writer = journal.writer(source)
    try:
        line = RecordLine(lambda: journal.stored_bytes(source))
        total = asyncio.run(_run(writer, chosen, names, line, seconds))
    finally:
        line.end()
        writer.close()  # waits until the last segment is sealed
    if not total.messages:
        msg = f"nothing came in {total.elapsed_s:.0f} s; check the names of symbols and streams, and the lines above"
        raise VenueUnavailable(msg)
    lost = f", {total.lost:,} lost for want of room on the disk" if total.lost else ""
    click.echo(f"{total.messages:,} messages in {_clock(total.elapsed_s)}{lost}: {_size(journal.stored_bytes(source))} in {shown}; {hint}")
    if total.silent:
        more = f" and {len(total.silent) - _SHOWN} more" if len(total.silent) > _SHOWN else ""
        click.echo(f"  nothing came on {', '.join(total.silent[:_SHOWN])}{more}", err=True)


def stream_names(symbols: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """Every kind of stream of every symbol, as the venue calls it.

    Raises:
        click.UsageError: when a kind cannot be one.
    """
    for kind in kinds:
        if _KIND.fullmatch(kind) is None:
            msg = f"{kind!r} is no kind of stream; expected such as aggTrade, bookTicker, depth@100ms or kline_1m."
            raise click.UsageError(msg)
    return tuple(f"{symbol.lower()}@{kind}" for kind in kinds for symbol in symbols)


class RecordLine:
    """How the recording goes: one line that is written anew on a terminal, now and then a plain line elsewhere."""

    def __init__(self, stored_bytes: Callable[[], int]) -> None:
        self._stored_bytes = stored_bytes
        self._terminal = sys.stderr.isatty()
        self._shown_at = time.monotonic()
        self._before: tuple[float, int] = (0.0, 0)
        self._open = False

    def __call__(self, progress: Progress) -> None:
        """Show it; called once a second."""
        now = time.monotonic()
        if not self._terminal and now - self._shown_at < _PLAIN_EVERY_S:
            return
        self._shown_at = now
        elapsed_s, messages = self._before
        rate = (progress.messages - messages) / max(progress.elapsed_s - elapsed_s, 1e-9)
        self._before = (progress.elapsed_s, progress.messages)
        text = (
            f"{_clock(progress.elapsed_s)}  {progress.messages:,} messages, {rate:,.0f}/s, {_size(self._stored_bytes())}, "
            f"{progress.open} of {progress.connections} connections"
        )
        if progress.silent:
            text += f", {len(progress.silent)} streams without a message"
        if progress.lost:
            text += f", {progress.lost:,} LOST for want of room"
        if self._terminal:
            click.echo(f"\r{text}\x1b[K", nl=False, err=True)
            self._open = True
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the terminal a clean line."""
        if self._open:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._open = False


async def _run(writer: Writer, chosen: Settings, names: Sequence[str], line: RecordLine, seconds: float | None) -> Progress:
    from pipeline.capture import record as record_streams

    stop = asyncio.Event()
    on_signals(stop.set)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stop.set)
    return await record_streams(writer, chosen, stop, names, line)


def _split(given: Iterable[str]) -> list[str]:
    return [part.strip() for text in given for part in text.split(",") if part.strip()]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} GB"

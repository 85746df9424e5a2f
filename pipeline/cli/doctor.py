"""`doctor`: what the platform needs from this machine and from the outside, and what to do about what is missing."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from pipeline.cli.process import effective_settings, profile_option
from pipeline.errors import ProfileError, SettingsError, SpreadwatchError, VenueError
from pipeline.profile import Kind, Profile, load_profile
from pipeline.settings import Settings, settings

_DISK_WARN_BYTES = 10_000_000_000
_DISK_FAIL_BYTES = 1_000_000_000
_CLOCK_WARN_MS = 1_000.0
_REDIS_TIMEOUT_S = 3.0


class Verdict(StrEnum):
    """How one check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    verdict: Verdict
    subject: str
    text: str


@click.command()
@profile_option
@click.option("--prepare", is_flag=True, help="Only install the DuckDB extensions and compile the kernels; `make setup` does it.")
def doctor(*, profile_name: str | None, prepare: bool) -> None:
    """Check this machine and the venue, and say what to do; exit code 1 when something fails."""
    if prepare:
        prepare_installation()
        return
    chosen = settings()
    try:
        profile = load_profile(chosen.data_dir, profile_name or chosen.profile)
    except ProfileError:
        if profile_name is not None:
            raise
        profile = None
    failed = False
    for finding in examine(profile, effective_settings(profile) if profile else chosen):
        click.echo(f"{finding.verdict.value:<5} {finding.subject:<12} {finding.text}")
        failed = failed or finding.verdict is Verdict.FAIL
    sys.exit(1 if failed else 0)


def examine(profile: Profile | None, chosen: Settings) -> Iterator[Finding]:
    """Every check, one after the other; without a profile as for a live one."""
    kind = profile.kind if profile else Kind.LIVE
    yield _python()
    yield _disk(chosen.data_dir)
    yield _extensions()
    yield from _ports(profile, kind, chosen)
    yield from _venue(kind, chosen)
    yield _channels(chosen)
    yield _access(chosen)
    if chosen.redis_url is not None:
        yield _redis(chosen.redis_url.get_secret_value())
    if chosen.journal == "redis":
        yield _journal(profile, chosen)


def prepare_installation() -> None:
    """Install the DuckDB extensions from their packages and fill the cache of compiled kernels.

    Raises:
        StoreError: when an extension cannot be installed.
    """
    from pipeline.analytics import warm
    from pipeline.store.connection import install_extensions
    from pipeline.venues import venue

    install_extensions()
    warm()
    venue().decode_batch(b"")


def _channels(chosen: Settings) -> Finding:
    from pipeline.notify import channels_of

    try:
        names = ", ".join(channels_of(chosen))
    except SettingsError as error:
        return Finding(Verdict.FAIL, "alerts", str(error))
    return Finding(Verdict.OK, "alerts", f"are sent to {names}" if names else "are sent nowhere: no channel is configured (docs/alerts.md)")


def _access(chosen: Settings) -> Finding:
    """Who can reach the dashboard, and who can log in."""
    from pipeline.users import UserFile, login_required, require_users

    try:
        require_users(chosen)
        count = len(UserFile(chosen.data_dir).users())
    except SpreadwatchError as error:
        return Finding(Verdict.FAIL, "Access", str(error))
    people = f"{count} user{'' if count == 1 else 's'}"
    if not login_required(chosen):
        return Finding(Verdict.OK, "Access", f"the dashboard is for this machine only ({people}); it asks for no login")
    plain = not chosen.tls_certificate and not any(origin.startswith("https:") for origin in chosen.dashboard_origins)
    if plain and chosen.login == "auto":
        text = f"the dashboard asks for a login ({people}), but passwords travel in the clear: set tls_certificate and tls_key, or a proxy"
        return Finding(Verdict.WARN, "Access", f"{text} and dashboard_origins")
    return Finding(Verdict.OK, "Access", f"the dashboard asks for a login ({people})")


def _python() -> Finding:
    return Finding(Verdict.OK, "Python", f"{'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}")


def _disk(data_dir: Path) -> Finding:
    there = data_dir.resolve()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    text = f"{free / 1e9:.1f} GB free for {data_dir.resolve()}"
    if free < _DISK_FAIL_BYTES:
        return Finding(Verdict.FAIL, "Disk", f"{text}; free some or move data_dir (SPREADWATCH_DATA_DIR)")
    if free < _DISK_WARN_BYTES:
        return Finding(Verdict.WARN, "Disk", f"{text}; a day of a few dozen symbols takes some GB")
    return Finding(Verdict.OK, "Disk", text)


def _extensions() -> Finding:
    from pipeline.store.connection import load_extensions, open_database

    try:
        with open_database(Path(":memory:")) as connection:
            load_extensions(connection)
    except SpreadwatchError as error:
        return Finding(Verdict.FAIL, "DuckDB", str(error))
    except Exception as error:  # noqa: BLE001 -- whatever a foreign binary says, the report goes on
        return Finding(Verdict.FAIL, "DuckDB", f"extension quack does not load ({error}); run `make setup` again")
    return Finding(Verdict.OK, "DuckDB", "extensions quack and httpfs load")


def _ports(profile: Profile | None, kind: Kind, chosen: Settings) -> Iterator[Finding]:
    from pipeline.supervisor import lock
    from pipeline.supervisor.plan import needed_ports
    from pipeline.supervisor.ports import is_free, owner

    running = lock.holder(profile.run) if profile else None
    for need in needed_ports(kind, chosen):
        name = f"Port {need.port}"
        if is_free(need.host, need.port):
            text = f"free for the {need.used_by}"
            verdict = Verdict.WARN if running else Verdict.OK
            yield Finding(verdict, name, f"{text}, although the platform runs: see `spreadwatch status`" if running else text)
        elif running:
            yield Finding(Verdict.OK, name, f"in use, and the platform runs (pid {running}): {need.used_by}")
        else:
            advice = f"stop that or set {need.setting} (SPREADWATCH_{need.setting.upper()})"
            yield Finding(Verdict.FAIL, name, f"of the {need.used_by} is taken{owner(need.port)}; {advice}")


def _venue(kind: Kind, chosen: Settings) -> Iterator[Finding]:
    from pipeline.cli import venue

    async def asked() -> float:
        await venue.ping(chosen.rest_url)
        return await venue.clock_offset_ms(chosen.rest_url)

    bad = Verdict.FAIL if kind is Kind.LIVE else Verdict.WARN
    try:
        offset_ms = asyncio.run(asked())
    except VenueError as error:
        text = str(error) if kind is Kind.LIVE else f"{chosen.rest_url} does not answer; it does when a {kind} platform runs"
        yield Finding(bad, "Venue", text)
        return
    yield Finding(Verdict.OK, "Venue", f"{chosen.rest_url} answers")
    if abs(offset_ms) > _CLOCK_WARN_MS:
        yield Finding(Verdict.WARN, "Clock", f"ours is {-offset_ms / 1_000:+.1f} s off the venue's; switch on time synchronisation (NTP)")
    else:
        yield Finding(Verdict.OK, "Clock", f"within {abs(offset_ms):.0f} ms of the venue's")


def _journal(profile: Profile | None, chosen: Settings) -> Finding:
    """What the Redis that keeps the journal can lose."""
    from pipeline.journal import open_journal
    from pipeline.journal.opening import redis_client

    try:
        promised = redis_client(chosen).durability()
        if profile is not None and (profile.journal / "redis.json").exists():
            open_journal(profile, chosen).sources()
    except SpreadwatchError as error:
        return Finding(Verdict.FAIL, "Journal", str(error))
    return Finding(Verdict.OK if promised.firm else Verdict.WARN, "Journal", f"in Redis, which {promised.value}")


def _redis(url: str) -> Finding:
    """PING over a plain socket: a client library for one line would be one dependency too many."""
    parts = urlsplit(url)
    host, port = parts.hostname or "localhost", parts.port or 6379
    name = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=_REDIS_TIMEOUT_S) as plain:
            secure = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if parts.scheme == "rediss" else plain
            if parts.password:
                words = [word for word in ("AUTH", unquote(parts.username or ""), unquote(parts.password)) if word]
                answer = _redis_says(secure, words)
                if not answer.startswith("+"):
                    return Finding(Verdict.FAIL, "Redis", f"{name} refuses the password ({answer}); check the setting redis_url")
            answer = _redis_says(secure, ["PING"])
    except OSError as error:
        return Finding(Verdict.FAIL, "Redis", f"{name} cannot be reached ({error}); start it, or unset redis_url: Redis is optional")
    if answer.startswith("+PONG"):
        return Finding(Verdict.OK, "Redis", f"{name} answers")
    return Finding(Verdict.FAIL, "Redis", f"{name} answers {answer!r} to PING; check the setting redis_url")


def _redis_says(connection: socket.socket, words: list[str]) -> str:
    encoded = [word.encode() for word in words]
    connection.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
    return connection.recv(256).decode(errors="replace").strip()

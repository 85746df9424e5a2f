"""The one door to a profile's journal: which of the two it is, and that it stays the same one.

A profile whose journal lies in Redis has a file ``journal/redis.json`` that names it there. Without that file the journal is
the directory's own files. Positions of what has been landed belong to one journal, so a setting that says another is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SettingsError
from pipeline.journal.files import FileJournal
from pipeline.journal.interface import Journal
from pipeline.journal.naming import RedisName, load_name, name_journal
from pipeline.journal.reader import sources
from pipeline.profile import Profile
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.journal.redis_streams import Server


def open_journal(profile: Profile, settings: Settings) -> Journal:
    """The journal of a profile, as the settings want it and as it was begun.

    Raises:
        SettingsError: when the profile's journal is the other one, or Redis is chosen without its URL or its client.
        JournalError: when Redis is chosen for the first time and does not answer.
    """
    name = load_name(profile.journal)
    if settings.journal == "files":
        if name is not None:
            msg = (
                f'the journal of profile {profile.name!r} is in Redis ({name.prefix}); set journal = "redis", or move it with '
                f"`spreadwatch profile journal {profile.name} --to files`"
            )
            raise SettingsError(msg)
        return file_journal(profile.journal, settings)
    if name is None and sources(profile.journal):
        msg = (
            f'the journal of profile {profile.name!r} is in files ({profile.journal}); set journal = "files", or move it with '
            f"`spreadwatch profile journal {profile.name} --to redis`"
        )
        raise SettingsError(msg)
    return redis_journal(profile, settings, name)


def file_journal(root: Path, settings: Settings) -> FileJournal:
    """A journal of files under ``root``."""
    return FileJournal(
        root,
        fsync_s=settings.fsync_ms / 1_000,
        segment_bytes=settings.segment_mb << 20,
        segment_seconds=settings.segment_minutes * 60,
    )


def redis_journal(profile: Profile, settings: Settings, name: RedisName | None) -> Journal:
    """The journal in Redis; one without a name is begun.

    Raises:
        SettingsError: without a URL or the client.
        JournalError: when a journal is to be begun and Redis does not answer.
    """
    server = redis_client(settings)
    if name is None:
        name = name_journal(profile, lambda fresh: server.begin_journal(fresh.prefix, profile.name))
    from pipeline.journal.redis_streams import RedisJournal  # noqa: PLC0415 -- an optional extra, which is there

    return RedisJournal(
        server,
        name.prefix,
        fsync_s=settings.fsync_ms / 1_000,
        segment_bytes=settings.segment_mb << 20,
        segment_seconds=settings.segment_minutes * 60,
        beats=profile.run,
    )


def redis_client(settings: Settings) -> Server:
    """The Redis of the settings, which is not asked for anything yet.

    Raises:
        SettingsError: without a URL or the client.
    """
    if settings.redis_url is None:
        msg = 'journal = "redis" needs redis_url, such as redis://127.0.0.1:6379/0; set it, or journal = "files"'
        raise SettingsError(msg)
    try:
        from pipeline.journal.redis_streams import Server  # noqa: PLC0415 -- an optional extra
    except ModuleNotFoundError as error:
        msg = (
            "journal = \"redis\" needs Redis's client, which is not installed; run `pip install 'spreadwatch[redis]'`, "
            'or set journal = "files"'
        )
        raise SettingsError(msg) from error
    return Server(settings.redis_url.get_secret_value())


def written_file(profile: Profile, settings: Settings, source: str) -> Path:
    """A local file that is touched while a source is being written: how a supervisor sees that its writer works."""
    return profile.journal / source / "HEAD" if settings.journal == "files" else profile.run / f"journal-{source}"

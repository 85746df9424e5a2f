"""Starting while the server that keeps the journal does not answer yet."""

from __future__ import annotations

import asyncio
import logging

from pipeline.errors import JournalUnavailable
from pipeline.journal.opening import open_journal
from pipeline.profile import Profile
from pipeline.settings import Settings

_log = logging.getLogger(__name__)

_PAUSE_S = 1.0


async def journal_answers(profile: Profile, settings: Settings, stop: asyncio.Event) -> bool:
    """Wait until the journal can be asked; False when ``stop`` was set before. Files always can.

    Raises:
        SettingsError: when the profile's journal is another one.
        JournalError: when it can be asked and is lost, or cannot be used.
    """

    def ask() -> None:
        journal = open_journal(profile, settings)
        try:
            journal.sources()
        finally:
            journal.close()

    told = False
    while not stop.is_set():
        try:
            await asyncio.to_thread(ask)
        except JournalUnavailable as error:
            if not told:
                _log.error("waiting for the journal", extra={"why": str(error)})
            told = True
        else:
            return True
        try:
            await asyncio.wait_for(stop.wait(), _PAUSE_S)
        except TimeoutError:
            continue
    return False

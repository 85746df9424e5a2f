"""Capture: raw messages of the venue into the journal. Small, depends on nothing but the disk, never stops.

    process     starts and ends everything
    recording   the same for chosen streams, with nothing behind it
    following   the universe file, once a second
    pool        streams spread over connections
    keeper      one place in the pool: connect, replace, reconnect for ever
    link        one connection: receive loop, and what its session (pure, in venues) says
    remembering what the venue counts, over restarts
    dialling    opening a socket, and why it could not be opened
    intake      the hot path: journal and count
    committing  the group commit
    alive       a sign of life while there is none
    clock       the line of every second
    venue_clock how far the venue's clock is ahead of ours

Everything received goes into the journal before anybody looks at it.
"""

from __future__ import annotations

from pipeline.capture.process import SOURCE, run
from pipeline.capture.recording import Progress, record

__all__ = ["SOURCE", "Progress", "record", "run"]

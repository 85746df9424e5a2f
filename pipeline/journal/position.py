"""A place in one source of the journal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Segment number and offset in it, ordered as the journal is.

    ``seq`` starts at 1 and is never used twice in one source; ``offset`` counts uncompressed bytes.
    ``Position(0, 0)`` (``START``) lies before everything that is kept.
    """

    seq: int
    offset: int


START = Position(0, 0)

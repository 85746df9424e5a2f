"""Spreadwatch's engine: capture, journal, warehouse, bars, pair statistics and alerts.

Python users read a profile's tables as polars frames::

    import pipeline

    with pipeline.open("demo") as profile:
        bars = profile.bars("BTCUSDT", "1m", start="2026-11-22T14:00")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.store.reader import Reader

__version__ = "0.1.0"


def open(profile: str | None = None) -> Reader:  # noqa: A001  `pipeline.open` is what users write
    """Read a profile by name; None is the one that the settings name. See ``pipeline.store.reader.Reader``.

    Raises:
        ProfileError: when there is none of that name.
    """
    from pipeline.store.reader import open_profile_reader  # noqa: PLC0415  importing the package must not load the database

    return open_profile_reader(profile)

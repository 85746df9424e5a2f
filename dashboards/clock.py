"""How a session tells times: in the zone that its user chose, UTC unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboards.format import short_time, time_text

UTC_NAME = "UTC"


@dataclass(frozen=True, slots=True)
class Clock:
    """Times of one session; what is stored and exported stays in UTC.

    ``zone`` is a name of the IANA time zone database, such as ``Europe/Berlin``.
    """

    zone: str = UTC_NAME

    @property
    def name(self) -> str:
        """What stands beside a time: ``UTC``, or the zone."""
        return self.zone

    def local(self, time: datetime) -> datetime:
        """An aware time, in the zone."""
        return time.astimezone(ZoneInfo(self.zone))

    def text(self, time: datetime | None, *, seconds: bool = True) -> str:
        """Date and time of day; a dash for None."""
        return time_text(None if time is None else self.local(time), seconds=seconds)

    def short(self, time: datetime | None, now: datetime | None = None) -> str:
        """The time of day, with the date in front when it is another day than ``now``."""
        return short_time(None if time is None else self.local(time), None if now is None else self.local(now))


def clock_of(zone: str | None) -> Clock:
    """The clock of a zone that an address names; UTC for none, and for what is no zone."""
    if not zone:
        return Clock()
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Clock()
    return Clock(zone)

"""How a session tells times: in the zone that its user chose, UTC unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from dashboards.format import short_time, time_text
from pipeline.errors import UsageError

UTC_NAME = "UTC"
_REGIONS = {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}


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

    @property
    def city(self) -> str:
        """The name without its continent, for where there is little room."""
        return self.zone.rpartition("/")[2].replace("_", " ")

    def local(self, time: datetime) -> datetime:
        """An aware time, in the zone."""
        return time.astimezone(ZoneInfo(self.zone))

    def midnight(self, time: datetime) -> datetime:
        """The next 00:00 in the zone."""
        return datetime.combine(self.local(time).date() + timedelta(days=1), time_of_day(), ZoneInfo(self.zone)).astimezone(UTC)

    def text(self, time: datetime | None, *, seconds: bool = True) -> str:
        """Date and time of day; a dash for None."""
        return time_text(None if time is None else self.local(time), seconds=seconds)

    def typed(self, text: str | None, name: str) -> datetime | None:
        """A time that a user typed in the zone, in UTC; None for nothing. A zone in the text itself (``...Z``) has the last word.

        A time that the clocks pass twice is the first of the two.

        Raises:
            UsageError: when it is not understood; ``name`` is the field's.
        """
        if text is None or not text.strip():
            return None
        try:
            given = datetime.fromisoformat(text.strip())
        except ValueError:
            msg = f"{name} {text.strip()!r} is not understood; write a time such as 2026-11-22 14:00, in {self.zone}"
            raise UsageError(msg) from None
        return (given if given.tzinfo else given.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC)

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


@cache
def zones() -> tuple[str, ...]:
    """Every zone that is named after a place, in order."""
    return tuple(sorted(name for name in available_timezones() if name.partition("/")[0] in _REGIONS))

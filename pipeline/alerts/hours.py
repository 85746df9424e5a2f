"""When a rule tells people: days of the week and a time of day, in a named time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.errors import UsageError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"(?:(?P<days>[a-z,-]+)\s+)?(?P<start>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})(?:\s+(?P<zone>\S+))?", re.IGNORECASE)
_EPOCH = datetime.fromtimestamp(0, UTC)
_DAY_MINUTES = 1_440
_ALL = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class ActiveHours:
    """Hours of the week, written ``mon-fri 08:00-17:30 Europe/Berlin``; days left out mean all, a zone left out means UTC.

    The end is not part of them. An end at or before the start lies on the next day: ``22:00-06:00`` is the night that
    begins on the days named, ``00:00-24:00`` the whole of them. Made by `parse`.
    """

    days: frozenset[int]
    start_min: int
    end_min: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form.

        Raises:
            UsageError: when it is not of that form, or day, time or zone do not exist.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            msg = f"active hours {text!r} are not understood; expected such as 'mon-fri 08:00-17:30 Europe/Berlin'"
            raise UsageError(msg)
        start, end = _minutes(match["start"], text), _minutes(match["end"], text)
        if start == _DAY_MINUTES:
            msg = f"active hours {text!r} begin at 24:00; write 00:00"
            raise UsageError(msg)
        zone = match["zone"] or "UTC"
        try:
            _zone(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = f"time zone {zone!r} of active hours is unknown; expected UTC or a name such as Europe/Berlin"
            raise UsageError(msg) from error
        return cls(_days(match["days"], text), start, end if end > start else end + _DAY_MINUTES, zone)

    def __str__(self) -> str:
        days = "" if self.days == _ALL else ",".join(_DAYS[day] for day in sorted(self.days)) + " "
        end = self.end_min if self.end_min <= _DAY_MINUTES else self.end_min - _DAY_MINUTES
        return f"{days}{_clock(self.start_min)}-{_clock(end)} {self.zone}"

    def contains(self, time_us: int) -> bool:
        """Whether a time (microseconds since the epoch) is within them."""
        return any(start <= time_us < end for start, end in self._around(time_us))

    def next_start_us(self, time_us: int) -> int:
        """The first start after a time, both in microseconds since the epoch."""
        return min(start for start, _ in self._around(time_us) if start > time_us)

    def _around(self, time_us: int) -> list[tuple[int, int]]:
        """Start and end of the stretches that begin from two days before to eight days after a time."""
        zone = _zone(self.zone)
        today = (_EPOCH + timedelta(microseconds=time_us)).astimezone(zone).date()
        stretches = []
        for offset in range(-2, 9):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days:
                midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  wall time: the zone is put on behind the addition
                ends = [(midnight + timedelta(minutes=at)).replace(tzinfo=zone) for at in (self.start_min, self.end_min)]
                start, end = ((moment - _EPOCH) // timedelta(microseconds=1) for moment in ends)
                stretches.append((start, end))
        return stretches


@lru_cache
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # UTC needs no database of zones


def _minutes(text: str, whole: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > _DAY_MINUTES:
        msg = f"time of day {text!r} in active hours {whole!r} does not exist; expected 00:00 to 24:00"
        raise UsageError(msg)
    return hours * 60 + minutes


def _days(text: str | None, whole: str) -> frozenset[int]:
    if text is None:
        return _ALL
    found: set[int] = set()
    for part in text.lower().split(","):
        ends = part.split("-")
        if len(ends) > 2 or any(end not in _DAYS for end in ends):
            msg = f"days {part!r} in active hours {whole!r} are unknown; expected such as mon-fri or sat,sun"
            raise UsageError(msg)
        first, last = _DAYS.index(ends[0]), _DAYS.index(ends[-1])
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(found)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"

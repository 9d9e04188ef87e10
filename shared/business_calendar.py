"""Business hours: when a team works, and how much working time lies between two instants.

Hours are written in the wall time of a zone; durations are real time. So a day on which clocks go forward within the
hours is an hour shorter, and one on which they go back an hour longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

_DAY = timedelta(days=1)
_HORIZON = timedelta(days=3660)  # nothing that people wait for is further away


class NeverOpens(Exception):
    """The calendar has no working time within ten years."""


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """Working time on one day of the week, Monday being 0. `end` at 00:00 is the end of the day."""

    day: int
    start: time
    end: time


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessCalendar:
    """When people work: a week of shifts in a zone, less public holidays and days off."""

    zone: str  # IANA name, such as Europe/Berlin
    week: tuple[Shift, ...]  # sorted; shifts of a day do not overlap
    holidays: str | None = None  # country, or country and subdivision, as in ISO 3166: `US`, `DE-BY`
    closed: tuple[date, ...] = ()  # other days without work

    def is_open(self, at: datetime) -> bool:
        """Tell whether anybody works at the instant."""
        return any(start <= at < end for start, end in self.openings(at - _DAY, at + _DAY))

    def is_holiday(self, at: datetime) -> bool:
        """Tell whether the instant lies on a public holiday or another day without work."""
        return self._is_off(at.astimezone(ZoneInfo(self.zone)).date())

    def opens_at(self, at: datetime) -> datetime:
        """Return the instant itself when it is working time, else when work begins next. Raises NeverOpens."""
        for start, end in self.openings(at - _DAY, at + _HORIZON):
            if at < end:
                return max(start, at)
        raise NeverOpens

    def after(self, start: datetime, duration: timedelta) -> datetime:
        """Return the instant at which so much working time has passed since the start. Raises NeverOpens."""
        left = duration
        for opening, closing in self.openings(start - _DAY, start + _HORIZON):
            begin = max(opening, start)
            if closing <= begin:
                continue
            if left <= closing - begin:
                return begin + left
            left -= closing - begin
        raise NeverOpens

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return the working time between the instants; zero when the end is not after the start."""
        return sum(
            (
                max(timedelta(), min(closing, end) - max(opening, start))
                for opening, closing in self.openings(start - _DAY, end + _DAY)
            ),
            timedelta(),
        )

    def openings(self, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield working times in UTC, in order, of the local days from the first instant's to the last one's."""
        zone = ZoneInfo(self.zone)
        day, last_day = first.astimezone(zone).date(), last.astimezone(zone).date()
        while day <= last_day:
            for shift in self.week:
                if shift.day == day.weekday() and not self._is_off(day):
                    opening = datetime.combine(day, shift.start, zone).astimezone(UTC)
                    ends_on = day + _DAY if shift.end == time() else day
                    closing = datetime.combine(ends_on, shift.end, zone).astimezone(UTC)
                    if opening < closing:  # a shift inside the hour that is skipped has no time
                        yield opening, closing
            day += _DAY

    def _is_off(self, day: date) -> bool:
        return day in self.closed or (self.holidays is not None and day in _holidays(self.holidays, day.year))


def known_holidays(code: str) -> bool:
    """Tell whether the public holidays of `US` or `DE-BY` are known."""
    try:
        _holidays(code, 2026)
    except NotImplementedError:
        return False
    return True


@lru_cache(maxsize=1_000)
def _holidays(code: str, year: int) -> frozenset[date]:
    country, _, subdivision = code.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))

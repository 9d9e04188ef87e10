"""Who can take a handoff at one instant, and from when on those can who cannot.

Hours are the rep's own, else the pool's, else the team's, else always. Time off is counted in days of the zone of
these hours. Caps look back: at every moment no more than `per_hour` within the last 60 minutes, and no more than
`per_day` within the last 24 hours. What was given is kept by the minute, each with the instant of its last one, so that
a cap may open up to a minute later than it could, and never earlier.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.router.domain.routing import CompiledRule, compile_rules
from services.router.domain.team import Pool, Rep, Team
from shared.business_calendar import BusinessCalendar, NeverOpens

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Why(StrEnum):
    """Why a candidate got the handoff, or did not."""

    CHOSEN = "chosen"
    NOT_THEIR_TURN = "not_their_turn"
    EXCLUDED = "excluded"  # such as: had it already, and did not answer
    AWAY = "away"
    TIME_OFF = "time_off"
    HOLIDAY = "holiday"
    OFF_HOURS = "off_hours"
    FULL = "full"  # as many open handoffs as their capacity
    DAILY_CAP = "daily_cap"
    HOURLY_CAP = "hourly_cap"


@dataclass(frozen=True, slots=True)
class Given:
    """How many handoffs a rep was given within a minute, and when the last of them."""

    last_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a rep has: open handoffs, and what they were given within the last day, oldest first."""

    open: int = 0
    given: tuple[Given, ...] = ()

    def within(self, window: timedelta, now: datetime) -> int:
        """Return how many were given within the window before now."""
        return sum(given.count for given in self.given if given.last_at > now - window)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why somebody cannot take a handoff now. `until` when they might; None: until something happens."""

    why: Why
    until: datetime | None = None
    note: str = ""


class Roster:
    """Who can take something at one instant. What is given on the way counts for whatever is decided next."""

    def __init__(
        self,
        team: Team,
        loads: Mapping[str, Load],
        *,
        now: datetime,
        rules: tuple[CompiledRule, ...] | None = None,
    ) -> None:
        self.team = team
        self.now = now
        self.rules = compile_rules(team) if rules is None else rules
        self._reps = {rep.name: rep for rep in team.reps}
        self._loads = loads
        self._open = {name: load.open for name, load in loads.items()}
        self._hour = {name: load.within(HOUR, now) for name, load in loads.items()}
        self._day = {name: load.within(DAY, now) for name, load in loads.items()}
        self._on_duty: dict[tuple[str, str], Blocked | None] = {}

    def rep(self, name: str) -> Rep:
        """Return a rep that the team's pools and rules name."""
        return self._reps[name]

    def counts(self, rep: str) -> tuple[int, int, int]:
        """Return how many handoffs are open, and were given within an hour and within a day."""
        return self._open.get(rep, 0), self._hour.get(rep, 0), self._day.get(rep, 0)

    def give(self, rep: str) -> None:
        """Count one more for the rep."""
        for counts in (self._open, self._hour, self._day):
            counts[rep] = counts.get(rep, 0) + 1

    def blocked(self, name: str, pool: Pool) -> Blocked | None:
        """Return why the rep cannot take a handoff of the pool now, None when they can."""
        rep = self._reps[name]
        place = (name, pool.name)
        if place not in self._on_duty:
            self._on_duty[place] = _off_duty(rep, self._calendar(rep, pool), self.now)
        off_duty = self._on_duty[place]
        if off_duty is not None:
            return off_duty
        taken, hour, day = self.counts(name)
        if taken >= rep.capacity:
            return Blocked(Why.FULL)
        if rep.per_day is not None and day >= rep.per_day:
            return Blocked(Why.DAILY_CAP, self._cap_opens(rep, pool, DAY, rep.per_day))
        if rep.per_hour is not None and hour >= rep.per_hour:
            return Blocked(Why.HOURLY_CAP, self._cap_opens(rep, pool, HOUR, rep.per_hour))
        return None

    def free(self) -> list[str]:
        """Return what handoffs wait for that can go on now: pools and reps, as `waits_for` names them."""
        keys = []
        for pool in self.team.pools:
            here = [member.rep for member in pool.members if self.blocked(member.rep, pool) is None]
            if here:
                keys.append(key_of_pool(pool.name))
                keys += [key_of_member(pool.name, rep) for rep in here]
                keys += [key_of_rep(rep) for rep in here if self.team.pool_of(rep) is pool]
        return keys

    def opens_at(self) -> datetime | None:
        """Return the next instant at which somebody might be able to take something who now cannot."""
        return _earliest(
            blocked.until
            for pool in self.team.pools
            for member in pool.members
            if (blocked := self.blocked(member.rep, pool)) is not None
        )

    def _calendar(self, rep: Rep, pool: Pool) -> BusinessCalendar | None:
        return rep.calendar or pool.calendar or self.team.calendar

    def _cap_opens(self, rep: Rep, pool: Pool, window: timedelta, most: int) -> datetime | None:
        load = self._loads.get(rep.name, Load())
        in_window = [given for given in load.given if given.last_at > self.now - window]
        now_given = self.counts(rep.name)[1 if window == HOUR else 2] - sum(given.count for given in in_window)
        left = sum(given.count for given in in_window) + now_given
        for given in (*in_window, Given(self.now, now_given)):
            left -= given.count
            if left < most:
                return _on_duty_from(rep, self._calendar(rep, pool), given.last_at + window)
        return None


def key_of_pool(pool: str) -> str:
    """Name what a handoff waits for: anybody of a pool."""
    return f"pool:{pool}"


def key_of_member(pool: str, rep: str) -> str:
    """Name what a handoff waits for that some of a pool must not get: one of the others."""
    return f"member:{pool}:{rep}"


def key_of_rep(rep: str) -> str:
    """Name what a handoff waits for: one rep."""
    return f"rep:{rep}"


def _off_duty(rep: Rep, calendar: BusinessCalendar | None, now: datetime) -> Blocked | None:
    if rep.away:
        return Blocked(Why.AWAY)
    until = _on_duty_from(rep, calendar, now)
    if until == now:
        return None
    if _time_off(rep, _day_of(calendar, now)) is not None:
        return Blocked(Why.TIME_OFF, until)
    return Blocked(Why.HOLIDAY if calendar and calendar.is_holiday(now) else Why.OFF_HOURS, until)


def _on_duty_from(rep: Rep, calendar: BusinessCalendar | None, at: datetime) -> datetime | None:
    """Return the instant itself when the rep works then, else the next at which they do; None: never."""
    while True:
        off_until = _time_off(rep, _day_of(calendar, at))
        if off_until is not None:
            at = _midnight(calendar, off_until + DAY)
            continue
        if calendar is None:
            return at
        try:
            opens = calendar.opens_at(at)
        except NeverOpens:
            return None
        if opens == at:
            return at
        at = opens


def _time_off(rep: Rep, day: date) -> date | None:
    """Return the last day of the time off that the day lies in."""
    return next((off.last for off in rep.off if off.first <= day <= off.last), None)


def _day_of(calendar: BusinessCalendar | None, at: datetime) -> date:
    return at.astimezone(ZoneInfo(calendar.zone) if calendar else UTC).date()


def _midnight(calendar: BusinessCalendar | None, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(calendar.zone) if calendar else UTC).astimezone(UTC)


def _earliest(instants: Iterable[datetime | None]) -> datetime | None:
    return min((instant for instant in instants if instant is not None), default=None)

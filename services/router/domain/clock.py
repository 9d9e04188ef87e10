"""The response clock of a handoff: when somebody's time runs out, and what happens then.

Three clocks are kept, so that nobody argues about which hours count:

    the rep's    runs from when the rep was given the handoff, in the rep's hours
    the team's   runs from when the handoff came in, in the team's hours; a new owner does not set it back
    the wall's   runs from when the handoff came in, always

An agreement promises an answer `within` a time. Who has not answered `reassign_after` that, by their own clock, loses
the handoff to somebody else; when nobody has answered `escalate_after` that, by the team's clock, the manager gets it.
A rep who was given it late has at least the promised time before that.

Worked example, every hour counting: within 5 min, reassign after 15, escalate after 60. It comes in and is given to Ada
at 10:00. Her answer is due at 10:05; it expires at 10:20 and goes to Bo, expires at 10:40 and goes to Cy, expires at
11:00 and goes to Di. She is late at 11:05, and then it is the manager's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, assert_never

from services.router.domain.handoff import State, Step
from services.router.domain.team import Team
from shared.business_calendar import BusinessCalendar, NeverOpens
from shared.events.handoff import Respond

_LONGEST = timedelta(days=3660)  # nothing that people wait for is further away


@dataclass(frozen=True, slots=True)
class Promise:
    """What the agreement says, of one handoff."""

    within: timedelta
    reassign_after: timedelta  # after the answer was due
    escalate_after: timedelta  # after the answer was due


@dataclass(frozen=True, slots=True)
class Hours:
    """Which hours count; None: all of them."""

    rep: BusinessCalendar | None = None
    team: BusinessCalendar | None = None


@dataclass(frozen=True, slots=True)
class ResponseClock:
    """The clock of one handoff. `given_at` is when its owner got it, None while nobody has it."""

    state: State
    came_at: datetime
    given_at: datetime | None
    promise: Promise
    hours: Hours
    rep: str | None = None
    manager: str | None = None  # who gets it in the end; None: nobody, so that it stays in the queue

    @classmethod
    def of(
        cls,
        respond: Respond,
        team: Team,
        *,
        state: State,
        came_at: datetime,
        given_at: datetime | None,
        pool: str | None,
        rep: str | None,
    ) -> Self:
        """Return the clock of a handoff that promises so much, with this team."""
        return cls(
            state=state,
            came_at=came_at,
            given_at=given_at,
            promise=promise_of(respond),
            hours=hours_of(respond, team, pool=pool, rep=rep),
            rep=rep,
            manager=manager_of(team, pool),
        )

    @property
    def answer_by(self) -> datetime:
        """When an answer is due: of the owner by the owner's hours, of the team while nobody has it."""
        if self.given_at is None:
            return after(self.hours.team, self.came_at, self.promise.within)
        return after(self.hours.rep, self.given_at, self.promise.within)

    @property
    def reassign_at(self) -> datetime | None:
        """When somebody else gets it; None while nobody has it."""
        if self.given_at is None:
            return None
        return after(self.hours.rep, self.given_at, self.promise.within + self.promise.reassign_after)

    @property
    def escalate_at(self) -> datetime | None:
        """When the manager gets it; None if that is nobody, or the owner."""
        if self.manager is None or self.manager == self.rep:
            return None
        due = after(self.hours.team, self.came_at, self.promise.within + self.promise.escalate_after)
        return due if self.given_at is None else max(due, self.answer_by)

    @property
    def due_at(self) -> datetime | None:
        """When something happens if nobody answers; None: nothing ever does."""
        match self.state:
            case State.READY | State.EXPIRED:
                return self.escalate_at
            case State.ASSIGNED | State.REASSIGNED:
                reassign_at, escalate_at = self.reassign_at, self.escalate_at
                assert reassign_at is not None, "who owns a handoff was given it"
                return min(reassign_at, escalate_at) if escalate_at else reassign_at
            case State.ESCALATED | State.ACCEPTED | State.QUALIFIED | State.WON | State.LOST:
                return None
            case State.REJECTED | State.RECYCLED | State.WITHDRAWN:
                return None
            case _:
                assert_never(self.state)

    def ring(self, now: datetime) -> tuple[Step, ...]:
        """Return the steps that are due; nothing before `due_at`."""
        due_at = self.due_at
        if due_at is None or now < due_at:
            return ()
        escalate_at = self.escalate_at
        escalates = escalate_at is not None and escalate_at <= now
        if self.given_at is None:
            return (Step.ESCALATE,)
        return (Step.EXPIRE, Step.ESCALATE) if escalates else (Step.EXPIRE,)

    @property
    def ends(self) -> tuple[datetime, Step] | None:
        """When the time of whoever has it ends, and the last step that follows; None: nothing ever does."""
        due_at = self.due_at
        return (due_at, self.ring(due_at)[-1]) if due_at else None


def promise_of(respond: Respond) -> Promise:
    """Read the promise; times that no calendar reaches are cut."""
    return Promise(
        within=_duration(respond.within_seconds),
        reassign_after=_duration(respond.reassign_after_seconds),
        escalate_after=_duration(respond.escalate_after_seconds),
    )


def hours_of(respond: Respond, team: Team, *, pool: str | None, rep: str | None) -> Hours:
    """Return the hours that count: those that the agreement names, else of the pool, else of the team.

    A rep's own hours come before those. Where the agreement says so, every hour counts for everybody.
    """
    if respond.hours == "always":
        return Hours()
    shared_by = team.pool(pool) if pool else None
    of_team = respond.calendar or (shared_by.calendar if shared_by else None) or team.calendar
    owner = team.rep(rep) if rep else None
    return Hours(rep=(owner.calendar if owner else None) or of_team, team=of_team)


def manager_of(team: Team, pool: str | None) -> str | None:
    """Return who gets what nobody in the pool answers."""
    found = team.pool(pool) if pool else None
    return found.manager if found else None


def after(calendar: BusinessCalendar | None, start: datetime, duration: timedelta) -> datetime:
    """Return when so much time has passed in these hours. Hours that never come are taken for all hours."""
    if calendar is None:
        return start + duration
    try:
        return calendar.after(start, duration)
    except NeverOpens:
        return start + duration


def between(calendar: BusinessCalendar | None, start: datetime, end: datetime) -> timedelta:
    """Return how much time of these hours lies between the instants."""
    if calendar is None:
        return max(timedelta(), end - start)
    return calendar.between(start, end)


def _duration(seconds: int) -> timedelta:
    return timedelta(seconds=max(0, min(seconds, int(_LONGEST.total_seconds()))))

"""What a clock shows: how much time passed by each of the three, and how much is left."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.router.domain.clock import ResponseClock, after, between
from services.router.domain.handoff import QUEUED, UNANSWERED, State, Step
from shared.business_calendar import BusinessCalendar


class Standing(StrEnum):
    """How a clock stands."""

    WAITING = "waiting"  # nobody has the handoff
    RUNNING = "running"
    LATE = "late"  # the promised time has passed
    ESCALATED = "escalated"  # the manager has it, and nothing more happens by itself
    ANSWERED = "answered"
    STOPPED = "stopped"  # nobody has to answer any more


@dataclass(frozen=True, slots=True)
class Reading:
    """One of the clocks. `left` is below zero when it is late."""

    since: datetime
    due_at: datetime
    elapsed: timedelta
    left: timedelta


@dataclass(frozen=True, slots=True)
class Readings:
    """All three, and what happens next."""

    standing: Standing
    rep: Reading | None  # None while nobody has it
    team: Reading
    wall: Reading
    answer_by: datetime
    reassign_at: datetime | None
    escalate_at: datetime | None
    ends: tuple[datetime, Step] | None  # the earlier of both, and what happens then


def read_clocks(clock: ResponseClock, *, stopped_at: datetime | None, now: datetime) -> Readings:
    """Read the clocks; they stand still since they were stopped."""
    until = stopped_at or now
    within = clock.promise.within
    running = clock.state in UNANSWERED
    team = _read(clock.hours.team, clock.came_at, until, within)
    return Readings(
        standing=_standing(clock, now=now),
        rep=_read(clock.hours.rep, clock.given_at, until, within) if clock.given_at else None,
        team=team,
        wall=_read(None, clock.came_at, until, within),
        answer_by=clock.answer_by,
        reassign_at=clock.reassign_at if clock.state in {State.ASSIGNED, State.REASSIGNED} else None,
        escalate_at=clock.escalate_at if running and clock.state is not State.ESCALATED else None,
        ends=clock.ends,
    )


def _standing(clock: ResponseClock, *, now: datetime) -> Standing:
    if clock.state is State.WITHDRAWN:
        return Standing.STOPPED
    if clock.state not in UNANSWERED:
        return Standing.ANSWERED
    if clock.state is State.ESCALATED:
        return Standing.ESCALATED
    if clock.state in QUEUED:
        return Standing.WAITING
    return Standing.RUNNING if now < clock.answer_by else Standing.LATE


def _read(calendar: BusinessCalendar | None, since: datetime, until: datetime, within: timedelta) -> Reading:
    elapsed = between(calendar, since, until)
    return Reading(since=since, due_at=after(calendar, since, within), elapsed=elapsed, left=within - elapsed)

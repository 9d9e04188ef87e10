"""The response clock: which hours count, when it rings, and what it shows."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.clock import Hours, Promise, ResponseClock, hours_of, promise_of
from services.router.domain.clock_reading import Standing, read_clocks
from services.router.domain.handoff import State, Step
from services.router.domain.team import Member, Pool, Rep, Team
from services.router.reading import read_message
from shared.business_calendar import BusinessCalendar, Shift
from shared.events.handoff import Respond, encode_handoff
from tests.support.handoffs import make_handoff

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PROMISE = Promise(within=5 * MINUTE, reassign_after=15 * MINUTE, escalate_after=60 * MINUTE)
TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)  # a Wednesday


def office(
    zone: str = "Europe/Berlin", *, start: int = 9, end: int = 17, holidays: str | None = None
) -> BusinessCalendar:
    week = tuple(Shift(day, time(start), time(end)) for day in range(5))
    return BusinessCalendar(zone=zone, week=week, holidays=holidays, closed=(date(2026, 3, 6),))


def clock(
    state: State = State.ASSIGNED,
    *,
    came_at: datetime = TEN,
    given_at: datetime | None = TEN,
    hours: Hours = Hours(),  # noqa: B008  # a frozen value
    rep: str | None = "Ada",
    manager: str | None = "Mona",
    promise: Promise = PROMISE,
) -> ResponseClock:
    return ResponseClock(state, came_at, given_at, promise, hours, rep, manager)


def test_the_worked_example() -> None:
    """Five minutes, fifteen more for each rep, and after sixty-five it is the manager's."""
    given = [TEN + minutes * MINUTE for minutes in (0, 20, 40, 60)]
    clocks = [clock(State.REASSIGNED, given_at=at) for at in given]

    assert [each.due_at for each in clocks] == [TEN + minutes * MINUTE for minutes in (20, 40, 60, 65)]
    assert clocks[0].ring(given[1] - MINUTE) == ()
    assert clocks[0].ring(given[1]) == (Step.EXPIRE,)
    assert clocks[3].ring(TEN + 65 * MINUTE) == (Step.EXPIRE, Step.ESCALATE)


def test_who_was_given_it_late() -> None:
    """They have the promised time before the manager gets it."""
    late = clock(given_at=TEN + 3 * HOUR)

    assert late.escalate_at == TEN + 3 * HOUR + 5 * MINUTE


def test_the_queue() -> None:
    """What nobody has is escalated by the team's clock, and never without a manager."""
    waiting = clock(State.EXPIRED, given_at=None, rep=None)

    assert waiting.due_at == TEN + 65 * MINUTE
    assert waiting.ring(TEN + 65 * MINUTE) == (Step.ESCALATE,)
    assert replace(waiting, manager=None).due_at is None


@pytest.mark.parametrize("state", [State.ESCALATED, State.ACCEPTED, State.QUALIFIED, State.WON, State.RECYCLED])
def test_no_more_to_do(state: State) -> None:
    """The manager's, and what was answered, is due never."""
    assert clock(state).due_at is None


@pytest.mark.parametrize(
    ("given_at", "within", "answer_by", "why"),
    [
        # 16:58 in Berlin: two minutes on that day, three on the next.
        ("2026-03-04T15:58", 5 * MINUTE, "2026-03-05T08:03", "the evening"),
        # Friday the 6th is a day off: from Thursday's last minute to Monday.
        ("2026-03-05T15:59", 5 * MINUTE, "2026-03-09T08:04", "a day off and the weekend"),
        # Clocks go forward on Sunday 2026-03-29: nine o'clock is 07:00 UTC afterwards.
        ("2026-03-27T15:00", 4 * HOUR, "2026-03-30T10:00", "clocks go forward"),
        # Clocks go back on Sunday 2026-10-25: nine o'clock is 08:00 UTC afterwards.
        ("2026-10-23T14:00", 4 * HOUR, "2026-10-26T11:00", "clocks go back"),
        # Good Friday and Easter Monday 2026 are April 3rd and 6th.
        ("2026-04-02T14:00", 4 * HOUR, "2026-04-07T10:00", "Easter in Bavaria"),
        ("2026-03-04T03:00", 5 * MINUTE, "2026-03-04T08:05", "before work"),
    ],
)
def test_business_hours(given_at: str, within: timedelta, answer_by: str, why: str) -> None:
    """Only hours that count pass, in the zone's own time."""
    at = datetime.fromisoformat(given_at).replace(tzinfo=UTC)
    calendar = office(holidays="DE-BY")
    due = clock(given_at=at, came_at=at, hours=Hours(calendar, calendar), promise=replace(PROMISE, within=within))

    assert due.answer_by == datetime.fromisoformat(answer_by).replace(tzinfo=UTC), why


def test_two_zones() -> None:
    """A rep in New York and a team in Berlin have clocks of their own: six hours lie between them."""
    hours = Hours(rep=office("America/New_York"), team=office())
    read = read_clocks(clock(hours=hours), stopped_at=None, now=TEN + 6 * HOUR)

    assert read.rep is not None
    assert read.rep.elapsed == 2 * HOUR  # she began at 14:00 UTC
    assert read.team.elapsed == 6 * HOUR
    assert read.wall.elapsed == 6 * HOUR
    assert read.rep.due_at == TEN + 4 * HOUR + 5 * MINUTE
    assert read.rep.left == 5 * MINUTE - 2 * HOUR
    assert read.standing is Standing.LATE


def test_whose_hours() -> None:
    """The rep's own, else those that the agreement names, else of the pool, else of the team; or all of them."""
    own, named, pools, teams = (office(start=start) for start in (6, 7, 8, 9))
    reps = (Rep("Ada", "a@h.example", 5, calendar=own), Rep("Bo", "b@h.example", 5))
    pool = Pool("west", (Member("Ada"), Member("Bo")), calendar=pools)
    team = Team(reps=reps, pools=(pool, replace(pool, name="east", calendar=None)), calendar=teams)
    business = Respond(within_seconds=1, reassign_after_seconds=1, escalate_after_seconds=1, hours="business")

    assert hours_of(business, team, pool="west", rep="Ada") == Hours(own, pools)
    assert hours_of(business, team, pool="west", rep="Bo") == Hours(pools, pools)
    assert hours_of(business, team, pool="east", rep=None) == Hours(teams, teams)
    assert hours_of(Respond(1, 1, 1, "business", named), team, pool="west", rep="Bo") == Hours(named, named)
    assert hours_of(Respond(1, 1, 1, "always"), team, pool="west", rep="Ada") == Hours()


def test_hours_that_never_come() -> None:
    """They are taken for all hours: a clock that cannot ring would leave the handoff behind."""
    never = BusinessCalendar(zone="UTC", week=())

    assert clock(hours=Hours(never, never)).due_at == TEN + 20 * MINUTE


@given(st.integers(-(10**12), 10**15), st.integers(0, 10**15), st.integers(0, 10**15))
def test_any_promise(within: int, reassign: int, escalate: int) -> None:
    """However a producer writes the times, there is an instant at which somebody is late."""
    promise = promise_of(Respond(within, reassign, escalate, "always"))
    due = clock(promise=promise).due_at

    assert due is not None
    assert due >= TEN


@pytest.mark.parametrize(
    ("state", "now", "standing"),
    [
        (State.READY, TEN, Standing.WAITING),
        (State.EXPIRED, TEN, Standing.WAITING),
        (State.ASSIGNED, TEN + 4 * MINUTE, Standing.RUNNING),
        (State.ASSIGNED, TEN + 5 * MINUTE, Standing.LATE),
        (State.ESCALATED, TEN, Standing.ESCALATED),
        (State.ACCEPTED, TEN, Standing.ANSWERED),
        (State.WITHDRAWN, TEN, Standing.STOPPED),
    ],
)
def test_how_it_stands(state: State, now: datetime, standing: Standing) -> None:
    """Each state shows what people need to know."""
    given_at = None if state in {State.READY, State.EXPIRED} else TEN
    assert read_clocks(clock(state, given_at=given_at), stopped_at=None, now=now).standing is standing


@pytest.mark.parametrize("calendar", [office("Mars/Base"), office("../etc"), office(holidays="XX")])
def test_hours_that_nobody_knows(calendar: BusinessCalendar) -> None:
    """A record with them is refused before it is in the queue, where it would stop the clock of everybody else."""
    ready = make_handoff(respond=Respond(300, 900, 3600, "business", calendar))

    with pytest.raises(ValueError, match=r"(?i)calendar|key|zone"):
        read_message(encode_handoff(ready))

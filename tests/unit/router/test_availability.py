"""Who can take a handoff when: hours, holidays, time off, capacity, caps."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.availability import DAY, HOUR, Blocked, Given, Load, Roster, Why
from services.router.domain.team import Member, Pool, Rep, Team, TimeOff
from shared.business_calendar import BusinessCalendar, Shift

MONDAY = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
OFFICE = BusinessCalendar(
    zone="Europe/Berlin", week=tuple(Shift(day, time(9), time(17)) for day in range(5)), holidays="DE"
)
NIGHT = BusinessCalendar(zone="UTC", week=tuple(Shift(day, time(), time(6)) for day in range(7)))


def blocked(rep: Rep, *, now: datetime, load: Load | None = None, pool: Pool | None = None) -> Blocked | None:
    """Ask about one rep of one pool."""
    pool = pool or Pool(name="all", members=(Member(rep.name),))
    team = Team(reps=(rep,), pools=(pool,), default_pool=pool.name)
    return Roster(team, {rep.name: load or Load()}, now=now).blocked(rep.name, pool)


def ada(
    *,
    capacity: int = 10,
    away: bool = False,
    per_hour: int | None = None,
    per_day: int | None = None,
    calendar: BusinessCalendar | None = None,
    off: tuple[TimeOff, ...] = (),
) -> Rep:
    return Rep(
        name="Ada",
        email="ada@harbour.example",
        capacity=capacity,
        away=away,
        per_hour=per_hour,
        per_day=per_day,
        calendar=calendar,
        off=off,
    )


def test_somebody_without_hours_is_always_there() -> None:
    """No hours anywhere: every hour is one."""
    assert blocked(ada(), now=MONDAY.replace(hour=3)) is None


@pytest.mark.parametrize(
    ("now", "why", "until"),
    [
        (datetime(2026, 3, 2, 7, 59, tzinfo=UTC), Why.OFF_HOURS, datetime(2026, 3, 2, 8, tzinfo=UTC)),
        (datetime(2026, 3, 6, 16, tzinfo=UTC), Why.OFF_HOURS, datetime(2026, 3, 9, 8, tzinfo=UTC)),
        # Good Friday and Easter Monday; in between the clocks went forward.
        (datetime(2026, 4, 3, 10, tzinfo=UTC), Why.HOLIDAY, datetime(2026, 4, 7, 7, tzinfo=UTC)),
    ],
)
def test_outside_the_hours(now: datetime, why: Why, until: datetime) -> None:
    """Who does not work is told when they do, across weekends, holidays and changes of the clock."""
    assert blocked(ada(calendar=OFFICE), now=now) == Blocked(why, until)


def test_time_off_ends_with_the_next_working_hour() -> None:
    """Days off are whole days in the zone of the hours, the last among them."""
    off = (TimeOff(date(2026, 3, 2), date(2026, 3, 5)),)

    assert blocked(ada(calendar=OFFICE, off=off), now=MONDAY) == Blocked(
        Why.TIME_OFF, datetime(2026, 3, 6, 8, tzinfo=UTC)
    )
    assert blocked(ada(off=off), now=MONDAY) == Blocked(Why.TIME_OFF, datetime(2026, 3, 6, tzinfo=UTC))


def test_whose_hours_count() -> None:
    """The rep's own, else the pool's, else the team's."""
    pool = Pool(name="night", members=(Member("Ada"),), calendar=NIGHT)
    team = Team(reps=(ada(),), pools=(pool, Pool(name="day", members=(Member("Ada"),))), calendar=OFFICE)
    roster = Roster(team, {}, now=MONDAY)

    assert roster.blocked("Ada", team.pools[1]) is None
    assert roster.blocked("Ada", pool) == Blocked(Why.OFF_HOURS, datetime(2026, 3, 3, tzinfo=UTC))
    assert blocked(ada(calendar=OFFICE), now=MONDAY, pool=pool) is None


def test_somebody_away_or_full_waits_for_no_instant() -> None:
    """Only an event changes that; nobody knows when."""
    assert blocked(ada(away=True), now=MONDAY) == Blocked(Why.AWAY)
    assert blocked(ada(capacity=2), now=MONDAY, load=Load(open=2)) == Blocked(Why.FULL)


def test_caps_look_back() -> None:
    """What was given an hour ago counts no longer for the hour, and still for the day."""
    load = Load(given=(Given(MONDAY - HOUR, 2), Given(MONDAY - timedelta(minutes=20), 3)))

    assert blocked(ada(per_hour=4), now=MONDAY, load=load) is None
    assert blocked(ada(per_hour=3), now=MONDAY, load=load) == Blocked(Why.HOURLY_CAP, MONDAY + timedelta(minutes=40))
    assert blocked(ada(per_day=5), now=MONDAY, load=load) == Blocked(Why.DAILY_CAP, MONDAY - HOUR + DAY)
    assert blocked(ada(per_day=6), now=MONDAY, load=load) is None


def test_a_cap_that_opens_at_night_opens_in_the_morning() -> None:
    """Room outside the hours is no use."""
    load = Load(given=(Given(MONDAY, 5),))
    evening = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)

    assert blocked(ada(per_hour=5, calendar=OFFICE), now=evening, load=Load(given=(Given(evening, 5),))) == Blocked(
        Why.HOURLY_CAP, datetime(2026, 3, 3, 8, tzinfo=UTC)
    )
    assert blocked(ada(per_hour=5, calendar=OFFICE), now=MONDAY, load=load) == Blocked(Why.HOURLY_CAP, MONDAY + HOUR)


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(1, 6),
    st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_caps_hold_in_every_window(steps: list[tuple[int, int]], per_hour: int, per_day: int) -> None:
    """Whatever comes when: in no 60 minutes more than `per_hour`, in no 24 hours more than `per_day`."""
    rep, now, given_at = ada(capacity=10_000, per_hour=per_hour, per_day=per_day), MONDAY, []
    pool = Pool(name="all", members=(Member("Ada"),))
    team = Team(reps=(rep,), pools=(pool,))
    kept: dict[datetime, Given] = {}  # as the table keeps it
    for pause, wanted in steps:
        now += timedelta(seconds=pause)
        load = Load(given=tuple(sorted(kept.values(), key=lambda item: item.last_at)))
        roster = Roster(team, {"Ada": load}, now=now)
        for _ in range(wanted):
            found = roster.blocked("Ada", pool)
            if found is not None:
                assert found.until is not None
                assert now < found.until <= now + DAY
                break
            roster.give("Ada")
            given_at.append(now)
            minute = now.replace(second=0, microsecond=0)
            kept[minute] = Given(now, kept[minute].count + 1 if minute in kept else 1)
    for at in given_at:
        assert sum(at - HOUR < other <= at for other in given_at) <= per_hour
        assert sum(at - DAY < other <= at for other in given_at) <= per_day


@given(st.integers(0, 60 * 24 * 14), st.sampled_from([OFFICE, NIGHT]))
@settings(max_examples=80, deadline=None)
def test_the_next_opening_is_right(minutes: int, calendar: BusinessCalendar) -> None:
    """At the instant that is told they can take one, and a minute before they cannot."""
    now = MONDAY + timedelta(minutes=minutes)
    rep = ada(calendar=calendar, off=(TimeOff(date(2026, 3, 5), date(2026, 3, 6)),))
    found = blocked(rep, now=now)
    if found is None:
        return
    assert found.until is not None

    assert blocked(rep, now=found.until) is None
    assert blocked(rep, now=found.until - timedelta(minutes=1)) is not None

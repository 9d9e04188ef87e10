"""Business hours: what lies within them, across zones, changes of the clock and holidays."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agreement.calendar_reading import read_calendar
from shared.agreement.reading import Mistake, Reader, compose
from shared.business_calendar import BusinessCalendar, NeverOpens, Shift

BERLIN = BusinessCalendar(
    zone="Europe/Berlin",
    week=tuple(Shift(day, time(9), time(17)) for day in range(5)),
    holidays="DE-BY",
    closed=(date(2026, 12, 24),),
)
AROUND_THE_CLOCK = BusinessCalendar(zone="America/New_York", week=tuple(Shift(day, time(), time()) for day in range(7)))
instants = st.timedeltas(timedelta(), timedelta(days=1_100)).map(
    lambda passed: datetime(2025, 1, 1, tzinfo=UTC) + passed
)


def berlin(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    """Return a wall time in Berlin as an instant."""
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


def test_four_hours_begun_late_on_a_friday_end_on_monday() -> None:
    """Time outside the hours does not count."""
    assert BERLIN.after(berlin(2026, 3, 6, 16), timedelta(hours=4)) == berlin(2026, 3, 9, 12)


def test_nothing_counts_on_public_holidays_and_days_off() -> None:
    """From the 23rd of December the next working day is the 28th: a day off, two public holidays, a weekend."""
    assert BERLIN.opens_at(berlin(2026, 12, 23, 18)) == berlin(2026, 12, 28, 9)


def test_a_holiday_of_one_state_is_a_working_day_in_another() -> None:
    """Epiphany is a holiday in Bavaria and none in Berlin."""
    epiphany = berlin(2026, 1, 6, 10)

    assert not BERLIN.is_open(epiphany)
    assert BusinessCalendar(zone="Europe/Berlin", week=BERLIN.week, holidays="DE-BE").is_open(epiphany)


def test_hours_follow_the_wall_clock_when_clocks_change() -> None:
    """Nine in the morning is another instant in winter than in summer, and a day may have 23 or 25 hours."""
    assert BERLIN.opens_at(datetime(2026, 3, 27, 20, tzinfo=UTC)) == datetime(2026, 3, 30, 7, tzinfo=UTC)
    assert BERLIN.opens_at(datetime(2026, 3, 20, 20, tzinfo=UTC)) == datetime(2026, 3, 23, 8, tzinfo=UTC)
    in_new_york = ZoneInfo("America/New_York")
    short = [datetime(2026, 3, day, tzinfo=in_new_york).astimezone(UTC) for day in (8, 9)]
    assert AROUND_THE_CLOCK.between(*short) == timedelta(hours=23)
    long = [datetime(2026, 11, day, tzinfo=in_new_york).astimezone(UTC) for day in (1, 2)]
    assert AROUND_THE_CLOCK.between(*long) == timedelta(hours=25)


@given(start=instants, minutes=st.integers(0, 6_000))
def test_between_measures_what_after_adds(start: datetime, minutes: int) -> None:
    """The two agree for any start and duration, and no working time lies before an opening."""
    duration = timedelta(minutes=minutes)

    assert BERLIN.between(start, BERLIN.after(start, duration)) == duration
    assert BERLIN.between(start, BERLIN.opens_at(start)) == timedelta()
    assert BERLIN.is_open(BERLIN.opens_at(start))


@given(start=instants, end=instants)
def test_around_the_clock_is_the_wall_clock(start: datetime, end: datetime) -> None:
    """Without a pause working time is the time that passes."""
    assert AROUND_THE_CLOCK.between(start, end) == max(timedelta(), end - start)


def test_a_calendar_without_hours_says_so() -> None:
    """Nobody waits for ever without being told."""
    with pytest.raises(NeverOpens):
        BusinessCalendar(zone="UTC", week=()).opens_at(berlin(2026, 3, 6, 16))


def read(text: str) -> tuple[BusinessCalendar, list[str]]:
    """Read a calendar with its mistakes."""
    node, reader = compose(text), Reader()
    assert not isinstance(node, Mistake)
    return read_calendar(reader, node, "hours"), [str(mistake) for mistake in reader.mistakes]


def test_hours_as_people_write_them() -> None:
    """Ranges of days, several shifts a day, holidays and days off."""
    calendar, mistakes = read(
        "{zone: Europe/Berlin, week: {mon-thu: 09:00-17:30, fri: [09:00-12:00, 18:00-24:00]}, holidays: DE-BY,"
        " closed: [2026-12-24]}"
    )

    assert mistakes == []
    assert calendar.week == (
        *(Shift(day, time(9), time(17, 30)) for day in range(4)),
        Shift(4, time(9), time(12)),
        Shift(4, time(18), time()),
    )
    assert (calendar.holidays, calendar.closed) == ("DE-BY", (date(2026, 12, 24),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{zone: Europe/Berlni, week: {mon: 09:00-17:00}}", "there is no time zone 'Europe/Berlni'"),
        ("{zone: UTC, week: {}}", "expected at least one day"),
        ("{zone: UTC, week: {fri-mon: 09:00-17:00}}", "in the order of the week"),
        ("{zone: UTC, week: {mon: 17:00-09:00}}", "expected hours of one day"),
        ("{zone: UTC, week: {mon: 09:00-25:00}}", "expected hours of one day"),
        ("{zone: UTC, week: {mon: [09:00-12:00, 11:00-13:00]}}", "do not overlap on mon"),
        ("{zone: UTC, week: {mon: 09:00-17:00}, holidays: XX}", "no public holidays are known for 'XX'"),
        ("{zone: UTC, week: {mon: 09:00-17:00}, closed: [24.12.2026]}", "expected a day such as 2026-12-24"),
    ],
)
def test_a_mistake_in_hours_says_what_was_expected(text: str, expected: str) -> None:
    """Each mistake is told with its place."""
    _, mistakes = read(text)

    assert len(mistakes) == 1
    assert expected in mistakes[0]

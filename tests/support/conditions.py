"""Conditions that hypothesis makes up: every kind of check, put together in every way."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.agreement.model import Check, Condition, Junction, Pattern
from shared.business_calendar import BusinessCalendar, Shift

OFFICE = BusinessCalendar(
    zone="Europe/Berlin",
    week=tuple(Shift(day, time(9), time(17)) for day in range(5)),
    holidays="DE-BY",
    closed=(date(2026, 12, 24),),
)
CALENDARS = {"office": OFFICE}

texts = st.sampled_from(["demo", "/pricing*", "c?o", ">= 50", "10..50", "", "yes", "5", "true", "Ä*"])
plain = texts.filter(bool) | st.booleans() | st.integers(-100, 100).map(float)
instants = st.timedeltas(timedelta(), timedelta(days=730)).map(lambda passed: datetime(2025, 1, 1, tzinfo=UTC) + passed)
durations = st.timedeltas(timedelta(seconds=1), timedelta(days=400))
several: st.SearchStrategy[tuple[Any, ...]] = st.lists(plain, min_size=1, max_size=3).map(tuple)
FIELDS = ("name", "path", "type", "title", "properties.form", "properties.a.b", "contact.title", "account.domain",
          "alias.email", "campaign.name", "occurred_at")  # fmt: skip
_CHECKS: tuple[dict[str, st.SearchStrategy[Any]], ...] = (
    {"exists": st.booleans()},
    {"none_of": several},
    {"exists": st.just(True), "none_of": several},
    {"at_least": st.integers(-50, 0).map(float), "below": st.integers(1, 50).map(float)},
    {"above": durations},
    {"at_most": durations},
    {"since": instants},
    {"before": instants},
    {"in_last": durations},
    {"in_next": durations},
)
_MOMENTS: tuple[dict[str, st.SearchStrategy[Any]], ...] = (
    {"hours": st.just("office"), "calendar": st.just(OFFICE)},
    {"since": instants},
    {"before": instants},
)


@st.composite
def checks(draw: st.DrawFn, kinds: tuple[dict[str, st.SearchStrategy[Any]], ...] = _CHECKS) -> Check:
    """Make up a check of a value."""
    return Check(**{name: draw(part) for name, part in draw(st.sampled_from(kinds)).items()})


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    """Make up what a field is held against."""
    found: Pattern = draw(st.one_of(plain, checks()))
    return found


@st.composite
def lines(draw: st.DrawFn, fields: tuple[str, ...] = FIELDS) -> Condition:
    """Make up a line about a field."""
    field = draw(st.sampled_from(fields))
    pattern = checks(_MOMENTS) if field == "occurred_at" else patterns()
    return Condition(field, tuple(draw(st.lists(pattern, min_size=1, max_size=3))))


@st.composite
def whens(draw: st.DrawFn, depth: int = 2) -> tuple[Condition, ...]:
    """Make up several lines on fields of their own, in the order in which they are read."""
    found: dict[str, Condition] = {}
    for field in draw(st.lists(st.sampled_from([*FIELDS, *Junction]), min_size=1, max_size=3, unique=True)):
        if field not in set(Junction):
            found[field] = draw(lines((field,)))
        elif depth:
            most = 1 if field == Junction.NOT else 3
            found[str(field)] = Condition(
                str(field), of=tuple(draw(st.lists(whens(depth - 1), min_size=1, max_size=most)))
            )
    return tuple(found[field] for field in sorted(found)) or (draw(lines()),)


values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    texts,
    st.booleans(),
    st.integers(-100, 100),
    st.floats(-1e6, 1e6),
    instants.map(lambda instant: instant.isoformat()),
    st.sampled_from(["2026-03-01", "2026-13-01", "0001-01-01", "9999-12-31T23:59:59Z", "1h30m", "15m", "x" * 50]),
    st.lists(texts | st.integers(-100, 100), max_size=3),
    st.just({"b": 1}),
)

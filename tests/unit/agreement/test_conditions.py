"""Conditions put together: they follow the laws of logic, and look at nothing but the touch."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.agreement.matching import Profile, TouchMatcher, compile_for_profile, compile_when
from shared.agreement.model import Check, Condition, Pattern, Rule
from shared.agreement.patterns import compile_check
from shared.events.touch import Alias, Campaign, Touch, TouchType
from tests.support.conditions import OFFICE, checks, instants, lines, patterns, values, whens
from tests.support.touches import ADA, NOON, a_touch

When = tuple[Condition, ...]

touches = st.builds(
    Touch,
    id=st.uuids(),
    contact_id=st.just(ADA),
    source=st.just("website"),
    kind=st.sampled_from(["web", "campaign"]),
    type=st.sampled_from(TouchType),
    name=st.sampled_from(["", "demo", "CEO"]),
    path=st.sampled_from(["", "/pricing/teams", "/"]),
    title=st.sampled_from(["", "cto", "ärzte"]),
    occurred_at=instants,
    received_at=instants,
    campaign=st.none() | st.builds(Campaign, name=st.sampled_from(["", "demo"])),
    properties=st.fixed_dictionaries({}, optional={"form": values, "a": st.fixed_dictionaries({"b": values})}),
    traits=st.fixed_dictionaries({}, optional={"title": values}),
    account_domain=st.sampled_from(["", "acme.example", "demo"]),
    aliases=st.lists(st.builds(Alias, st.sampled_from(["email", "user"]), st.just("demo")), max_size=2).map(tuple),
)


def holds(when: When, touch: Touch) -> bool:
    """Return whether a rule with these conditions counts the touch."""
    return bool(TouchMatcher([Rule(id="a", when=when, group="web", points=1)]).match(touch))


def negated(when: When) -> When:
    return (Condition("not", of=(when,)),)


def either(*parts: When) -> When:
    return (Condition("any", of=parts),)


def both(*parts: When) -> When:
    return (Condition("all", of=parts),)


@settings(deadline=None)  # public holidays are read once
@given(whens(), whens(), touches)
def test_the_laws_of_logic(one: When, other: When, touch: Touch) -> None:
    """Not, any and all are what logic calls so, whatever they are put together of."""
    a, b = holds(one, touch), holds(other, touch)

    assert holds(negated(one), touch) is (not a)
    assert holds(negated(negated(one)), touch) is a
    assert holds(either(one, other), touch) is (a or b)
    assert holds(both(one, other), touch) is (a and b)
    assert holds(negated(either(one, other)), touch) is holds(both(negated(one), negated(other)), touch)
    assert holds(negated(both(one, other)), touch) is holds(either(negated(one), negated(other)), touch)
    assert holds(either(one, both(one, other)), touch) is a


@given(st.lists(patterns(), min_size=1, max_size=3), touches)
def test_a_list_is_any_of_its_values(several: list[Pattern], touch: Touch) -> None:
    """What a field is held against is put together like whole conditions."""
    apart = either(*((Condition("properties.form", (one,)),) for one in several))

    assert holds((Condition("properties.form", tuple(several)),), touch) is holds(apart, touch)


@settings(deadline=None)  # public holidays are read once
@given(lines(), touches)
def test_lines_side_by_side(line: Condition, touch: Touch) -> None:
    """Conditions of one `when` all have to hold."""
    page = Condition("type", ("page",))

    assert holds((line, page), touch) is (holds((line,), touch) and touch.type is TouchType.PAGE)


@settings(deadline=None)  # public holidays are read once
@given(st.lists(whens(), min_size=1, max_size=4), st.lists(touches, min_size=2, max_size=6))
def test_what_was_matched_before_makes_no_difference(rules: list[When], several: list[Touch]) -> None:
    """Rules narrowed down for one touch are right for the next: each is told like by a matcher of its own."""
    matcher = TouchMatcher(
        [Rule(id=str(number), when=when, group="web", points=1) for number, when in enumerate(rules)]
    )

    for touch in (*several, *reversed(several)):
        assert matcher.match(touch) == tuple(number for number, when in enumerate(rules) if holds(when, touch))


@settings(deadline=None)  # public holidays are read once
@given(whens(), touches)
def test_nothing_is_narrowed_without_a_touch(when: When, touch: Touch) -> None:
    """Narrowing by common fields and checking everything at once come to the same."""

    def read_field(field: str) -> Callable[[Touch], Any]:
        head, _, rest = field.partition(".")
        if head == "properties":
            return lambda touch: (
                touch.properties.get("a", {}).get("b") if rest == "a.b" else touch.properties.get("form")
            )
        if head == "contact":
            return lambda touch: touch.traits.get("title")
        if head == "account":
            return lambda touch: touch.account_domain or None
        if head == "alias":
            return lambda touch: [alias.value for alias in touch.aliases if alias.kind == rest]
        if head == "campaign":
            return lambda touch: touch.campaign.name if touch.campaign else None
        return lambda touch: getattr(touch, field)

    assert compile_when(when, read_field, moment=lambda touch: touch.occurred_at)(touch) is holds(when, touch)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (Check(exists=True), "x", True),
        (Check(exists=True), 0, True),
        (Check(exists=True), False, True),
        (Check(exists=True), None, False),
        (Check(exists=True), "", False),
        (Check(exists=True), [], False),
        (Check(exists=False), "", True),
        (Check(exists=False), "x", False),
        (Check(none_of=("demo", "test*")), "Guide", True),
        (Check(none_of=("demo", "test*")), "Testing", False),
        (Check(none_of=("demo",)), ["guide", "demo"], False),
        (Check(none_of=("demo",)), None, True),  # what is missing is not demo
        (Check(exists=True, none_of=("demo",)), None, False),
        (Check(at_least=50.0), 50, True),
        (Check(above=50.0), 50, False),
        (Check(at_most=50.0), "50", True),
        (Check(below=50.0), 50, False),
        (Check(below=50.0), "many", False),
        (Check(at_least=10.0, below=20.0), [5, 25], False),  # none of the two is within
        (Check(at_least=10.0, below=20.0), [5, 15], True),
        (Check(at_least=timedelta(minutes=10)), 600, True),  # seconds
        (Check(at_least=timedelta(minutes=10)), "9m59s", False),
        (Check(at_least=timedelta(minutes=10)), "1h30m", True),
        (Check(at_least=timedelta(minutes=10)), "soon", False),
        (Check(since=NOON), "2026-03-01T12:00:00Z", True),
        (Check(since=NOON), "2026-03-01T13:00:00+01:00", True),
        (Check(since=NOON), "2026-03-01T12:59:59+01:00", False),
        (Check(before=NOON), "2026-03-01", True),  # a day is its beginning
        (Check(before=NOON), "2026-03-01T12:00:00Z", False),
        (Check(since=NOON), "in March", False),
        (Check(since=NOON), 20260401, False),
        (Check(in_last=timedelta(days=7)), "2026-02-23", True),
        (Check(in_last=timedelta(days=7)), "2026-02-22", False),
        (Check(in_last=timedelta(days=7)), "2026-03-02", False),
        (Check(in_next=timedelta(days=90)), "2026-05-30", True),
        (Check(in_next=timedelta(days=90)), "2026-05-31", False),
        (Check(in_next=timedelta(days=90)), "2026-02-28", False),
        (Check(in_next=timedelta(days=90)), ["2020-01-01", "2026-04-01"], True),
    ],
)
def test_a_check(check: Check, value: Any, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    """Each asks what its name says; what is relative is so to the noon at which the touch occurred."""
    assert compile_check(check)(value, NOON) is expected


@settings(deadline=None)  # public holidays are read once
@given(checks(), values)
def test_any_value_can_be_asked_anything(check: Check, value: Any) -> None:
    """Whatever a source sends, a check says yes or no."""
    assert compile_check(check)(value, NOON) in {True, False}
    assert compile_check(Check(hours="office", calendar=OFFICE))(value, NOON) in {True, False}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 3, 2, 8, tzinfo=UTC), True),  # Monday, 9:00 in Berlin
        (datetime(2026, 3, 2, 7, 59, tzinfo=UTC), False),
        (datetime(2026, 7, 6, 7, tzinfo=UTC), True),  # 9:00 in summer
        (datetime(2026, 3, 1, 12, tzinfo=UTC), False),  # Sunday
        (datetime(2026, 12, 24, 12, tzinfo=UTC), False),  # closed
        (datetime(2026, 12, 25, 12, tzinfo=UTC), False),  # a public holiday
        (datetime.min.replace(tzinfo=UTC), False),
        (datetime.max.replace(tzinfo=UTC), False),
    ],
)
def test_working_time(at: datetime, expected: bool) -> None:  # noqa: FBT001  # a column of the table
    """A touch can be asked whether it occurred within the hours of a calendar, in the calendar's zone."""
    rule = Rule(
        id="a", when=(Condition("occurred_at", (Check(hours="office", calendar=OFFICE),)),), group="web", points=1
    )

    assert TouchMatcher([rule]).match(a_touch(1, at=at)) == ((0,) if expected else ())


@settings(deadline=None)  # public holidays are read once
@given(instants)
def test_working_time_is_that_of_the_calendar(at: datetime) -> None:
    """What is remembered of a day agrees with the calendar at every instant of it."""
    assert compile_check(Check(hours="office", calendar=OFFICE))(at, None) is OFFICE.is_open(at)


def test_aliases() -> None:
    """A touch and a contact can be asked which names they have."""
    alias = Alias("email", "ada@gmail.com")
    when = (Condition("alias.email", ("*@gmail.com",)),)

    assert holds(when, a_touch(1, aliases=(alias,)))
    assert not holds(when, a_touch(1, aliases=(Alias("user", "ada@gmail.com"),)))
    assert compile_for_profile(when)(Profile({}, {}, (alias,)))
    assert not compile_for_profile(when)(Profile({}, {}))
    assert compile_for_profile(negated(when))(Profile({}, {}))

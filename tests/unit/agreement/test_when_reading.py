"""Conditions as people write them: read back as they were written, and refused with what would be right."""

import json

import pytest
from hypothesis import given

from shared.agreement.model import Agreement, Check, Condition
from shared.agreement.parse import parse_agreement
from shared.agreement.reading import Mistake, Reader, compose
from shared.agreement.when_reading import CONTACT_FIELDS, TOUCH_FIELDS, read_when, write_when
from tests.support.conditions import CALENDARS, whens
from tests.support.touches import changed


def read(text: str, fields: tuple[str, ...] = TOUCH_FIELDS) -> tuple[tuple[Condition, ...], list[str]]:
    """Return the conditions of the text, and what is wrong with it."""
    reader = Reader()
    root = compose(text)
    assert not isinstance(root, Mistake), root
    found = read_when(reader, root, "when", fields=fields, calendars=CALENDARS)
    return found, [str(mistake) for mistake in sorted(reader.mistakes)]


@given(whens())
def test_written_and_read(when: tuple[Condition, ...]) -> None:
    """Whatever can be said is read as it was written."""
    assert read(json.dumps(write_when(when))) == (when, [])


def test_the_forms_that_there_are() -> None:
    """The short form of a line is a value or a list; the long form asks more."""
    found, mistakes = read("""
type: page
path: ["/pricing*", "/plans"]
properties.seats: {at_least: 50, below: 1000}
properties.watched: {at_least: 10m}
properties.plan: [enterprise, {exists: false}]
occurred_at: {hours: office}
any: [{title: Prices}, {referrer: {not: ["*bing*"]}}]
not: {contact.email: "*@gmail.com", all: [{url: "*utm*"}]}
""")

    assert mistakes == []
    assert {condition.field: condition for condition in found}["properties.plan"].any_of == (
        "enterprise",
        Check(exists=False),
    )
    assert write_when(found) == {
        "any": [{"title": ["Prices"]}, {"referrer": [{"not": ["*bing*"]}]}],
        "not": {"all": [{"url": ["*utm*"]}], "contact.email": ["*@gmail.com"]},
        "occurred_at": [{"hours": "office"}],
        "path": ["/pricing*", "/plans"],
        "properties.plan": ["enterprise", {"exists": False}],
        "properties.seats": [{"at_least": 50.0, "below": 1000.0}],
        "properties.watched": [{"at_least": "10m"}],
        "type": ["page"],
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{nmae: x}", "when.nmae: there is no field 'nmae'; did you mean 'name'?"),
        ("{nto: {name: x}}", "when.nto: there is no field 'nto'; did you mean 'not'?"),
        ("{alias.mail: x}", "did you mean 'alias.email'?"),
        ("{any: {name: x}}", "when.any: expected a list of conditions, such as any: [{type: page}, {name: Pricing}]"),
        ("{any: []}", "expected a list of conditions"),
        ("{any: [x]}", "when.any[0]: expected names with values"),
        ("{any: [{}]}", "when.any[0]: expected at least one condition"),
        ("{not: [{name: x}]}", "when.not: expected names with values"),
        ("{not: {}}", "when.not: expected at least one condition"),
        ("{any: [{nmae: x}]}", "line 1, column 9: when.any[0].nmae: there is no field"),
        ("{name: {exits: true}}", "when.name.exits: there is no key 'exits'; did you mean 'exists'?"),
        ("{name: {}}", "expected at least one of: exists, not, at_least"),
        ("{name: {exists: maybe}}", "when.name.exists: expected true or false"),
        ("{name: {exists: false, not: x}}", "when.name.exists: expected nothing beside exists: false"),
        ("{name: {not: []}}", "when.name.not: expected at least one value"),
        ("{name: {not: {exists: true}}}", "when.name.not: expected text, a number"),
        ("{name: {at_least: many}}", "when.name.at_least: expected a number, or a duration such as 15m, not 'many'"),
        ("{name: {at_least: '5'}}", "when.name.at_least: expected a number, not '5'"),
        ("{name: {at_least: [5]}}", "when.name.at_least: expected a number, not a list"),
        ("{name: {at_least: 5, below: 5}}", "when.name: expected bounds that some number is within"),
        ("{name: {at_least: 2h, at_most: 60m}}", "when.name: expected bounds that some number is within"),
        ("{name: {since: tomorrow}}", "when.name.since: expected a day such as 2026-12-24"),
        ("{name: {since: 2026-05-01, before: 2026-05-01}}", "expected since to be earlier than before"),
        ("{name: {in_last: a week}}", "when.name.in_last: expected a duration"),
        ("{name: {hours: office}}", "there is no key 'hours'"),
        ("{occurred_at: 2026-05-01}", "when.occurred_at: expected what has to hold of it, such as {since: 2026-12-24}"),
        ("{occurred_at: {at_least: 5}}", "there is no key 'at_least'; expected one of: since, before, hours"),
        ("{occurred_at: {hours: offce}}", "there is no calendar 'offce'; did you mean 'office'?"),
        ("{" + "not: {" * 6 + "name: x" + "}" * 7, "expected all, any and not at most 5 deep"),
    ],
)
def test_a_mistake(text: str, told: str) -> None:
    """What is wrong is told where it stands, with what would be right."""
    _, mistakes = read(text)

    assert any(told in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize("text", ["{occurred_at: {hours: office}}", "{contact.a: {in_last: 3d}}", "{path: /x}"])
def test_what_a_contact_cannot_be_asked(text: str) -> None:
    """Who a contact is does not depend on when it is asked, so nothing about it is relative to an instant."""
    _, mistakes = read(text, CONTACT_FIELDS)

    assert len(mistakes) == 1


def test_several_mistakes_within_each_other() -> None:
    """All are told at once, each at its place."""
    _, mistakes = read("""
any:
  - nmae: x
  - not:
      path: {exists: 1}
      all: []
name: {hours: 3}
""")

    assert [mistake.partition(":")[0] for mistake in mistakes] == [
        "line 3, column 5",
        "line 5, column 22",
        "line 6, column 12",
        "line 7, column 8",
    ]


CALENDAR_SECTION = """
calendars:
  office: {zone: Europe/Berlin, week: {mon-fri: "09:00-17:00"}, holidays: DE-BY}
"""


def test_calendars_of_an_agreement() -> None:
    """Rules and response times name the calendars that the agreement describes."""
    text = changed(
        ("hours: business", "hours: office"),
        ("{name: Email Opened}", "{name: Email Opened, occurred_at: {hours: office}}"),
    )

    parsed = parse_agreement(text + CALENDAR_SECTION)

    assert isinstance(parsed, Agreement), parsed
    assert parsed.respond.hours == "office"
    (check,) = parsed.rules[5].when[1].any_of
    assert check == Check(hours="office", calendar=parsed.calendars["office"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (changed(("hours: business", "hours: offce")) + CALENDAR_SECTION, "did you mean 'office'?"),
        (changed(("hours: business", "hours: office")), "respond.hours: there is no choice 'office'; expected one of"),
        (
            changed(("{name: Email Opened}", "{occurred_at: {hours: office}}")),
            "there is no calendar 'office'; describe it below calendars",
        ),
        (changed() + "calendars: {always: {zone: UTC, week: {mon: 09:00-10:00}}}", "expected another name"),
        (changed() + "calendars: {office: {zone: Berlin, week: {}}}", "there is no time zone 'Berlin'"),
    ],
)
def test_a_mistake_about_calendars(text: str, told: str) -> None:
    """A calendar is found by its name, and has to be one."""
    parsed = parse_agreement(text)

    assert isinstance(parsed, tuple)
    assert any(told in str(mistake) for mistake in parsed), parsed

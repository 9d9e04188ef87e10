"""The schema for editors: it takes and refuses what the parser does, as far as one part is looked at by itself."""

import json
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from shared.agreement.model import Agreement, Condition
from shared.agreement.parse import parse_agreement
from shared.agreement.schema import agreement_schema
from shared.agreement.when_reading import write_when
from tests.support.conditions import whens
from tests.support.processes import ROOT
from tests.support.touches import TEXT, changed
from tests.support.yaml_as_editors_do import load

SCHEMA = agreement_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
CALENDARS = """
calendars:
  office: {zone: Europe/Berlin, week: {mon-thu: 09:00-17:30, fri: [09:00-12:00, 13:00-24:00]}, holidays: DE-BY}
  late: {zone: America/New_York, week: {sat: "18:00-22:00"}, closed: [2026-12-24]}
accounts:
  {ready: {engagement: 80, contacts: 3, within: 7d, roles: [decider]}, rearm: {below: 50},
   per_contact: {least: 5, cap: 40}, roles: {decider: {contact.title: "vp *"}}}
nurture: {every: 2d}
"""
OPENED = "{name: Email Opened}"


def test_it_is_a_schema() -> None:
    """Editors that check schemas take it."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_every_section_is_explained() -> None:
    """Whoever rests the pointer on a key is told what it is for."""
    assert [name for name, section in SCHEMA["properties"].items() if "description" not in section] == []


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT + CALENDARS,
        changed(("hours: business", "hours: late")) + CALENDARS,
        changed((OPENED, "{occurred_at: {hours: office, since: 2026-05-01}, not: {any: [{title: x}, {url: y}]}}"))
        + CALENDARS,
        changed((OPENED, "{name: {not: [a, 5]}, properties.a.b: [x, true, {at_least: 5, below: 2h}]}")),
        changed((OPENED, "{alias.email: {exists: false}, properties.x: {in_last: 3d, exists: true}}")),
        changed(("title: What we both call a lead", "title: 2026")),
        changed(("stages:   {first_thought: 90d, passive", "stages:   {first_thought: 1h 30m, passive")),
        *(path.read_text() for path in (ROOT / "tests/golden/agreements").glob("*.yaml") if "meaning" not in path.name),
        (ROOT / "examples/agreement.yaml").read_text(),
    ],
)
def test_what_both_take(text: str) -> None:
    """An agreement that can be proposed has no line under it in an editor."""
    assert isinstance(parse_agreement(text), Agreement), parse_agreement(text)

    VALIDATOR.validate(load(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("title:", "titel:"),
        ("title: What we both call a lead", "title: "),
        ("half_life: 30d", "half_life: soon"),
        ("half_life: 30d", "half_life: 30"),
        ("web: {cap: 40}", "web: {cap: -1}"),
        ("web: {cap: 40}", "web: {}"),
        ("points: 10,", "points: ten,"),
        ("points: 10,", "points: 10001,"),
        ("points: 10,", "points: '10',"),
        ("per_day: 2,", "per_day: 0,"),
        ("per_day: 2,", "per_day: 1.5,"),
        ("stage: deciding}", "stage: dciding}"),
        ("hand_raise: true", "hand_raise: yes"),
        ("group: content,", ""),
        ("points: 40}", "points: 40, disqualify: true}"),
        ("disqualify: true", "id2: x"),
        ("first_thought: 90d", "frist_thought: 90d"),
        ("fit: 50,", "fit: 101,"),
        ("engagement: 50", "engagement: 0"),
        ("touches: 8", "touches: -8"),
        ("cool_down: 30d", "cool_down: 3"),
        ("hours: business", "hours: "),
        ("reject_reasons: [not_a_fit", "reject_reasons: [other"),
        ("reject_reasons: [not_a_fit", "reject_reasons: [[not_a_fit]"),
        (OPENED, "{}"),
        (OPENED, "{nmae: x}"),
        (OPENED, "{properties.: x}"),
        (OPENED, "{name: }"),
        (OPENED, "{name: []}"),
        (OPENED, "{name: [[x]]}"),
        (OPENED, "{name: {}}"),
        (OPENED, "{name: {exists: 1}}"),
        (OPENED, "{name: {exists: false, not: x}}"),
        (OPENED, "{name: {at_least: many}}"),
        (OPENED, "{name: {since: tomorrow}}"),
        (OPENED, "{name: {in_last: 3}}"),
        (OPENED, "{name: {hours: office}}"),
        (OPENED, "{occurred_at: 2026-05-01}"),
        (OPENED, "{occurred_at: {at_least: 5}}"),
        (OPENED, "{any: {name: x}}"),
        (OPENED, "{any: []}"),
        (OPENED, "{any: [{}]}"),
        (OPENED, "{not: [{name: x}]}"),
        ("{account.domain: [rival.example]}", "{path: /x}"),
        ("{account.domain: [rival.example]}", "{contact.a: {in_next: 3d}}"),
        ("zone: Europe/Berlin, ", ""),
        ("mon-thu:", "mo-do:"),
        ("mon-thu: 09:00-17:30", "mon-thu: 9 to 5"),
        ('{sat: "18:00-22:00"}', "{}"),
        ("[2026-12-24]", "[Christmas]"),
        ("[2026-12-24]", "2026-12-24"),
        ("contacts: 3", "contacts: 0"),
        ("engagement: 80", "engagement: 0"),
        ("rearm: {below: 50},\n", "\n"),
        ("cap: 40}, roles", "cap: 101}, roles"),
        ('{contact.title: "vp *"}', "{path: /x}"),
        ("every: 2d", "every: often"),
        ("every: 2d", "each: 2d"),
    ],
)
def test_what_both_refuse(old: str, new: str) -> None:
    """What the parser would refuse is underlined while it is written."""
    text = changed((old, new), text=TEXT + CALENDARS)

    assert not isinstance(parse_agreement(text), Agreement)
    assert not VALIDATOR.is_valid(load(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("group: content,", "group: contents,"),
        ("id: page-viewed", "id: blog-read"),
        ("hours: business", "hours: nights"),
        ("fit: 50,", "fit: 90,"),
        ("below: 35", "below: 60"),
        ("escalate_after: 60m", "escalate_after: 5m"),
        ("half_life: 30d", "half_life: 10s"),
        ("roles: [decider]", "roles: [decidr]"),
        ("every: 2d", "every: 5m"),
        ("Europe/Berlin", "Europe/Munich"),
    ],
)
def test_what_only_the_parser_refuses(old: str, new: str) -> None:
    """What has to do with other parts, or with the world, `tandem agreement check` tells."""
    text = changed((old, new), text=TEXT + CALENDARS)

    assert not isinstance(parse_agreement(text), Agreement)
    VALIDATOR.validate(load(text))


@settings(deadline=None, max_examples=30)  # public holidays are read once
@given(whens())
def test_any_conditions(when: tuple[Condition, ...]) -> None:
    """Whatever conditions say, an editor takes them as the parser does."""
    document: dict[str, Any] = yaml.safe_load(json.dumps(load(TEXT + CALENDARS)))
    document["rules"][0]["when"] = write_when(when)

    assert isinstance(parse_agreement(json.dumps(document)), Agreement)
    VALIDATOR.validate(document)

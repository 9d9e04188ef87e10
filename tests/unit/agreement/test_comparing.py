"""What is different between two agreements, in words: nothing is left out, and nothing is told that is the same."""

# ruff: noqa: E501  # a change is a line

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.agreement.comparing import compare
from shared.agreement.hashing import content_hash
from shared.agreement.model import Agreement, FitRule, Rearm, Rule, Stage
from tests.support.conditions import OFFICE, durations, whens
from tests.support.touches import TEXT, agreement, changed

CALENDARS = """
calendars:
  office: {zone: Europe/Berlin, week: {mon-fri: "09:00-17:00"}, holidays: DE-BY}
accounts:
  {ready: {engagement: 80, contacts: 3, within: 7d, roles: [decider]}, rearm: {below: 50},
   per_contact: {least: 5, cap: 40}, roles: {decider: {contact.title: ceo}}}
nurture: {every: 2d}
"""
OPENED = "  - {id: email-opened,    when: {name: Email Opened},            group: email,  points: 0}\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: What we both call a lead", "title: Leads", "title: What we both call a lead → Leads"),
        ("half_life: 30d", "half_life: 14d", "half-life: 30d → 14d"),
        ("web: {cap: 40}", "web: {cap: 52.5}", "group web, cap: 40 → 52.5"),
        ("web: {cap: 40}", "web: {cap: 40}, chat: {cap: 3}", "new group chat, cap: 3"),
        ("points: 10,", "points: 15,", "pricing-viewed: 10 → 15 points"),
        ("points: -50", "points: -60", "unsubscribed: -50 → -60 points"),
        ("per_day: 2, ", "", "pricing-viewed, most a day: 2 → none"),
        ("group: content,", "group: web,", "blog-read, group: content → web"),
        ("stage: first_thought}", "stage: deciding}", "blog-read, evidence for: first_thought → deciding"),
        (", hand_raise: true", "", "demo-requested, hand-raise: yes → no"),
        ('"/blog/*"', '["/blog/*", "/news/*"]', "blog-read, when: path is /blog/* and type is page → path is /blog/* or /news/* and type is page"),
        (
            "{name: Unsubscribed}",
            "{name: {not: [Sent, x y]}, any: [{title: or}, {path: 5, type: page}], not: {url: {exists: false}}}",
            ('unsubscribed, when: name is Unsubscribed → any of (title is "or"; (path is 5 and type is page)) '
            "and name is not Sent nor x y and not (url is missing)"),
        ),
        (
            "{name: Unsubscribed}",
            "{occurred_at: {hours: office, since: 2026-05-01}, properties.a: {at_least: 5m, below: 2000}}",
            ("unsubscribed, when: name is Unsubscribed → occurred_at is since 2026-05-01, within the hours of office "
            "and properties.a is at least 5m, below 2000"),
        ),
        (
            "{name: Unsubscribed}",
            "{properties.a: [{in_last: 3d}, {in_next: 90061s}, true, 'true', '5', {exists: true, before: 2026-05-01T08:30:00+02:00}]}",
            ("unsubscribed, when: name is Unsubscribed → properties.a is in the 3d before the touch or in the 90061s "
            'after the touch or true or "true" or "5" or there, before 2026-05-01T06:30:00Z'),
        ),
        (OPENED, "", "rule email-opened is gone: 0 points in email when name is Email Opened"),
        (
            OPENED,
            OPENED + "  - {id: chat, when: {name: Chat}, group: web, points: 2, per_day: 3, stage: deciding, hand_raise: true}\n",
            "new rule chat: 2 points in web when name is Chat, at most 3 a day, evidence for deciding, a hand-raise",
        ),
        ("points: 40}\n  - {id: decision", "points: 30}\n  - {id: decision", "fit, target-industry: 40 → 30 points"),
        (
            "{id: competitor,      when: {account.domain: [rival.example]}, disqualify: true}",
            "{id: rival, when: {account.domain: [rival.example]}, points: -3}",
            "fit rule competitor is gone: disqualifies when account.domain is rival.example",
        ),
        ("deciding: 14d", "deciding: 10d", "evidence for deciding holds: 14d → 10d"),
        ("engagement: 50", "engagement: 60", "ready from engagement: 50 → 60"),
        ("fit: 50,", "fit: 40,", "ready from fit: 50 → 40"),
        ("touches: 8", "touches: 5", "ready from touches: 8 → 5"),
        (", stage: active_looking}\nrearm", "}\nrearm", "ready from stage: active_looking → none"),
        ("below: 35", "below: 30", "armed again below engagement: 35 → 30"),
        ("cool_down: 30d", "cool_down: 7d", "cool-down: 30d → 7d"),
        ("hand_raise: 5m", "hand_raise: 10m", "answer to a hand-raise within: 5m → 10m"),
        ("standard: 4h", "standard: 8h", "answer to others within: 4h → 8h"),
        ("reassign_after: 15m", "reassign_after: 20m", "reassigned after: 15m → 20m"),
        ("escalate_after: 60m", "escalate_after: 90m", "escalated after: 1h → 1h30m"),
        ("hours: business", "hours: office", "response clock runs in hours: business → office"),
        ("duplicate, other", "duplicate, gone_quiet, other", "new reject reason: gone_quiet"),
        ("duplicate, other", "duplicate", "reject reason is gone: other"),
        ("[not_a_fit, no_budget,", "[no_budget, not_a_fit,", "order of reject reasons: not_a_fit, no_budget, bad_timing"),
        (
            'mon-fri: "09:00-17:00"', 'mon-thu: "09:00-17:00", sun: ["08:00-10:00", "20:00-24:00"]',
            ("calendar office: mon-fri 09:00-17:00 in Europe/Berlin, but on holidays of DE-BY → mon-thu 09:00-17:00, "
            "sun 08:00-10:00 and 20:00-24:00 in Europe/Berlin, but on holidays of DE-BY"),
        ),
        (
            "calendars:", "calendars:\n  late: {zone: UTC, week: {sat: 18:00-22:00}, closed: [2026-12-24]}",
            "new calendar late: sat 18:00-22:00 in UTC, but on 2026-12-24",
        ),
        ("contacts: 3", "contacts: 2", "account ready from contacts: 3 → 2"),
        ("within: 7d, ", "", "account ready when they acted within: 7d → none"),
        ("[decider]}", "[]}", "role that a ready account needs is gone: decider"),
        ("least: 5", "least: 6", "engagement that makes a person count for the account: 5 → 6"),
        ("below: 50}", "below: 40}", "account armed again below engagement: 50 → 40"),
        ("title: ceo", "title: cto", "accounts, roles, decider, when: contact.title is ceo → contact.title is cto"),
        ("every: 2d", "every: 3d", "nurture told at most every: 2d → 3d"),
        ("nurture: {every: 2d}", "", "nurture: every 2d → none"),
    ],
)  # fmt: skip
def test_a_change(old: str, new: str, words: str) -> None:
    """Each is told as people say it."""
    text = TEXT + CALENDARS

    told = compare(agreement(text), agreement(changed((old, new), text=text))).changes

    assert told[0].words.startswith(words), told
    assert len(told) == (2 if "competitor" in words else 1)  # one is gone and another new


def test_the_order_of_rules() -> None:
    """It is signed as well, so it is told."""
    before = agreement()
    after = replace(before, rules=(before.rules[1], before.rules[0], *before.rules[2:]))

    (change,) = compare(before, after).changes

    assert change.words.startswith("order of rules: demo-requested, pricing-viewed, comp")
    assert " → pricing-viewed, demo-requested, comp" in change.words


def test_other_hours_that_a_rule_asks_for() -> None:
    """They are told once, of the calendar; and that touches count anew."""
    before = changed(("{name: Unsubscribed}", "{occurred_at: {hours: office}}"), text=TEXT + CALENDARS)
    after = changed(("09:00-17:00", "08:00-17:00"), text=before)

    comparison = compare(agreement(before), agreement(after))

    assert [change.key for change in comparison.changes] == ["calendars.office"]
    assert comparison.counts_again


numbers = st.sampled_from([0.0, 0.1, 1.0, 1 / 3, 10.0, 1000000.5])
rules = st.builds(
    Rule,
    id=st.sampled_from("abc"),
    when=whens(),
    group=st.sampled_from(["web", "email"]),
    points=numbers,
    per_day=st.none() | st.integers(1, 3),
    stage=st.none() | st.sampled_from(Stage),
    hand_raise=st.booleans(),
)
fit_rules = st.builds(FitRule, id=st.sampled_from("abc"), when=whens(), points=numbers, disqualify=st.booleans())
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["x", "y", "none"]),
        "half_life": durations,
        "groups": st.dictionaries(st.sampled_from(["web", "email"]), numbers),
        "rules": st.lists(rules, max_size=3, unique_by=lambda rule: rule.id).map(tuple),
        "fit": st.lists(fit_rules, max_size=3, unique_by=lambda rule: rule.id).map(tuple),
        "stages": st.dictionaries(st.sampled_from(Stage), durations),
        "rearm": st.builds(Rearm, below=numbers, cool_down=durations),
        "reject_reasons": st.lists(st.sampled_from(["a", "b", "c"]), unique=True).map(tuple),
        "calendars": st.sampled_from(
            [{}, {"office": OFFICE}, {"office": replace(OFFICE, closed=())}, {"late": OFFICE}]
        ),
    },
)


@settings(deadline=None, max_examples=25)
@given(changes, changes)
def test_any_two(one: dict[str, Any], other: dict[str, Any]) -> None:
    """There is a difference to tell just when the hashes differ, and each that is told is one."""
    before: Agreement = replace(agreement(), **one)
    after: Agreement = replace(before, **other)

    told = compare(before, after).changes

    assert bool(told) is (content_hash(before) != content_hash(after))
    assert all(change.before != change.after for change in told)
    assert len({change.words for change in told}) == len(told)


def test_durations_to_the_microsecond() -> None:
    """Two that differ in little are told differently."""
    before = replace(agreement(), half_life=timedelta(days=30))
    after = replace(agreement(), half_life=timedelta(days=30, microseconds=1))

    assert [change.words for change in compare(before, after).changes] == ["half-life: 30d → 2592000.000001s"]

"""Touches and agreements for tests, with everything that a test does not care about filled in."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.scorer.domain.counting import count, learn
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.events.touch import Touch, TouchType
from shared.ids import contact_id, touch_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = contact_id("email", "ada@acme.example")
BEN = contact_id("email", "ben@firm.example")

# The design's own example, short enough to reckon with.
TEXT = """
version: 1
title: What we both call a lead
half_life: 30d
groups:   {content: {cap: 30}, web: {cap: 40}, email: {cap: 20}, intent: {cap: 100}}
rules:
  - {id: demo-requested, when: {name: Form Submitted, properties.form: demo}, group: intent, points: 50, hand_raise: true}
  - {id: pricing-viewed,  when: {type: page, path: "/pricing*"}, group: intent, points: 10, per_day: 2, stage: deciding}
  - {id: comparison-read, when: {type: page, path: "/compare*"}, group: intent, points: 8, stage: active_looking}
  - {id: blog-read,       when: {type: page, path: "/blog/*"},   group: content, points: 4, stage: first_thought}
  - {id: email-clicked,   when: {name: Email Link Clicked},      group: email,  points: 3, per_day: 5}
  - {id: email-opened,    when: {name: Email Opened},            group: email,  points: 0}
  - {id: page-viewed,     when: {type: page},                    group: web,    points: 1, per_day: 20}
  - {id: unsubscribed,    when: {name: Unsubscribed},            group: email,  points: -50}
fit:
  - {id: target-industry, when: {account.industry: [logistics, manufacturing]}, points: 40}
  - {id: decision-maker,  when: {contact.title: ["*director*", "vp *", "chief *", "head of *"]}, points: 40}
  - {id: competitor,      when: {account.domain: [rival.example]}, disqualify: true}
stages:   {first_thought: 90d, passive_looking: 90d, active_looking: 30d, deciding: 14d}
ready:    {engagement: 50, fit: 50, touches: 8, stage: active_looking}
rearm:    {below: 35, cool_down: 30d}
respond:  {hand_raise: 5m, standard: 4h, reassign_after: 15m, escalate_after: 60m, hours: business}
reject_reasons: [not_a_fit, no_budget, bad_timing, wrong_person, competitor, could_not_reach, duplicate, other]
"""  # noqa: E501  # a rule is a line


def agreement(text: str = TEXT) -> Agreement:
    """Return the agreement of the text, which has to be right."""
    parsed = parse_agreement(text)
    assert isinstance(parsed, Agreement), "; ".join(map(str, parsed))
    return parsed


def changed(*replacements: tuple[str, str], text: str = TEXT) -> str:
    """Return the text with each first string replaced by the second; it has to be there."""
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text


def a_touch(message: object, *, at: datetime = NOON, contact: UUID = ADA, **fields: Any) -> Touch:
    """Return a touch received when it occurred; by default a page view of `/`."""
    defaults: dict[str, Any] = {
        "id": touch_id("website", str(message)),
        "contact_id": contact,
        "source": "website",
        "kind": "web",
        "type": TouchType.PAGE,
        "path": "/",
        "occurred_at": at,
        "received_at": at,
    }
    return Touch(**{**defaults, **fields})


def a_track(message: object, name: str, *, at: datetime = NOON, contact: UUID = ADA, **fields: Any) -> Touch:
    """Return a touch of a track call."""
    return a_touch(message, at=at, contact=contact, type=TouchType.TRACK, path="", name=name, **fields)


def a_demo_request(message: object, *, at: datetime = NOON, contact: UUID = ADA, **fields: Any) -> Touch:
    """Return a touch that asks for sales."""
    return a_track(message, "Form Submitted", at=at, contact=contact, properties={"form": "demo"}, **fields)


def a_profile(message: object, *, at: datetime = NOON, contact: UUID = ADA, **fields: Any) -> Touch:
    """Return a touch that tells who the contact is: one who fits, unless said otherwise."""
    defaults: dict[str, Any] = {
        "type": TouchType.IDENTIFY,
        "path": "",
        "traits": {"title": "Director of Supply", "name": "Ada"},
        "account_domain": "acme.example",
        "account_traits": {"industry": "logistics"},
    }
    return a_touch(message, at=at, contact=contact, **{**defaults, **fields})


def state_after(*touches: Touch, terms: Terms) -> ContactState:
    """Return the state of a contact that did this."""
    state = ContactState()
    for touch in touches:
        learn(state, touch, to_micros(touch.occurred_at))
        count(state, touch, to_micros(touch.occurred_at), terms=terms)
    return state

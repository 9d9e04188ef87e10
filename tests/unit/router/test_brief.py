"""The brief: everything a rep needs, and nothing that the scorer did not decide on."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec
import pytest

from services.router.domain.brief import LONGEST_WORDS, MOST_OBJECTIONS, MOST_WORDS, Objection, write_brief
from services.router.domain.contact import contact_json
from shared.events.explanation import Part, Score
from shared.events.handoff import ContactSnapshot, EngagedAccount, EngagedPerson, Respond, Words
from shared.events.touch import Alias
from tests.support.handoffs import DECIDED_AT, make_handoff

TEXT = """\
Ada Byrne, Director of Operations at Acme Freight
ada@acme-freight.example
logistics, 220 employees, acme-freight.example

Why now: Asked to talk to sales, with engagement 72 and fit 80 of 100. Last: Form Submitted on /demo.
  2026-03-02 10:30 UTC  Form Submitted on /demo
  2026-03-02 10:24 UTC  viewed Pricing (/pricing)

Stage: deciding. They weigh trade-offs between a few offers.
  Ask what must be true to decide, who decides with them, and by when.

In their own words:
  message: “We lose two hours a day to re-keying bookings.”

First came by: Book in one click (newsletter / email)
  It said: “No more re-keying”
  It offered: A look at your own bookings
  They arrived at Booking in one click (/booking)

They read: Pricing (2 times), Booking in one click
Not yet: case study, comparison

You could begin with: You wrote “We lose two hours a day to re-keying bookings.” What happened that made you ask now?

Engagement 71.5 of 100
  +50.0  demo-requested, once: 1.00 left of it at 50 points each
  +19.5  pricing-viewed, 2 times: 1.95 left of it at 10 points each
  +2.0  page-viewed, 2 times: 2.00 left of it at 1 points each
Fit 80.0 of 100
  +40.0  target-industry
  +40.0  decision-maker

Consent: no opt-out is known.
Answer within 5m (any hour), as agreement 3 says."""


def test_the_text() -> None:
    """The text says who, why now, which stage, in which words, what was promised and how the score came about."""
    assert write_brief(make_handoff()).text == TEXT


def test_a_contact_of_whom_nothing_is_known() -> None:
    """Lines about what is not known are left out."""
    handoff = make_handoff(
        traits={},
        account={},
        stage=None,
        words=(),
        recent=(),
        first_campaign=None,
        last_campaign=None,
        promises=(),
        read=(),
        unread=(),
        reason="threshold",
        engagement=Score(score=50.0),
        fit=Score(score=50.0),
    )
    text = write_brief(handoff).text

    assert text.startswith("ada@acme-freight.example at acme-freight.example\n")
    assert "None" not in text
    assert "Stage" not in text
    assert "own words" not in text


def test_what_was_heard_before() -> None:
    """The next rep does not run into an objection that the company has told somebody already; the newest are enough."""
    heard = [
        Objection(at=DECIDED_AT - timedelta(days=day), objection=f"Too\ndear {day}", rep="Jonas Weber")
        for day in range(1, 20)
    ]
    brief = write_brief(make_handoff(), heard=heard)

    assert len(brief.objections) == MOST_OBJECTIONS
    assert "Heard from this company before:\n  2026-03-01  Too dear 1 (told Jonas Weber)\n" in brief.text


def test_an_opt_out_that_was_taken_back() -> None:
    """The rep sees since when the contact may be addressed again."""
    assert "Consent: opted in again on 2026-03-02." in write_brief(make_handoff(opted_in_at=DECIDED_AT)).text


def test_the_parts_of_the_score() -> None:
    """All parts are there, largest first, and still add up."""
    parts = tuple(Part(value=float(value), rule=f"rule-{value}") for value in (1, 9, -5, 7, 3, 2, 4, 8))
    brief = write_brief(make_handoff(engagement=Score(score=29.0, parts=parts)))

    assert sum(part.value for part in brief.engagement.parts) == brief.engagement.score
    assert [abs(part.value) for part in brief.engagement.parts] == [9, 8, 7, 5, 4, 3, 2, 1]
    assert "+3.0  2 more" in brief.text


def test_many_long_words() -> None:
    """What somebody pasted into a form cannot make the message endless."""
    words = tuple(Words(at=DECIDED_AT, field="message", text="x" * 100_000) for _ in range(50))
    brief = write_brief(make_handoff(words=words))

    assert len(brief.words) == MOST_WORDS
    assert {len(word.text) for word in brief.words} == {LONGEST_WORDS}


@pytest.mark.parametrize(("hours", "by"), [("always", DECIDED_AT + timedelta(hours=4)), ("business", None)])
def test_the_time_to_answer(hours: Literal["business", "always"], by: object) -> None:
    """An instant is named only where every hour counts."""
    respond = Respond(within_seconds=14400, reassign_after_seconds=900, escalate_after_seconds=3600, hours=hours)
    brief = write_brief(make_handoff(respond=respond))

    assert (brief.respond.within, brief.respond.by) == ("4h", by)


@pytest.mark.parametrize(
    ("traits", "name", "company"),
    [
        ({"name": "Ada Byrne"}, "Ada Byrne", "acme.example"),
        ({"first_name": "Ada", "lastName": "Byrne"}, "Ada Byrne", "acme.example"),
        ({"firstName": "Ada", "company": "Acme"}, "Ada", "Acme"),
        ({"name": 42, "company": {"name": "Acme"}}, "", "Acme"),
        ({"name": " ", "company": ["Acme"]}, "", "acme.example"),
    ],
)
def test_names_in_many_shapes(traits: dict[str, object], name: str, company: str) -> None:
    """Names are found under the usual keys; values of other kinds are not names."""
    contact = ContactSnapshot(
        id=make_handoff().id,
        aliases=(Alias(kind="email", value="ada@acme.example"),),
        traits=traits,
        account_domain="acme.example",
    )
    shown = contact_json(contact)

    assert (shown["name"], shown["company"], shown["email"]) == (name, company, "ada@acme.example")


def test_an_account() -> None:
    """A handoff for a company says what its people did together, and names nobody but the contact."""
    other = UUID("7b1e9a54-2f0c-5d8a-8f63-90a1b2c3d4e5")
    together = EngagedAccount(
        id=UUID(int=1),
        engagement=52.0,
        people=(
            EngagedPerson(contact_id=UUID(int=2), engagement=61.0, adds=40.0, roles=("decision_maker",)),
            EngagedPerson(contact_id=other, engagement=12.0, adds=12.0),
        ),
    )
    brief = write_brief(msgspec.structs.replace(make_handoff(reason="account"), account=together))

    assert brief.account.people == together.people
    assert brief.why_now.summary.startswith("2 people of one company crossed the agreed threshold together")
    assert (
        "Together at Acme Freight: 52.0\n"
        f"  +40.0  contact {UUID(int=2)}, decision maker\n"
        f"  +12.0  contact {other}\n" in brief.text
    )

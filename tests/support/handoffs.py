"""Handoffs for tests: believable unless a test says otherwise."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from services.router.domain.brief import write_brief
from services.router.domain.team import Rep
from services.router.domain.webhook import LEAD_READY, Message, render_given
from shared.events.explanation import Part, Score
from shared.events.handoff import (
    ContactOptedOut,
    ContactSnapshot,
    HandoffReady,
    PageRead,
    Promised,
    Respond,
    TouchSummary,
    Words,
)
from shared.events.touch import Alias, Campaign

DECIDED_AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
REJECT_REASONS = ("not_a_fit", "no_budget", "bad_timing", "other")

_WEEK = 7 * 86_400  # seconds
# For tests that let hours pass: nobody has to have answered by then.
NO_HURRY = Respond(within_seconds=_WEEK, reassign_after_seconds=_WEEK, escalate_after_seconds=_WEEK, hours="always")


def make_handoff(
    *,
    handoff_id: UUID | None = None,
    contact_id: UUID | None = None,
    decided_at: datetime = DECIDED_AT,
    traits: dict[str, Any] | None = None,
    account: dict[str, Any] | None = None,
    **changes: Any,
) -> HandoffReady:
    """Make a sales-ready contact: Ada of Acme Freight, who looked at prices and asked for a demo."""
    values: dict[str, Any] = {
        "id": handoff_id or uuid4(),
        "contact": ContactSnapshot(
            id=contact_id or uuid4(),
            aliases=(Alias(kind="email", value="ada@acme-freight.example"),),
            traits=traits
            if traits is not None
            else {"name": "Ada Byrne", "title": "Director of Operations", "email": "ada@acme-freight.example"},
            account_id=UUID("6d0a6f0e-93a5-5d1c-8a0a-3a6d1a0f8f11"),
            account_domain="acme-freight.example",
            account_traits=account
            if account is not None
            else {"name": "Acme Freight", "industry": "logistics", "employees": 220},
        ),
        "agreement": 3,
        "decided_at": decided_at,
        "reason": "hand_raise",
        "touch_id": uuid4(),
        "engagement": Score(
            score=71.5,
            parts=(
                Part(value=50.0, rule="demo-requested", group="intent", count=1, decayed=1.0, points=50.0),
                Part(value=19.5, rule="pricing-viewed", group="intent", count=2, decayed=1.95, points=10.0),
                Part(value=2.0, rule="page-viewed", group="web", count=2, decayed=2.0, points=1.0),
            ),
        ),
        "fit": Score(
            score=80.0, parts=(Part(value=40.0, rule="target-industry"), Part(value=40.0, rule="decision-maker"))
        ),
        "stage": "deciding",
        "touches": 5,
        "recent": (
            TouchSummary(at=decided_at, type="track", name="Form Submitted", path="/demo", rules=("demo-requested",)),
            TouchSummary(
                at=decided_at - timedelta(minutes=6),
                type="page",
                name="Pricing",
                path="/pricing",
                title="Pricing",
                rules=("pricing-viewed", "page-viewed"),
            ),
            TouchSummary(
                at=decided_at - timedelta(days=1), type="page", name="Jobs", path="/jobs", title="Working with us"
            ),
        ),
        "words": (Words(at=decided_at, field="message", text="We lose two hours a day to re-keying bookings."),),
        "first_campaign": Campaign(name="Book in one click", source="newsletter", medium="email"),
        "last_campaign": Campaign(name="Book in one click", source="newsletter", medium="email"),
        "respond": Respond(within_seconds=300, reassign_after_seconds=900, escalate_after_seconds=3600, hours="always"),
        "reject_reasons": REJECT_REASONS,
        "promises": (
            Promised(
                campaign=Campaign(name="Book in one click", source="newsletter", medium="email"),
                at=decided_at - timedelta(days=1),
                message="No more re-keying",
                offer="A look at your own bookings",
                landing_page="/booking",
                landing_title="Booking in one click",
            ),
        ),
        "read": (
            PageRead(at=decided_at - timedelta(minutes=6), title="Pricing", path="/pricing", times=2),
            PageRead(at=decided_at - timedelta(days=1), title="Booking in one click", path="/booking"),
        ),
        "unread": ("case-study-read", "comparison-read"),
    }
    return HandoffReady(**{**values, **changes})


def given_to_priya(handoff: HandoffReady, *, public_url: str = "https://tandem.example") -> Message:
    """Return the webhook that tells of the handoff when Priya of the pool growth gets it."""
    return render_given(
        handoff,
        kind=LEAD_READY,
        rep=Rep(name="Priya Raman", email="priya@harbour.example", capacity=30),
        pool="growth",
        brief=write_brief(handoff),
        assignment=1,
        previous=None,
        assigned_at=DECIDED_AT,
        public_url=public_url,
    )


def make_opt_out(contact_id: UUID, *, at: datetime = DECIDED_AT + timedelta(minutes=1)) -> ContactOptedOut:
    """Make the wish of a contact to be left alone."""
    return ContactOptedOut(id=uuid4(), contact_id=contact_id, at=at)

"""Who is handed off, when, and why not."""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.deciding import Decision, Handoff, take_feedback, take_terms, take_touch
from services.scorer.domain.engagement import engagement
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import ContactOptedOut
from shared.events.touch import Touch
from tests.support.reference_model import expected
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track, agreement, changed

TERMS = Terms(1, agreement())
DAY = timedelta(days=1)


class Contact:
    """One contact and what was decided about it."""

    def __init__(self, *touches: Touch, terms: Terms = TERMS) -> None:
        self.state = ContactState(agreement=terms.version, counting=terms.counting)
        self.terms = terms
        self.seen: list[Touch] = []
        self.decisions: list[Decision] = []
        self.take(*touches)

    def take(self, *touches: Touch) -> list[Decision]:
        """Take the touches and return what they decide."""
        decided: list[Decision] = []
        for touch in touches:
            self.seen.append(touch)
            decided += take_touch(ADA, self.state, touch, self.terms)
        self.decisions += decided
        return decided

    def handoffs(self) -> list[UUID | None]:
        """Return the touches that tipped."""
        return [decision.touch_id for decision in self.decisions if isinstance(decision, Handoff)]


def warm(at: datetime = NOON, *, tag: str = "") -> list[Touch]:
    """Return what makes a contact that fits sales-ready with the last of it: the eighth touch."""
    return [
        a_profile(f"who{tag}", at=at - 4 * DAY),
        *(a_touch(f"w{tag}{n}", path="/pricing", at=at - (2 - n // 3) * DAY) for n in range(8)),
    ]


def test_a_contact_becomes_ready() -> None:
    """It is handed off by the touch that completes the threshold, as of its receipt."""
    contact = Contact(*warm()[:-1])
    assert contact.handoffs() == []

    contact.take(warm()[-1])

    (handoff,) = contact.decisions
    assert isinstance(handoff, Handoff)
    assert handoff.reason == "threshold"
    assert handoff.decided_at == NOON
    assert handoff.assessment.touches == 8
    assert handoff.contact.traits["title"] == "Director of Supply"


@pytest.mark.parametrize(
    "spoil",
    [
        a_profile("x", traits={"title": "Intern"}),
        a_profile("x", account_domain="rival.example"),
        a_track("x", "Unsubscribed", opted_out=True),
    ],
)
def test_a_contact_that_must_not_be_handed_off(spoil: Touch) -> None:
    """Who does not fit, is a competitor, or asked to be left alone, is not passed on however engaged."""
    contact = Contact(*warm()[:-1], spoil, warm()[-1])

    assert contact.handoffs() == []


def test_evidence_that_has_run_out() -> None:
    """Pricing pages of three weeks ago are no evidence for deciding, which holds for 14 days."""
    terms = Terms(1, agreement(changed((", hand_raise: true", ""))))
    asked = a_demo_request("old", at=NOON - 25 * DAY)  # 50 · 2^(-25/30) = 28
    priced = [a_touch(n, path="/pricing", at=NOON - (20 - n // 2) * DAY) for n in range(4)]  # 4 · 11 · 2^(-20/30) = 28

    contact = Contact(a_profile("who"), asked, *priced, *(a_touch(f"now{n}") for n in range(3)), terms=terms)

    assert engagement(contact.state, terms, to_micros(NOON)).score > 50
    assert contact.handoffs() == []


def test_a_hand_raise() -> None:
    """It skips threshold, stage and least fit."""
    contact = Contact(a_demo_request(1))

    assert contact.handoffs() == [a_demo_request(1).id]


@pytest.mark.parametrize(
    "spoil", [a_profile("x", account_domain="rival.example"), a_track("x", "Unsubscribed", opted_out=True)]
)
def test_a_hand_raise_that_must_not_be_heeded(spoil: Touch) -> None:
    """It skips neither disqualification nor opt-out."""
    assert Contact(spoil, a_demo_request(1)).handoffs() == []


def test_a_hand_raise_out_of_an_archive() -> None:
    """A request older than the half-life when it arrives is history: nobody is called about it today."""
    assert Contact(a_demo_request(1, at=NOON - 31 * DAY, received_at=NOON)).handoffs() == []
    assert len(Contact(a_demo_request(1, at=NOON - 29 * DAY, received_at=NOON)).handoffs()) == 1


def test_a_second_hand_raise_while_the_handoff_is_open() -> None:
    """The rep has the contact already."""
    contact = Contact(a_demo_request(1), a_demo_request(2), a_demo_request(3, at=NOON + DAY))

    assert len(contact.handoffs()) == 1


def test_a_hand_raise_below_the_rearm_level() -> None:
    """Asked for sales at 31 of 50: the level falls by the same share, so the next touch opens no second handoff."""
    terms = Terms(1, agreement(changed(("points: 50, hand_raise", "points: 31, hand_raise"))))

    contact = Contact(a_demo_request(1), a_demo_request(2, at=NOON + timedelta(minutes=1)), terms=terms)

    assert len(contact.handoffs()) == 1
    # 31 + 31 = 62 is above 35, so 35 is the level from then on: 62 · 2^(-20/30) = 39 has not fallen below it.
    contact.take(a_demo_request(3, at=NOON + 20 * DAY))
    assert len(contact.handoffs()) == 1
    contact.take(a_demo_request(4, at=NOON + 120 * DAY))
    assert len(contact.handoffs()) == 2


def test_no_flapping() -> None:
    """After a handoff the score may fall to the re-arm level and rise again without a second one."""
    contact = Contact(*warm())

    contact.take(*(a_touch(f"again{n}", path="/pricing", at=NOON + 10 * DAY) for n in range(9)))

    assert len(contact.handoffs()) == 1


def test_fallen_and_risen() -> None:
    """Engagement fell below 35 and rose again: the second crossing is a second handoff."""
    contact = Contact(*warm())

    contact.take(*warm(NOON + 100 * DAY, tag="later"))

    assert len(contact.handoffs()) == 2
    assert len({decision.id for decision in contact.decisions if isinstance(decision, Handoff)}) == 2


def feedback(contact: Contact, kind: FeedbackKind, at: datetime) -> Feedback:
    """Return feedback about the contact's latest handoff."""
    handoff_id = contact.state.arming.handoff_id
    assert handoff_id is not None
    return Feedback(id=UUID(int=9), handoff_id=handoff_id, contact_id=ADA, kind=kind, at=at)


def test_given_back_by_sales() -> None:
    """The contact is left alone for the cool-down; then its next touch may tip it again."""
    contact = Contact(*warm())
    take_feedback(ADA, contact.state, feedback(contact, FeedbackKind.RECYCLED, NOON), TERMS)

    contact.take(*(a_touch(f"a{n}", path="/pricing", at=NOON + n * DAY) for n in range(1, 30)))
    assert len(contact.handoffs()) == 1

    contact.take(a_touch("after", path="/pricing", at=NOON + 30 * DAY))
    assert len(contact.handoffs()) == 2


def test_a_hand_raise_while_cooling_down() -> None:
    """Who asks for sales is heard, whatever sales said before."""
    contact = Contact(*warm())
    take_feedback(ADA, contact.state, feedback(contact, FeedbackKind.RECYCLED, NOON), TERMS)

    contact.take(a_demo_request("please", at=NOON + DAY))

    assert len(contact.handoffs()) == 2


def test_a_hand_raise_after_a_lost_handoff() -> None:
    """Nobody works on the contact any more, so asking for sales opens the next handoff; mere interest does not."""
    contact = Contact(*warm())
    take_feedback(ADA, contact.state, feedback(contact, FeedbackKind.LOST, NOON), TERMS)

    contact.take(a_touch("more", path="/pricing", at=NOON + DAY))
    assert len(contact.handoffs()) == 1
    contact.take(a_demo_request("please", at=NOON + DAY))
    assert len(contact.handoffs()) == 2


@pytest.mark.parametrize("kind", FeedbackKind)
def test_feedback_twice(kind: FeedbackKind) -> None:
    """A repeat changes nothing."""
    contact = Contact(*warm())
    told = feedback(contact, kind, NOON + DAY)

    take_feedback(ADA, contact.state, told, TERMS)
    once = contact.state.arming
    take_feedback(ADA, contact.state, told, TERMS)

    assert contact.state.arming == once


def test_feedback_about_an_earlier_handoff() -> None:
    """It says nothing about the one that is open now."""
    contact = Contact(*warm())
    told = feedback(contact, FeedbackKind.RECYCLED, NOON + 101 * DAY)
    contact.take(*warm(NOON + 100 * DAY, tag="later"))

    take_feedback(ADA, contact.state, told, TERMS)

    assert contact.state.arming.kind is ArmingKind.HANDED


def test_an_opt_out_is_told_once() -> None:
    """Once for each turn from reachable to opted out, whatever is said again or arrives late."""
    contact = Contact(
        a_track(1, "Unsubscribed", opted_out=True),
        a_track(2, "Unsubscribed", opted_out=True, at=NOON + DAY),
        a_track(3, "Subscribed", opted_out=False, at=NOON - DAY),
    )
    assert [type(decision) for decision in contact.decisions] == [ContactOptedOut]

    contact.take(
        a_track(4, "Subscribed", opted_out=False, at=NOON + 2 * DAY),
        a_track(5, "Unsubscribed", opted_out=True, at=NOON + 3 * DAY),
    )
    assert [type(decision) for decision in contact.decisions] == [ContactOptedOut] * 2


def test_without_an_agreement() -> None:
    """What the contact says about itself is kept, an opt-out is told, and nothing else is decided."""
    state = ContactState()

    decided = [
        decision
        for touch in (a_profile("who"), a_demo_request(1), a_track(2, "Unsubscribed", opted_out=True))
        for decision in take_touch(ADA, state, touch, None)
    ]

    assert [type(decision) for decision in decided] == [ContactOptedOut]
    assert state.profile()["title"] == "Director of Supply"
    assert state.touches == 2
    assert state.rules == {}


def test_an_agreement_with_other_prices() -> None:
    """Points, caps and thresholds apply at once to what was counted before; the contact tips at the activation."""
    contact = Contact(*warm()[:6])
    assert contact.handoffs() == []
    terms = Terms(2, agreement(changed(("points: 10,", "points: 30,"), ("touches: 8", "touches: 4"))))

    decided = take_terms(ADA, contact.state, terms, at=NOON, history=None)

    assert [decision.reason for decision in decided if isinstance(decision, Handoff)] == ["threshold"]
    assert contact.state.agreement == 2
    assert take_terms(ADA, contact.state, terms, at=NOON, history=None) == []


paths = st.sampled_from(
    ["/pricing", "/blog/x", "/compare/y", "/", "click", "demo", "out", "in", "who", "rival", "wait", "wait"]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Touch]:
    """Draw what one contact did in years, in the order in which it arrived, some of it late."""
    steps = draw(st.lists(st.tuples(paths, st.integers(0, 8 * 1440), st.integers(0, 3 * 1440)), max_size=60))
    return history(steps)


def history(steps: Iterable[tuple[str, int, int]]) -> list[Touch]:
    """Return the touches of steps: what, minutes after the one before, minutes that it came late."""
    touches = []
    received = NOON
    for number, (path, minutes, late) in enumerate(steps):
        received += timedelta(minutes=minutes)
        times: dict[str, Any] = {"at": received - timedelta(minutes=late), "received_at": received}
        match path:
            case "wait":
                received += 40 * DAY
            case "click":
                touches.append(a_track(number, "Email Link Clicked", **times))
            case "demo":
                touches.append(a_demo_request(number, **times))
            case "out" | "in":
                touches.append(a_track(number, "Preferences Changed", opted_out=path == "out", **times))
            case "who":
                touches.append(a_profile(number, **times))
            case "rival":
                touches.append(a_profile(number, account_domain="rival.example", **times))
            case _:
                touches += [a_touch(f"{number}-{n}", path=path, **times) for n in range(3)]
    return touches


def test_the_reference_model_decides_the_same_for_busy_contacts() -> None:
    """Over years of interest that comes and goes, with many handoffs, plain code finds the same ones."""
    dice = random.Random(20)
    kinds = (
        ["/pricing"] * 8 + ["/compare/y"] * 4 + ["/blog/x", "/", "click"] + ["wait"] * 2 + ["demo", "out", "in", "who"]
    )
    reasons: Counter[str] = Counter()
    for _ in range(40):
        steps = [("who", 0, 0)] + [
            (dice.choice(kinds), dice.randrange(2 * 1440), dice.randrange(1440) * dice.randrange(2)) for _ in range(80)
        ]
        touches = history(steps)
        contact = Contact(*touches)

        _, handoffs = expected({"ada": touches}, agreement(), as_of=NOON)

        assert contact.handoffs() == [UUID(touch) for _, touch in handoffs]
        reasons.update(decision.reason for decision in contact.decisions if isinstance(decision, Handoff))
    assert reasons["threshold"] > 50
    assert reasons["hand_raise"] > 10


@given(histories())
def test_the_reference_model_decides_the_same(touches: list[Touch]) -> None:
    """Scores and handoffs are those that plain code recomputes from the raw touches."""
    contact = Contact(*touches)
    as_of = NOON + 60 * DAY

    scores, handoffs = expected({"ada": touches}, agreement(), as_of=as_of)

    assert contact.handoffs() == [UUID(touch) for _, touch in handoffs]
    assert engagement(contact.state, TERMS, to_micros(as_of)).score == pytest.approx(scores["ada"], rel=1e-9, abs=1e-9)


@given(histories())
def test_counting_again_is_counting(touches: list[Touch]) -> None:
    """Counted again from the history, in another order, a contact is what it was; and is decided the same."""
    contact = Contact(*touches)
    again = Contact(*touches)
    again.state.counting = ""

    take_terms(ADA, contact.state, TERMS, at=NOON, history=None)
    take_terms(
        ADA,
        again.state,
        TERMS,
        at=NOON,
        history=[Judged(touch) for touch in sorted(touches, key=lambda touch: touch.id)],
    )

    assert again.state.arming.kind is contact.state.arming.kind
    for rule, kept in contact.state.rules.items():
        counted = again.state.rules[rule]
        assert counted.decayed.total == pytest.approx(kept.decayed.total, rel=1e-9)
        assert (counted.count, counted.last, counted.days) == (kept.count, kept.last, kept.days)
    assert set(again.state.rules) == set(contact.state.rules)


@given(histories(), st.lists(st.integers(0, 200), max_size=6))
def test_sweeping_decides_nothing(touches: list[Touch], sweeps: list[int]) -> None:
    """However far the sweeper is ahead of touches that wait in a backlog, the handoffs are the same."""
    plain, swept = Contact(*touches), Contact()
    for number, touch in enumerate(touches):
        swept.take(touch)
        if number in sweeps:
            swept.state.arming = swept.state.arming.at(to_micros(NOON + 1000 * DAY))

    assert swept.decisions == plain.decisions


def test_an_opt_out_that_was_said_before_the_handoff_and_came_after_it() -> None:
    """It voids the handoff, though it was decided later than the contact spoke: the word was still under way."""
    contact = Contact(*warm())
    (handoff,) = contact.decisions
    assert isinstance(handoff, Handoff)

    late = a_track("out", "Unsubscribed", opted_out=True, at=NOON - DAY, received_at=NOON - timedelta(hours=1))
    (withdrawal,) = contact.take(late)

    assert isinstance(withdrawal, ContactOptedOut)
    assert withdrawal.at >= handoff.decided_at


def test_a_handoff_after_an_opt_out_that_was_taken_back() -> None:
    """It is decided after the opt-out, though the touch that tips it was received before: the router must keep it."""
    contact = Contact(a_profile("who", at=NOON - DAY))
    (withdrawal,) = contact.take(a_track("out", "Unsubscribed", opted_out=True, at=NOON + DAY))
    contact.take(a_track("in", "Resubscribed", opted_out=False, at=NOON + 2 * DAY))
    (handoff,) = contact.take(a_demo_request("please", at=NOON))

    assert isinstance(withdrawal, ContactOptedOut)
    assert isinstance(handoff, Handoff)
    assert handoff.decided_at > withdrawal.at


def test_asking_for_sales_after_an_opt_out_that_was_taken_back() -> None:
    """The handoff that was withdrawn does not stand in the way of the next."""
    contact = Contact(a_profile("who", at=NOON - DAY), a_demo_request("first"))
    contact.take(a_track("out", "Unsubscribed", opted_out=True, at=NOON + DAY))
    contact.take(a_track("in", "Resubscribed", opted_out=False, at=NOON + 2 * DAY))
    contact.take(a_demo_request("second", at=NOON + 3 * DAY))

    assert len(contact.handoffs()) == 2


@pytest.mark.parametrize("seed", range(20))
def test_an_opt_out_among_touches_in_any_order(seed: int) -> None:
    """Whatever arrives first, at the end the contact is left alone and no handoff is newer than the last opt-out."""
    touches = [
        *warm(),
        a_demo_request("please", at=NOON - timedelta(hours=3)),
        a_track("out", "Unsubscribed", opted_out=True, at=NOON - timedelta(hours=2)),
        a_track("back", "Resubscribed", opted_out=False, at=NOON - timedelta(hours=5)),
        a_track("spam", "Email Marked as Spam", opted_out=True, at=NOON - timedelta(hours=6)),
    ]
    random.Random(seed).shuffle(touches)
    contact = Contact(*touches)

    assert contact.state.is_opted_out
    assert engagement(contact.state, TERMS, to_micros(NOON)).score == 0
    assert isinstance([None, *contact.decisions][-1], ContactOptedOut)
    told = [item.at for item in contact.decisions if isinstance(item, ContactOptedOut)]
    decided = [item.decided_at for item in contact.decisions if isinstance(item, Handoff)]
    assert all(at <= max(told) for at in decided)

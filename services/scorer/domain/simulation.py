"""Simulation: what agreements would have decided about one contact, by its stored touches.

Each agreement decides as if it had been in force since the contact's first touch. So what was earned before the days
that are looked at counts for as much as decay leaves of it, an open handoff of before keeps the contact from the next
one, and nobody becomes a lead only because an agreement begins.

It is the scorer's own way of deciding (`take_touch`, `take_feedback`) with two differences that hindsight makes:
touches come in the order of their receipt, and a touch counts or not by the verdict that stands on it today.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

from msgspec.structs import replace

from services.scorer.domain.arming import Arming, ArmingKind, Reason
from services.scorer.domain.deciding import Handoff, take_feedback, take_touch
from services.scorer.domain.instants import from_micros, to_micros
from services.scorer.domain.readiness import assess
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.agreement.model import Agreement
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.touch import Touch

MOST_RULES = 3  # named as the reason of a handoff

# What became of a handoff, the weightiest first.
OUTCOMES = (
    FeedbackKind.WON,
    FeedbackKind.LOST,
    FeedbackKind.REJECTED,
    FeedbackKind.RECYCLED,
    FeedbackKind.QUALIFIED,
    FeedbackKind.ACCEPTED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A handoff that an agreement would have made, and what kept each of the others from it."""

    id: UUID  # that of the real one, should the same touch have tipped it
    at: datetime
    reason: Reason
    engagement: float
    fit: float
    stage: str | None
    touches: int
    rules: tuple[str, ...]  # that earned most, with what they earned
    account: float | None = None  # the account's engagement, where it was the account that was ready
    missing: tuple[str, ...] = ()  # under the other agreement at that instant; () where it decided the same


@dataclass(frozen=True, slots=True)
class Made:
    """A handoff that was really made, with what sales said about it, in the order of time."""

    id: UUID
    decided_at: datetime
    feedback: tuple[Feedback, ...] = ()

    @property
    def outcome(self) -> FeedbackKind | None:
        """Return what became of it, None while sales said nothing that tells."""
        said = {feedback.kind for feedback in self.feedback}
        return next((kind for kind in OUTCOMES if kind in said), None)

    @property
    def rejected_because(self) -> str:
        """Return the reason of the rejection, "" where there was none."""
        return next((feedback.reason for feedback in self.feedback if feedback.kind is FeedbackKind.REJECTED), "")


def replayed(version: int, agreement: Agreement) -> Terms:
    """Return the terms to replay the agreement with: what marketing is told decides nothing, and is half the work."""
    return Terms(version, dataclasses.replace(agreement, nurture=None))


class Replay:
    """One contact under some agreements side by side, and what sales said about the handoffs that were made of it."""

    def __init__(self, contact_id: UUID, terms: Sequence[Terms], made: Iterable[Made] = ()) -> None:
        self._contact_id = contact_id
        self._terms = terms
        self.made = list(made)
        said = (feedback for each in self.made for feedback in each.feedback)
        self._said = sorted(said, key=attrgetter("at"), reverse=True)
        self._known = {each.id for each in self.made}
        self.states = tuple(ContactState(agreement=each.version, counting=each.counting) for each in terms)
        self.sent: tuple[list[Sent], ...] = tuple([] for _ in terms)

    def run(self, history: Iterable[Judged]) -> None:
        """Take all touches, given in any order."""
        for judged in sorted(history, key=received):
            self.hear(judged.touch.received_at)
            self.take(judged)

    def hear(self, until: datetime) -> None:
        """Take what sales had said until then."""
        while self._said and self._said[-1].at < until:
            self._hear(self._said.pop())

    def profile(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the traits of the contact and of its account as the last touch left them."""
        state = self.states[0]
        return state.profile(), {**state.account(), "domain": state.account_domain() or None}

    def take(self, judged: Judged) -> None:
        """Take one touch; they come in the order of their receipt."""
        touch, found = judged.touch, ""
        if touch.suspect or judged.found or judged.trusted is not None:
            found = judged.suspect
            if touch.suspect and not found:
                touch = replace(touch, suspect="")  # somebody said that it counts
        tipped: list[tuple[int, Handoff]] | None = None
        for index, terms in enumerate(self._terms):
            decisions = take_touch(self._contact_id, self.states[index], touch, terms, found=found)
            if decisions:
                handoffs = [(index, decision) for decision in decisions if isinstance(decision, Handoff)]
                tipped = handoffs if tipped is None else [*tipped, *handoffs]
        if tipped:
            self._note(tipped, touch)

    def _note(self, tipped: Sequence[tuple[int, Handoff]], touch: Touch) -> None:
        sides = {index for index, _ in tipped}
        others = [index for index in range(len(self._terms)) if index not in sides]
        for index, handoff in tipped:
            missing = (line for other in others for line in self._missing(other, handoff, touch))
            self.sent[index].append(sent_by(handoff, at=touch.received_at, missing=missing))

    def _missing(self, index: int, handoff: Handoff, touch: Touch) -> Iterable[str]:
        """Tell what keeps the contact from a handoff under these terms, now that they took the touch as well."""
        state, terms = self.states[index], self._terms[index]
        at = to_micros(touch.received_at)
        if handoff.reason == "hand_raise" and terms.hand_raises.isdisjoint(terms.matcher.match(touch)):
            yield "no rule takes this touch for asking for sales"
        yield from assess(state, terms, at).missing
        latest = self.sent[index][-1].at if self.sent[index] else None
        yield from kept_from(state.arming.at(at), since=latest)

    def _hear(self, feedback: Feedback) -> None:
        """Take what sales said of a real handoff for what it would have said of the one that is open.

        Where the open one is a real one itself, only what was said of that.
        """
        for state, terms in zip(self.states, self._terms, strict=True):
            current = state.arming.handoff_id
            if current is not None:
                said = feedback if current in self._known else replace(feedback, handoff_id=current)
                take_feedback(self._contact_id, state, said, terms)


def sent_by(handoff: Handoff, *, at: datetime, missing: Iterable[str]) -> Sent:
    """Return a handoff as it is told; `missing` is what kept the other agreements from it."""
    assessment = handoff.assessment
    parts = sorted(assessment.engagement.parts, key=lambda part: -part.value)
    earned = [f"{part.rule} {part.value:.1f}" for part in parts if part.rule and part.value > 0]
    return Sent(
        id=handoff.id,
        at=at,
        reason=handoff.reason,
        engagement=assessment.engagement.score,
        fit=assessment.fit.score,
        stage=assessment.stage,
        touches=assessment.touches,
        rules=tuple(earned[:MOST_RULES]),
        account=handoff.account.engagement if handoff.account else None,
        missing=tuple(missing),
    )


def kept_from(arming: Arming, *, since: datetime | None) -> Iterable[str]:
    """Tell what keeps whoever has the arming from a handoff; `since` is when the latest was made."""
    match arming.kind:
        case ArmingKind.ARMED:
            pass
        case ArmingKind.HANDED:
            yield f"with sales since {since:%Y-%m-%d}" if since else "with sales"
        case ArmingKind.CLOSED:
            yield "decided by sales, and not cooled down since"
        case ArmingKind.COOLING:
            until = f" until {from_micros(arming.rearms_at):%Y-%m-%d}" if arming.rearms_at is not None else ""
            yield f"given back by sales, left alone{until}"
        case _:
            assert_never(arming.kind)


def received(judged: Judged) -> tuple[datetime, datetime, UUID]:
    """Return what orders touches by their receipt."""
    touch = judged.touch
    return touch.received_at, touch.occurred_at, touch.id

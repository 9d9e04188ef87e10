"""Deciding: what follows from one touch, from a new agreement, from a recount, and from what sales says.

A decision falls as of an instant that the touch brings along, never as of now, so that neither batches nor crashes nor
a replay change it. Decisions are returned; somebody else acts on them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.scorer.domain.arming import Reason
from services.scorer.domain.counting import (
    count,
    happened_at,
    is_prepared,
    learn,
    learn_identity,
    note_suspect,
    start_counting,
    take_prepared,
)
from services.scorer.domain.falling import arms_below, foresee_fall, lasts_until
from services.scorer.domain.fit import fit
from services.scorer.domain.instants import Micros, from_micros, to_micros
from services.scorer.domain.nurturing import nurture, recycled, start_nurturing
from services.scorer.domain.readiness import Assessment, assess, may_be_ready
from services.scorer.domain.state import ContactState, campaign_of
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import ContactOptedOut, ContactSnapshot, EngagedAccount
from shared.events.nurture import ContactNurture
from shared.events.touch import Campaign, Touch
from shared.ids import derived_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """The decision to pass a contact on, with everything that it was based on."""

    id: UUID
    contact: ContactSnapshot
    reason: Reason
    decided_at: datetime
    touch_id: UUID | None  # None: no touch tipped it but a new agreement, a merge, a verdict
    assessment: Assessment
    first_campaign: Campaign | None
    last_campaign: Campaign | None
    opted_in_at: datetime | None = None
    account: EngagedAccount | None = None  # that was handed off, with this contact to begin with


Decision = Handoff | ContactOptedOut | ContactNurture


def take_touch(
    contact_id: UUID,
    state: ContactState,
    touch: Touch,
    terms: Terms | None,
    *,
    found: str = "",
    occurred_at: Micros | None = None,
    received_at: Micros | None = None,
    until: Micros | None = None,
) -> list[Decision]:
    """Take the touch into the state and decide as of its `received_at`. Without an agreement nothing is counted.

    `found` is why the touches beside it make it suspect, "" when they do not. Its instants are reckoned unless given.
    `until` is an instant until which looking ahead to the fall may wait, of `waits`.
    """
    decisions: list[Decision] = []
    at = to_micros(touch.received_at) if received_at is None else received_at
    occurred_at = happened_at(touch) if occurred_at is None else min(occurred_at, at)
    is_suspect = bool(touch.suspect or found)
    if terms is not None:
        state.arming = state.arming.at(at)  # falling comes before the touch that may raise it again
    if (learn_identity if is_suspect else learn)(state, touch, occurred_at):
        decisions += withdraw(contact_id, state, at=at, cause=touch.id)
    if terms is None:
        return decisions
    met: tuple[int, ...] = ()
    if is_suspect:
        note_suspect(state, touch, terms=terms)
    else:
        met = count(state, touch, occurred_at, terms=terms)
    if (
        state.arming.takes_hand_raise
        and not terms.hand_raises.isdisjoint(met)
        and at - occurred_at <= terms.half_life  # a backfilled request is history
        and not state.is_opted_out
        and not fit(state, terms).disqualified_by
    ):
        assessment = assess(state, terms, at)
        decisions.append(
            _hand_off(
                contact_id,
                state,
                terms,
                assessment=assessment,
                at=at,
                reason="hand_raise",
                cause=touch.id,
                touch_id=touch.id,
            )
        )
    else:
        decisions += _decide_threshold(contact_id, state, terms, at=at, cause=touch.id, touch_id=touch.id)
    if until is None or not lasts_until(state, terms, met, until):
        foresee_fall(state, terms, at)
    if terms.nurture_every is not None:
        decisions += nurture(contact_id, state, terms, at=at)
    return decisions


def take_terms(
    contact_id: UUID, state: ContactState, terms: Terms, *, at: datetime, history: Iterable[Judged] | None
) -> list[Decision]:
    """Hold a contact against terms that it was not decided under, as of the instant they became active.

    `history` is all that was counted so far, in any order; None when it need not be: see `needs_history`.
    """
    state.arming = state.arming.at(to_micros(at))
    if is_prepared(state, terms):
        take_prepared(state, terms)
    elif history is not None:
        start_counting(state, terms)
        for judged in history:
            if judged.suspect:
                note_suspect(state, judged.touch, terms=terms)
            else:
                count(state, judged.touch, happened_at(judged.touch), terms=terms)
    if state.prepared is not None and (terms.upcoming is None or not is_prepared(state, terms.upcoming)):
        state.prepared = None  # for a version that another came before
    state.agreement = terms.version
    return settle(contact_id, state, terms, at=at, cause=f"agreement {terms.version}")


def needs_history(state: ContactState, terms: Terms) -> bool:
    """Tell whether the terms count otherwise than was counted, and nobody prepared that: after a rolling deployment."""
    return state.counting != terms.counting and not is_prepared(state, terms)


def settle(contact_id: UUID, state: ContactState, terms: Terms, *, at: datetime, cause: str) -> list[Decision]:
    """Decide a contact whose counts or prices changed as a whole, as of the instant.

    The same cause again is the same handoff.
    """
    instant = to_micros(at)
    state.arming = state.arming.at(instant)
    state.fit = None
    foresee_fall(state, terms, instant)
    state.arming = state.arming.at(instant)
    decisions: list[Decision] = list(_decide_threshold(contact_id, state, terms, at=instant, cause=cause))
    foresee_fall(state, terms, instant)
    start_nurturing(state, terms, instant)
    return decisions


def pass_time(contact_id: UUID, state: ContactState, terms: Terms | None, *, now: datetime) -> list[Decision]:
    """Let time alone do to the contact what it has done by now."""
    instant = to_micros(now)
    state.arming = state.arming.at(instant)
    due, state.nurture_due = state.nurture_due, None
    if terms is None or state.agreement != terms.version:
        return []  # it is decided under the active agreement soon, and then when to look again
    if due is None or due > instant:
        due = state.arming.since or instant
    return list(nurture(contact_id, state, terms, at=due))


def withdraw(contact_id: UUID, state: ContactState, *, at: int, cause: UUID | str) -> list[Decision]:
    """Void what was decided so far: also what was decided while the wish to be left alone was still under way.

    It is told under every id by which handoffs of the contact may be known.
    """
    at = max(at, state.handed_at or at, state.nurtured.at or at if state.nurtured else at)
    state.withdrawn_at = max(at, state.withdrawn_at or at)
    # The handoff will not be answered. Who opts in again and asks for sales shall not wait for that.
    state.arming = state.arming.closed()
    return [
        ContactOptedOut(
            id=derived_id("opted_out", known_as, cause), contact_id=known_as, at=from_micros(state.withdrawn_at)
        )
        for known_as in (contact_id, *state.merged)
    ]


def hand_off_for(
    account: EngagedAccount, contact_id: UUID, state: ContactState, terms: Terms, *, at: int, cause: str
) -> Handoff:
    """Hand the contact off because its account is ready, as of the instant. Raises IllegalStepError unless armed.

    The same cause again is the same handoff.
    """
    state.arming = state.arming.at(at)
    handoff = _hand_off(
        contact_id,
        state,
        terms,
        assessment=assess(state, terms, at),
        at=at,
        reason="account",
        cause=cause,
        touch_id=None,
    )
    state.handed_for = account.id
    foresee_fall(state, terms, at)
    return replace(handoff, account=account)


def take_feedback(contact_id: UUID, state: ContactState, feedback: Feedback, terms: Terms) -> list[Decision]:
    """Re-arm what sales gave back, close what was won or lost. A repeat, or an earlier handoff's, changes nothing.

    A repeat is harmless because it leads to the same instant: given back at `at`, armed again at `at` + cool-down.
    """
    decisions: list[Decision] = []
    if feedback.handoff_id != state.arming.handoff_id:
        return decisions
    at = to_micros(feedback.at)
    match feedback.kind:
        case FeedbackKind.RECYCLED:
            state.arming = state.arming.at(at).recycled(until=at + terms.cool_down)
            decisions += recycled(contact_id, state, terms, at=at, reason=feedback.reason)
        case FeedbackKind.WON | FeedbackKind.LOST:
            state.arming = state.arming.at(at).closed()
        case (
            FeedbackKind.ASSIGNED
            | FeedbackKind.ACCEPTED
            | FeedbackKind.REJECTED
            | FeedbackKind.QUALIFIED
            | FeedbackKind.EXPIRED
            | FeedbackKind.REASSIGNED
            | FeedbackKind.ESCALATED
        ):
            pass  # the handoff stays open
        case FeedbackKind.OBJECTION | FeedbackKind.STORY:
            pass  # words, which change nothing
    return decisions


def _decide_threshold(
    contact_id: UUID, state: ContactState, terms: Terms, *, at: int, cause: UUID | str, touch_id: UUID | None = None
) -> list[Handoff]:
    if not (state.arming.takes_threshold and may_be_ready(state, terms, at)):
        return []
    assessment = assess(state, terms, at)
    if not assessment.ready:
        return []
    return [
        _hand_off(
            contact_id,
            state,
            terms,
            assessment=assessment,
            at=at,
            reason="threshold",
            cause=cause,
            touch_id=touch_id,
        )
    ]


def _hand_off(
    contact_id: UUID,
    state: ContactState,
    terms: Terms,
    *,
    assessment: Assessment,
    at: int,
    reason: Reason,
    cause: UUID | str,
    touch_id: UUID | None,
) -> Handoff:
    # Under the touch that tipped it, the version, the merge: deciding the same again is the same handoff.
    handoff_id = derived_id("handoff", contact_id, cause)
    state.arming = state.arming.handed_off(handoff_id, reason, level=arms_below(assessment.engagement.score, terms))
    if state.withdrawn_at is not None:
        at = max(at, state.withdrawn_at + 1)  # an opt-out that was taken back does not void what came after it
    state.handed_at = max(at, state.handed_at or at)
    state.handed_for = None
    return Handoff(
        id=handoff_id,
        contact=ContactSnapshot(
            id=contact_id,
            aliases=tuple(state.aliases),
            traits=state.profile(),
            account_id=state.account_id(),
            account_domain=state.account_domain(),
            account_traits=state.account(),
        ),
        reason=reason,
        decided_at=from_micros(at),
        touch_id=touch_id,
        assessment=assessment,
        first_campaign=campaign_of(state.first_campaign),
        last_campaign=campaign_of(state.last_campaign),
        opted_in_at=from_micros(state.opted_out.at) if state.opted_out and not state.is_opted_out else None,
    )

"""Nurturing: what marketing is told about contacts that are not with sales.

A contact that is not ready is told of when its stage changes, no more often than the agreement says; a change that
comes sooner waits, and is told if it is still one by then. Who was given back by sales, or cooled down while a handoff
is open, is told of once for each handoff. Who opted out, is disqualified or is with sales is not told of.
"""

from uuid import UUID

import msgspec

from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.engagement import engagement
from services.scorer.domain.fit import fit
from services.scorer.domain.instants import DAY, from_micros
from services.scorer.domain.stage import stage
from services.scorer.domain.state import ContactState, Nurtured
from services.scorer.domain.terms import Terms
from shared.agreement.model import JOURNEY, Stage
from shared.events.nurture import ContactNurture, NurtureKind
from shared.ids import derived_id

_WITH_SALES = frozenset({ArmingKind.HANDED, ArmingKind.CLOSED})


def nurture(contact_id: UUID, state: ContactState, terms: Terms, *, at: int) -> list[ContactNurture]:
    """Tell what is to be told as of the instant, and note when to look again."""
    if terms.nurture_every is None:
        state.nurture_due = None
        return []
    arming = state.arming
    known = state.nurtured or Nurtured()
    reached = stage(state, terms, at)
    told = []
    if arming.kind is ArmingKind.ARMED and arming.before is ArmingKind.HANDED and arming.handoff_id != known.cooled:
        told += _tell(
            contact_id, state, terms, kind=NurtureKind.COOLED, at=at, reached=reached, handoff_id=arming.handoff_id
        )
        state.nurtured = known = msgspec.structs.replace(state.nurtured or known, cooled=arming.handoff_id)
    if state.is_opted_out or arming.kind in _WITH_SALES:
        state.nurture_due = None
        return told
    if reached != known.stage and (known.at is None or at >= known.at + terms.nurture_every):
        told += _tell(contact_id, state, terms, kind=NurtureKind.STAGE, at=at, reached=reached)
    due = _next_look(state, terms, at, reached)
    planned = state.nurture_due
    # Looking too early changes nothing, and a later time would be one more write to the index of what is due.
    if planned is None or planned <= at or (due is not None and due < planned):
        state.nurture_due = due
    return told


def recycled(contact_id: UUID, state: ContactState, terms: Terms, *, at: int, reason: str) -> list[ContactNurture]:
    """Tell that sales gave the contact back, once for each handoff."""
    handoff_id = state.arming.handoff_id
    known = state.nurtured or Nurtured()
    if terms.nurture_every is None or handoff_id == known.recycled:
        return []
    reached = stage(state, terms, at)
    told = _tell(
        contact_id,
        state,
        terms,
        kind=NurtureKind.RECYCLED,
        at=at,
        reached=reached,
        handoff_id=handoff_id,
        reason=reason,
    )
    state.nurtured = msgspec.structs.replace(state.nurtured or known, recycled=handoff_id)
    state.nurture_due = _next_look(state, terms, at, reached)
    return told


def start_nurturing(state: ContactState, terms: Terms, at: int) -> None:
    """Take where the contact stands as known, if nothing was told yet: else all would be told of at one instant."""
    state.nurture_due = None
    if terms.nurture_every is None:
        return
    reached = stage(state, terms, at)
    if state.nurtured is None:
        handoff_id = state.arming.handoff_id
        state.nurtured = Nurtured(stage=reached, recycled=handoff_id, cooled=handoff_id)
        if state.arming.kind is not ArmingKind.ARMED:
            state.nurtured = Nurtured(stage=reached)
    state.nurture_due = _next_look(state, terms, at, reached)


def _next_look(state: ContactState, terms: Terms, at: int, reached: Stage | None) -> int | None:
    """Return when the stage will have changed, or may be told, if nothing else happens."""
    known = state.nurtured or Nurtured()
    assert terms.nurture_every is not None, "the caller has looked"
    soonest = at + 1 if known.at is None else known.at + terms.nurture_every
    if reached != known.stage:
        return max(at + 1, soonest)
    if reached is None:
        return None
    # By the end of its day, so that the index of what is due is not written with each touch.
    ends = -(-_end_of(reached, state, terms) // DAY) * DAY
    return max(at + 1, soonest, ends)


def _end_of(reached: Stage, state: ContactState, terms: Terms) -> int:
    """Return the first instant at which there is no evidence for the stage any more."""
    position = JOURNEY.index(reached)
    return 1 + max(
        kept.last + found[1]
        for rule_id, kept in state.rules.items()
        if (found := terms.evidence.get(rule_id)) is not None and found[0] == position
    )


def _tell(
    contact_id: UUID,
    state: ContactState,
    terms: Terms,
    *,
    kind: NurtureKind,
    at: int,
    reached: Stage | None,
    handoff_id: UUID | None = None,
    reason: str = "",
) -> list[ContactNurture]:
    before = state.nurtured or Nurtured()
    engaged_at = at
    if state.withdrawn_at is not None:
        at = max(at, state.withdrawn_at + 1)  # an opt-out that was taken back does not void what came after it
    state.nurtured = msgspec.structs.replace(before, stage=reached, at=at)
    if state.is_opted_out:
        return []
    fitting = fit(state, terms)
    if fitting.disqualified_by:
        return []
    return [
        ContactNurture(
            id=derived_id("nurture", contact_id, kind, handoff_id or at),
            contact_id=contact_id,
            kind=kind,
            at=from_micros(at),
            agreement=terms.version,
            stage=reached,
            before=before.stage,
            engagement=engagement(state, terms, engaged_at).score,
            fit=fitting.score.score,
            touches=state.touches,
            aliases=tuple(state.aliases),
            account_domain=state.account_domain(),
            handoff_id=handoff_id,
            reason=reason,
        )
    ]

"""Nurturing: what marketing is told about contacts that are not with sales.

A contact that is not ready is told of when its stage changes, no more often than the agreement says; a change that
comes sooner waits, and is told if it is still one by then. Who was given back by sales, or cooled down while a handoff
is open, is told of once for each handoff. Who opted out, is disqualified or is with sales is not told of.
"""

from uuid import UUID

import msgspec

from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.fit import fit
from services.scorer.domain.instants import DAY, from_micros
from services.scorer.domain.readiness import assess
from services.scorer.domain.stage import stage
from services.scorer.domain.state import ContactState, Nurtured
from services.scorer.domain.terms import Terms
from shared.agreement.model import JOURNEY, Stage
from shared.events.nurture import ContactNurture, NurtureKind
from shared.ids import derived_id


def nurture(contact_id: UUID, state: ContactState, terms: Terms, *, at: int) -> list[ContactNurture]:
    """Tell what is to be told as of the instant, and note when to look again."""
    state.nurture_due = None
    if terms.nurture_every is None:
        return []
    arming = state.arming
    known = state.nurtured or Nurtured()
    told = []
    if arming.kind is ArmingKind.ARMED and arming.before is ArmingKind.HANDED and arming.handoff_id != known.cooled:
        told += _tell(contact_id, state, terms, kind=NurtureKind.COOLED, at=at, handoff_id=arming.handoff_id)
        state.nurtured = msgspec.structs.replace(state.nurtured or known, cooled=arming.handoff_id)
    if state.is_opted_out or arming.kind in {ArmingKind.HANDED, ArmingKind.CLOSED}:
        return told
    known = state.nurtured or known
    if stage(state, terms, at) != known.stage and (known.at is None or at >= known.at + terms.nurture_every):
        told += _tell(contact_id, state, terms, kind=NurtureKind.STAGE, at=at)
    _look_again(state, terms, at)
    return told


def recycled(contact_id: UUID, state: ContactState, terms: Terms, *, at: int, reason: str) -> list[ContactNurture]:
    """Tell that sales gave the contact back, once for each handoff."""
    handoff_id = state.arming.handoff_id
    known = state.nurtured or Nurtured()
    if terms.nurture_every is None or handoff_id == known.recycled:
        return []
    told = _tell(contact_id, state, terms, kind=NurtureKind.RECYCLED, at=at, handoff_id=handoff_id, reason=reason)
    state.nurtured = msgspec.structs.replace(state.nurtured or known, recycled=handoff_id)
    _look_again(state, terms, at)
    return told


def start_nurturing(state: ContactState, terms: Terms, at: int) -> None:
    """Take where the contact stands as known, if nothing was told yet: else all would be told of at one instant."""
    state.nurture_due = None
    if terms.nurture_every is None:
        return
    if state.nurtured is None:
        handoff_id = state.arming.handoff_id
        state.nurtured = Nurtured(stage=stage(state, terms, at), recycled=handoff_id, cooled=handoff_id)
        if state.arming.kind is not ArmingKind.ARMED:
            state.nurtured = Nurtured(stage=state.nurtured.stage)
    _look_again(state, terms, at)


def _look_again(state: ContactState, terms: Terms, at: int) -> None:
    """Note when the stage will have changed, or may be told."""
    known = state.nurtured or Nurtured()
    assert terms.nurture_every is not None, "the caller has looked"
    reached = stage(state, terms, at)
    soonest = at + 1 if known.at is None else known.at + terms.nurture_every
    if reached != known.stage:
        state.nurture_due = max(at + 1, soonest)
    elif reached is not None:
        # By the end of its day, so that the index of what is due is not written with each touch.
        ends = -(-_end_of(reached, state, terms) // DAY) * DAY
        state.nurture_due = max(at + 1, soonest, ends)


def _end_of(reached: Stage, state: ContactState, terms: Terms) -> int:
    """Return the first instant at which there is no evidence for the stage any more."""
    position = JOURNEY.index(reached)
    return 1 + max(
        kept.last + window
        for rule_id, (evident, window) in terms.evidence.items()
        if evident == position and (kept := state.rules.get(rule_id)) is not None
    )


def _tell(
    contact_id: UUID,
    state: ContactState,
    terms: Terms,
    *,
    kind: NurtureKind,
    at: int,
    handoff_id: UUID | None = None,
    reason: str = "",
) -> list[ContactNurture]:
    known = state.nurtured or Nurtured()
    assessment = assess(state, terms, at)
    if state.withdrawn_at is not None:
        at = max(at, state.withdrawn_at + 1)  # an opt-out that was taken back does not void what came after it
    state.nurtured = msgspec.structs.replace(known, stage=assessment.stage, at=at)
    if state.is_opted_out or fit(state, terms).disqualified_by:
        return []
    return [
        ContactNurture(
            id=derived_id("nurture", contact_id, kind, handoff_id or at),
            contact_id=contact_id,
            kind=kind,
            at=from_micros(at),
            agreement=terms.version,
            stage=assessment.stage,
            before=known.stage,
            engagement=assessment.engagement.score,
            fit=assessment.fit.score,
            touches=assessment.touches,
            aliases=tuple(state.aliases),
            account_domain=state.account_domain(),
            handoff_id=handoff_id,
            reason=reason,
        )
    ]

"""Retelling: how a contact stood at earlier instants, and would have under other agreements, from all its touches.

Every instant knows what had been received by then. Verdicts on touches, and which contacts are one person, are taken as
they are today: only what is known now can say what was wrong then.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from services.scorer.domain.instants import Micros, to_micros
from services.scorer.domain.readiness import assess
from services.scorer.domain.recounting import started_anew, take_again
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.agreement.model import Stage


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """How a contact stood at one instant. Without an agreement there is nothing to score by."""

    engagement: float | None = None
    fit: float | None = None
    stage: Stage | None = None
    touches: int
    ready: bool = False
    opted_out: bool = False
    agreement: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a contact: a handoff, a word of sales about it, opting out or in."""

    kind: str  # `handoff`, one of FeedbackKind, `opted_out` or `opted_in`
    at: datetime
    handoff_id: UUID | None = None
    reason: str | None = None
    agreement: int | None = None  # version that a handoff was decided under


class Retelling:
    """A contact that grows touch by touch, counted under several terms at once."""

    def __init__(self, today: ContactState, versions: Iterable[Terms | None]) -> None:
        # Terms that count alike share a state.
        self._states: dict[str, tuple[ContactState, Terms | None]] = {}
        for terms in versions:
            self._states.setdefault(_counting(terms), (started_anew(today, terms), terms))
        self.wishes: list[Step] = []  # to be left alone, or not any more, as they became known

    def take(self, judged: Judged) -> None:
        """Take the next touch, in the order of receipt."""
        for state, terms in self._states.values():
            was_out = state.is_opted_out
            take_again(state, judged, terms)
            is_out = state.is_opted_out
        if is_out != was_out:
            self.wishes.append(Step(kind="opted_out" if is_out else "opted_in", at=judged.touch.received_at))

    def under(self, terms: Terms | None) -> ContactState:
        """Return the contact as counted so far under terms that were announced."""
        return self._states[_counting(terms)][0]

    def point(self, terms: Terms | None, at: Micros) -> Point:
        """Return how the contact stands at the instant under terms that were announced."""
        state = self.under(terms)
        if terms is None:
            return Point(touches=state.touches, opted_out=state.is_opted_out)
        assessment = assess(state, terms, at)
        return Point(
            engagement=assessment.engagement.score,
            fit=assessment.fit.score,
            stage=assessment.stage,
            touches=state.touches,
            ready=assessment.ready,
            opted_out=state.is_opted_out,
            agreement=terms.version,
        )


def received(judged: Judged) -> Micros:
    """Return since when the touch is known."""
    return to_micros(judged.touch.received_at)


def _counting(terms: Terms | None) -> str:
    return terms.counting if terms else ""

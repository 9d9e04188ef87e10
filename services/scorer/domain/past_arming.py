"""Past arming: what stood before a contact's next handoff at an earlier instant, told again from the latest until then.

That handoff and what sales said about it are kept; when engagement fell low enough to arm the contact again follows
from its touches, under the agreements that were in force. Whatever was before the handoff ended with it.
"""

from collections.abc import Iterable, Sequence

from msgspec import convert

from services.scorer.domain.arming import Arming, ArmingKind, Reason
from services.scorer.domain.deciding import take_feedback
from services.scorer.domain.falling import arms_below, foresee_fall
from services.scorer.domain.instants import Micros, to_micros
from services.scorer.domain.readiness import assess
from services.scorer.domain.retelling import Retelling, Step, received
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.feedback import Feedback, FeedbackKind
from shared.ids import contact_id, derived_id

_NOBODY = contact_id("", "")  # who it is makes no difference to the arming
_ANSWERS = frozenset(FeedbackKind)


class PastArming:
    """The arming of one contact as it follows from a handoff, touch by touch."""

    def __init__(
        self,
        today: ContactState,
        handoff: Step,
        *,
        answers: Iterable[Step],
        decided_under: Terms,
        later: Sequence[tuple[Micros, Terms]],
    ) -> None:
        """Begin before the contact's first touch. `later` are agreements that came into force after the handoff's."""
        self._retelling = Retelling(today, [decided_under, *(terms for _, terms in later)])
        self._terms = decided_under
        self._arming = Arming()
        began = to_micros(handoff.at)
        said = [answer for answer in answers if answer.handoff_id == handoff.handoff_id and answer.kind in _ANSWERS]
        happened: list[tuple[int, Step | Terms]] = [
            *((max(began, to_micros(answer.at)), answer) for answer in said),
            *((max(began, at), terms) for at, terms in later),
        ]
        # Of what happens at one instant the handoff is first; what sales says follows it.
        self._ahead = [(began, handoff), *sorted(happened, key=lambda one: one[0])]
        self._ahead.reverse()

    def take(self, judged: Judged) -> None:
        """Take the next touch, in the order of receipt."""
        at = received(judged)
        while self._ahead and self._ahead[-1][0] < at:
            self._pass(*self._ahead.pop())
        wishes = len(self._retelling.wishes)
        self._arming = self._arming.at(at)
        self._retelling.take(judged)
        if any(wish.kind == "opted_out" for wish in self._retelling.wishes[wishes:]):
            self._arming = self._arming.closed()
        self._foresee(at)

    def at(self, instant: Micros) -> Arming:
        """Return the arming at the instant, until which all touches have been taken."""
        while self._ahead and self._ahead[-1][0] <= instant:
            self._pass(*self._ahead.pop())
        return self._arming.at(instant)

    def _pass(self, at: int, what: Step | Terms) -> None:
        if isinstance(what, Terms):
            self._terms = what
            self._arming = self._arming.at(at)
            self._foresee(at)
            self._arming = self._arming.at(at)
        elif what.kind == "handoff":
            self._hand_off(what, at)
        else:
            self._hear(what)

    def _hand_off(self, handoff: Step, at: int) -> None:
        engagement = assess(self._retelling.under(self._terms), self._terms, at).engagement.score
        level = arms_below(engagement, self._terms)
        reason: Reason | None = convert(handoff.reason, Reason | None)
        self._arming = Arming(ArmingKind.HANDED, handoff.handoff_id, reason, level)
        self._foresee(at)

    def _hear(self, answer: Step) -> None:
        if answer.handoff_id is None:
            return
        state = ContactState(arming=self._arming)
        said = Feedback(
            id=derived_id("past", answer.handoff_id, answer.kind, answer.at),
            handoff_id=answer.handoff_id,
            contact_id=_NOBODY,
            kind=FeedbackKind(answer.kind),
            at=answer.at,
        )
        take_feedback(_NOBODY, state, said, self._terms)
        self._arming = state.arming

    def _foresee(self, at: int) -> None:
        state = self._retelling.under(self._terms)
        state.arming = self._arming
        foresee_fall(state, self._terms, at)
        self._arming = state.arming

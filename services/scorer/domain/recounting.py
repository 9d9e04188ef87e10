"""Recounting: a contact's state out of all its touches, when what was counted so far does not hold any more.

After a merge, after a merge undone, and when the verdict on a touch changed. Sums are not added or subtracted: two
contacts may both have counted a touch, and `per_day` limits count anew. What was decided, `arming` and when, stays.
"""

from collections.abc import Iterable

from services.scorer.domain.counting import count, learn, learn_identity, note_suspect
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState, Prepared
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged


def recount(state: ContactState, history: Iterable[Judged], terms: Terms | None) -> ContactState:
    """Return the state that these touches make, in the order of their receipt. Without terms no rule counts."""
    made = ContactState(
        arming=state.arming,
        counting=terms.counting if terms else state.counting,
        agreement=terms.version if terms else state.agreement,
        prepared=None if terms is None or terms.upcoming is None else Prepared(terms.upcoming.version),
        merged=state.merged,
        counted_in=state.counted_in,
        handed_for=state.handed_for,
        parted=state.parted,
        merged_into=state.merged_into,
        handed_at=state.handed_at,
        withdrawn_at=state.withdrawn_at,
    )
    for judged in sorted(history, key=lambda judged: (judged.touch.received_at, judged.touch.id)):
        touch = judged.touch
        at = to_micros(touch.occurred_at)
        if judged.suspect:
            learn_identity(made, touch, at)
            if terms is not None:
                note_suspect(made, touch, terms=terms)
        else:
            learn(made, touch, at)
            if terms is not None:
                count(made, touch, at, terms=terms)
    return made

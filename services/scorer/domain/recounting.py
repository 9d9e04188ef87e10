"""Recounting: a contact's state out of all its touches, when what was counted so far does not hold any more.

After a merge, after a merge undone, and when the verdict on a touch changed. Sums are not added or subtracted: two
contacts may both have counted a touch, and `per_day` limits count anew. What was decided, `arming` and when, stays.
"""

from collections.abc import Iterable

from services.scorer.domain.counting import count, happened_at, learn, learn_identity, note_suspect
from services.scorer.domain.state import ContactState, Prepared
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged


def recount(state: ContactState, history: Iterable[Judged], terms: Terms | None) -> ContactState:
    """Return the state that these touches make, in the order of their receipt. Without terms no rule counts."""
    made = started_anew(state, terms)
    for judged in sorted(history, key=lambda judged: (judged.touch.received_at, judged.touch.id)):
        take_again(made, judged, terms)
    return made


def started_anew(state: ContactState, terms: Terms | None) -> ContactState:
    """Return the contact without anything that its touches tell."""
    return ContactState(
        arming=state.arming,
        counting=terms.counting if terms else state.counting,
        agreement=terms.version if terms else state.agreement,
        prepared=None if terms is None or terms.upcoming is None else Prepared(terms.upcoming.version),
        merged=state.merged,
        nurtured=state.nurtured,
        nurture_due=state.nurture_due,
        counted_in=state.counted_in,
        handed_for=state.handed_for,
        parted=state.parted,
        merged_into=state.merged_into,
        handed_at=state.handed_at,
        withdrawn_at=state.withdrawn_at,
    )


def take_again(made: ContactState, judged: Judged, terms: Terms | None) -> None:
    """Take a touch of the history into the state. Nothing is decided."""
    at = happened_at(judged.touch)
    if judged.suspect:
        learn_identity(made, judged.touch, at)
        if terms is not None:
            note_suspect(made, judged.touch, terms=terms)
    else:
        learn(made, judged.touch, at)
        if terms is not None:
            count(made, judged.touch, at, terms=terms)

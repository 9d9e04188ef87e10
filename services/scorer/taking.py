"""Taking: each contact's turn. Its state is read, takes what is new, is written and let go before the next is read."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.scorer.domain.accepting import Published
from services.scorer.domain.counting import start_counting
from services.scorer.domain.deciding import Decision, take_touch
from services.scorer.domain.falling import waits
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.judging import Verdicts
from services.scorer.roster import Marks
from services.scorer.store.agreements import Active
from services.scorer.store.contacts import Written, in_order
from services.scorer.store.held import Held
from shared.events.touch import Alias


@dataclass(slots=True)
class Taken:
    """What came of the turns."""

    marks: Marks
    written: Written = field(default_factory=Written)
    decided: list[tuple[UUID, Decision]] = field(default_factory=list)  # with the touch that tipped each
    named: list[tuple[Alias, UUID]] = field(default_factory=list)  # aliases that nobody told of the contact before
    suspect: int = 0  # touches


def take_in_turns(
    held: Held,
    fresh: Mapping[UUID, Sequence[Published]],
    *,
    others: Collection[UUID],
    told: Iterable[tuple[UUID, datetime]],
    verdicts: Verdicts,
    active: Active | None,
) -> Taken:
    """Take new touches into the states of their contacts; who is not held is new. The states are gone from `held` then.

    `others` are contacts that changed already. `told` says of which something else than touches told, and when.
    """
    taken = Taken(Marks(active))
    terms = active.terms if active else None
    instants: dict[UUID, list[datetime]] = {}
    for contact_id, at in told:
        instants.setdefault(contact_id, []).append(at)
    for contact_id in in_order(fresh.keys() | others if others else fresh):
        published = fresh.get(contact_id, ())
        state = held.give(contact_id)
        is_new = state is None
        if state is None:
            state = _started(terms)
        _take(contact_id, state, published, terms, verdicts, taken)
        if taken.marks.needed:
            newest = max([*instants.get(contact_id, ()), *(each.touch.received_at for each in published)], default=None)
            taken.marks.add(contact_id, state, was=held.before.get(contact_id), at=newest)
        taken.written.add(contact_id, state, is_new=is_new)
    return taken


def _started(terms: Terms | None) -> ContactState:
    state = ContactState()
    if terms is not None:
        start_counting(state, terms)
        state.agreement = terms.version
    return state


def _take(
    contact_id: UUID,
    state: ContactState,
    published: Sequence[Published],
    terms: Terms | None,
    verdicts: Verdicts,
    taken: Taken,
) -> None:
    found = verdicts.found.get(contact_id) if verdicts.found else None
    untils = waits([each.received_at for each in published])
    for each, until in zip(published, untils, strict=True):
        touch = each.touch
        reason = found.get(touch.id, "") if found else ""
        if touch.suspect or reason:
            taken.suspect += 1
        if touch.aliases:
            taken.named += [(alias, contact_id) for alias in touch.aliases if alias not in state.aliases]
        decisions = take_touch(
            contact_id,
            state,
            touch,
            terms,
            found=reason,
            occurred_at=each.occurred_at,
            received_at=each.received_at,
            until=until,
        )
        for decision in decisions:
            taken.decided.append((touch.id, decision))

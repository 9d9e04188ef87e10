"""Contacts that a transaction holds take what is new one after the other."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from services.scorer.domain.accepting import Published
from services.scorer.domain.decay import DecayedCount
from services.scorer.domain.state import ContactState, RuleCount, decode_state, encode_state, may_have_parted
from services.scorer.domain.terms import Terms
from services.scorer.judging import Verdicts
from services.scorer.store.agreements import Active
from services.scorer.store.held import Held, HeldRow
from services.scorer.taking import take_in_turns
from shared.events.touch import Alias, Touch, encode_touch
from tests.support.accounts_text import ACCOUNTS_TEXT
from tests.support.touches import (
    ADA,
    BEN,
    NOON,
    a_demo_request,
    a_profile,
    a_touch,
    a_track,
    agreement,
    state_after,
)

CAT = UUID(int=7)
UNREADABLE = b"no state"
TERMS = Terms(1, agreement())
ACTIVE = Active(TERMS, NOON)
WITH_ACCOUNTS = Active(Terms(1, agreement(ACCOUNTS_TEXT)), NOON)


def a_row(contact_id: UUID, state: ContactState | None = None) -> HeldRow:
    """Return a contact's row."""
    state = state or ContactState(agreement=1)
    return HeldRow(contact_id, encode_state(state), state.agreement, state.merged_into)


def published(*touches: Touch) -> list[Published]:
    """Return touches as they came."""
    return [Published.of(touch, msgspec.Raw(encode_touch(touch))) for touch in touches]


def test_a_contact_that_nobody_asks_for() -> None:
    """Its state is not read; it is held all the same."""
    held = Held([HeldRow(ADA, UNREADABLE, 1, None), a_row(BEN)])

    assert ADA in held
    assert len(held) == 2
    assert held.keys() == set(held) == {ADA, BEN}
    assert held[BEN] is held[BEN]
    assert held.outdated(1) == held.tombstones() == {}
    assert not held.is_anybody_parted()


def test_a_contact_that_is_changed_and_given_away() -> None:
    """Who takes it takes the state as it was changed, once."""
    held = Held([a_row(ADA), a_row(BEN), a_row(CAT)])
    held[ADA].touches = 5
    held[BEN] = changed = ContactState(agreement=4)

    given_ada, given_cat = held.give(ADA), held.give(CAT)

    assert given_ada is not None
    assert given_ada.touches == 5
    assert given_cat == ContactState(agreement=1)
    assert held.give(BEN) is changed
    assert held.give(BEN) is None
    assert not held
    with pytest.raises(KeyError):
        held[ADA]


def test_a_contact_that_is_forgotten() -> None:
    """It is not held any more, asked for or not."""
    held = Held([a_row(ADA), a_row(BEN)])
    assert held[ADA].touches == 0

    del held[ADA], held[BEN]

    assert held.give(ADA) is None
    assert list(held) == []


def test_a_merge_within_the_transaction() -> None:
    """Tombstones are those that were stored, and those that became one since; one that was unmerged is none."""
    held = Held([a_row(ADA), a_row(BEN, ContactState(merged_into=ADA)), a_row(CAT)])
    assert held.tombstones().keys() == {BEN}

    held[BEN].merged_into = None
    held[CAT].merged_into = ADA

    assert held.tombstones().keys() == {CAT}


def test_a_contact_that_others_were_parted_from() -> None:
    """It is found in its row as in what was changed; a rule of that name is not taken for it."""
    by_row = ContactState(parted={BEN: CAT})
    misleading = ContactState(rules={"parted": RuleCount(DecayedCount(1.0, 0), count=1)})

    assert Held([a_row(ADA, by_row)]).is_anybody_parted()
    assert may_have_parted(a_row(CAT, misleading).state)
    assert not Held([a_row(CAT, misleading)]).is_anybody_parted()
    held = Held([a_row(ADA)])
    held[ADA].parted = by_row.parted
    assert held.is_anybody_parted()


def test_one_turn_after_the_other() -> None:
    """Each contact takes its own touches, in the order of the ids; who only changed is written, who did not is not."""
    ids = sorted((ADA, BEN, CAT), key=str)
    first, second, third = ids
    unchanged = UUID(int=8)
    known = state_after(a_touch(0, contact=second), terms=TERMS)
    held = Held([a_row(second, known), a_row(third), a_row(unchanged)])
    fresh = {
        second: published(a_touch(1, contact=second), a_touch(2, contact=second)),
        first: published(a_demo_request(3, contact=first)),
    }

    taken = take_in_turns(held, fresh, others={third}, told=(), verdicts=Verdicts(), active=ACTIVE)

    assert taken.written.known[0] == [second, third]
    assert taken.written.new[0] == [first]
    assert [decode_state(state).touches for state in taken.written.known[2]] == [3, 0]
    assert decode_state(taken.written.new[2][0]).touches == 1
    assert set(held) == {unchanged}


def test_decisions_and_names() -> None:
    """What was decided names the touch that tipped it; names that the contact had before are not told again."""
    email, known = Alias("email", "ada@acme.example"), Alias("user", "ada")
    demo = a_demo_request(2, aliases=(email, known))
    held = Held([a_row(ADA, state_after(a_profile(1, aliases=(known,)), terms=TERMS))])

    taken = take_in_turns(
        held, {ADA: published(demo)}, others=(), told=(), verdicts=Verdicts({ADA: {demo.id: "burst"}}), active=ACTIVE
    )

    assert taken.named == [(email, ADA)]
    assert taken.suspect == 1
    assert taken.decided == []

    held = Held([a_row(ADA, state_after(a_profile(1), terms=TERMS))])
    taken = take_in_turns(held, {ADA: published(demo)}, others=(), told=(), verdicts=Verdicts(), active=ACTIVE)

    assert [touch_id for touch_id, _ in taken.decided] == [demo.id]


def test_who_begins_and_ends_to_count_for_an_account() -> None:
    """Compared is the account for which the contact counted when it was read."""
    moved = state_after(
        a_profile(1), a_track(2, "Form Submitted", properties={"form": "demo"}), terms=WITH_ACCOUNTS.terms
    )
    account = moved.account_id()
    moved.counted_in = other = UUID(int=9)
    later = NOON + timedelta(hours=1)

    taken = take_in_turns(
        Held([a_row(ADA, moved)]),
        {ADA: published(a_touch(3))},
        others=(),
        told=[(ADA, later)],
        verdicts=Verdicts(),
        active=WITH_ACCOUNTS,
    )

    assert taken.marks.joined == {ADA: account}
    assert taken.marks.due == {account: later, other: later}
    assert decode_state(taken.written.known[2][0]).counted_in == account


def test_without_an_agreement() -> None:
    """What contacts do is kept; nothing is counted nor decided."""
    taken = take_in_turns(
        Held(), {ADA: published(a_demo_request(1))}, others=(), told=[(ADA, NOON)], verdicts=Verdicts(), active=None
    )

    assert not taken.marks.needed
    assert taken.decided == []
    assert [decode_state(state).agreement for state in taken.written.new[2]] == [0]

"""Touches from the future: a clock that is fast gives nobody more than a touch, and no word the last."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.deciding import Handoff, take_touch
from services.scorer.domain.engagement import engagement
from services.scorer.domain.instants import to_micros
from services.scorer.domain.recounting import recount
from services.scorer.domain.stage import evidence
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from services.scorer.exporting import export_contact
from shared.events.touch import Touch
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track, agreement

TERMS = Terms(1, agreement())
DAY = timedelta(days=1)


def taken(*touches: Touch) -> ContactState:
    """Return the state of a contact that did this."""
    state = ContactState(agreement=1, counting=TERMS.counting)
    for touch in touches:
        take_touch(ADA, state, touch, TERMS)
    return state


@pytest.mark.parametrize("ahead", [timedelta(minutes=4), 30 * DAY, 80 * 365 * DAY])
def test_it_weighs_as_of_its_receipt(ahead: timedelta) -> None:
    """However far ahead its clock is: one, and not 2^(ahead / half-life); so does what it is evidence for."""
    state = taken(a_touch(1, path="/compare/x", at=NOON + ahead, received_at=NOON))

    assert engagement(state, TERMS, to_micros(NOON)).score == 9  # 8 + 1
    assert engagement(state, TERMS, to_micros(NOON + 30 * DAY)).score == 4.5
    (found,) = evidence(state, TERMS, to_micros(NOON))
    assert (found.at, found.until) == (to_micros(NOON), to_micros(NOON + 30 * DAY))
    assert state.last_at == to_micros(NOON)


def test_no_word_is_the_last() -> None:
    """What a fast clock said of a trait, and of contacting, gives way to what is said later."""
    ahead = NOON + 365 * DAY
    state = taken(
        a_profile(1, traits={"title": "Intern"}, at=ahead, received_at=NOON),
        a_track(2, "Unsubscribed", opted_out=True, at=ahead, received_at=NOON),
        a_profile(3, traits={"title": "Director"}, at=NOON + DAY),
        a_track(4, "Preferences Changed", opted_out=False, at=NOON + DAY),
    )

    assert state.profile()["title"] == "Director"
    assert not state.is_opted_out


def test_asking_for_sales() -> None:
    """Who asks is heard at once, whatever the clock says."""
    state = ContactState(agreement=1, counting=TERMS.counting)

    (decision,) = take_touch(ADA, state, a_demo_request(1, at=NOON + DAY, received_at=NOON), TERMS)

    assert isinstance(decision, Handoff)
    assert (decision.decided_at, decision.assessment.engagement.score) == (NOON, 50)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=8), st.permutations(range(8)))
def test_the_order_makes_no_difference(given_touches: list[tuple[int, int]], order: list[int]) -> None:
    """Taken one by one in any order, or counted again as a whole: it is the same contact."""
    touches = [
        a_touch(n, path="/pricing", at=NOON + ahead * DAY, received_at=NOON - late * DAY, traits={"seen": n})
        for n, (ahead, late) in enumerate(given_touches)
    ]
    shuffled = [touches[index] for index in order if index < len(touches)]

    one, other = taken(*touches), taken(*shuffled)
    again = recount(one, [Judged(touch) for touch in shuffled], TERMS)

    at = to_micros(NOON)
    assert one.told() == other.told() == again.told()
    assert (one.first_at, one.last_at) == (other.first_at, other.last_at) == (again.first_at, again.last_at)
    for state in (other, again):
        assert engagement(state, TERMS, at).score == pytest.approx(engagement(one, TERMS, at).score, rel=1e-9)


def test_an_export_of_a_rule_that_only_a_machine_met() -> None:
    """It was met at no time that counts."""
    state = taken(a_touch(1, path="/pricing", suspect="bot_user_agent"))

    exported = export_contact(ADA, state, handoffs=(), simulated=(), exported_at=NOON)

    assert exported["rules"]["pricing-viewed"] == {"counted": 0, "last_at": None}

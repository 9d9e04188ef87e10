"""When a contact that was handed off falls far enough to be armed again, looked ahead to as seldom as may be."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.deciding import Decision, take_touch
from services.scorer.domain.falling import lasts_until, waits
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.events.touch import Touch
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, agreement

DAY = timedelta(days=1)
TEXT = """
version: 1
title: One that falls soon
half_life: 1d
groups: {intent: {cap: 60}, web: {cap: 40}}
rules:
  - {id: asked, when: {name: Form Submitted}, group: intent, points: 30, hand_raise: true}
  - {id: pricing, when: {path: /pricing}, group: intent, points: 40}
  - {id: blog, when: {path: /blog}, group: web, points: 15, per_day: 2}
  - {id: jobs, when: {path: /jobs}, group: intent, points: -35}
fit:
  - {id: titled, when: {contact.title: "*"}, points: 100}
ready: {engagement: 60, fit: 50}
rearm: {below: 25, cool_down: 1d}
respond: {hand_raise: 5m, standard: 4h, reassign_after: 15m, escalate_after: 60m, hours: business}
reject_reasons: [other]
"""
TERMS = Terms(1, agreement(TEXT))
PATHS = ("/pricing", "/blog", "/jobs", "/elsewhere")


@st.composite
def stories(draw: st.DrawFn) -> list[Touch]:
    """Touches over a fortnight, received in any order, some long after they happened, some of them suspect."""
    made: list[Touch] = [a_profile("who", at=NOON - DAY)]
    for number in range(draw(st.integers(2, 30))):
        at = NOON + timedelta(hours=draw(st.integers(0, 14 * 24)))
        received_at = at + timedelta(hours=draw(st.sampled_from((0, 0, 0, 5, 60))))
        path = draw(st.sampled_from(("ask", *PATHS)))
        if path == "ask":
            made.append(a_demo_request(number, at=at, received_at=received_at))
        else:
            made.append(a_touch(f"t{number}", path=path, at=at, received_at=received_at))
    return made if draw(st.booleans()) else sorted(made, key=lambda touch: touch.received_at)


def taken(touches: list[Touch], *, at_once: int, suspect: set[int]) -> tuple[ContactState, list[Decision], int]:
    """Take the touches, so many in one go; return what became of the contact, and how often looking ahead waited."""
    state = ContactState(agreement=1, counting=TERMS.counting)
    decided: list[Decision] = []
    waited = 0
    for first in range(0, len(touches), at_once):
        some = touches[first : first + at_once]
        untils = waits([to_micros(touch.received_at) for touch in some])
        for index, (touch, until) in enumerate(zip(some, untils, strict=True)):
            found = "opened_by_machine" if first + index in suspect else ""
            decided += take_touch(ADA, state, touch, TERMS, found=found, until=until)
            waited += until is not None and state.arming.falls and lasts_until(state, TERMS, (), until)
    return state, decided, waited


@settings(max_examples=300)
@given(touches=stories(), at_once=st.integers(2, 30), suspect=st.sets(st.integers(0, 30), max_size=5))
def test_several_touches_are_taken_in_one_go(touches: list[Touch], at_once: int, suspect: set[int]) -> None:
    """The same ones hand the contact off and arm it as if each had come alone, and it ends as it would have."""
    alone, decided_alone, _ = taken(touches, at_once=1, suspect=suspect)

    state, decided, _ = taken(touches, at_once=at_once, suspect=suspect)

    assert decided == decided_alone
    assert state == alone


def test_looking_ahead_waits_for_the_last_of_many() -> None:
    """Who was handed off and keeps coming is looked ahead for at the first touch and the last."""
    touches = [a_profile("who", at=NOON)]
    touches += [a_touch(f"t{n}", path="/pricing", at=NOON + n * timedelta(minutes=1)) for n in range(40)]

    state, decided, waited = taken(touches, at_once=len(touches), suspect=set())

    assert len(decided) == 1
    assert waited > 30
    assert state.arming.rearms_at is not None


def test_where_looking_ahead_may_not_wait() -> None:
    """Not at the first touch, whatever came before, nor at the last; nor at all where touches came out of order."""
    first, second, third, fourth = (to_micros(NOON + n * DAY) for n in range(4))

    assert list(waits([first, second, second, third, fourth])) == [None, second, third, fourth, None]
    assert list(waits([first, third, second, fourth])) == [None] * 4
    assert list(waits([first, second])) == [None] * 2
    assert list(waits([])) == []

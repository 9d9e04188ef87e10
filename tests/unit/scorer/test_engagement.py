"""What contacts earn, and that the explanation is the computation."""

import random
from datetime import timedelta
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.engagement import engagement, group_sums, within_caps
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState, decode_state, encode_state
from services.scorer.domain.terms import Terms
from shared.events.touch import Touch, TouchType
from tests.support.touches import NOON, a_demo_request, a_touch, a_track, agreement, changed, state_after

TERMS = Terms(1, agreement())
DAY = timedelta(days=1)


def counted(*touches: Touch, terms: Terms = TERMS) -> ContactState:
    return state_after(*touches, terms=terms)


@pytest.mark.parametrize(
    ("touches", "expected"),
    [
        ([], 0),
        ([a_demo_request(1)], 50),
        ([a_demo_request(1, at=NOON - 30 * DAY)], 25),  # 50 / 2
        ([a_touch(1, path="/pricing")], 11),  # 10 + 1
        ([a_touch(1, path="/pricing"), a_touch(2, path="/pricing", at=NOON - 30 * DAY)], 16.5),  # (10 + 1)(1 + 1/2)
        ([a_touch(n, path="/pricing") for n in range(5)], 25),  # two of a day: 20, and 5 page views
        ([a_touch(n, path="/blog/a") for n in range(10)], 40),  # content 10 * 4 = 40, capped at 30, and 10 page views
        ([a_demo_request(n) for n in range(3)], 100),  # intent 150, capped at 100
        ([a_demo_request(n) for n in range(2)] + [a_touch(9)], 100),  # 101
        ([a_track(1, "Unsubscribed")], 0),  # -50
        ([a_track(1, "Unsubscribed"), a_demo_request(2), a_touch(3)], 1),  # -50 + 50 + 1
        ([a_track(1, "Email Opened")], 0),  # worth nothing
        ([a_track(n, "Email Link Clicked") for n in range(9)], 15),  # five a day: 15
    ],
)
def test_a_score(touches: list[Touch], expected: float) -> None:
    """Points times decayed counts, within caps and bounds; exact where it ought to be."""
    score = engagement(counted(*touches), TERMS, to_micros(NOON))

    assert score.score == expected
    assert fsum(part.value for part in score.parts) == score.score


def test_parts_tell_caps_and_bounds() -> None:
    """What a cap or a bound takes away stands beside what the rules earn."""
    touches = [a_touch(n, path="/blog/a") for n in range(10)] + [a_demo_request(n) for n in range(20, 22)]

    score = engagement(counted(*touches), TERMS, to_micros(NOON))

    assert [(part.rule or part.adjustment, part.group, part.value) for part in score.parts] == [
        ("demo-requested", "intent", 100),
        ("blog-read", "content", 40),
        ("page-viewed", "web", 10),
        ("cap", "content", -10),
        ("ceiling", "", -40),
    ]


def test_a_contact_that_opted_out() -> None:
    """Its engagement shows 0, and why."""
    state = counted(a_demo_request(1), a_track(2, "Unsubscribed", opted_out=True), a_demo_request(3))

    score = engagement(state, TERMS, to_micros(NOON))

    assert score.score == 0
    assert score.parts[-1].adjustment == "opted_out"
    assert score.parts[-1].value == -50  # 100 - 50


def test_a_day_is_a_day_of_utc_and_weighs_as_of_its_noon() -> None:
    """Which touches of a day count, and when on it they came, makes no difference."""
    early, late = NOON.replace(hour=0), NOON.replace(hour=23, minute=59)
    terms = Terms(1, agreement(changed(("points: 10, per_day: 2", "points: 10, per_day: 1"))))

    one = counted(a_touch(1, path="/pricing", at=early), a_touch(2, path="/pricing", at=late), terms=terms)
    other = counted(a_touch(2, path="/pricing", at=late), a_touch(1, path="/pricing", at=early), terms=terms)

    assert one.rules["pricing-viewed"] == other.rules["pricing-viewed"]
    assert one.rules["pricing-viewed"].count == 1
    at_noon = to_micros(NOON)
    assert one.rules["pricing-viewed"].decayed.read(at_noon, terms.half_life) == 1


def test_only_actions_are_touches() -> None:
    """Telling who the contact is, is not something that the contact did."""
    state = counted(*(a_touch(kind, type=kind) for kind in TouchType))

    assert state.touches == 3


kinds = st.sampled_from(["/pricing", "/blog/x", "/compare/y", "/", "click", "demo", "unsubscribed"])


@st.composite
def histories(draw: st.DrawFn) -> list[Touch]:
    """Draw what one contact did in a year."""
    touches: list[Touch] = []
    for number, (kind, minutes) in enumerate(
        draw(st.lists(st.tuples(kinds, st.integers(0, 400 * 1440)), min_size=1, max_size=50))
    ):
        at = NOON - timedelta(minutes=minutes)
        match kind:
            case "click":
                touches.append(a_track(number, "Email Link Clicked", at=at))
            case "demo":
                touches.append(a_demo_request(number, at=at))
            case "unsubscribed":
                touches.append(a_track(number, "Unsubscribed", at=at, opted_out=number % 3 == 0))
            case path:
                touches.append(a_touch(number, path=path, at=at, traits={"n": number}))
    return touches


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_state(touches: list[Touch], dice: random.Random) -> None:
    """Counts, days, stages, traits, opt-out are equal; the decayed sums to 1e-9."""
    shuffled = touches.copy()
    dice.shuffle(shuffled)

    one, other = counted(*touches), counted(*shuffled)

    for rule, kept in one.rules.items():
        assert kept.decayed.total == pytest.approx(other.rules[rule].decayed.total, rel=1e-9)
        kept.decayed.total = other.rules[rule].decayed.total
    one.rules = {rule: one.rules[rule] for rule in other.rules}
    assert one == other


@given(histories())
def test_parts_add_up(touches: list[Touch]) -> None:
    """The score is the sum of its parts, exactly, within 0 and 100."""
    state = counted(*touches)

    score = engagement(state, TERMS, to_micros(NOON))

    assert fsum(part.value for part in score.parts) == score.score
    assert sum(part.value for part in score.parts) == score.score
    assert 0 <= score.score <= 100
    if not state.is_opted_out:
        quick = within_caps(group_sums(state, TERMS, to_micros(NOON)), TERMS)
        assert score.score == pytest.approx(min(100, max(0, quick)), abs=1e-6)


def test_a_million_touches() -> None:
    """A robot's sum is far above its cap, and the parts still add up exactly."""
    state = counted(a_touch(1, path="/blog/a"), a_touch(2, path="/pricing"))
    state.rules["blog-read"].decayed.total *= 1.234567e6

    score = engagement(state, TERMS, to_micros(NOON))

    assert fsum(part.value for part in score.parts) == score.score == 42  # 30 + 10 + 2


@given(histories())
def test_a_state_is_stored_whole(touches: list[Touch]) -> None:
    """What is read back is what was written."""
    state = counted(*touches)

    assert decode_state(encode_state(state)) == state

"""Fit, stage, and what is missing until a contact is ready."""

from datetime import timedelta
from math import fsum

import pytest

from services.scorer.domain.fit import fit
from services.scorer.domain.instants import to_micros
from services.scorer.domain.readiness import assess
from services.scorer.domain.stage import reaches, stage
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.agreement.model import Stage
from shared.events.touch import Alias, Touch
from tests.support.touches import NOON, a_demo_request, a_profile, a_touch, a_track, agreement, changed, state_after

TERMS = Terms(1, agreement())
DAY = timedelta(days=1)


def known(*touches: Touch) -> ContactState:
    return state_after(*touches, terms=TERMS)


@pytest.mark.parametrize(
    ("touches", "score", "parts"),
    [
        ([], 0, []),
        ([a_profile(1)], 80, [("target-industry", 40), ("decision-maker", 40)]),
        ([a_profile(1, account_traits={"industry": "Retail"})], 40, [("decision-maker", 40)]),
        # The newest word wins, whenever it arrives.
        ([a_profile(1), a_profile(2, at=NOON - DAY, traits={"title": "Intern"})], 80, None),
        ([a_profile(1), a_profile(2, at=NOON + DAY, traits={"title": "Intern"})], 40, None),
        # What was told of one company is not held against another.
        ([a_profile(1), a_profile(2, at=NOON + DAY, account_domain="other.example", account_traits={})], 40, None),
        (
            [a_profile(1, account_domain="rival.example")],
            0,
            [("target-industry", 40), ("decision-maker", 40), ("competitor", -80)],
        ),
    ],
)
def test_fit(touches: list[Touch], score: float, parts: list[tuple[str, float]] | None) -> None:
    """Points for what matches, as parts that add up."""
    found = fit(known(*touches), TERMS).score

    assert found.score == score
    assert fsum(part.value for part in found.parts) == score
    if parts is not None:
        assert [(part.rule, part.value) for part in found.parts] == parts


def test_fit_stays_within_bounds() -> None:
    """Above 100 and below 0 a part says what was cut."""
    text = changed(("points: 40}\n  - {id: decision", "points: 90}\n  - {id: decision"))
    much = fit(known(a_profile(1)), Terms(1, agreement(text))).score
    text = changed(("points: 40}\n  - {id: competitor", "points: -90}\n  - {id: competitor"), ("fit: 50", "fit: 40"))
    little = fit(known(a_profile(1)), Terms(1, agreement(text))).score

    assert (much.score, much.parts[-1].adjustment, much.parts[-1].value) == (100, "ceiling", -30)  # 90 + 40
    assert (little.score, little.parts[-1].adjustment, little.parts[-1].value) == (0, "floor", 50)  # 40 - 90


def test_an_address_that_only_an_alias_tells() -> None:
    """Fit rules may ask for the address that the contact is known by."""
    state = known(a_touch(1, aliases=(Alias("email", "ada@acme.example"),)))

    assert state.profile() == {"email": "ada@acme.example"}


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, Stage.DECIDING), (14, Stage.DECIDING), (15, Stage.ACTIVE_LOOKING), (31, Stage.FIRST_THOUGHT), (91, None)],
)
def test_stage_is_the_furthest_that_holds(days: int, expected: Stage | None) -> None:
    """Evidence runs out: deciding after 14 days, active looking after 30, a first thought after 90."""
    state = known(a_touch(1, path="/pricing"), a_touch(2, path="/compare/x"), a_touch(3, path="/blog/x"))

    assert stage(state, TERMS, to_micros(NOON + days * DAY)) is expected


def test_a_later_stage_is_enough() -> None:
    """The journey has an order."""
    assert reaches(Stage.DECIDING, Stage.ACTIVE_LOOKING)
    assert not reaches(Stage.PASSIVE_LOOKING, Stage.ACTIVE_LOOKING)
    assert not reaches(None, Stage.FIRST_THOUGHT)
    assert reaches(None, None)


def test_what_is_missing() -> None:
    """Every line says what there is and what is needed."""
    state = known(
        a_profile("who", account_domain="rival.example"),
        *(a_touch(n, path="/blog/x") for n in range(7)),
        a_track("out", "Preferences Changed", opted_out=True, at=NOON + DAY),
    )
    assert assess(state, TERMS, to_micros(NOON)).missing == (
        "opted out",
        "disqualified by competitor",
        "engagement 0 of 50",
        "fit 0 of 50",
        "stage first_thought, needs active_looking",
    )

    state = known(*(a_touch(n, path="/pricing") for n in range(7)))
    assert assess(state, TERMS, to_micros(NOON)).missing == (
        "engagement 27 of 50",  # 2 x 10 + 7 x 1
        "fit 0 of 50: industry, title unknown",
        "1 more touch",
    )

    state = known(a_demo_request(1))
    assert assess(state, TERMS, to_micros(NOON)).missing == (
        "fit 0 of 50: industry, title unknown",
        "7 more touches",
        "stage unknown, needs active_looking",
    )


def test_a_hair_below_the_threshold() -> None:
    """What is missing never reads as if nothing were."""
    state = known(a_demo_request(1))

    (line, *_) = assess(state, TERMS, to_micros(NOON) + 60_000_000).missing

    assert line == "engagement 49.9992 of 50"  # 50 · 2^(-1 min / 30 d)
    assert assess(state, TERMS, to_micros(NOON)).engagement.score == 50

"""Which contact lives on in which, and what becomes of their handoffs."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.engagement import engagement
from services.scorer.domain.instants import to_micros
from services.scorer.domain.merging import goes_back, parted, path_of, roots, stronger
from services.scorer.domain.recounting import recount
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.touch import Alias, Touch
from tests.support.reference_model import final
from tests.support.touches import ADA, BEN, NOON, a_profile, a_touch, a_track, agreement

CAT = UUID(int=7)
TERMS = Terms(1, agreement())
ARMED = Arming()
MINE = Arming(ArmingKind.HANDED, UUID(int=1), "threshold", 35.0)
YOURS = Arming(ArmingKind.HANDED, UUID(int=2), "hand_raise", 35.0)
COOLING = Arming(ArmingKind.COOLING, UUID(int=3), "threshold", 35.0, rearms_at=9)
CLOSED = Arming(ArmingKind.CLOSED, UUID(int=4), "threshold", 35.0)


def test_a_chain() -> None:
    """The root is the last; what is not held yet is its end as far as is known."""
    states = {CAT: ContactState(merged_into=BEN), BEN: ContactState(merged_into=ADA), ADA: ContactState()}

    assert path_of(CAT, states) == [CAT, BEN, ADA]
    assert roots([CAT, BEN], states) == {CAT: ADA, BEN: ADA}
    assert path_of(CAT, {CAT: states[CAT]}) == [CAT, BEN]


@pytest.mark.parametrize(
    ("survivor", "other", "kept"),
    [
        (ARMED, ARMED, ARMED),
        (ARMED, YOURS, YOURS),
        (MINE, YOURS, MINE),
        (CLOSED, YOURS, YOURS),
        (COOLING, YOURS, YOURS),
        (CLOSED, COOLING, COOLING),
        (ARMED, CLOSED, CLOSED),
    ],
)
def test_two_armings(survivor: Arming, other: Arming, kept: Arming) -> None:
    """An open handoff stands in the way of every other."""
    assert stronger(survivor, other) is kept


@pytest.mark.parametrize(
    ("survivor", "other", "now", "expected"),
    [
        (ARMED, ARMED, ARMED, (ARMED, ARMED)),
        (MINE, ARMED, MINE.closed(), (MINE.closed(), ARMED)),  # what sales did about it since stays
        (ARMED, YOURS, YOURS.closed(), (ARMED, YOURS.closed())),
        (MINE, YOURS, MINE, (MINE, YOURS)),
        (ARMED, ARMED, MINE, (MINE, ARMED)),  # handed off as one: that is the survivor's
        (ARMED, YOURS, MINE, (MINE, YOURS)),
    ],
)
def test_parting(survivor: Arming, other: Arming, now: Arming, expected: tuple[Arming, Arming]) -> None:
    """A handoff goes with whom it was made for."""
    assert parted(now, survivor=survivor, other=other) == expected


def test_what_goes_back() -> None:
    """What came under the id, or with an alias as the strongest."""
    mine, hers = Alias("anonymous", "mine"), Alias("user", "hers")

    assert goes_back(a_touch(1, contact=BEN), {BEN}, ())
    assert goes_back(a_touch(1, aliases=(mine,)), {BEN}, (mine,))
    assert not goes_back(a_touch(1, aliases=(hers, mine)), {BEN}, (mine,))
    assert not goes_back(a_touch(1), {BEN}, (mine,))


lives = st.lists(
    st.builds(
        lambda number, kind, hours: {
            "who": a_profile(number, at=NOON.replace(hour=hours)),
            "out": a_track(number, "Unsubscribed", at=NOON.replace(hour=hours), opted_out=True),
            "bot": a_touch(number, path="/pricing", at=NOON.replace(hour=hours), suspect="bot_user_agent"),
        }.get(kind, a_touch(number, path=kind, at=NOON.replace(hour=hours))),
        st.integers(0, 10_000),
        st.sampled_from(["/pricing", "/pricing", "/blog/x", "/", "who", "out", "bot"]),
        st.integers(0, 12),
    ),
    max_size=20,
    unique_by=lambda touch: touch.id,
)


@given(lives, st.randoms(use_true_random=False))
def test_a_recount(touches: list[Touch], dice: object) -> None:
    """It makes of touches in any order what plain code makes of them, and its parts add up."""
    shuffled = list(touches)
    getattr(dice, "shuffle")(shuffled)  # noqa: B009  # hypothesis does not export the type
    state = recount(ContactState(arming=MINE, merged=[BEN]), map(Judged, shuffled), TERMS)

    expected = final(touches, TERMS.agreement, as_of=NOON)
    score = engagement(state, TERMS, to_micros(NOON))
    assert score.score == pytest.approx(expected.score, rel=1e-9, abs=1e-9)
    assert sum(part.value for part in score.parts) == score.score
    assert (state.touches, state.is_opted_out) == (expected.touches, expected.opted_out)
    assert (state.arming, state.merged) == (MINE, [BEN])
    assert recount(state, map(Judged, touches), TERMS) == state

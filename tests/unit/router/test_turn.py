"""The fair turn: shares in proportion to weight, at every moment."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.turn import Share, settle, take_turn

weights = st.lists(st.integers(1, 100).map(lambda weight: weight / 10), min_size=1, max_size=8)


def deal(weights: Sequence[float], owed: dict[str, float], rounds: int) -> list[str]:
    """Give handoffs to members named 0, 1, ...; change `owed` on the way."""
    dealt = []
    for _ in range(rounds):
        turn = take_turn([Share(str(place), weight, owed[str(place)]) for place, weight in enumerate(weights)])
        owed.update(turn.owed)
        dealt.append(turn.rep)
    return dealt


@given(weights, st.integers(1, 300))
@settings(max_examples=150, deadline=None)
def test_the_same_members_all_along(weights: list[float], rounds: int) -> None:
    """At every moment each member is within one handoff of their exact share."""
    owed = {str(place): 0.0 for place in range(len(weights))}
    got = dict.fromkeys(owed, 0)
    for number in range(1, rounds + 1):
        (rep,) = deal(weights, owed, 1)
        got[rep] += 1
        for place, weight in enumerate(weights):
            exact = number * weight / sum(weights)
            assert abs(got[str(place)] - exact) < 1 + 1e-6
            assert owed[str(place)] == pytest.approx(exact - got[str(place)], abs=1e-6)


@given(weights, st.integers(0, 60), st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_any_window(weights: list[float], before: int, window: int) -> None:
    """Over any window too, each member's share is within two handoffs, one at either end."""
    owed = {str(place): 0.0 for place in range(len(weights))}
    deal(weights, owed, before)
    dealt = deal(weights, owed, window)

    for place, weight in enumerate(weights):
        assert abs(dealt.count(str(place)) - window * weight / sum(weights)) < 2


@given(st.lists(st.integers(1, 20).map(float), min_size=2, max_size=6), st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_a_member_who_was_away(weights: list[float], missed: int) -> None:
    """Who comes back gets what weight says from then on: however long they were away, no flood and no drought."""
    owed = {str(place): 0.0 for place in range(len(weights))}
    deal(weights, owed, 7)
    others = [Share(str(place), weight, owed[str(place)]) for place, weight in enumerate(weights)][1:]
    for _ in range(missed):
        turn = take_turn([Share(share.rep, share.weight, owed[share.rep]) for share in others])
        owed.update(turn.owed)
    dealt = deal(weights, owed, 40)

    assert abs(dealt.count("0") - 40 * weights[0] / sum(weights)) < 3


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 63)), min_size=6, max_size=6), st.data())
def test_debts_whoever_is_available(members: list[tuple[int, int]], data: st.DataObject) -> None:
    """Whatever the availability, debts add up to zero, and only the available move."""
    owed = {str(place): 0.0 for place in range(6)}
    for _ in range(20):
        present = data.draw(st.sets(st.integers(0, 5), min_size=1))
        before = dict(owed)
        owed.update(
            take_turn([Share(str(place), members[place][0], owed[str(place)]) for place in sorted(present)]).owed
        )

        assert sum(owed.values()) == pytest.approx(0, abs=1e-6)
        assert all(owed[str(place)] == before[str(place)] for place in range(6) if place not in present)


@given(
    st.lists(st.integers(1, 100).map(lambda weight: weight / 10), min_size=2, max_size=7),
    st.lists(st.tuples(st.sets(st.integers(0, 6), min_size=1), st.integers(1, 12)), min_size=1, max_size=25),
)
@settings(max_examples=120, deadline=None)
def test_any_window_with_absences(weights: list[float], phases: list[tuple[set[int], int]]) -> None:
    """Whoever comes and goes: over any window each got what they were due while they were there, within three."""
    owed = {str(place): 0.0 for place in range(len(weights))}
    over_time = {rep: [0.0] for rep in owed}
    for present, handoffs in phases:
        here = [place for place in range(len(weights)) if place in present] or [0]
        for _ in range(handoffs):
            owed.update(take_turn([Share(str(place), weights[place], owed[str(place)]) for place in here]).owed)
            for rep, debt in owed.items():
                over_time[rep].append(debt)

    # A debt is what was due less what was got, so a window's error is how far the debt moved in it.
    assert all(max(debts) - min(debts) < 3 for debts in over_time.values())


@given(st.integers(2, 8), st.integers(0, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_any_window_of_equals(members: int, before: int, window: int) -> None:
    """Equal weights are dealt in rounds: over any window everybody is within one handoff of their share."""
    owed = {str(place): 0.0 for place in range(members)}
    deal([1.0] * members, owed, before)
    dealt = deal([1.0] * members, owed, window)

    assert all(abs(dealt.count(rep) - window / members) < 1 for rep in owed)


def test_two_to_one() -> None:
    """The worked example of the module: weights 2 and 1."""
    owed = {"0": 0.0, "1": 0.0}

    assert deal([2, 1], owed, 6) == ["0", "1", "0", "0", "1", "0"]


@pytest.mark.parametrize(
    ("owed", "members", "after"),
    [
        # who joins starts at zero
        ({"Ada": 0.5, "Bo": -0.5}, [("Ada", 1), ("Bo", 1), ("Cy", 3)], {"Ada": 0.5, "Bo": -0.5, "Cy": 0.0}),
        # -0.6 of the leaver is shared 1 : 2 by those who stay: 0.3 - 0.2 and 0.3 - 0.4
        ({"Ada": 0.3, "Bo": 0.3, "Cy": -0.6}, [("Ada", 1), ("Bo", 2)], {"Ada": 0.1, "Bo": -0.1}),
        # nobody stays
        ({"Ada": 0.5}, [("Bo", 1)], {"Bo": 0.0}),
    ],
)
def test_a_changed_pool(owed: dict[str, float], members: list[tuple[str, float]], after: dict[str, float]) -> None:
    """Leavers' debts go to those who stay; newcomers neither owe nor are owed."""
    assert settle(owed, members) == pytest.approx(after)

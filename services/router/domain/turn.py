"""Whose turn it is: handoffs in proportion to weight, with a bound that holds at every moment.

For each member of a pool we keep what the pool owes them: their exact share of all handoffs given while they were
available, minus what they got. Each handoff adds `weight / sum of available weights` to everybody available, and
takes 1 from whoever gets it, so the debts of a pool always add up to zero.

Of those who are owed enough to take a handoff now, the one whose share would be missed first goes first (Tijdeman's
rule for the chairman assignment problem, 1980). With the same n members available this keeps every member within
`1 - 1 / (2n - 2)` of their exact share at every moment, which neither plain nor smooth weighted round robin does.

Who is away or full stands still: coming back, they are owed what they were owed before, less than one handoff while
nothing else changed. So they are neither flooded nor punished. A new member starts at zero.

Worked example, weights 2 and 1: owed after the credit (2/3, 1/3), Ada is due in (1/2 - 2/3) / (2/3) < 0 turns, Bo in
(1/2 - 1/3) / (1/3) = 1/2; only Ada is owed 1/2 or more, so Ada goes: (-1/3, 1/3). Then (1/3, 2/3): Bo goes. Then
(1, 0): Ada goes, and all are at zero again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_ROUNDING = 1e-9  # debts are sums of fractions in floating point
_DECIMALS = 7


class Share(NamedTuple):
    """What one available member is entitled to, and what they are owed before this turn."""

    rep: str
    weight: float
    owed: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Who goes, and what everybody available is owed afterwards."""

    rep: str
    owed: Mapping[str, float]


def take_turn(shares: Sequence[Share]) -> Turn:
    """Choose among available members; equal claims go to the one listed first. `shares` must not be empty."""
    total = sum(share.weight for share in shares)
    entitled = {share.rep: share.weight / total for share in shares}
    credited = {share.rep: share.owed + entitled[share.rep] for share in shares}
    # Members who stand still may hold a part of the debts; measure the others against what they can still get.
    surplus = sum(share.owed for share in shares)
    claims = {rep: credited[rep] - surplus * entitled[rep] for rep in credited}
    chosen = next(iter(claims)) if len(claims) == 1 else _most_urgent(claims, entitled)
    return Turn(rep=chosen, owed={**credited, chosen: credited[chosen] - 1})


def _most_urgent(claims: Mapping[str, float], entitled: Mapping[str, float]) -> str:
    slack = 1 / (2 * len(claims) - 2)
    # Somebody always qualifies: n claims add up to 1, and 1 / n is at least the slack.
    owed_enough = [rep for rep, claim in claims.items() if claim >= slack - _ROUNDING]
    # Rounded, so that equals go in the order in which they are listed, round by round, whatever floating point says.
    return min(owed_enough, key=lambda rep: round((1 - slack - claims[rep]) / entitled[rep], _DECIMALS))


def settle(owed: Mapping[str, float], members: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the debts after the pool's members changed.

    What leavers were owed, or got too much, is shared by those who stay, by weight; who joins starts at zero.
    """
    weights = dict(members)
    kept = {rep: owed.get(rep, 0.0) for rep in weights}
    staying = {rep: weight for rep, weight in weights.items() if rep in owed}
    left = sum(debt for rep, debt in owed.items() if rep not in weights)
    total = sum(staying.values())
    for rep, weight in staying.items():
        kept[rep] += left * weight / total
    return kept

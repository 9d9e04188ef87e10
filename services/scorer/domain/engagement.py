"""Engagement: what the contact does, 0 to 100, as parts that add up to it.

    engagement = clamp( Σ over groups min(cap, Σ over its rules points · D), 0, 100 )

Two pricing views, both half decayed at 1.5, of 10 points are 15; with page views worth 45 in a group capped at 40, the
parts are 15, 45 and the cap's -5: together 55.
"""

from collections.abc import Iterable
from math import exp2, fsum, ldexp

from services.scorer.domain.decay import MOST_DOUBLINGS
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms, grid_for, on_grid
from shared.events.explanation import Part, Score

LARGEST = 100.0


def engagement(state: ContactState, terms: Terms, at: int) -> Score:
    """Return the engagement at the instant, explained: the values of the parts add up to the score exactly."""
    half_life = terms.half_life
    counted = [
        (rule, kept, kept.decayed.read(at, half_life))
        for rule in terms.agreement.rules
        if (kept := state.rules.get(rule.id)) is not None
    ]
    bits = grid_for(terms.largest_sum + sum(abs(rule.points) * decayed for rule, _, decayed in counted))
    parts = []
    by_group: dict[str, float] = {}
    for rule, kept, decayed in counted:
        value = on_grid(rule.points * decayed, bits)
        by_group[rule.group] = by_group.get(rule.group, 0.0) + value
        parts.append(
            Part(
                value=value,
                rule=rule.id,
                group=rule.group,
                count=kept.count,
                decayed=decayed,
                points=rule.points,
                suspect=kept.suspect,
                over=kept.over,
            )
        )
    for group, cap in terms.agreement.groups.items():
        limit = on_grid(cap, bits)
        if by_group.get(group, 0.0) > limit:
            parts.append(Part(value=limit - by_group[group], group=group, adjustment="cap"))
    total = fsum(part.value for part in parts)
    if total < 0:
        parts.append(Part(value=-total, adjustment="floor"))
    elif total > LARGEST:
        parts.append(Part(value=LARGEST - total, adjustment="ceiling"))
    if state.is_opted_out:
        counted_touches = sum(kept.count for _, kept, _ in counted)
        taken = -fsum(part.value for part in parts)
        parts.append(Part(value=taken, adjustment="opted_out", count=counted_touches))
    return Score(fsum(part.value for part in parts), tuple(parts))


def group_sums(state: ContactState, terms: Terms, at: int) -> list[float]:
    """Return what each group is worth at the instant before its cap, in the order of `terms.caps`."""
    landmark, rest = divmod(at, terms.half_life)
    fraction = exp2(-rest / terms.half_life)
    sums = [0.0] * len(terms.caps)
    prices = terms.prices
    for rule_id, kept in state.rules.items():
        points, group = prices[rule_id]
        decayed = kept.decayed
        sums[group] += points * ldexp(decayed.total, min(decayed.landmark - landmark, MOST_DOUBLINGS)) * fraction
    return sums


def within_caps(sums: Iterable[float], terms: Terms) -> float:
    """Return what the groups add up to. Without bounds, parts and opt-out; off by rounding, less than a millionth."""
    return sum(map(min, sums, terms.caps))

"""Leads: the handoffs of two agreements held against each other, and against those that were really made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.scorer.domain.simulation import Made, Sent


class LeadKind(StrEnum):
    """Which of the two agreements a lead comes from."""

    BOTH = "both"
    GAINED = "gained"  # only the draft makes it
    LOST = "lost"  # only the active agreement makes it
    NEITHER = "neither"  # it was really made: under an earlier agreement, or by what hindsight takes away


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The days that are looked at, and how far apart two handoffs may be that are still one lead."""

    since: datetime
    until: datetime
    apart: timedelta

    def holds(self, at: datetime | None) -> bool:
        """Tell whether the instant is in it."""
        return at is not None and self.since <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """One lead of one contact, as far as each knows of it."""

    active: Sent | None = None
    draft: Sent | None = None
    made: Made | None = None

    @property
    def kind(self) -> LeadKind:
        """Return which of the agreements makes it."""
        if self.active is not None:
            return LeadKind.LOST if self.draft is None else LeadKind.BOTH
        return LeadKind.NEITHER if self.draft is None else LeadKind.GAINED


def find_leads(active: Sequence[Sent], draft: Sequence[Sent], made: Sequence[Made], window: Window) -> list[Lead]:
    """Return the leads of one contact of which anything falls into the window.

    What the same touch tipped is one lead, then what is nearest in time, as long as it is not too far apart.
    """
    paired = pair([(each.id, each.at) for each in active], [(each.id, each.at) for each in draft], apart=window.apart)
    found = [(active[one], draft[other]) for one, other in paired]
    met = {one for one, _ in paired}, {other for _, other in paired}
    sides: list[tuple[Sent | None, Sent | None]] = [
        *found,
        *((each, None) for index, each in enumerate(active) if index not in met[0]),
        *((None, each) for index, each in enumerate(draft) if index not in met[1]),
    ]
    told = [[each for each in both if each is not None] for both in sides]
    real = _real(told, made, apart=window.apart)
    leads = [
        Lead(active=one, draft=other, made=made[real[index]] if index in real else None)
        for index, (one, other) in enumerate(sides)
    ]
    matched = set(real.values())
    leads += [Lead(made=each) for index, each in enumerate(made) if index not in matched]
    kept = [lead for lead in leads if any(map(window.holds, _instants(lead)))]
    return sorted(kept, key=lambda lead: min(at for at in _instants(lead) if at is not None))


def pair(
    one: Sequence[tuple[UUID, datetime]], other: Sequence[tuple[UUID, datetime]], *, apart: timedelta
) -> list[tuple[int, int]]:
    """Return the indexes of those that belong together: same id first, then the nearest, each at most once."""
    candidates = sorted(
        (left_id != right_id, abs(left_at - right_at), left, right)
        for left, (left_id, left_at) in enumerate(one)
        for right, (right_id, right_at) in enumerate(other)
        if left_id == right_id or abs(left_at - right_at) <= apart
    )
    lefts: set[int] = set()
    rights: set[int] = set()
    pairs = []
    for _, _, left, right in candidates:
        if left not in lefts and right not in rights:
            lefts.add(left)
            rights.add(right)
            pairs.append((left, right))
    return pairs


def _real(told: Sequence[Sequence[Sent]], made: Sequence[Made], *, apart: timedelta) -> dict[int, int]:
    """Return the index of the real handoff of each lead that has one."""
    if not made:
        return {}
    flat = [(index, each) for index, both in enumerate(told) for each in both]
    found: dict[int, int] = {}
    for side, real in pair(
        [(each.id, each.at) for _, each in flat], [(each.id, each.decided_at) for each in made], apart=apart
    ):
        found.setdefault(flat[side][0], real)
    return found


def _instants(lead: Lead) -> tuple[datetime | None, ...]:
    return (
        lead.active.at if lead.active else None,
        lead.draft.at if lead.draft else None,
        lead.made.decided_at if lead.made else None,
    )

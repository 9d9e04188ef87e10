"""Merging: which contact lives on in which, what becomes of their handoffs, and what goes back when it was a mistake.

A merged contact is a tombstone: it points to the contact that it was merged into, which may later become a tombstone
itself. What arrives for any of them belongs to the last, the root. So merges lead to the same contacts in any order.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.state import ContactState
from shared.events.touch import Alias, Touch

# An open handoff weighs most: while there is one, there is no other.
_WEIGHT = {ArmingKind.ARMED: 0, ArmingKind.CLOSED: 1, ArmingKind.COOLING: 2, ArmingKind.HANDED: 3}


def path_of(contact_id: UUID, states: Mapping[UUID, ContactState]) -> list[UUID]:
    """Return the contact and those that it lives on in, as far as the states tell; the last is its root."""
    path = [contact_id]
    while (state := states.get(path[-1])) is not None and state.merged_into is not None:
        path.append(state.merged_into)
    return path


def roots(states: Mapping[UUID, ContactState]) -> dict[UUID, UUID]:
    """Return the root of each tombstone."""
    return {
        contact_id: path_of(contact_id, states)[-1]
        for contact_id, state in states.items()
        if state.merged_into is not None
    }


def stronger(survivor: Arming, other: Arming) -> Arming:
    """Return the arming that two contacts have as one: that of the handoff which is farther from the next one."""
    return max((survivor, other), key=lambda arming: (_WEIGHT[arming.kind], arming.handoff_id is not None))


def latest(one: int | None, another: int | None) -> int | None:
    """Return the later of two instants, of which each may be missing."""
    return max((at for at in (one, another) if at is not None), default=None)


def parted(now: Arming, *, survivor: Arming, other: Arming) -> tuple[Arming, Arming]:
    """Return the arming of survivor and other after a merge is undone, given what they had when they were merged.

    A handoff goes with whom it was made for, and with it what became of it since.
    """
    kept = stronger(survivor, other)
    if other.handoff_id is not None and now.handoff_id == kept.handoff_id == other.handoff_id:
        return survivor, now
    return now, other


def goes_back(touch: Touch, ids: Collection[UUID], aliases: Collection[Alias]) -> bool:
    """Tell whether a touch is of the contacts that a merge took in, told by the id or the strongest alias it came with.

    `touch` is as ingest made it, `aliases` are those that name the other contact again.
    """
    return touch.contact_id in ids or bool(touch.aliases and touch.aliases[0] in aliases)

"""Merging: which contact lives on in which, what becomes of their handoffs, and what goes back when it was a mistake.

A merged contact is a tombstone: it points to the contact that it was merged into, which may later become a tombstone
itself. What arrives for any of them belongs to the last, the root. So merges lead to the same contacts in any order.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.state import ContactState, hashed
from shared.events.touch import Alias, Touch

# An open handoff weighs most: while there is one, there is no other.
_WEIGHT = {ArmingKind.ARMED: 0, ArmingKind.CLOSED: 1, ArmingKind.COOLING: 2, ArmingKind.HANDED: 3}


def path_of(contact_id: UUID, states: Mapping[UUID, ContactState]) -> list[UUID]:
    """Return the contact and those that it lives on in, as far as the states tell; the last is its root."""
    path = [contact_id]
    while (state := states.get(path[-1])) is not None and state.merged_into is not None:
        path.append(state.merged_into)
    return path


def roots(tombstones: Iterable[UUID], states: Mapping[UUID, ContactState]) -> dict[UUID, UUID]:
    """Return the root of each tombstone."""
    return {contact_id: path_of(contact_id, states)[-1] for contact_id in tombstones}


def owner_of(contact_id: UUID, alias: Alias | None, states: Mapping[UUID, ContactState]) -> UUID:
    """Return whose a touch is that came under this contact and name: its root's, or that of who was parted from it.

    Only a touch that ingest published before a merge was undone, and that arrives after it, comes under a contact that
    does not have the name any more.
    """
    met = {contact_id}
    while (state := states.get(contact_id)) is not None:
        parted = state.parted.get(hashed(alias)) if alias is not None and state.parted else None
        after = parted or state.merged_into
        if after is None or after in met:
            break
        met.add(after)
        contact_id = after
    return contact_id


def owners(touches: Iterable[Touch], states: Mapping[UUID, ContactState]) -> dict[tuple[UUID, UUID], UUID]:
    """Return whose each touch is, by contact and touch. Where nobody was parted the roots tell as much."""
    return {
        (touch.contact_id, touch.id): owner_of(touch.contact_id, touch.aliases[0] if touch.aliases else None, states)
        for touch in touches
    }


def part_strangers(touches: Iterable[Touch], states: Mapping[UUID, ContactState]) -> None:
    """Keep the names of others from the owners of touches that carry the names of two who were parted since."""
    for touch in touches:
        if len(touch.aliases) > 1:
            found = [owner_of(touch.contact_id, alias, states) for alias in touch.aliases]
            for alias, owner in zip(touch.aliases, found, strict=True):
                if owner != found[0] and (state := states.get(found[0])) is not None:
                    state.parted = {**state.parted, hashed(alias): owner}


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

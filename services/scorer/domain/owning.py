"""Owning: in whose history touches belong, each of them once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from services.scorer.domain.accepting import Published


def by_owner(
    touches: Mapping[UUID, Sequence[Published]], moved: Mapping[UUID, UUID], parted: Mapping[tuple[UUID, UUID], UUID]
) -> Mapping[UUID, Sequence[Published]]:
    """Return touches, given by the contact that they came for, by the one in whose history they belong.

    They stay in their order; of one that comes twice the first is kept. `moved` tells where contacts live on, `parted`
    whose single touches are.
    """
    owned = _moved(touches, moved, parted) if moved or parted else touches
    twice = [
        owner
        for owner, published in owned.items()
        if len(published) > 1 and len({each.touch.id.int for each in published}) < len(published)
    ]
    if not twice:
        return owned  # nearly always, and copying takes longer than looking
    return {**owned, **{owner: _each_once(owned[owner]) for owner in twice}}


def _moved(
    touches: Mapping[UUID, Sequence[Published]], moved: Mapping[UUID, UUID], parted: Mapping[tuple[UUID, UUID], UUID]
) -> Mapping[UUID, Sequence[Published]]:
    owned: defaultdict[UUID, list[Published]] = defaultdict(list)
    for contact_id, published in touches.items():
        for each in published:
            owned[parted.get((contact_id, each.touch.id)) or moved.get(contact_id, contact_id)].append(each)
    for published in owned.values():
        published.sort(key=lambda each: each.received_at)  # of several contacts
    return owned


def _each_once(published: Sequence[Published]) -> Sequence[Published]:
    first: dict[UUID, Published] = {}
    for each in published:
        first.setdefault(each.touch.id, each)
    return list(first.values())

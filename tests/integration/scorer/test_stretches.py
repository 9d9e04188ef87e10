"""Stretches of the history, read one after the other."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.scorer.store import stretches
from services.scorer.store.stretches import FIRST, LAST, read_accounts_stretch, read_stretch
from shared.ids import contact_id
from tests.integration.scorer.conftest import Rig
from tests.support.accounts_text import who
from tests.support.touches import NOON, a_touch

DAY = timedelta(days=1)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12, 13, 100])
async def test_stretches_of_any_size(rig: Rig, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Together they hold each touch of whoever did something in time once, and each contact in one of them."""
    monkeypatch.setattr(stretches, "STRETCH", size)
    await rig.activate()
    people = [contact_id("user", f"{number}") for number in range(6)]
    for number, contact in enumerate(people):  # 1, 2, 3, 1, 2, 3 touches, those of the last two long ago
        at = NOON - 40 * DAY if number > 3 else NOON
        touches = [a_touch(f"{number} {which}", contact=contact, at=at) for which in range(number % 3 + 1)]
        await rig.give(*touches)

    found: dict[UUID, int] = {}
    after, sizes = FIRST, []
    async with rig.engine.connect() as connection:
        while after != LAST:
            stretch = await read_stretch(connection, after=after, touched_since=NOON - DAY, until=NOON + DAY)
            assert stretch.end > after
            assert found.keys().isdisjoint(stretch.touches)
            found |= {contact: len(history) for contact, history in stretch.touches.items()}
            after = stretch.end
            sizes.append(stretch.size())

    assert found == {contact: number % 3 + 1 for number, contact in enumerate(people[:4])}
    assert max(sizes) <= size + 2, "the last contact is read whole, and no other"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
async def test_accounts_come_whole(rig: Rig, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Each account is in one stretch with all of its people, if one of them did something; all others as ever."""
    monkeypatch.setattr(stretches, "STRETCH_CONTACTS", size)
    await rig.activate()
    before = NOON - 40 * DAY
    for name in ("ada", "ben", "cy", "dee"):  # the last one alone was there in time
        await rig.give(who(name, at=NOON if name == "dee" else before))
    for name in ("eve", "flo"):
        await rig.give(who(name, domain="quiet.example", at=before))
    await rig.give(who("gus", domain="one.example"))
    await rig.give(a_touch("hal", contact=contact_id("user", "hal")), a_touch("ida", contact=contact_id("user", "ida")))

    found: list[UUID] = []
    accounts: list[set[UUID]] = []
    after = FIRST
    async with rig.engine.connect() as connection:
        while after != LAST:
            stretch = await read_accounts_stretch(connection, after=after, touched_since=NOON - DAY, until=NOON + DAY)
            assert stretch.end > after
            found += stretch.touches
            accounts += stretch.accounts.values()
            after = stretch.end

    people = [contact_id("user", name) for name in ("ada", "ben", "cy", "dee", "gus", "hal", "ida")]
    assert sorted(found) == sorted(people)
    assert sorted(map(len, accounts)) == [1, 4]
    assert set(people[:4]) in accounts

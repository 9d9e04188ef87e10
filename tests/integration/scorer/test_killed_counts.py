"""The scorer is killed at every single wait of a switch to a version that counts otherwise."""

from uuid import UUID

import pytest
from sqlalchemy import update

from services.scorer.store import tables
from services.scorer.store.replays import SLICES
from tests.integration.scorer.conftest import Rig, open_rig
from tests.integration.scorer.test_killed import Case, forget, sweep
from tests.support.killing import Mortal
from tests.support.reference_model import final
from tests.support.touches import NOON, agreement, changed

MODEST = changed(("points: 10,", "points: 4,"))
EAGER = changed(("points: 10,", "points: 25,"))


def version_of(text: str, *, number: int, half_life: int) -> str:
    """Return the text as one of its own, with a half-life of so many days."""
    return changed(("title: What", f"title: {number} What"), ("half_life: 30d", f"half_life: {half_life}d"), text=text)


@pytest.mark.parametrize(("over", "at_once"), [(False, 1), (True, 2)])
async def test_at_every_wait_of_other_counts(rig: Rig, database_url: str, *, over: bool, at_once: int) -> None:
    """Everybody is counted anew, then decided once under the new version; scores are those of plain code."""
    people = [UUID(int=(0xF << 124) + number) for number in range(2)]  # in the last slice of a replay
    case = Case(0)
    told = [touch for who in people for touch in (case.who(who), *case.views(who, count=9, first=5))]
    wait, killed = 0, True
    while killed:
        wait += 1
        half_life = 20 + wait % 2
        await rig.activate(version_of(MODEST, number=wait, half_life=41 - half_life))  # as touches were counted before
        await rig.give(*told)
        text = version_of(EAGER, number=wait, half_life=half_life)
        version = await rig.agree(text)
        await leave_one_slice(rig, version)
        async with open_rig(database_url) as process:
            killed = await Mortal(process.engine).run(switch(process, at_once=at_once), wait=wait, over=over)
        if await rig.handoffs():
            assert (await rig.get("/v1/agreements/active"))["version"] == version
        await switch(rig, at_once=at_once)

        shown = await rig.get("/v1/agreements/active")
        assert (shown["version"], shown["text"]) == (version, text), f"killed at wait {wait}"
        assert shown["replay"]["contacts"] == len(people)
        assert [(each.agreement, each.reason) for each in await rig.handoffs()] == [(version, "threshold")] * 2
        page = (await rig.get("/v1/contacts", as_of=NOON.isoformat()))["contacts"]
        for who, contact in zip(people, page, strict=True):
            score = final([touch for touch in told if touch.contact_id == who], agreement(text), as_of=NOON).score
            assert contact["engagement"]["score"] == pytest.approx(score, rel=1e-9)
            assert (contact["agreement"], contact["touches"]) == (version, 9)
            assert (await rig.state(who)).prepared is None
        await forget(rig)
    assert wait > 30


async def leave_one_slice(rig: Rig, version: int) -> None:
    """Finish the slices in which nobody is: gone through they are the same, sixteen times."""
    slices = tables.replay_slice.c
    others = update(tables.replay_slice).where(slices.version == version, slices.number < SLICES - 1)
    async with rig.engine.begin() as connection:
        await connection.execute(others.values(finished=True))


async def switch(process: Rig, *, at_once: int) -> None:
    """Count what is left, put the version in force, and apply it to everybody."""
    while await process.replaying.go_on(limit=at_once):
        pass
    await sweep(process)

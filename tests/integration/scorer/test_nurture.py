"""What marketing is told, through the outbox of the decision."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events.feedback import Feedback, FeedbackKind
from shared.events.nurture import NurtureKind
from shared.http.keys import Role
from shared.ids import derived_id
from tests.integration.scorer.conftest import Rig
from tests.support.touches import ADA, NOON, TEXT, a_demo_request, a_touch

DAY = timedelta(days=1)
NURTURE_TEXT = TEXT + "nurture: {every: 1d}"


async def test_once_whatever_crashes(rig: Rig) -> None:
    """A stage entered, a handoff given back and a stage left are told once each, also after crashes and repeats."""
    await rig.activate(NURTURE_TEXT)
    compare = a_touch(1, path="/compare/x")
    save = rig.contacts.save

    class Crash(Exception):
        """Stands for the end of the process."""

    async def crash(*_: Any, **__: Any) -> None:
        raise Crash

    rig.contacts.save = crash  # type: ignore[method-assign]  # the process ends before the commit
    with pytest.raises(Crash):
        await rig.give(compare)
    rig.contacts.save = save  # type: ignore[method-assign]  # the next process
    await rig.give(compare)
    await rig.give(compare, a_demo_request(2, at=NOON + DAY))
    (handoff,) = await rig.handoffs()
    told = Feedback(
        id=derived_id("f"), handoff_id=handoff.id, contact_id=ADA, kind=FeedbackKind.RECYCLED, at=NOON + 2 * DAY
    )
    await rig.tell(told)
    await rig.tell(told)
    rig.now = NOON + 200 * DAY
    rig.contacts.save = crash  # type: ignore[method-assign]  # again
    with pytest.raises(Crash):
        await rig.sweeper.arm_cooled(limit=10)
    rig.contacts.save = save  # type: ignore[method-assign]  # the next process
    while await rig.sweeper.arm_cooled(limit=10):
        pass

    assert [(one.kind, one.stage) for one in await rig.nurtures()] == [
        (NurtureKind.STAGE, "active_looking"),
        (NurtureKind.RECYCLED, "active_looking"),
        (NurtureKind.STAGE, None),
    ]


async def test_erasure(rig: Rig) -> None:
    """What waits for marketing goes, too."""
    await rig.activate(NURTURE_TEXT)
    await rig.give(a_touch(1, path="/compare/x"))
    assert len(await rig.nurtures()) == 1

    assert (await rig.call("DELETE", f"/v1/contacts/{ADA}", role=Role.ADMIN)).status_code == 202

    assert await rig.nurtures() == []


async def test_an_agreement_without_it(rig: Rig) -> None:
    """Nobody is told, and what was due is not due any more."""
    await rig.activate(NURTURE_TEXT)
    await rig.give(a_touch(1, path="/compare/x"))
    await rig.activate(TEXT)
    await rig.sweep()
    rig.now = NOON + 200 * DAY

    assert await rig.sweeper.arm_cooled(limit=10) == 0
    assert len(await rig.nurtures()) == 1

"""Whoever decides accounts is killed at every single wait, and nobody can tell afterwards."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from services.scorer.domain.state import account_id
from services.scorer.store import tables
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import HandoffReady
from shared.events.topics import TopicName
from shared.events.touch import Touch, encode_touches
from shared.ids import derived_id
from shared.log.records import Batch, Partition, StoredRecord
from tests.integration.scorer.conftest import Rig, open_rig
from tests.support.account_model import model_accounts
from tests.support.accounts_text import ACCOUNTS_TEXT, somebody, who
from tests.support.killing import Mortal
from tests.support.reference_model import people
from tests.support.touches import NOON, a_touch, a_track, agreement

DAY = timedelta(days=1)
NAMES = ("dora", "carl", "eve")


@dataclass
class Case:
    """Two companies of one try, and their people."""

    number: int
    given: list[Touch] = field(default_factory=list)

    def domain(self, company: str = "acme") -> str:
        """Return the domain of one of the companies."""
        return f"{company}{self.number}.example"

    def person(self, name: str) -> UUID:
        """Return somebody."""
        return somebody(self.called(name))

    def called(self, name: str) -> str:
        """Return the name by which nobody of another try is known."""
        return f"{name} {self.number}"

    def works(self, name: str, *, company: str = "acme", at: datetime = NOON) -> Touch:
        """Return a touch that tells where somebody works."""
        title = "Director of Freight" if name == "dora" else "Clerk"
        return self._noted(who(self.called(name), title=title, domain=self.domain(company), at=at))

    def looks(self, name: str, *, at: datetime = NOON) -> list[Touch]:
        """Return two views of prices, 22 points; Dora compares as well, so that she is the most engaged."""
        one = self.called(name)
        paths = ("/pricing", "/pricing", "/compare/x")[: 3 if name == "dora" else 2]
        return [
            self._noted(a_touch(f"{one} {at} {number}", contact=somebody(one), path=path, at=at))
            for number, path in enumerate(paths)
        ]

    def leaves(self, name: str, *, at: datetime) -> Touch:
        """Return a touch that opts somebody out."""
        return self._noted(
            a_track(self.called(f"{name} out"), "Left", contact=self.person(name), opted_out=True, at=at)
        )

    def _noted(self, touch: Touch) -> Touch:
        self.given.append(touch)
        return touch


Work = Callable[[Rig], Coroutine[Any, Any, object]]
Prepare = Callable[[Rig, Case], Awaitable[Work]]


async def decide(process: Rig) -> None:
    """Look at what is due."""
    await process.decider.decide(limit=10)


async def crossing(rig: Rig, case: Case) -> Work:
    """Three people of one company, each of whom is looked at for the first time."""
    for name in NAMES:
        await rig.give(case.works(name), *case.looks(name))
    return decide


async def handed_off(rig: Rig, case: Case) -> HandoffReady:
    """Have the company handed off."""
    await (await crossing(rig, case))(rig)
    (handoff,) = await told_of(rig, case)
    return handoff


async def given_back(rig: Rig, case: Case) -> Work:
    """Sales gave it back, and its people go on."""
    handoff = await handed_off(rig, case)
    await rig.tell(
        Feedback(
            id=derived_id("given back", handoff.id),
            handoff_id=handoff.id,
            contact_id=handoff.contact.id,
            kind=FeedbackKind.RECYCLED,
            at=NOON + DAY,
        )
    )
    for name in NAMES:
        await rig.give(*case.looks(name, at=NOON + 32 * DAY))
    return decide


async def fallen(rig: Rig, case: Case) -> Work:
    """Nobody of it did anything for three weeks: time alone arms it."""
    await handed_off(rig, case)

    async def arm(process: Rig) -> None:
        process.now = NOON + 22 * DAY
        await process.decider.arm_cooled(limit=10)

    return arm


async def moved(rig: Rig, case: Case) -> Work:
    """One of three who looked changes company, so that two of them are due, and neither is enough."""
    for name in NAMES:
        await rig.give(case.works(name), *case.looks(name))
    await rig.give(case.works("eve", company="next", at=NOON + DAY))
    return decide


async def left(rig: Rig, case: Case) -> Work:
    """All of them opted out: of the company nothing remains."""
    await rig.give(case.works("dora"), *case.looks("dora"))
    await decide(rig)
    await rig.give(case.leaves("dora", at=NOON + DAY))
    return decide


async def touches(rig: Rig, case: Case) -> Work:
    """Touches that make it ready are counted, and nobody has looked at it yet."""
    await rig.give(*[case.works(name) for name in NAMES])
    record = encode_touches([touch for name in NAMES for touch in case.looks(name)])
    partition = Partition(TopicName.TOUCHES, case.number + 1)

    async def take(process: Rig) -> None:
        claim = await process.positions.claim("scorer", partition, 0, 1 << 40)
        if claim.position == 0:
            stored = StoredRecord(partition=partition, offset=0, key=None, value=record, headers=(), appended_at=NOON)
            await process.scorer.handle([Batch("scorer", partition, claim.epoch, 0, 1, (stored,))])

    return take


async def told_of(rig: Rig, case: Case) -> list[HandoffReady]:
    """Return the handoffs of people of the case, in order."""
    mine = {case.person(name) for name in NAMES}
    return [handoff for handoff in await rig.handoffs() if handoff.contact.id in mine]


async def outcome(rig: Rig, case: Case) -> dict[str, object]:
    """Return what is known of the companies of a case, and what was told of them, without their ids."""
    names = {case.person(name): name for name in NAMES}
    found: dict[str, object] = {}
    for company in ("acme", "next"):
        one = account_id(case.domain(company))
        response = await rig.call("GET", f"/v1/accounts/{one}", params={"as_of": NOON.isoformat()})
        shown = response.json()
        async with rig.engine.connect() as connection:
            state = (await rig.accounts.read(connection, [one])).get(one)
            due = select(func.count()).where(tables.account_due.c.account_id == one)
            assert await connection.scalar(due) == 0
        found[company] = state and (
            {names[UUID(person["id"])]: (person["adds"], person["roles"]) for person in shown["people"]},
            (shown["engagement"]["score"], shown["missing"]),
            (state.handoffs, state.contact_id and names[state.contact_id], state.as_of),
            (state.arming.kind, state.arming.reason, state.arming.since, state.arming.rearms_at),
        )
    for name in NAMES:
        async with rig.engine.connect() as connection:
            person = await rig.contacts.read(connection, case.person(name))
        found[name] = person and (person.arming.kind, person.arming.reason, person.touches, person.counted_in is None)
    found["told"] = [
        (each.reason, names[each.contact.id], each.account and each.account.engagement, each.decided_at)
        for each in await told_of(rig, case)
    ]
    return found


@pytest.mark.parametrize(
    ("prepare", "handoffs"), [(crossing, 1), (given_back, 2), (fallen, 1), (moved, 0), (left, 0), (touches, 1)]
)
async def test_at_every_wait(rig: Rig, database_url: str, prepare: Prepare, handoffs: int) -> None:
    """The next process finds it done or undone as a whole; in the end it is done, and each handoff made once."""
    await rig.activate(ACCOUNTS_TEXT)
    undisturbed = Case(0)
    await (await prepare(rig, undisturbed))(rig)
    await rig.decide_accounts()
    wanted = await outcome(rig, undisturbed)
    await assert_as_expected(rig, undisturbed, handoffs=handoffs)
    number = 0
    for over in (False, True):
        wait, killed = 0, True
        while killed:
            wait, number = wait + 1, number + 1
            case = Case(number)
            work = await prepare(rig, case)
            async with open_rig(database_url) as process:
                killed = await Mortal(process.engine).run(work(process), wait=wait, over=over)
            await work(rig)
            await rig.decide_accounts()
            assert await outcome(rig, case) == wanted, f"killed at wait {wait}"
        assert wait > 5


async def assert_as_expected(rig: Rig, case: Case, *, handoffs: int) -> None:
    """Hold the companies against plain code, and the handoffs against what the situation says."""
    assert [handoff.reason for handoff in await told_of(rig, case)] == ["account"] * handoffs
    expected = model_accounts(people(case.given, []), agreement(ACCOUNTS_TEXT), as_of=NOON)
    for company in ("acme", "next"):
        found = await rig.call("GET", f"/v1/accounts/{case.domain(company)}", params={"as_of": NOON.isoformat()})
        model = expected.get(case.domain(company))
        if model is None:
            assert found.status_code == 404
        else:
            assert found.json()["engagement"]["score"] == pytest.approx(model.engagement, rel=1e-9)

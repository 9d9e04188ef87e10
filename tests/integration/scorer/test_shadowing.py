"""A draft that decides silently beside the active agreement."""

import asyncio
from datetime import timedelta
from typing import Any

from services.scorer.store import tables
from shared.http.keys import Role
from tests.integration.scorer.conftest import Rig, open_rig
from tests.integration.scorer.test_simulating import LOOSER, STRICTER, claim, interested
from tests.support.touches import ADA, BEN, NOON, a_touch, changed

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def start(rig: Rig, draft: Any, *, role: Role = Role.MARKETING) -> Any:
    """Let a draft decide silently."""
    response = await rig.call("POST", f"/v1/agreements/{draft['version']}/shadow", role=role)
    assert response.status_code == 201, response.text
    return response.json()


async def compare(rig: Rig) -> bool:
    """Do what is to be compared; return whether there was anything."""
    await rig.shadowing.come_due()
    held = await claim(rig)
    if held is None:
        return False
    await rig.simulating.run(held)
    return True


async def shown(rig: Rig) -> list[tuple[str, int, int, int]]:
    """Return the days as they are shown: leads of both, of the active agreement only, of the draft only."""
    found = await rig.get("/v1/agreements/shadow")
    return [(day["day"], day["both"], day["only_active"], day["only_draft"]) for day in found["days"]]


async def test_day_by_day(rig: Rig) -> None:
    """Each day is compared once it is over; a lead of one today and of the other tomorrow is a lead of both."""
    await rig.activate()
    draft = await rig.propose(LOOSER)
    rig.now = NOON - 2 * DAY
    started = await start(rig, draft)
    assert (started["version"], started["active"], started["status"], started["days"]) == (2, 1, "running", [])
    assert not await compare(rig), "the first day is not over"

    *early, last = interested(ADA, "Ada", pages=8)
    await rig.give(*[touch for touch in early if touch.occurred_at < NOON - 2 * HOUR])
    rig.now = NOON - 10 * HOUR
    assert await compare(rig)
    assert not await compare(rig), "it is compared once"
    assert await shown(rig) == [("2026-02-27", 0, 0, 0), ("2026-02-28", 0, 0, 1)]
    (lead,) = (await rig.get("/v1/agreements/shadow/leads"))["leads"]
    assert (lead["kind"], lead["contact"]["name"]) == ("gained", "Ada")

    rig.now = NOON
    await rig.give(*[touch for touch in early if touch.occurred_at >= NOON - 2 * HOUR], last)
    assert len(await rig.handoffs()) == 1, "only the active agreement hands off"
    rig.now = NOON + DAY
    assert await compare(rig)
    assert await shown(rig) == [("2026-02-27", 0, 0, 0), ("2026-02-28", 1, 0, 0), ("2026-03-01", 0, 0, 0)]
    assert (await rig.get("/v1/agreements/shadow/leads"))["leads"] == []
    assert (await rig.get("/v1/simulations"))["simulations"] == []


async def test_days_without_a_scorer(rig: Rig) -> None:
    """Days that nobody compared are compared together, each lead on its own day; a touch that came late is found."""
    await rig.activate()
    draft = await rig.propose(STRICTER)
    rig.now = NOON - 9 * DAY
    await start(rig, draft)
    await rig.give(*interested(ADA, "Ada", pages=8, at=NOON - 3 * DAY))
    rig.now = NOON
    assert await compare(rig)
    await rig.give(*interested(BEN, "Ben", pages=8, at=NOON - 13 * HOUR))
    rig.now = NOON + DAY
    assert await compare(rig)

    days = {day: counts for day, *counts in await shown(rig) if any(counts)}
    assert days == {"2026-02-26": [0, 1, 0], "2026-02-28": [0, 1, 0]}
    assert len(await shown(rig)) == 10


async def test_how_it_ends(rig: Rig) -> None:
    """It ends when another draft takes its place, when somebody stops it, and when its draft or another is signed."""
    await rig.activate()
    looser, stricter = await rig.propose(LOOSER), await rig.propose(STRICTER)

    await start(rig, looser)
    same = await start(rig, looser, role=Role.SALES)
    assert same["started_by"] == "marketing person"
    await start(rig, stricter)
    ended = await rig.call("DELETE", f"/v1/agreements/{stricter['version']}/shadow", role=Role.SALES)
    assert ended.json()["ended_because"] == "stopped by sales person"
    again = await rig.call("DELETE", f"/v1/agreements/{stricter['version']}/shadow")
    assert (again.status_code, again.json()["code"]) == (404, "shadow_not_found")

    await start(rig, looser)
    for role in (Role.MARKETING, Role.SALES):
        await rig.sign(looser, role)
    rig.now += 2 * DAY
    assert not await compare(rig)
    assert (await rig.get("/v1/agreements/shadow"))["ended_because"] == "signed"

    await start(rig, stricter)
    other = await rig.propose(changed(("engagement: 50, fit: 50", "engagement: 45, fit: 50")))
    for role in (Role.MARKETING, Role.SALES):
        await rig.sign(other, role)
    rig.now += DAY
    assert not await compare(rig)
    found = await rig.get("/v1/agreements/shadow")
    assert found["ended_because"] == f"agreement {other['version']} became active"
    assert await rig.count(tables.shadow) == 4


async def test_what_cannot_decide_silently(rig: Rig) -> None:
    """Only a draft beside an active agreement can, and only marketing and sales let it."""
    assert (await rig.call("GET", "/v1/agreements/shadow")).status_code == 404
    draft = await rig.propose(LOOSER)
    response = await rig.call("POST", "/v1/agreements/1/shadow")
    assert (response.status_code, response.json()["code"]) == (409, "not_a_draft")
    version = await rig.activate()
    response = await rig.call("POST", f"/v1/agreements/{version}/shadow")
    assert (response.status_code, response.json()["code"]) == (409, "not_a_draft")
    assert (await rig.call("POST", "/v1/agreements/9/shadow")).status_code == 404
    for role in (Role.ADMIN, Role.REP, Role.SOURCE):
        assert (await rig.call("POST", f"/v1/agreements/{draft['version']}/shadow", role=role)).status_code == 403
        assert (await rig.call("DELETE", f"/v1/agreements/{draft['version']}/shadow", role=role)).status_code == 403
    await start(rig, draft)
    assert (await rig.call("GET", "/v1/agreements/shadow", role=Role.ADMIN)).status_code == 200
    assert (await rig.call("GET", "/v1/agreements/shadow/leads", role=Role.REP)).status_code == 403


async def test_two_scorers(rig: Rig, database_url: str) -> None:
    """Two scorers that find the day over have it compared once, and two shadows never run at once."""
    await rig.activate()
    looser, stricter = await rig.propose(LOOSER), await rig.propose(STRICTER)
    async with open_rig(database_url, now=rig.now) as other:
        await asyncio.gather(start(rig, looser), start(other, stricter))
        rig.now = other.now = NOON + DAY
        await rig.give(*interested(ADA, "Ada", pages=8, at=NOON + HOUR))
        await asyncio.gather(rig.shadowing.come_due(), other.shadowing.come_due())
        held = [one for one in await asyncio.gather(claim(rig, "a"), claim(other, "b")) if one is not None]

    assert len(held) == 1
    await rig.simulating.run(held[0])
    assert sum(sum(counts) for _, *counts in await shown(rig)) == 1


async def test_who_is_erased(rig: Rig) -> None:
    """Nothing of an erased contact is left in the comparison."""
    await rig.activate()
    draft = await rig.propose(STRICTER)
    await start(rig, draft)
    await rig.give(*interested(ADA, "Ada", pages=8, at=NOON + HOUR), a_touch("ben", contact=BEN))
    rig.now = NOON + DAY
    assert await compare(rig)
    assert await shown(rig) == [("2026-03-01", 0, 1, 0)]

    assert (await rig.call("DELETE", f"/v1/contacts/{ADA}", role=Role.ADMIN)).status_code == 202

    assert await shown(rig) == [("2026-03-01", 0, 0, 0)]
    assert await rig.count(tables.simulated_lead) == 0

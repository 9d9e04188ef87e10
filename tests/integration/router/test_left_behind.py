"""Promise 5 on real PostgreSQL: whatever people do and whichever worker dies, each handoff has an owner or a queue."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver
from tests.support.waiting import until

ROUNDS = 40
LEFT_BEHIND = text(
    """
    SELECT id, state, rep FROM router.handoff
    WHERE state IN ('assigned', 'reassigned', 'escalated', 'accepted', 'qualified') AND rep IS NULL
       OR state IN ('ready', 'expired') AND rep IS NOT NULL
       OR state IN ('assigned', 'reassigned') AND (given_at IS NULL OR clock_version > 0 AND due_at IS NULL)
       OR state IN ('assigned', 'reassigned', 'escalated', 'accepted') AND NOT EXISTS (
            SELECT FROM router.team t, jsonb_array_elements(t.document -> 'reps') r WHERE r ->> 'name' = rep)
       OR rep = ANY(owners) AND state IN ('assigned', 'reassigned')
       OR state = 'rejected'
    """
)

TO_DO = text(
    """
    SELECT count(*) FROM router.handoff h, router.team t WHERE h.due_at <= :now
       OR h.state IN ('ready', 'assigned', 'reassigned', 'expired') AND h.clock_version < t.version
    """
)


def team(dice: random.Random, receiver: Receiver) -> dict[str, Any]:
    """Return a team in which somebody may be away, gone, or the manager."""
    here = dice.sample(["Ada", "Bo", "Cy"], dice.randint(1, 3))
    reps = [
        {"name": name, "email": f"{name}@harbour.example", "capacity": 4, "away": dice.random() < 0.2} for name in here
    ]
    pool: dict[str, Any] = {"name": "everyone", "members": here}
    if dice.random() < 0.6:
        pool["manager"] = "Mona"
    return {
        "reps": [*reps, {"name": "Mona", "email": "mona@harbour.example"}],
        "pools": [pool],
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }


async def quiet(router: RunningRouter) -> None:
    """Wait until no clock is to be set, and none is due."""

    async def nothing_to_do() -> bool:
        async with router.platform.engine.connect() as connection:
            return not await connection.scalar(TO_DO, {"now": router.clock()})

    await until(nothing_to_do, what="the clock to have nothing to do")


async def answer_some(router: RunningRouter, dice: random.Random) -> None:
    """Answer a handoff somehow; what its state does not allow is refused."""
    handoffs = (await router.call("GET", "/v1/handoffs?limit=200"))["handoffs"]
    if handoffs:
        step = dice.choice(["accept", "reject", "qualify", "win", "lose"])
        body = {"accept": {"rep": "Mona"} if dice.random() < 0.3 else {}, "reject": {"reason": "other"}}.get(step, {})
        path = f"/v1/handoffs/{dice.choice(handoffs)['id']}/{step}"
        answer = await router.http.post(path, json=body, headers={"Authorization": "Bearer rep-key-for-tests"})
        assert answer.status_code in {200, 409, 422}, answer.text


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens(start_router: StartRouter, receiver: Receiver, seed: int) -> None:
    """At no moment does a transaction leave a handoff without both."""
    dice, clock = random.Random(seed), MovableClock()
    async with start_router(clock=clock) as router:
        await router.set_team(**team(dice, receiver))
        for _ in range(ROUNDS):
            match dice.choice(["lead", "lead", "answer", "team", "time", "kill"]):
                case "lead":
                    await router.hand_over(make_handoff())
                case "answer":
                    await answer_some(router, dice)
                case "team":
                    await router.set_team(**team(dice, receiver))
                case "time":
                    await quiet(router)  # all clocks are set
                    clock.ahead += timedelta(minutes=dice.choice([5, 21, 70]))
                    await router.set_team(**team(dice, receiver))
                    await quiet(router)
                case _:
                    name = dice.choice(["clock", "queue"])
                    await router.kill(name)
                    router.tasks[name] = asyncio.create_task(router.service.workers[name](router.stopping), name=name)
            async with router.platform.engine.connect() as connection:
                assert (await connection.execute(LEFT_BEHIND)).all() == []
        async with router.platform.engine.connect() as connection:
            steps = set(await connection.scalars(text("SELECT DISTINCT step FROM router.handoff_event")))

    assert "assign" in steps

"""The response clock on real PostgreSQL: who does not answer loses the handoff, and nobody loses the lead."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.router.domain.webhook import ESCALATED, EXPIRED, LEAD_READY, REASSIGNED
from services.router.store.clocks import ClockStore
from shared.events.feedback import FeedbackKind
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import REPS, MovableClock, RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, open_receiver
from tests.support.waiting import until

MINUTE = timedelta(minutes=1)
BREACH = timedelta(minutes=20)  # five to answer in, and fifteen more


async def given(router: RunningRouter) -> UUID:
    """Hand over a lead, and return its id when it is given and its clock runs."""
    handoff = make_handoff()
    await router.hand_over(handoff)
    await router.wait_for_state(handoff.id, "assigned")
    await clocks_set(router)
    return handoff.id


async def clocks_set(router: RunningRouter) -> None:
    """Wait until every clock is set."""

    async def there() -> bool:
        return not await one(router, "SELECT count(*) FROM router.handoff WHERE clock_version = 0 AND rep IS NOT NULL")

    await until(there, what="the clocks to be set")


async def one(router: RunningRouter, statement: str, **values: Any) -> Any:
    """Return the one value of a statement."""
    async with router.platform.engine.begin() as connection:
        return await connection.scalar(text(statement), values)


async def pass_time(router: RunningRouter, time: timedelta, **team: Any) -> None:
    """Let time pass; setting the team wakes whoever looks at the clock, which else takes seconds."""
    router.clock.ahead += time
    await router.set_team(**team)


async def test_the_clock_of_who_is_given_it(start_router: StartRouter) -> None:
    """It runs from the moment that the handoff is given, in the same transaction; nobody has to set it afterwards."""
    async with start_router(workers=["handoffs"], clock=MovableClock()) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": "http://127.0.0.1:1/"}])
        handoff = make_handoff()
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "assigned")
        times = "SELECT ARRAY[clock_from, given_at, due_at] FROM router.handoff"
        came_at, given_at, due_at = await one(router, times)
        unset, next_at = await ClockStore(router.platform.engine).look(version=1)

    assert came_at == given_at
    assert due_at - given_at == BREACH
    assert (unset, next_at) == (False, due_at)


async def test_nobody_answers(start_router: StartRouter) -> None:
    """It goes to somebody else, who is told with all of it; who had it is told too, and so is the log."""
    async with open_receiver() as ritas, open_receiver() as svens, start_router() as router:
        team = [
            {"name": "rita", "url": ritas.url, "reps": ["Rita"]},
            {"name": "sven", "url": svens.url, "reps": ["Sven"]},
        ]
        await router.set_team(endpoints=team)
        handoff = await given(router)
        await ritas.wait_for(1)
        await pass_time(router, BREACH + MINUTE, endpoints=team)
        shown = await router.wait_for_state(handoff, "reassigned")
        (given_to_sven,) = await svens.wait_for(1)
        told = (await ritas.wait_for(2))[1]
        feedback = await router.wait_for_feedback(3)
        decision = await router.call("GET", f"/v1/handoffs/{handoff}/decision")

    first, expired, second = feedback
    assert shown["rep"]["name"] == "Sven"
    assert ritas.requests[0].payload["type"] == LEAD_READY
    assert (given_to_sven.payload["type"], given_to_sven.payload["data"]["rep"]["name"]) == (REASSIGNED, "Sven")
    assert given_to_sven.payload["data"]["previous_rep"] == {"name": "Rita"}
    assert given_to_sven.payload["data"]["handoff"]["assignment"] == 2
    assert told.payload["type"] == EXPIRED
    assert told.payload["data"] == {
        "handoff": {"id": str(handoff), "state": "reassigned"},
        "previous_rep": {"name": "Rita"},
        "rep": {"name": "Sven"},
    }
    assert [item.kind for item in feedback] == [
        FeedbackKind.ASSIGNED,
        FeedbackKind.EXPIRED,
        FeedbackKind.REASSIGNED,
    ]
    assert [item.number for item in feedback] == [1, 2, 3]
    assert [item.rep for item in feedback] == ["Rita", "Rita", "Sven"]
    assert expired.at - first.at == BREACH  # as of when it was due, not of when it was noticed
    assert second.at > expired.at
    assert [candidate["why"] for candidate in decision["decision"]["candidates"]] == ["excluded", "chosen"]


async def test_everybody_had_it(start_router: StartRouter, receiver: Receiver) -> None:
    """It waits in the queue, where a metric counts it, until somebody who has not had it joins, or one takes it."""
    team: dict[str, Any] = {
        "endpoints": [{"name": "crm", "url": receiver.url}],
        "reps": REPS[:1],
        "pools": [{"name": "everyone", "members": ["Rita"]}],
    }
    async with start_router() as router:
        await router.set_team(**team)
        first, second = await given(router), await given(router)
        await pass_time(router, BREACH + MINUTE, **team)
        for handoff in (first, second):
            assert (await router.wait_for_state(handoff, "expired"))["rep"] is None
        waiting = await one(router, "SELECT count(*) FROM router.handoff WHERE state = 'expired' AND rep IS NULL")
        refused = await router.call("POST", f"/v1/handoffs/{first}/accept", status=422)
        accepted = await router.call("POST", f"/v1/handoffs/{first}/accept", json={"rep": "Rita"})
        await router.set_team(endpoints=team["endpoints"])
        shown = await router.wait_for_state(second, "reassigned")

    assert waiting == 2
    assert refused["code"] == "rep_needed"
    assert (accepted["state"], accepted["rep"]["name"]) == ("accepted", "Rita")
    assert shown["rep"]["name"] == "Sven"


async def test_the_manager(start_router: StartRouter, receiver: Receiver) -> None:
    """What nobody answered for an hour after it was due is the manager's, who is told; then nothing more happens."""
    team: dict[str, Any] = {
        "endpoints": [{"name": "crm", "url": receiver.url}],
        "reps": [*REPS, {"name": "Mona", "email": "mona@harbour.example", "away": True}],
        "pools": [{"name": "everyone", "members": ["Rita", "Sven"], "manager": "Mona"}],
    }
    async with start_router() as router:
        await router.set_team(**team)
        handoff = await given(router)
        await pass_time(router, BREACH + MINUTE, **team)
        await router.wait_for_state(handoff, "reassigned")
        await clocks_set(router)
        await pass_time(router, timedelta(hours=1), **team)
        shown = await router.wait_for_state(handoff, "escalated")
        requests = await receiver.wait_for(3)
        feedback = await router.wait_for_feedback(5)
        accepted = await router.call("POST", f"/v1/handoffs/{handoff}/accept", role="rep")

    message = requests[2].payload
    assert (shown["rep"]["name"], shown["clock"]["state"], shown["clock"]["escalate_at"]) == ("Mona", "escalated", None)
    assert (message["type"], message["data"]["rep"]["name"]) == (ESCALATED, "Mona")
    assert message["data"]["previous_rep"] == {"name": "Sven"}
    assert message["data"]["handoff"]["assignment"] == 3
    assert [item.kind for item in feedback[-2:]] == [FeedbackKind.EXPIRED, FeedbackKind.ESCALATED]
    assert (accepted["state"], accepted["rep"]["name"]) == ("accepted", "Mona")


async def test_nobody_was_ever_free(start_router: StartRouter, receiver: Receiver) -> None:
    """What waits in the queue is watched too: the manager gets it when the team's time has run out."""
    team: dict[str, Any] = {
        "endpoints": [{"name": "crm", "url": receiver.url}],
        "reps": [{**REPS[0], "away": True}, REPS[1]],
        "pools": [{"name": "everyone", "members": ["Rita"], "manager": "Sven"}],
    }
    async with start_router() as router:
        await router.set_team(**team)
        handoff = make_handoff()
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "ready")
        await pass_time(router, timedelta(minutes=66), **team)
        shown = await router.wait_for_state(handoff.id, "escalated")
        (message,) = await receiver.wait_for(1)

    assert shown["rep"]["name"] == "Sven"
    assert message.payload["data"]["previous_rep"] is None


async def test_an_answer_in_time(router: RunningRouter, receiver: Receiver) -> None:
    """An answer stops the clock for good, whatever time passes."""
    answered, late = await given(router), await given(router)
    await router.call("POST", f"/v1/handoffs/{answered}/accept", role="rep")
    await pass_time(router, BREACH + MINUTE, endpoints=[{"name": "crm", "url": receiver.url}])
    await router.wait_for_state(late, "reassigned")

    assert await router.state(answered) == "accepted"
    assert await one(router, "SELECT due_at FROM router.handoff WHERE id = :id", id=answered) is None


async def test_two_routers(start_router: StartRouter, receiver: Receiver) -> None:
    """Both keep the clock, and each handoff expires once and goes to one."""
    clock = MovableClock()
    team = {"endpoints": [{"name": "crm", "url": receiver.url}]}
    async with start_router(clock=clock) as first, start_router(clock=clock) as second:
        await first.set_team(**team)
        handoffs = [make_handoff() for _ in range(60)]
        await first.hand_over(*handoffs)
        await receiver.wait_for(60)
        await clocks_set(first)
        clock.ahead += BREACH + MINUTE
        await asyncio.gather(first.set_team(**team), second.set_team(**team))
        await receiver.wait_for(120)
        steps = await one(first, "SELECT count(*) FROM router.handoff_event WHERE step IN ('expire', 'reassign')")
        owners = await one(first, "SELECT count(*) FROM router.handoff WHERE state = 'reassigned' AND rep != owners[1]")

    assert steps == 120
    assert owners == 60


async def test_nobody_looked(start_router: StartRouter, receiver: Receiver) -> None:
    """After a pause of hours what was due happens once, and who gets it then has all of the promised time."""
    clock = MovableClock()
    team = {"endpoints": [{"name": "crm", "url": receiver.url}]}
    async with start_router(clock=clock) as router:
        await router.set_team(**team)
        handoff = await given(router)
    clock.ahead += timedelta(hours=5)
    async with start_router(clock=clock) as router:
        await router.wait_for_state(handoff, "reassigned")
        await clocks_set(router)
        left = await one(router, "SELECT due_at - given_at FROM router.handoff WHERE id = :id", id=handoff)

    assert left == BREACH


async def test_what_was_given_before_there_were_clocks(router: RunningRouter, receiver: Receiver) -> None:
    """Its clock starts when the new version first sees it, however old it is."""
    handoff = await given(router)
    await one(
        router,
        "UPDATE router.handoff SET created_at = now() - interval '90 days', state_since = now() - interval '90 days', "
        "clock_from = NULL, given_at = NULL, due_at = NULL, clock_version = 0 RETURNING 1",
    )
    await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
    await clocks_set(router)

    assert await router.state(handoff) == "assigned"
    assert await one(router, "SELECT due_at > now() + interval '19 minutes' FROM router.handoff")


async def test_which_clock_runs_out_next(start_router: StartRouter, receiver: Receiver) -> None:
    """Running clocks are listed by when their time ends, with all three and with what happens then; others are not."""
    async with start_router() as router:
        team: dict[str, Any] = {"endpoints": [{"name": "crm", "url": receiver.url}]}
        await router.set_team(**team)
        first = await given(router)
        router.clock.ahead += 3 * MINUTE
        second, answered = await given(router), await given(router)
        await router.call("POST", f"/v1/handoffs/{answered}/accept")
        listed = await router.call("GET", "/v1/handoffs/clock", role="rep")
        page = await router.call("GET", "/v1/handoffs/clock?limit=1")
        rest = await router.call("GET", f"/v1/handoffs/clock?limit=1&cursor={page['next']}")
        soon = await router.call("GET", "/v1/handoffs/clock?within=18m")
        wrong = [
            await router.call("GET", "/v1/handoffs/clock", status=422, params=query)
            for query in ({"within": "soon"}, {"cursor": "nowhere"}, {"limit": 0})
        ]
        await router.call("GET", f"/v1/handoffs/{first}")

    names = [[item["id"] for item in answer["handoffs"]] for answer in (listed, page, rest, soon)]
    assert names == [[str(first), str(second)], [str(first)], [str(second)], [str(first)]]
    clock = listed["handoffs"][0]["clock"]
    assert (clock["next"]["step"], clock["next"]["at"]) == ("expire", clock["reassign_at"])
    assert all(clock[whose]["left_seconds"] < 5 * 60 for whose in ("rep", "team", "wall"))
    assert (listed["next"], rest["next"], len(wrong)) == (None, None, 3)

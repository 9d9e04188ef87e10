"""Rules, hours and caps on real PostgreSQL: the right rep, within all caps, and nothing forgotten."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from services.router.domain.handoff import State
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.support.handoffs import DECIDED_AT, NO_HURRY, make_handoff
from tests.support.receiver import Receiver
from tests.support.waiting import until

NAMES = ("Ada", "Bo", "Cy")


def small_team(receiver: Receiver, *, rules: tuple[dict[str, Any], ...] = (), **rep: Any) -> dict[str, Any]:
    """Return three reps in one pool, each with these options."""
    return {
        "reps": [{"name": name, "email": f"{name}@harbour.example", **rep} for name in NAMES],
        "pools": [{"name": "everyone", "members": list(NAMES)}],
        "rules": list(rules),
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }


async def test_two_routers_within_caps(start_router: StartRouter, receiver: Receiver) -> None:
    """Two routers that race give each rep as many as the cap allows, each handoff once, and keep the rest."""
    handoffs = [make_handoff(respond=NO_HURRY) for _ in range(60)]
    async with start_router() as one, start_router() as two:
        await one.set_team(**small_team(receiver, per_hour=7, per_day=9))
        await asyncio.gather(
            *(router.hand_over(handoff) for router, handoff in zip([one, two] * 30, handoffs, strict=True))
        )
        await until(lambda: _known(one, 60), what="all handoffs to be taken in")
        assert await _given(one) == dict.fromkeys(NAMES, 7)

        one.clock.ahead = two.clock.ahead = timedelta(minutes=61)
        for router in (one, two):
            await router.set_team(**small_team(receiver, per_hour=7, per_day=9, capacity=99))  # wakes both
        await until(lambda: _has_given(one, 27), what="what the cap of the day leaves")

        assert await _given(one) == dict.fromkeys(NAMES, 9)
        shown = await one.call("GET", "/v1/handoffs?state=ready&limit=1")
        waiting = await one.call("GET", f"/v1/handoffs/{shown['handoffs'][0]['id']}/decision?rep=ADA")
        assert waiting["rep"]["candidate"]["why"] == "daily_cap"
        assert waiting["decision"]["opens_at"] is not None
        assert "was given 9 within 24 hours, of 9 at most" in waiting["rep"]["words"]


async def test_nobody_works_now(start_router: StartRouter, receiver: Receiver) -> None:
    """Outside all hours a handoff waits, the decision says until when, and it goes out when somebody comes on duty."""
    clock = MovableClock()
    tomorrow = (clock() + timedelta(days=1)).strftime("%a").lower()
    hours = {"zone": "UTC", "week": {tomorrow: "00:00-24:00"}}
    handoff = make_handoff()
    async with start_router(sweep_interval="100ms", clock=clock) as router:
        await router.set_team(**{**small_team(receiver), "hours": hours})
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "ready")

        async def explained() -> bool:
            return (await router.call("GET", f"/v1/handoffs/{handoff.id}/decision"))["decision"] is not None

        await until(explained, what="the decision")
        decision = (await router.call("GET", f"/v1/handoffs/{handoff.id}/decision"))["decision"]
        midnight = (clock() + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")

        assert {candidate["why"] for candidate in decision["candidates"]} == {"off_hours"}
        assert decision["opens_at"] == midnight

        clock.ahead = timedelta(days=1)
        await router.wait_for_state(handoff.id, "assigned")


async def test_the_next_opening_is_known(start_router: StartRouter, receiver: Receiver) -> None:
    """What is held for a second goes out then, though nothing looks at the queue in between."""
    handoff = make_handoff()
    rules = ({"when": {"account.employees": 220}, "hold": "1s"},)
    async with start_router(sweep_interval="5m") as router:
        await router.set_team(**small_team(receiver, rules=rules))
        await router.hand_over(handoff)
        shown = await router.wait_for_state(handoff.id, "assigned")
        decision = await router.call("GET", f"/v1/handoffs/{handoff.id}/decision")

    arrived, assigned = (step["at"] for step in shown["history"])
    assert [tried["outcome"] for tried in decision["decision"]["tried"]] == ["hold_ended", "chosen"]
    assert arrived < assigned


async def test_a_handoff_is_released(start_router: StartRouter, receiver: Receiver) -> None:
    """What waits for somebody's word goes on when it is given; what nothing holds cannot be released."""
    handoff = make_handoff()
    rules = ({"when": {"account.employees": 220}, "hold": "legal review"},)
    async with start_router(sweep_interval="5m") as router:
        await router.set_team(**small_team(receiver, rules=rules))
        await router.hand_over(handoff)
        await until(lambda: _waits(router, str(handoff.id)), what="the handoff to be held")
        told = await router.call("GET", f"/v1/handoffs/{handoff.id}/decision?rep=Ada")
        await router.call("POST", f"/v1/handoffs/{handoff.id}/release", role="rep", status=403)
        await router.call("POST", f"/v1/handoffs/{uuid4()}/release", status=404)
        await router.call("POST", f"/v1/handoffs/{handoff.id}/release", role="sales")
        await router.wait_for_state(handoff.id, "assigned")
        await router.call("POST", f"/v1/handoffs/{handoff.id}/release", role="sales", status=409)

    assert told["words"] == ["Rule 1 holds it until somebody releases it: legal review."]
    assert told["rep"]["words"].startswith("Ada was not considered.")


async def test_owners_keep_their_accounts_and_contacts(start_router: StartRouter, receiver: Receiver) -> None:
    """Whoever has one of an account gets the next of it, also within one fetch; who rejected a contact does not."""
    rules = ({"owner": "previous"}, {"owner": "account"})
    first, second, third = make_handoff(), make_handoff(), make_handoff()
    async with start_router() as router:
        await router.set_team(**small_team(receiver, rules=rules))
        await router.hand_over(first, second)
        reps = [(await router.wait_for_state(item.id, "assigned"))["rep"]["name"] for item in (first, second)]
        await router.hand_over(third)
        reps.append((await router.wait_for_state(third.id, "assigned"))["rep"]["name"])
        for handoff in (first, second, third):
            await router.call("POST", f"/v1/handoffs/{handoff.id}/reject", json={"reason": "other"})
        again = make_handoff(contact_id=first.contact.id)
        await router.hand_over(again)
        other = await router.wait_for_state(again.id, "assigned")

    assert reps == ["Ada"] * 3
    assert other["rep"]["name"] == "Bo"  # Ada refused it; it was nobody's, and the turn of Bo


async def test_hand_raises_go_first(start_router: StartRouter, receiver: Receiver) -> None:
    """Who asked to talk to sales is not kept waiting by whoever came earlier; among equals the oldest goes first."""
    earlier = make_handoff(reason="threshold", decided_at=DECIDED_AT - timedelta(hours=3))
    asked = make_handoff(decided_at=DECIDED_AT)
    asked_before = make_handoff(decided_at=DECIDED_AT - timedelta(hours=1))
    async with start_router() as router:
        await router.set_team(**small_team(receiver, away=True))
        await router.hand_over(earlier, asked, asked_before)
        await until(lambda: _known(router, 3), what="all handoffs to be taken in")
        await router.set_team(
            **small_team(receiver, rules=(), capacity=1) | {"pools": [{"name": "one", "members": ["Ada"]}]}
        )
        await router.wait_for_state(asked_before.id, "assigned")
        await router.call("POST", f"/v1/handoffs/{asked_before.id}/reject", json={"reason": "other"})
        await router.wait_for_state(asked.id, "assigned")

        assert await router.state(earlier.id) == State.READY


async def _known(router: RunningRouter, count: int) -> bool:
    return len((await router.call("GET", "/v1/handoffs?limit=200"))["handoffs"]) == count


async def _waits(router: RunningRouter, handoff: str) -> bool:
    answer = await router.http.get(
        f"/v1/handoffs/{handoff}/decision", headers={"Authorization": "Bearer admin-key-for-tests"}
    )
    return answer.status_code == 200 and answer.json()["decision"] is not None


async def _has_given(router: RunningRouter, count: int) -> bool:
    return sum((await _given(router)).values()) >= count


async def _given(router: RunningRouter) -> dict[str, int]:
    """Return how often each rep was given something, by the history."""
    async with router.platform.engine.connect() as connection:
        rows = await connection.execute(text("SELECT handoff_id, rep FROM router.handoff_event WHERE step = 'assign'"))
        found = [(row.handoff_id, row.rep) for row in rows]
    assert len({handoff for handoff, _ in found}) == len(found), "a handoff was assigned twice"
    return dict(Counter(rep for _, rep in found))

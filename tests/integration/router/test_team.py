"""Setting the team over HTTP."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.router.store.past import PastStore
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import POOLS, REPS, RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, answers, open_receiver


async def test_the_secret_is_shown_once(start_router: StartRouter, receiver: Receiver) -> None:
    """A secret is made for a new endpoint and shown in that answer only; setting the same again changes nothing."""
    endpoints = [{"name": "crm", "url": receiver.url}]
    async with start_router() as router:
        first = await router.set_team(endpoints=endpoints)
        again = await router.set_team(endpoints=endpoints)
        shown = [await router.call("GET", path) for path in ("/v1/team", "/v1/endpoints")]
        await router.hand_over(make_handoff())
        (request,) = await receiver.wait_for(1)

        assert first["endpoints"][0]["secret"].startswith("whsec_")
        assert (first["version"], again["version"]) == (1, 1)
        assert "secret" not in str([again, *shown])
        assert request.verify(first["endpoints"][0]["secret"])


async def test_hours_are_kept(start_router: StartRouter, receiver: Receiver) -> None:
    """Hours, caps and days off are stored as they were read: setting them again changes nothing."""

    def hours() -> dict[str, Any]:  # one object for all would be written as an alias
        return {"zone": "Europe/Berlin", "week": {"mon-fri": ["09:00-12:00", "13:00-24:00"]}, "holidays": "DE-BY"}

    rita = {"name": "Rita", "email": "rita@harbour.example", "per_hour": 5, "hours": hours()}
    team: dict[str, Any] = {
        "reps": [{**rita, "time_off": [{"from": "2026-12-21", "to": "2026-12-31"}]}],
        "pools": [{"name": "everyone", "members": ["Rita"], "hours": hours(), "manager": "Rita"}],
        "hours": hours(),
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }
    async with start_router(workers=[]) as router:
        versions = [(await router.set_team(**team))["version"] for _ in range(2)]

    assert versions == [1, 1]


async def test_a_secret_of_ones_own(start_router: StartRouter, receiver: Receiver) -> None:
    """A secret in the team is used, and never shown."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    async with start_router() as router:
        answer = await router.set_team(endpoints=[{"name": "crm", "url": receiver.url, "secret": secret}])
        await router.hand_over(make_handoff())
        (request,) = await receiver.wait_for(1)
        stored = await router.platform.engine.connect().__aenter__()
        document = str(await stored.scalar(text("SELECT document FROM router.team")))
        await stored.close()

    assert request.verify(secret)
    assert secret not in str(answer)
    assert secret not in document


async def test_mistakes(router: RunningRouter) -> None:
    """All mistakes come back with their lines, and the team stays as it was."""
    before = await router.call("GET", "/v1/team")
    problem = await router.call(
        "PUT", "/v1/team", content=b"reps:\n  - {name: Rita}\npools: 5\nendpoints: []\n", status=422
    )
    await router.call("PUT", "/v1/team", content=b"\xff", status=422)
    await router.call("PUT", "/v1/team", content=b"", status=422)
    await router.call("PUT", "/v1/team", content=b"x" * 2_000_000, status=413)

    assert [mistake["line"] for mistake in problem["mistakes"]] == [2, 3]
    assert await router.call("GET", "/v1/team") == before


async def test_asking_about_a_draft(router: RunningRouter, receiver: Receiver) -> None:
    """Checking, comparing and simulating a draft says what it would do, and changes nothing."""
    handoffs = [make_handoff() for _ in range(4)]
    for handoff in handoffs:  # each at a moment of its own
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "assigned")
    await router.call("POST", f"/v1/handoffs/{handoffs[0].id}/reject", json={"reason": "other"})
    before = await router.call("GET", "/v1/team")
    draft = {
        "reps": [{"name": "Rita", "email": "rita@harbour.example", "capacity": 1}],
        "pools": [{"name": "everyone", "members": ["Rita"]}],
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }
    body = json.dumps(draft).encode()
    checked = await router.call("POST", "/v1/team/check", role="rep", content=body)
    wrong = await router.call("POST", "/v1/team/check", role="rep", content=b"reps: 5\npools: x\n", status=422)
    compared = await router.call("POST", "/v1/team/diff", role="sales", content=body)
    simulated = await router.call("POST", "/v1/team/simulate?since=1h", role="sales", content=body)
    await router.call("POST", "/v1/team/diff", role="rep", content=body, status=403)
    await router.call("POST", "/v1/team/simulate?since=soon", content=body, status=422)

    assert checked == {"valid": True, "reps": 1, "pools": 1, "rules": 0}
    assert [(item["line"], item["column"]) for item in wrong["mistakes"]] == [(1, 1), (1, 7), (2, 8)]
    assert compared["changes"] == [
        "rep Rita: capacity 100 → 1",
        "rep Sven leaves: what they have not answered goes to others",
        "pool everyone: Sven leaves",
    ]
    assert (simulated["handoffs"], simulated["assigned"], simulated["waiting"]) == (4, 2, 2)
    assert [(rep["rep"], rep["got"], rep["got_then"]) for rep in simulated["reps"]] == [("Rita", 2, 2), ("Sven", 0, 2)]
    assert await router.call("GET", "/v1/team") == before


async def test_an_endpoint_that_is_removed(start_router: StartRouter, receiver: Receiver) -> None:
    """What waited for a removed endpoint is kept as dead, and can be replayed when the endpoint is back."""
    receiver.script(answers(500))
    async with open_receiver() as other, start_router() as router:
        crm, chat = {"name": "crm", "url": receiver.url}, {"name": "chat", "url": other.url}
        await router.set_team(endpoints=[crm])
        await router.hand_over(make_handoff())
        await receiver.wait_for(1)
        await router.wait_for_delivery("pending")
        await router.set_team(endpoints=[chat])
        (dead,) = await router.wait_for_delivery("dead")
        back = await router.set_team(endpoints=[chat, crm])
        await router.call("POST", "/v1/deliveries/replay", json={"ids": [dead["id"]]})
        _, again = await receiver.wait_for(2)

    assert again.webhook_id == dead["webhook_id"]
    assert "secret" in next(endpoint for endpoint in back["endpoints"] if endpoint["name"] == "crm")


async def test_an_endpoint_that_is_disabled(start_router: StartRouter, receiver: Receiver) -> None:
    """Deliveries to a disabled endpoint wait, and go out when it is enabled."""
    async with start_router() as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url, "enabled": False}])
        await router.hand_over(make_handoff())
        await router.wait_for_delivery("pending")
        (endpoint,) = (await router.call("GET", "/v1/endpoints"))["endpoints"]

        assert endpoint["status"] == "disabled"
        assert receiver.requests == []

        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await receiver.wait_for(1)


async def test_readiness(router: RunningRouter) -> None:
    """A running router is ready and alive, and describes itself."""
    assert await router.service.readiness() == ()
    assert router.service.liveness() == ()
    described = (await router.http.get("/openapi.json")).json()
    assert "/v1/handoffs/{handoff_id}/accept" in described["paths"]
    assert described["paths"]["/v1/handoffs/{handoff_id}/reject"]["post"]["requestBody"]["required"] is True


async def test_a_draft_from_how_things_stood(start_router: StartRouter, receiver: Receiver) -> None:
    """What reps had open when the window begins fills their desks, also if it was answered since."""
    async with start_router() as router:
        endpoints = [{"name": "crm", "url": receiver.url}]
        await router.set_team(endpoints=endpoints)
        answered_before, answered_since, open_still = [await given_to(router) for _ in range(3)]
        await router.call("POST", f"/v1/handoffs/{answered_before}/reject", json={"reason": "other"})
        router.clock.ahead += timedelta(minutes=5)
        between = router.clock()
        router.clock.ahead += timedelta(minutes=5)
        inside = await given_to(router)
        await router.call("POST", f"/v1/handoffs/{answered_since}/reject", json={"reason": "other"})
        await router.call("POST", f"/v1/handoffs/{open_still}/objection", json={"objection": "price"})
        start = await PastStore(router.platform.engine).standing(between)
        body = json.dumps({"reps": REPS, "pools": POOLS, "endpoints": endpoints}).encode()
        simulated = await router.call("POST", "/v1/team/simulate?since=8m", role="sales", content=body)
        everything = await router.call("POST", "/v1/team/simulate?since=1h", role="sales", content=body)
        histories = [
            (await router.call("GET", f"/v1/handoffs/{name}"))["history"] for name in (answered_since, open_still)
        ]

    answered, still = start.held
    assert (answered.until is None, still.until) == (False, None)
    assert [answered.rep, still.rep] == [history[1]["rep"] for history in histories]
    assert len(start.given) == 3
    assert (simulated["handoffs"], simulated["open_before"]) == (1, 2)
    assert (everything["handoffs"], everything["open_before"]) == (4, 0)
    assert inside not in {answered_before, answered_since, open_still}


async def given_to(router: RunningRouter) -> UUID:
    """Hand one over, and return its id once somebody has it."""
    handoff = make_handoff()
    await router.hand_over(handoff)
    await router.wait_for_state(handoff.id, "assigned")
    return handoff.id

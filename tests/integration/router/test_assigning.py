"""Handoffs from the log into reps' hands: each once, within capacity, and none forgotten."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

from sqlalchemy import text

from shared.events.feedback import FeedbackKind
from shared.events.handoff import HandoffReady, Respond, encode_handoff
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import KEYS, RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, hangs
from tests.support.waiting import until


def small_team(receiver: Receiver, *, capacity: int = 1, away: bool = False) -> dict[str, object]:
    return {
        "reps": [{"name": "Rita", "email": "rita@harbour.example", "capacity": capacity, "away": away}],
        "pools": [{"name": "everyone", "members": ["Rita"]}],
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }


async def test_a_handoff_is_told(router: RunningRouter, receiver: Receiver) -> None:
    """The API shows the handoff, its brief, its history and the decision; the world hears of the assignment."""
    handoff = make_handoff()
    await router.hand_over(handoff)
    shown = await router.wait_for_state(handoff.id, "assigned")
    await router.wait_for_delivery("delivered")
    decision = (await router.call("GET", f"/v1/handoffs/{handoff.id}/decision", role="rep"))["decision"]
    (feedback,) = await router.wait_for_feedback(1)

    assert shown["rep"] == {"name": "Rita", "email": "rita@harbour.example"}
    assert shown["contact"]["email"] == "ada@acme-freight.example"
    assert shown["allowed"] == ["accept", "reject", "objection", "expire", "return", "withdraw"]
    assert [step["after"] for step in shown["history"]] == ["ready", "assigned"]
    assert shown["brief"]["text"].startswith("Ada Byrne")
    assert [(item["rep"], item["why"]) for item in decision["candidates"]] == [
        ("Rita", "chosen"),
        ("Sven", "not_their_turn"),
    ]
    assert (feedback.kind, feedback.handoff_id) == (FeedbackKind.ASSIGNED, handoff.id)


async def test_a_repeated_record(router: RunningRouter, receiver: Receiver) -> None:
    """However often a handoff comes, in one fetch or many, there is one, with one delivery."""
    handoff, sentinel = make_handoff(), make_handoff()
    await router.hand_over(handoff, handoff, handoff)
    await router.wait_for_state(handoff.id, "assigned")
    await router.hand_over(handoff)
    await router.hand_over(sentinel)
    await router.wait_for_delivery("delivered", count=2)
    listed = (await router.call("GET", "/v1/handoffs"))["handoffs"]

    assert sorted(item["id"] for item in listed) == sorted([str(handoff.id), str(sentinel.id)])
    assert len(receiver.requests) == 2


async def test_another_word_about_the_same_handoff(router: RunningRouter, receiver: Receiver) -> None:
    """What came first under an id is what reps are told, whatever comes under it in the same fetch."""
    first = make_handoff()
    other = make_handoff(handoff_id=first.id, contact_id=first.contact.id, traits={"name": "Eve Other"})
    await router.hand_over(first, other)
    (request,) = await receiver.wait_for(1)

    assert request.payload["data"]["contact"]["name"] == "Ada Byrne"
    assert request.payload["data"]["brief"]["text"].startswith("Ada Byrne")


async def test_nobody_is_free(start_router: StartRouter, receiver: Receiver) -> None:
    """A handoff that nobody can take waits in the queue, is counted, and goes out when somebody is freed."""
    first, second = make_handoff(), make_handoff()
    async with start_router(sweep_interval="60s") as router:
        await router.set_team(**small_team(receiver))
        await router.hand_over(first)
        await router.wait_for_state(first.id, "assigned")
        await router.hand_over(second)
        await router.wait_for_state(second.id, "ready")

        async def counted() -> bool:
            scraped = (await router.http.get("/metrics")).text
            return "tandem_handoffs_unowned 1.0" in scraped

        await until(counted, what="the gauge of the queue")
        waiting = (await router.call("GET", f"/v1/handoffs/{second.id}/decision"))["decision"]

        assert waiting["rep"] is None
        assert [item["why"] for item in waiting["candidates"]] == ["full"]

        await router.call("POST", f"/v1/handoffs/{first.id}/reject", role="rep", json={"reason": "no_budget"})
        await router.wait_for_state(second.id, "assigned")


async def test_a_team_that_changes(start_router: StartRouter, receiver: Receiver) -> None:
    """What waited is assigned as soon as the team has somebody."""
    handoff = make_handoff()
    async with start_router(sweep_interval="60s") as router:
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "ready")
        await router.set_team(**small_team(receiver, away=True))
        await router.wait_for_state(handoff.id, "ready")
        await router.set_team(**small_team(receiver))
        await router.wait_for_state(handoff.id, "assigned")
        await receiver.wait_for(1)


async def test_a_rep_who_leaves(start_router: StartRouter, receiver: Receiver) -> None:
    """What a rep who left had not brought to an end goes to somebody else, as another message: no lead is orphaned."""
    handoffs = [make_handoff() for _ in range(2)]
    async with start_router() as router:
        await router.set_team(**small_team(receiver, capacity=5))
        await router.hand_over(*handoffs)
        for handoff in handoffs:
            await router.wait_for_state(handoff.id, "assigned")
        await router.call("POST", f"/v1/handoffs/{handoffs[0].id}/accept", role="rep")
        await router.wait_for_delivery("delivered", count=2)
        answer = await router.set_team(
            reps=[{"name": "Sven", "email": "sven@harbour.example"}],
            pools=[{"name": "everyone", "members": ["Sven"]}],
            endpoints=[{"name": "crm", "url": receiver.url}],
        )
        requests = await receiver.wait_for(4)
        moved = [await router.call("GET", f"/v1/handoffs/{handoff.id}") for handoff in handoffs]

    assert answer["returned_to_queue"] == 2
    assert [(each["state"], each["rep"]["name"]) for each in moved] == [("assigned", "Sven")] * 2
    assert len({request.webhook_id for request in requests}) == 4
    assert {request.payload["data"]["rep"]["name"] for request in requests[2:]} == {"Sven"}


async def test_two_routers(start_router: StartRouter, receiver: Receiver) -> None:
    """Two routers at once never exceed a capacity, and assign each handoff once."""
    team = {
        "reps": [{"name": name, "email": f"{name}@harbour.example", "capacity": 7} for name in ("Ada", "Bo", "Cy")],
        "pools": [
            {"name": "large", "members": ["Ada", "Bo"]},
            {"name": "small", "members": ["Bo", "Cy"]},
        ],
        "rules": [{"when": {"account.employees": ">= 500"}, "pool": "large"}],
        "default_pool": "small",
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }
    handoffs = [make_handoff(account={"employees": 10 if number % 2 else 1000}) for number in range(40)]
    async with start_router(sweep_interval="50ms") as one, start_router(sweep_interval="50ms") as two:
        await one.set_team(**team)
        await asyncio.gather(
            *(router.hand_over(handoff) for router, handoff in zip([one, two] * 20, handoffs, strict=True))
        )
        await one.wait_for_delivery("delivered", count=21)
        await until(lambda: _all_known(one, handoffs), what="all handoffs to be taken in")
        shown = (await one.call("GET", "/v1/handoffs?limit=200"))["handoffs"]
        counts = Counter(item["rep"]["name"] for item in shown if item["rep"])

        assert counts == {"Ada": 7, "Bo": 7, "Cy": 7}
        assert len(shown) == 40
        assert len(receiver.requests) == 21

        accepted = [item["id"] for item in shown if item["state"] == "assigned"][:5]
        await asyncio.gather(
            *(
                router.call("POST", f"/v1/handoffs/{handoff}/reject", json={"reason": "other"})
                for router, handoff in zip([one, two, one, two, one], accepted, strict=True)
            )
        )
        await receiver.wait_for(26)
        async with one.platform.engine.connect() as connection:
            most = await connection.execute(
                text("SELECT rep, count(*) FROM router.handoff WHERE state = 'assigned' GROUP BY rep")
            )
            assert dict(tuple(row) for row in most) == {"Ada": 7, "Bo": 7, "Cy": 7}


async def _all_known(router: RunningRouter, handoffs: list[HandoffReady]) -> bool:
    return len((await router.call("GET", "/v1/handoffs?limit=200"))["handoffs"]) == len(handoffs)


async def test_a_malformed_record(router: RunningRouter, receiver: Receiver) -> None:
    """What cannot be understood is kept with its reason, and its neighbours go on."""
    handoff = make_handoff()
    bad = [b"{", b'{"type": "handoff.ready"}', b"\xff\xfe", b"[" * 5000, b'{"type": "nobody.knows"}']
    naive = b'{"type":"contact.opted_out","id":"%s","contact_id":"%s","at":"2026-03-02T10:00:00"}'
    endless = Respond(within_seconds=10**15, reassign_after_seconds=1, escalate_after_seconds=1, hours="always")
    bad.append(encode_handoff(make_handoff(respond=endless)))
    bad.append(naive % (str(uuid4()).encode(), str(uuid4()).encode()))
    await router.append(*bad, headers=(("traceparent", b"\xff\0\r\nx: y"),))
    await router.hand_over(handoff)
    await receiver.wait_for(1)

    async def kept() -> bool:
        return len(await router.rejected()) >= len(bad)

    await until(kept, what="the rejected records")
    rejected = await router.rejected()

    assert {item.original for item in rejected} == set(bad)
    assert {item.reason for item in rejected} == {"malformed"}


async def test_paging(router: RunningRouter, receiver: Receiver) -> None:
    """Following the cursor shows every handoff once, newest first."""
    handoffs = [make_handoff() for _ in range(7)]
    await router.hand_over(*handoffs)
    await receiver.wait_for(7)
    seen: list[str] = []
    cursor = ""
    while True:
        page = await router.call("GET", f"/v1/handoffs?limit=3&state=assigned&state=ready&cursor={cursor}")
        seen += [item["id"] for item in page["handoffs"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert sorted(map(UUID, seen)) == sorted(handoff.id for handoff in handoffs)
    assert (await router.call("GET", "/v1/handoffs?state=won"))["handoffs"] == []


async def test_while_deliveries_hang(start_router: StartRouter, receiver: Receiver) -> None:
    """A receiver that hangs does not keep handoffs from being taken in and assigned."""
    receiver.always = hangs
    async with start_router(delivery_deadline="10s") as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        for _ in range(3):
            handoff = make_handoff()
            await router.hand_over(handoff)
            await router.wait_for_state(handoff.id, "assigned")
        receiver.released.set()


async def test_who_may_read_and_who_may_not(router: RunningRouter) -> None:
    """Without a key nothing is shown; a source's or a stranger's key is refused."""
    for path in ("/v1/handoffs", "/v1/deliveries", "/v1/team", "/v1/reps", "/v1/pools", "/v1/endpoints"):
        assert (await router.http.get(path)).status_code == 401
    await router.call("GET", "/v1/deliveries", role="rep", status=403)
    await router.call("PUT", "/v1/team", role="sales", status=403, content=b"reps: []")
    await router.call("POST", f"/v1/handoffs/{uuid4()}/accept", role="marketing", status=403)
    assert KEYS.keys() == {"rep", "sales", "marketing", "admin"}

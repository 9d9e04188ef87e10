"""Deliveries over real sockets: signed, retried, cut off in time, and never lost."""

import asyncio
from collections import Counter
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.router.domain.outcome import Outcome
from services.router.store.attempts import AttemptStore, Finished
from services.router.store.claims import Claimed, ClaimStore, Room
from services.router.store.leases import LeaseStore
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.support.handoffs import NO_HURRY, make_handoff
from tests.support.receiver import (
    Behaviour,
    Receiver,
    answers,
    closes,
    drips_body,
    drips_headers,
    floods,
    hangs,
    open_receiver,
    redirects,
)
from tests.support.waiting import until

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def attempts_of(router: RunningRouter, delivery: str) -> list[dict[str, object]]:
    found = await router.call("GET", f"/v1/deliveries/{delivery}/attempts")
    return list(found["attempts"])


async def wait_for_attempts(router: RunningRouter, count: int) -> list[dict[str, object]]:
    """Return the attempts of the only delivery when there are that many."""
    found: list[dict[str, object]] = []

    async def there() -> bool:
        deliveries = (await router.call("GET", "/v1/deliveries"))["deliveries"]
        found[:] = await attempts_of(router, deliveries[0]["id"]) if deliveries else []
        return len(found) >= count

    await until(there, what=lambda: f"{count} attempts, not {len(found)}")
    return found


async def test_a_handoff_reaches_the_receiver(router: RunningRouter, receiver: Receiver) -> None:
    """A handoff is assigned, signed and delivered, and the receiver can verify it."""
    handoff = make_handoff()
    await router.hand_over(handoff, traceparent=TRACE)
    (request,) = await receiver.wait_for(1)

    payload = request.verify(router.secrets["crm"])

    assert payload["type"] == "lead.sales_ready"
    assert payload["data"]["handoff"]["id"] == str(handoff.id)
    assert request.headers["traceparent"] == TRACE
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    (delivery,) = await router.wait_for_delivery("delivered")
    assert delivery["webhook_id"] == request.webhook_id
    (attempt,) = await attempts_of(router, delivery["id"])
    assert (attempt["status"], attempt["outcome"], attempt["peer"]) == (200, "delivered", "127.0.0.1")


async def test_a_receiver_that_fails_once(start_router: StartRouter, receiver: Receiver) -> None:
    """The retry carries the same id and the same bytes, and a timestamp and signature of its own."""
    receiver.script(answers(500, b"sorry\x00\xff"))
    async with start_router(delivery_retries="1s", delivery_jitter=0) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff())
        first, second = await receiver.wait_for(2)
        (delivery,) = await router.wait_for_delivery("delivered")
        failed, delivered = await attempts_of(router, delivery["id"])

    assert first.webhook_id == second.webhook_id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert first.verify(router.secrets["crm"]) == second.verify(router.secrets["crm"])
    assert (failed["number"], failed["status"], failed["outcome"]) == (1, 500, "server_error")
    assert failed["response"] == "sorry��"
    assert failed["next_attempt_at"] is not None
    assert (delivered["number"], delivered["next_attempt_at"]) == (2, None)


async def test_a_schedule_that_ends(start_router: StartRouter, receiver: Receiver) -> None:
    """After the last retry a delivery is dead; it is kept, and a replay sends it under the same id."""
    receiver.script(answers(500), answers(404))
    clock = MovableClock()
    async with start_router(delivery_retries="1h", clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff(respond=NO_HURRY))
        await wait_for_attempts(router, 1)
        clock.ahead += timedelta(hours=2)
        (dead,) = await router.wait_for_delivery("dead")
        answer = await router.call("POST", "/v1/deliveries/replay", json={"ids": [dead["id"], str(uuid4())]})
        requests = await receiver.wait_for(3)
        await router.wait_for_delivery("delivered")

    assert answer["replayed"] == [dead["id"]]
    assert len(answer["left"]) == 1
    assert len({request.webhook_id for request in requests}) == 1
    assert len({request.body for request in requests}) == 1


async def test_a_receiver_that_is_gone(router: RunningRouter, receiver: Receiver) -> None:
    """A 410 stops everything for the endpoint; what waits is sent when the team is set again."""
    receiver.script(answers(410))
    await router.hand_over(make_handoff())
    await wait_for_attempts(router, 1)
    await router.hand_over(make_handoff())
    waiting = await router.wait_for_delivery("pending", count=2)
    (endpoint,) = (await router.call("GET", "/v1/endpoints"))["endpoints"]

    assert endpoint["status"] == "gone"
    assert len(receiver.requests) == 1
    assert sorted(delivery["attempts"] for delivery in waiting) == [0, 1]

    await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
    await router.wait_for_delivery("delivered", count=2)


async def test_a_receiver_that_asks_for_time(start_router: StartRouter, receiver: Receiver) -> None:
    """Retry-After holds back every delivery to the endpoint, and nothing to any other."""
    receiver.script(answers(429, retry_after="600"))
    clock = MovableClock()
    async with open_receiver() as other, start_router(delivery_retries="1s", clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}, {"name": "chat", "url": other.url}])
        await router.hand_over(make_handoff())
        await other.wait_for(1)
        await receiver.wait_for(1)
        await router.wait_for_delivery("pending")
        await router.hand_over(make_handoff())
        await other.wait_for(2)

        assert len(receiver.requests) == 1

        clock.ahead += timedelta(seconds=601)
        await receiver.wait_for(3)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect(start_router: StartRouter, receiver: Receiver, status: int) -> None:
    """A redirect is a failure; where it points is never visited."""
    async with open_receiver() as elsewhere, start_router() as router:
        receiver.script(redirects(elsewhere.url, status))
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff())
        (attempt,) = await wait_for_attempts(router, 1)

        assert (attempt["status"], attempt["outcome"]) == (status, "redirected")
        assert elsewhere.requests == []


@pytest.mark.parametrize("behaviour", [hangs, drips_headers, drips_body])
async def test_a_receiver_that_takes_for_ever(
    start_router: StartRouter, receiver: Receiver, behaviour: Behaviour
) -> None:
    """One deadline covers everything: neither silence nor a byte now and then holds an attempt longer."""
    receiver.script(behaviour)
    async with start_router(delivery_deadline="300ms") as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff())
        (attempt,) = await wait_for_attempts(router, 1)

    assert attempt["outcome"] == "timed_out"
    assert 300 <= float(str(attempt["duration_ms"])) < 2000


async def test_an_answer_without_end(router: RunningRouter, receiver: Receiver) -> None:
    """A success is known from its status; of the body no more is read than is kept."""
    receiver.script(floods)
    await router.hand_over(make_handoff())
    (attempt,) = await wait_for_attempts(router, 1)

    assert attempt["outcome"] == "delivered"
    assert len(str(attempt["response"])) == 8192


async def test_a_receiver_that_hangs_up(router: RunningRouter, receiver: Receiver) -> None:
    """A connection that ends without an answer is a failed attempt."""
    receiver.script(closes)
    await router.hand_over(make_handoff())
    (attempt,) = await wait_for_attempts(router, 1)

    assert (attempt["status"], attempt["outcome"]) == (None, "broken")


async def test_a_kept_connection_that_was_closed(router: RunningRouter, receiver: Receiver) -> None:
    """A kept connection that ends before the answer is replaced at once, within the same attempt."""
    await router.hand_over(make_handoff())
    await router.wait_for_delivery("delivered")
    receiver.script(closes)
    await router.hand_over(make_handoff())
    _, lost, again = await receiver.wait_for(3)
    deliveries = await router.wait_for_delivery("delivered", count=2)

    assert lost.webhook_id == again.webhook_id
    assert [delivery["attempts"] for delivery in deliveries] == [1, 1]


async def test_a_receiver_that_is_not_there(start_router: StartRouter) -> None:
    """A refused connection is a failed attempt that says so."""
    async with open_receiver() as receiver:
        url = receiver.url
    async with start_router() as router:
        await router.set_team(endpoints=[{"name": "crm", "url": url}])
        await router.hand_over(make_handoff())
        (attempt,) = await wait_for_attempts(router, 1)

    assert attempt["outcome"] == "unreachable"


async def test_an_address_that_may_not_be_called(start_router: StartRouter, receiver: Receiver) -> None:
    """A name that leads into the private network is refused at the dial; nothing is sent."""
    url = receiver.url.replace("127.0.0.1", "localhost")
    async with start_router(delivery_allowed_networks="") as router:
        await router.set_team(endpoints=[{"name": "crm", "url": url}])
        await router.hand_over(make_handoff())
        (attempt,) = await wait_for_attempts(router, 1)

    assert attempt["outcome"] == "address_refused"
    assert "TANDEM_DELIVERY_ALLOWED_NETWORKS" in str(attempt["error"])
    assert receiver.connections == 0


async def test_two_processes(start_router: StartRouter, receiver: Receiver) -> None:
    """Two routers that deliver from one queue send nothing twice."""
    async with start_router() as one, start_router(workers=["deliveries"]) as two:
        await one.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await one.hand_over(*(make_handoff() for _ in range(60)))
        await one.wait_for_delivery("delivered", count=60)

        assert len(receiver.requests) == 60
        assert len({request.webhook_id for request in receiver.requests}) == 60
        assert two.tasks["deliveries"].done() is False


async def test_a_crash_between_the_answer_and_its_record(start_router: StartRouter, receiver: Receiver) -> None:
    """What a killed process was sending is sent again when its lease is over, under the same id."""
    receiver.script(hangs)
    clock = MovableClock()
    async with start_router(clock=clock) as doomed:
        await doomed.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await doomed.hand_over(make_handoff())
        await receiver.wait_for(1)
        await doomed.kill("deliveries")
    async with start_router(workers=["deliveries"], clock=clock) as heir:
        (sending,) = await heir.wait_for_delivery("sending")
        clock.ahead += timedelta(seconds=31)
        first, second = await receiver.wait_for(2)
        (delivered,) = await heir.wait_for_delivery("delivered")

    assert first.webhook_id == second.webhook_id
    assert first.body == second.body
    assert sending["id"] == delivered["id"]


async def test_a_lease_that_ran_out(start_router: StartRouter, receiver: Receiver) -> None:
    """An attempt whose lease went to somebody else changes nothing any more, and is not logged as its own."""
    clock = MovableClock()
    async with start_router(workers=["handoffs"], clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff())
        await router.wait_for_delivery("pending")
        claims = ClaimStore(router.platform.engine)
        (slow,) = await claim(claims, clock)
        clock.ahead += timedelta(seconds=31)
        assert await LeaseStore(router.platform.engine).reclaim(now=clock()) == 1
        (fast,) = await claim(claims, clock)
        late = await finish(router, slow, clock, state="dead")
        good = await finish(router, fast, clock, state="delivered")
        repeated = await finish(router, fast, clock, state="dead")
        (delivery,) = await router.wait_for_delivery("delivered")

    assert (late, good, repeated) == (set(), {fast.id}, set())
    assert slow.id == fast.id
    assert delivery["attempts"] == 1


async def claim(claims: ClaimStore, clock: MovableClock) -> list[Claimed]:
    now = clock()
    lease_until = now + timedelta(seconds=30)
    return (
        await claims.claim(rooms={}, each=10, total=10, lease_id=uuid4(), lease_until=lease_until, now=now)
    ).deliveries


async def finish(router: RunningRouter, delivery: Claimed, clock: MovableClock, *, state: str) -> set[object]:
    result = Finished(
        delivery=delivery,
        state=state,
        failures=0,
        started_at=clock(),
        duration_ms=1.0,
        outcome=Outcome.DELIVERED,
        status=200,
        error="",
        response="",
        peer="",
        next_attempt=None,
    )
    async with router.platform.engine.begin() as connection:
        return set(await AttemptStore(router.platform.engine).finish(connection, [result], now=clock()))


async def test_a_claim(start_router: StartRouter, receiver: Receiver) -> None:
    """A claim takes what is due, at most so many of an endpoint, and nothing that another has claimed."""
    clock = MovableClock()
    async with start_router(workers=["handoffs"], clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}, {"name": "chat", "url": receiver.url}])
        await router.hand_over(*(make_handoff() for _ in range(5)))
        await router.wait_for_delivery("pending", count=10)
        claims = ClaimStore(router.platform.engine)
        now = clock()

        async def take(total: int, **slots: int) -> list[str]:
            found = await claims.claim(
                rooms={name: Room(slots=most) for name, most in slots.items()},
                each=2,
                total=total,
                lease_id=uuid4(),
                lease_until=now + timedelta(minutes=1),
                now=now,
            )
            return sorted(delivery.endpoint for delivery in found.deliveries)

        assert await take(10, crm=0) == ["chat", "chat"]
        assert await take(10, crm=1) == ["chat", "chat", "crm"]
        assert await take(1, crm=1, chat=0) == ["crm"]
        assert await take(10, crm=9, chat=9) == ["chat", "crm", "crm", "crm"]
        assert await take(10) == []


async def test_a_limit_that_is_new(start_router: StartRouter, receiver: Receiver) -> None:
    """The first claim after an endpoint was given a limit leaves it to the next one, which is to be made at once."""
    clock = MovableClock()
    async with start_router(workers=["handoffs"], clock=clock) as router:
        endpoints = [{"name": "crm", "url": receiver.url}, {"name": "chat", "url": receiver.url}]
        await router.set_team(endpoints=endpoints)
        claims = ClaimStore(router.platform.engine)
        assert await claim(claims, clock) == []
        await router.set_team(endpoints=[{**endpoints[0], "concurrency": 2}, {**endpoints[1], "order": "contact"}])
        await router.hand_over(*(make_handoff() for _ in range(3)))
        await router.wait_for_delivery("pending", count=6)
        lease_until = clock() + timedelta(minutes=1)
        found = [
            await claims.claim(rooms={}, each=4, total=5, lease_id=uuid4(), lease_until=lease_until, now=clock())
            for _ in range(2)
        ]

    taken = [dict(Counter(delivery.endpoint for delivery in each.deliveries)) for each in found]
    assert [(taken[n], set(each.short), each.again) for n, each in enumerate(found)] == [
        ({"chat": 3}, {"chat"}, True),
        ({"crm": 2}, {"crm"}, False),
    ]


async def test_stopping(start_router: StartRouter, receiver: Receiver) -> None:
    """A stop finishes what is under way; nothing stays leased."""
    receiver.script(hangs)
    async with start_router() as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff())
        await receiver.wait_for(1)
        stopped = asyncio.create_task(router.stop())
        receiver.released.set()
        await stopped
        async with router.platform.engine.connect() as connection:
            states = (await connection.scalars(text("SELECT state FROM router.delivery"))).all()

    assert states == ["pending"]  # the receiver hung up: a failed attempt, written down


async def test_an_endpoint_that_hangs(start_router: StartRouter, receiver: Receiver) -> None:
    """A hanging endpoint with a long backlog neither gets all slots nor slows the healthy one down."""
    receiver.always = hangs
    async with open_receiver() as healthy:
        settings = {"delivery_concurrency": 8, "delivery_endpoint_concurrency": 4, "delivery_deadline": "5s"}
        async with start_router(**settings) as router:
            await router.set_team(
                endpoints=[{"name": "sick", "url": receiver.url}, {"name": "healthy", "url": healthy.url}]
            )
            started = monotonic()
            await router.hand_over(*(make_handoff() for _ in range(40)))
            await healthy.wait_for(40)

            assert monotonic() - started < 5
            assert receiver.busiest <= 4
            receiver.released.set()


async def test_a_failing_endpoint_gets_one_attempt_at_a_time(start_router: StartRouter, receiver: Receiver) -> None:
    """After a failure an endpoint is probed, not stormed; after a success it is at full speed again."""
    receiver.script(answers(500))
    async with open_receiver() as healthy, start_router(delivery_retries="100ms,100ms") as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}, {"name": "chat", "url": healthy.url}])
        await router.hand_over(make_handoff())
        await router.wait_for_delivery("delivered")
        await receiver.wait_for(1)
        receiver.always = hangs
        await router.hand_over(*(make_handoff() for _ in range(8)))
        await healthy.wait_for(9)
        await receiver.wait_for(2)

        assert receiver.busy == 1

        receiver.always = answers(200)
        receiver.released.set()
        await router.wait_for_delivery("delivered", count=16)

"""Leases: whoever takes long keeps what it sends, and whoever lost it cannot take it back."""

import asyncio
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import text

from services.router.store.claims import ClaimStore
from services.router.store.leases import LeaseStore
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.integration.router.test_delivery import claim
from tests.support.handoffs import make_handoff
from tests.support.receiver import Behaviour, Receiver, answers
from tests.support.waiting import until

KEY = Fernet.generate_key().decode()


async def leased(router: RunningRouter) -> Any:
    """Return the only delivery's row."""
    async with router.platform.engine.connect() as connection:
        statement = text("SELECT state, lease_id, lease_until FROM router.delivery")
        return (await connection.execute(statement)).one()


def after(moment: asyncio.Event, behaviour: Behaviour) -> Behaviour:
    """Do so once the moment has come."""

    async def wait(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
        await moment.wait()
        return await behaviour(receiver, writer)

    return wait


async def test_an_attempt_that_takes_longer_than_its_lease(start_router: StartRouter, receiver: Receiver) -> None:
    """Its lease is renewed while it lasts: no other process may claim it, and each request is sent once."""
    renewed, outlasted = asyncio.Event(), asyncio.Event()
    receiver.script(
        after(renewed, answers(200, b'{"success": true, "data": {"items": []}}')),
        after(outlasted, answers(201, b'{"success": true, "data": {"id": 42}}')),
        answers(201, b'{"success": true, "data": {"id": "lead"}}'),
    )
    settings = {"delivery_lease": "1500ms", "delivery_deadline": "1400ms", "secret_key": KEY}
    url = f"http://127.0.0.1:{receiver.port}"
    async with start_router(**settings) as one, start_router(workers=["deliveries"], **settings) as other:
        await one.set_team(endpoints=[{"name": "pipe", "url": url, "kind": "pipedrive", "retries": []}])
        await one.hand_over(make_handoff())
        await receiver.wait_for(1)
        first = await leased(one)

        async def is_renewed() -> bool:
            return bool((await leased(one)).lease_until > first.lease_until)

        await until(is_renewed, what="the lease to be renewed")
        renewed.set()
        await receiver.wait_for(2)

        async def has_run_out() -> bool:
            return bool(other.clock() > first.lease_until)

        await until(has_run_out, what="the first lease to run out")
        claims = ClaimStore(other.platform.engine)
        leases = LeaseStore(other.platform.engine)
        taken = await leases.reclaim(now=other.clock()), await claim(claims, other.clock)
        still = await leased(one)
        outlasted.set()
        (delivery,) = await one.wait_for_delivery("delivered")

    assert taken == (0, [])
    assert still.lease_id == first.lease_id
    assert delivery["attempts"] == 1
    assert len(receiver.requests) == 3


async def test_a_lease_that_is_somebody_elses(start_router: StartRouter, receiver: Receiver) -> None:
    """Renewing and releasing what another process holds by now change nothing."""
    clock = MovableClock()
    async with start_router(workers=["handoffs"], clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff())
        await router.wait_for_delivery("pending")
        claims = ClaimStore(router.platform.engine)
        leases = LeaseStore(router.platform.engine)
        lost = await claim(claims, clock)
        clock.ahead += timedelta(seconds=31)
        await leases.reclaim(now=clock())
        held = await claim(claims, clock)
        before = await leased(router)
        kept_by_loser = await leases.renew(lost, until=clock() + timedelta(hours=1))
        await leases.release(lost)
        unchanged = await leased(router)
        kept_by_holder = await leases.renew(held, until=clock() + timedelta(hours=1))
        after_renewal = await leased(router)

    assert kept_by_loser == set()
    assert unchanged == before
    assert kept_by_holder == {held[0].id}
    assert (after_renewal.state, after_renewal.lease_until - before.lease_until > timedelta(minutes=59)) == (
        "sending",
        True,
    )

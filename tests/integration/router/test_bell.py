"""The bell: who makes deliveries tells every process which endpoints to look at."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

from services.router.bell import Bell
from services.router.domain.webhook import Message
from services.router.store.deliveries import DeliveryStore, NewDelivery
from tests.integration.router.conftest import StartRouter
from tests.support.waiting import until

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def made(message: str, *endpoints: str) -> list[NewDelivery]:
    return [NewDelivery(Message(id=message, body=b"{}"), endpoint) for endpoint in endpoints]


async def test_deliveries_made_elsewhere(start_router: StartRouter) -> None:
    """It rings once for a transaction, when that has committed, with the endpoints, or for any if they are many."""
    heard: list[Collection[str] | None] = []
    many = [f"crm-{number:03}-" + "x" * 90 for number in range(90)]
    async with start_router(workers=[]) as router:
        names = ["crm", "nobody", "Zentrale ä", *many]
        await router.set_team(endpoints=[{"name": name, "url": "http://127.0.0.1:1/"} for name in names])
        engine, stopping = router.platform.engine, asyncio.Event()
        store = DeliveryStore(engine)
        listening = asyncio.create_task(Bell(engine, rung=heard.append).run(stopping))

        async def listens() -> bool:
            async with engine.begin() as connection:
                await store.create(connection, made("first", "crm"), now=NOW)
            return bool(heard)

        await until(listens, what="the bell to listen")
        heard.clear()
        async with engine.begin() as connection:
            await store.create(connection, made("taken back", "nobody"), now=NOW)
            await connection.rollback()
        async with engine.begin() as connection:
            await store.create(connection, made("second", "Zentrale ä", "crm"), now=NOW)
        async with engine.begin() as connection:
            await store.create(connection, made("third", *many), now=NOW)

        async def both() -> bool:
            return None in heard

        await until(both, what="the last ring")
        stopping.set()
        await listening

    assert [rung for rung in heard if rung != {"crm"}] == [{"crm", "Zentrale ä"}, None]

"""What a claim costs: what waits until later, and what others could not yet forget, cost it nothing."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.store.claims import CLAIM, ClaimStore
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import RunningRouter

WAITING = """
INSERT INTO router.delivery (id, message_id, endpoint, state, due_at, created_at, body)
SELECT gen_random_uuid(), 'msg_' || :prefix || n, 'crm-' || n % 10, 'pending',
       CAST(:due AS timestamptz) + make_interval(secs => n * :step), :due, '\\x7b7d'
FROM generate_series(1, :count) AS n
"""


async def fill(router: RunningRouter, count: int, *, due: datetime, step: float, prefix: str) -> None:
    async with router.platform.engine.begin() as connection:
        values = {"count": count, "due": due, "step": step, "prefix": prefix}
        await connection.execute(text(WAITING), values)


async def explain(
    connection: AsyncConnection, now: datetime, floor: datetime | None, *, only: list[str] | None = None
) -> list[dict[str, Any]]:
    """Return the nodes of the plan of a claim, with the rows that each one read."""
    names = [f"crm-{number}" for number in range(10)]
    compiled = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {CLAIM.text}").bindparams(*CLAIM._bindparams.values())
    parameters = {
        "names": names,
        "slots": [10] * 10,
        "floors": [floor] * 10,
        "held": [],
        "only": only,
        "each": 10,
        "total": 100,
        "now": now,
        "lease_id": uuid4(),
        "lease_until": now + timedelta(minutes=1),
    }
    plan = (await connection.execute(compiled, parameters)).scalar_one()[0]["Plan"]
    nodes, left = [], [plan]
    while left:
        node = left.pop()
        nodes.append(node)
        left += node.get("Plans", [])
    return nodes


def read_by(nodes: list[dict[str, Any]]) -> int:
    """Return the pages that the whole claim touched."""
    return max(int(node.get("Shared Hit Blocks", 0)) + int(node.get("Shared Read Blocks", 0)) for node in nodes)


async def test_retries_that_wait(start_router: StartRouter) -> None:
    """A claim reads the rows that it takes, however many are due later; no plan walks a table."""
    async with start_router(workers=[]) as router:
        endpoints = [{"name": f"crm-{number}", "url": "http://127.0.0.1:1/"} for number in range(10)]
        await router.set_team(endpoints=endpoints)
        now = router.clock()
        await fill(router, 30_000, due=now + timedelta(minutes=10), step=0.01, prefix="later")
        await fill(router, 100, due=now - timedelta(minutes=1), step=0.0, prefix="now")
        async with router.platform.engine.connect() as connection:
            await connection.execute(text("ANALYZE router.delivery"))
            nodes = await explain(connection, now, None)
            await connection.rollback()
        claims = await ClaimStore(router.platform.engine).claim(
            rooms={}, each=10, total=200, lease_id=uuid4(), lease_until=now + timedelta(minutes=1), now=now
        )

    scans = [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "delivery"]
    rows = [node["Actual Rows"] * node["Actual Loops"] for node in nodes if node.get("Index Name") == "delivery_due"]
    assert scans == []
    assert sum(rows) <= 110
    assert len(claims.deliveries) == 100


async def test_a_transaction_that_stays_open(start_router: StartRouter) -> None:
    """What a snapshot of somebody else keeps from being forgotten lies before the floor, and is not walked over."""
    async with start_router(workers=[]) as router:
        endpoints = [{"name": f"crm-{number}", "url": "http://127.0.0.1:1/"} for number in range(10)]
        await router.set_team(endpoints=endpoints)
        now = router.clock()
        old = now - timedelta(minutes=10)
        await fill(router, 20_000, due=old, step=0.0, prefix="old")
        async with router.platform.engine.connect() as pinned, router.platform.engine.connect() as connection:
            await pinned.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            await pinned.execute(text("SELECT count(*) FROM router.delivery"))
            await connection.execute(text("UPDATE router.delivery SET state = 'delivered'"))
            await connection.commit()
            await fill(router, 100, due=now - timedelta(seconds=1), step=0.0, prefix="now")
            from_the_floor = read_by(await explain(connection, now, now - timedelta(seconds=30)))
            await connection.rollback()
            from_the_beginning = read_by(await explain(connection, now, None))
            await connection.rollback()

    assert from_the_floor < from_the_beginning / 3


async def test_endpoints_that_nothing_was_made_for(start_router: StartRouter) -> None:
    """A claim that is told of two endpoints takes what is due there, and does not look for deliveries elsewhere."""
    async with start_router(workers=[]) as router:
        endpoints = [{"name": f"crm-{number}", "url": "http://127.0.0.1:1/"} for number in range(10)]
        await router.set_team(endpoints=endpoints)
        now = router.clock()
        await fill(router, 100, due=now - timedelta(minutes=1), step=0.0, prefix="now")
        async with router.platform.engine.connect() as connection:
            nodes = await explain(connection, now, None, only=["crm-3", "crm-7"])
            await connection.rollback()
        claims = await ClaimStore(router.platform.engine).claim(
            only=["crm-3", "crm-7"],
            rooms={},
            each=10,
            total=200,
            lease_id=uuid4(),
            lease_until=now + timedelta(minutes=1),
            now=now,
        )

    (looked,) = [node["Actual Loops"] for node in nodes if node.get("Index Name") == "delivery_due"]
    assert looked == 2
    assert Counter(delivery.endpoint for delivery in claims.deliveries) == {"crm-3": 10, "crm-7": 10}

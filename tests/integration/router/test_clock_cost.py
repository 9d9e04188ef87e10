"""What running clocks cost: those that are due later cost a look nothing, and one that is due is found among them."""

from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import event, text

from services.router.store.clocks import ClockStore
from shared.events.handoff import encode_handoff
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import RunningRouter
from tests.integration.router.test_clock import BREACH, MINUTE, given, one, pass_time
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver

WAITING = """
INSERT INTO router.handoff (id, contact_id, state, state_since, pool, rep, assignments, steps, decided_at, created_at,
                            document, clock_from, given_at, due_at, clock_version)
SELECT gen_random_uuid(), gen_random_uuid(), 'assigned', :now, 'everyone', 'Nora', 1, 1, :now, :now, :document,
       :now, :now,
       CAST(:due AS timestamptz) + make_interval(secs => n * 0.1), (SELECT version FROM router.team)
FROM generate_series(1, :count) AS n
"""


async def fill(router: RunningRouter, count: int, *, due: datetime) -> None:
    """Have so many handoffs that somebody has, and whose clocks run out then and later."""
    async with router.platform.engine.begin() as connection:
        values = {"now": router.clock(), "due": due, "count": count, "document": encode_handoff(make_handoff())}
        await connection.execute(text(WAITING), values)
        await connection.execute(text("ANALYZE router.handoff"))


class Plans:
    """The plans of the statements that run on the router's engine while this is open."""

    def __init__(self, router: RunningRouter) -> None:
        self._engine = router.platform.engine
        self._ran: list[tuple[str, Any]] = []

    def __enter__(self) -> Self:
        event.listen(self._engine.sync_engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._ran.append((statement, parameters))

    async def nodes(self) -> list[dict[str, Any]]:
        """Run the statements again, and return what their plans did, node by node."""
        nodes: list[dict[str, Any]] = []
        for statement, parameters in self._ran:
            async with self._engine.connect() as connection:
                explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
                plan = (await connection.exec_driver_sql(explained, parameters)).scalar_one()
                await connection.rollback()
            left = [plan[0]["Plan"]]
            while left:
                nodes.append(node := left.pop())
                left += node.get("Plans", [])
        return nodes


async def test_clocks_that_wait(start_router: StartRouter, receiver: Receiver) -> None:
    """Looking at the clocks reads a few entries of an index, however many run; no plan walks the table."""
    async with start_router(workers=[]) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await fill(router, 30_000, due=router.clock() + timedelta(hours=10))
        clocks, now = ClockStore(router.platform.engine), router.clock()
        version = await one(router, "SELECT version FROM router.team")
        with Plans(router) as plans:
            unset, due_at = await clocks.look(version=version)
            async with router.platform.engine.begin() as connection:
                due = await clocks.lock_due(connection, now=now, limit=100)
                to_set = await clocks.lock_unset(connection, version=version, limit=500)
            page = await clocks.page(after=None, until=None, limit=51)
            following = await clocks.page(after=(page[-1].due_at or now, page[-1].id), until=None, limit=51)
        nodes = await plans.nodes()

    on_table = [node for node in nodes if node.get("Relation Name") == "handoff"]
    read = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in on_table]
    assert (unset, due, to_set, len(page)) == (False, [], [], 51)
    assert due_at is not None
    assert (page[0].due_at, following[0].due_at) == (due_at, due_at + timedelta(milliseconds=5100))
    assert len(on_table) == 6
    assert {node["Node Type"] for node in on_table} <= {"Index Scan", "Index Only Scan"}
    assert sum(read) <= 2 * 51 + 1


async def test_one_that_is_due_among_many(start_router: StartRouter, receiver: Receiver) -> None:
    """It rings at once, and only it: all others go on as they were."""
    async with start_router() as router:
        team = [{"name": "crm", "url": receiver.url}]
        await router.set_team(endpoints=team)
        handoff = await given(router)
        await fill(router, 20_000, due=router.clock() + timedelta(hours=10))
        await pass_time(router, BREACH + MINUTE, endpoints=team)
        shown = await router.wait_for_state(handoff, "reassigned")
        others = "SELECT count(*) FROM router.handoff WHERE state = 'assigned' AND rep = 'Nora' AND steps = 1"
        untouched = await one(router, others)

    assert shown["rep"]["name"] == "Sven"
    assert untouched == 20_000

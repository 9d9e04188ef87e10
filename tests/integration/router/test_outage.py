"""PostgreSQL away and back: nothing is lost and nobody has to help."""

from shared.postgres.migrate import migrate
from tests.integration.router.running import run_router
from tests.support.handoffs import make_handoff
from tests.support.postgres import running_postgres
from tests.support.receiver import Receiver, hangs


async def test_postgres_is_killed_while_an_attempt_is_under_way(receiver: Receiver) -> None:
    """The attempt is written down when PostgreSQL is back, and what comes later is delivered."""
    async with running_postgres() as server:
        await server.create_database("outage")
        url = server.url("outage")
        await migrate(url)
        async with run_router(url, delivery_retries="1ms") as router:
            await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
            receiver.script(hangs)
            first, second = make_handoff(), make_handoff()
            await router.hand_over(first)
            await receiver.wait_for(1)
            await server.kill()
            receiver.released.set()

            assert await router.service.readiness() != ()

            await server.start()
            requests = await receiver.wait_for(2, seconds=30)
            await router.hand_over(second)
            await router.wait_for_delivery("delivered", count=2)

            assert requests[0].webhook_id == requests[1].webhook_id
            assert await router.service.readiness() == ()
            assert all(not task.done() for task in router.tasks.values())

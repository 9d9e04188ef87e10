"""Sending again what died: counted first, then so many a second, and gone on with after a crash."""

from datetime import timedelta
from typing import Any

from typer.testing import CliRunner

from services.cli import app
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, answers
from tests.support.waiting import until


async def dead_ones(router: RunningRouter, receiver: Receiver, count: int) -> list[Any]:
    """Have so many deliveries die."""
    receiver.always = answers(500)
    await router.set_team(endpoints=[{"name": "crm", "url": receiver.url, "retries": []}])
    await router.hand_over(*(make_handoff() for _ in range(count)))
    dead = await router.wait_for_delivery("dead", count=count)
    receiver.always = None
    return dead


async def test_a_replay_of_many(start_router: StartRouter, receiver: Receiver) -> None:
    """A dry run counts and sends nothing; a replay sends each once more, under the same id, and says how far it is."""
    async with start_router(breaker_failures=100) as router:
        dead = await dead_ones(router, receiver, 5)
        wanted = {"endpoint": "crm", "outcome": "server_error"}
        dry = await router.call("POST", "/v1/deliveries/replay", json={"wanted": wanted, "dry_run": True})
        nobody = await router.call("POST", "/v1/deliveries/replay", json={"wanted": {"endpoint": "x"}, "dry_run": True})
        sent = len(receiver.requests)
        replay = await router.call("POST", "/v1/deliveries/replay", json={"wanted": wanted, "rate": 1000}, status=202)
        await router.wait_for_delivery("delivered", count=5)

        async def done() -> bool:
            found = await router.call("GET", f"/v1/deliveries/replays/{replay['id']}")
            return bool(found["state"] == "done" and found["replayed"] == 5)

        await until(done, what="the replay to end")

    assert (dry["would_replay"], nobody["would_replay"]) == (5, 0)
    assert (sent, replay["total"]) == (5, 5)
    ids = [request.webhook_id for request in receiver.requests]
    assert sorted(ids[:5]) == sorted(ids[5:]) == sorted(item["webhook_id"] for item in dead)


async def test_a_crash_in_a_replay(start_router: StartRouter, receiver: Receiver) -> None:
    """It goes on where it was, in another process, no faster than asked, and what is cancelled stays."""
    async with start_router(breaker_failures=100) as router:
        await dead_ones(router, receiver, 4)
        replay = await router.call(
            "POST", "/v1/deliveries/replay", json={"wanted": {"state": ["dead"]}, "rate": 0.5}, status=202
        )
        await receiver.wait_for(5)
        await router.kill("replays")
        clock = router.clock
    async with start_router(workers=["deliveries", "replays"], clock=clock) as heir:
        before = len(receiver.requests)
        clock.ahead += timedelta(seconds=3)
        await receiver.wait_for(before + 1)
        cancelled = await heir.call("POST", f"/v1/deliveries/replays/{replay['id']}/cancel")
        clock.ahead += timedelta(minutes=1)
        await heir.wait_for_delivery("delivered", count=cancelled["replayed"])
        dead = await heir.wait_for_delivery("dead", count=4 - cancelled["replayed"])

    assert cancelled["state"] == "cancelled"
    assert len({request.webhook_id for request in receiver.requests}) == 4
    assert len(receiver.requests) == 4 + cancelled["replayed"]
    assert len(dead) == 4 - cancelled["replayed"]


async def test_replays_that_are_not_understood(router: RunningRouter) -> None:
    """What is asked for has to be clear."""
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"ids": [], "rate": 1},
        {"wanted": {"state": ["sending"]}},
        {"wanted": {"state": []}},
        {"wanted": {"nonsense": 1}},
        {"wanted": {"created_from": "2026-03-01T00:00:00"}},
        {"wanted": {}, "rate": 0},
    )
    for body in bodies:
        await router.call("POST", "/v1/deliveries/replay", json=body, status=422)
    await router.call("GET", "/v1/deliveries/replays/00000000-0000-0000-0000-000000000000", status=404)
    await router.call("GET", "/v1/deliveries/00000000-0000-0000-0000-000000000000", status=404)


def test_the_commands() -> None:
    """Every command of the two groups shows an example."""
    for group, names in (
        ("endpoint", ("list", "show", "enable", "disable", "rotate-secret", "test")),
        ("delivery", ("list", "show", "replay")),
    ):
        for name in names:
            shown = CliRunner().invoke(app, [group, name, "--help"])
            assert f"Example: tandem {group} {name}" in shown.output

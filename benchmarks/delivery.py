"""From handoff to received: deliveries a second and latency with many endpoints, some of them hung, and much waiting.

    python -m benchmarks.delivery [--endpoints 1] [--endpoints 50] [--endpoints 500] [--rate 200] [--rate 500]
                                  [--seconds 30] [--waiting 300000] [--hung 0.1] [--pinned] [--compare 3]

One router process delivers. For each number of endpoints, a tenth of which take the connection and never answer, and
for each rate, deliveries are made as the router makes them (rows and a NOTIFY), evenly over the healthy endpoints and
the hung ones. The clock of a delivery runs from before its row is made to the last byte at the receiver, which is this
process.
`--pinned` keeps a transaction open beside it all the while, as a forgotten session does.
`--compare` says what hung endpoints cost the others. Two of everything run side by side, each with the same load on its
healthy endpoints, one of them with deliveries to hung ones on top, the other one in the next round: what the host
does to one it does to the other. Before each round both routers are started again and know nothing bad of any endpoint.
Printed is what the healthy ones had of it, and the ratio of their p95 in each round.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter, time
from typing import Any
from uuid import uuid4

import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.machine import machine
from benchmarks.stack import Stack, open_stack
from services.client import TandemClient
from services.router.domain.webhook import Message
from services.router.store.claims import ClaimStore
from services.router.store.deliveries import DeliveryStore, NewDelivery
from shared.postgres.engine import open_engine

BATCH_SECONDS = 0.02  # so often new deliveries are made
WARM_UP_SECONDS = 2.0
WAITING = """
INSERT INTO router.delivery (id, message_id, endpoint, state, due_at, created_at, body)
SELECT gen_random_uuid(), 'msg_waiting_' || n, 'e' || n % :endpoints, 'pending',
       now() + make_interval(hours => 1, secs => n * 0.1), now(), convert_to('{}', 'UTF8')
FROM generate_series(1, :count) AS n ON CONFLICT DO NOTHING
"""
PAD = "x" * 3000  # with it a message has the size of a lead's


@dataclass(frozen=True, slots=True)
class Load:
    """What is offered: so many deliveries a second over all endpoints, of which the first so many hang."""

    endpoints: int
    hung: int
    rate: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What there is besides the load."""

    endpoints: int
    hung: float  # share of them
    waiting: int  # deliveries that are due later
    pinned: bool


class Receivers:
    """Receivers on two ports: one answers, one hangs. What arrives is noted with its delay."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self._wanted = 0
        self._enough = asyncio.Event()

    async def open(self, stack: AsyncExitStack) -> tuple[int, int]:
        """Listen, and return the ports of the one that answers and of the one that hangs."""
        ports = []
        for handler in (self._answer, self._hang):
            server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=4096)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        return ports[0], ports[1]

    def expect_nothing(self) -> None:
        """Begin anew."""
        self._wanted = 0

    async def wait_for(self, count: int, *, seconds: float) -> None:
        """Return when so many have arrived, or after a while."""
        self._wanted = count
        self._enough.clear()
        if len(self.milliseconds) < count:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), seconds)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                sent = float(body[8 : body.index(b",")])
                self.milliseconds.append((time() - sent) * 1000)
                if self._wanted and len(self.milliseconds) >= self._wanted:
                    self._enough.set()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _hang(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()


@dataclass(frozen=True, slots=True)
class Side:
    """One Tandem with its receivers; so many of its endpoints hang."""

    stack: Stack
    engine: AsyncEngine
    receivers: Receivers
    hung: int


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, action="append")
    parser.add_argument("--rate", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--waiting", type=int, default=300_000)
    parser.add_argument("--hung", type=float, default=0.1)
    parser.add_argument("--pinned", action="store_true")
    parser.add_argument("--compare", type=int, default=0, metavar="ROUNDS")
    arguments = parser.parse_args()
    console = Console(width=150)
    console.print(machine())
    table = Table(title=f"{arguments.waiting:,} waiting, {arguments.hung:.0%} hung", title_justify="left")
    for column in ("endpoints", "offered/s", "received/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms each", "claim ms"):
        table.add_column(column, justify="right")
    for endpoints in arguments.endpoints or (1, 50, 500):
        setting = Setting(endpoints, arguments.hung, arguments.waiting, arguments.pinned)
        async with AsyncExitStack() as resources:
            sides = [await _open_side(resources, setting) for _ in range(2 if arguments.compare else 1)]
            for rate in arguments.rate or (200, 500):
                load = Load(endpoints, sides[0].hung, rate, arguments.seconds)
                if arguments.compare:
                    console.print(await _compare(sides, load, rounds=arguments.compare))
                    continue
                stack, receivers = sides[0].stack, sides[0].receivers
                before, started = stack.costs()["router"], perf_counter()
                await _run(sides[0], load, to_hung=True)
                took = perf_counter() - started
                cost = stack.costs()["router"].since(before)
                got = receivers.milliseconds
                cuts = statistics.quantiles(got, n=100)
                table.add_row(
                    f"{endpoints}",
                    f"{rate}",
                    f"{len(got) / took:,.0f}",
                    *(f"{cuts[at]:.1f}" for at in (49, 94, 98)),
                    f"{cost.cpu_seconds / len(got) * 1000:.2f}",
                    f"{await _claim_milliseconds(sides[0].engine):.2f}",
                )
    if not arguments.compare:
        console.print(table)


async def _open_side(resources: AsyncExitStack, setting: Setting) -> Side:
    """Start everything, with the endpoints, and what waits."""
    stack = await resources.enter_async_context(open_stack("postgres"))
    engine = await resources.enter_async_context(open_engine(stack.database_url, name="bench"))
    receivers = Receivers()
    ports = await receivers.open(resources)
    hung = await _set_team(stack, setting.endpoints, ports, share=setting.hung)
    async with engine.begin() as connection:
        await connection.execute(text(WAITING), {"endpoints": setting.endpoints, "count": setting.waiting})
    async with engine.connect() as connection:
        await connection.execute(text("ANALYZE router.delivery"))
    if setting.pinned:
        pinned = await resources.enter_async_context(engine.connect())
        await pinned.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await pinned.execute(text("SET idle_in_transaction_session_timeout = 0"))
        await pinned.execute(text("SELECT count(*) FROM router.endpoint"))
    return Side(stack, engine, receivers, hung)


async def _run(side: Side, load: Load, *, to_hung: bool) -> int:
    """Offer the load, wait until what can arrive has arrived, and return how much that is."""
    side.receivers.milliseconds.clear()
    side.receivers.expect_nothing()
    healthy = await _offer(side.engine, load, to_hung=to_hung)
    await side.receivers.wait_for(healthy, seconds=load.seconds * 2)
    return healthy


async def _compare(sides: Sequence[Side], load: Load, *, rounds: int) -> Table:
    """Offer the load with and without the hung endpoints, side by side; tabulate what the healthy ones had of it."""
    title = f"{load.endpoints} endpoints, {load.hung} of them hung, {load.rate} deliveries a second"
    table = Table(
        "round", "to hung ones too", "received", "p50 ms", "p95 ms", "p99 ms", title=title, title_justify="left"
    )
    ratios: list[float] = []
    for number in range(rounds):
        with_hung, without = sides[number % 2], sides[1 - number % 2]
        await asyncio.gather(*(_begin_anew(side) for side in sides))
        # A router that has just begun is slow at first, which must not meet the healthy of one side alone.
        await asyncio.gather(*(_run(side, replace(load, seconds=WARM_UP_SECONDS), to_hung=False) for side in sides))
        offered = await asyncio.gather(_run(with_hung, load, to_hung=True), _run(without, load, to_hung=False))
        p95 = []
        for what, side, healthy in (("yes", with_hung, offered[0]), ("no", without, offered[1])):
            cuts = statistics.quantiles(side.receivers.milliseconds, n=100)
            p95.append(cuts[94])
            row = (f"{number + 1}", what, f"{len(side.receivers.milliseconds):,} of {healthy:,}")
            table.add_row(*row, *(f"{cuts[at]:.1f}" for at in (49, 94, 98)))
        ratios.append(p95[0] / p95[1])
    table.caption = (
        f"p95 of the healthy with hung ones beside them / alone: {statistics.median(ratios):.2f} in the median of the "
        f"rounds, {min(ratios):.2f} to {max(ratios):.2f}"
    )
    return table


async def _begin_anew(side: Side) -> None:
    """Start the router again, without anything that was made for hung endpoints or is known of them."""
    names = {"names": [f"e{number}" for number in range(side.hung)]}
    router = side.stack.services["router"]
    await router.stop()
    async with side.engine.begin() as connection:
        made = "DELETE FROM router.delivery WHERE endpoint = ANY(:names) AND body <> convert_to('{}', 'UTF8')"
        known = "failures = 0, failing_since = NULL, opens = 0, open_until = NULL"
        await connection.execute(text(made), names)
        await connection.execute(text(f"UPDATE router.endpoint SET {known} WHERE name = ANY(:names)"), names)
    router.start()
    await router.ready()


async def _set_team(stack: Stack, endpoints: int, ports: tuple[int, int], *, share: float) -> int:
    """Make the endpoints, of which the first so many hang; return how many."""
    hung = round(endpoints * share)
    declared: list[dict[str, Any]] = [
        {"name": f"e{number}", "url": f"http://127.0.0.1:{ports[1] if number < hung else ports[0]}/{number}"}
        for number in range(endpoints)
    ]
    team = {
        "reps": [{"name": "Robin", "email": "robin@example.com"}],
        "pools": [{"name": "everyone", "members": ["Robin"]}],
        "endpoints": declared,
    }
    router = TandemClient(stack.services["router"].url, stack.keys["admin"])
    await router.apply_team(yaml.safe_dump(team))
    return hung


async def _offer(engine: AsyncEngine, load: Load, *, to_hung: bool) -> int:
    """Make deliveries at the rate, those to hung endpoints only if wanted; return how many of them can arrive."""
    store, made, healthy = DeliveryStore(engine), 0, 0
    started = perf_counter()
    while (elapsed := perf_counter() - started) < load.seconds:
        wanted = int(elapsed * load.rate) - made
        now = datetime.now(UTC)
        batch = []
        for number in range(made, made + wanted):
            name = number % load.endpoints
            healthy += name >= load.hung
            if name < load.hung and not to_hung:
                continue
            body = json.dumps({"sent": time(), "pad": PAD}).encode()
            item = uuid4()
            batch.append(NewDelivery(Message(id=f"msg_{item.hex}", body=body), f"e{name}"))
        if batch:
            async with engine.begin() as connection:
                await store.create(connection, batch, now=now)
        made += wanted
        await asyncio.sleep(BATCH_SECONDS)
    return healthy


async def _claim_milliseconds(engine: AsyncEngine) -> float:
    """Return how long a claim takes that looks at every endpoint and finds nothing due: the median of 20."""
    claims, taken = ClaimStore(engine), []
    for _ in range(20):
        now = datetime.now(UTC) - timedelta(days=1)  # nothing was due a day ago
        started = perf_counter()
        await claims.claim(rooms={}, each=4, total=100, lease_id=uuid4(), lease_until=now, now=now)
        taken.append((perf_counter() - started) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    asyncio.run(main())

"""How many handoffs two routers assign in a second, while every cap holds.

    python -m benchmarks.assigning [--handoffs 20000] [--log kafka]

Two router processes read one topic. The caps leave some handoffs in the queue; afterwards the
history is searched for a window in which a cap was exceeded and for a handoff that was assigned twice. The endpoint is
disabled: deliveries are made, and not sent.
"""

import argparse
import asyncio
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.machine import machine
from benchmarks.processes import Cost, children_running, cost_of
from services.client import TandemClient
from shared.events.handoff import encode_handoff
from shared.events.topics import TopicName
from shared.log.opening import open_log
from shared.log.records import Record
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.engine import open_engine
from shared.postgres.migrate import migrate
from tests.support.handoffs import make_handoff
from tests.support.kafka import running_kafka
from tests.support.processes import TandemProcess, create_topics
from tests.support.waiting import until

ADMIN = "admin_benchmark_0123456789"
POOLS, REPS_EACH = 4, 10
LEFT_OVER = 400  # handoffs that the caps leave in the queue
HOUR = timedelta(hours=1)
_POLL = timedelta(milliseconds=500)  # counting what is assigned costs the server more, the more often


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--handoffs", type=int, default=20_000)
    parser.add_argument("--log", choices=("kafka", "postgres"), default="postgres")
    arguments = parser.parse_args()
    handoffs: int = arguments.handoffs
    per_hour = handoffs // (POOLS * REPS_EACH)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres", max_connections=100))
        kafka = await stack.enter_async_context(running_kafka()) if arguments.log == "kafka" else None
        bootstrap = kafka.bootstrap if kafka else None
        table = await _measure(directory, postgres.url, bootstrap, total=handoffs + LEFT_OVER, per_hour=per_hour)
    console = Console(width=140)
    console.print(machine())
    console.print(table)


async def _measure(directory: Path, database_url: str, kafka: str | None, *, total: int, per_hour: int) -> Table:
    keys = directory / "keys.yaml"
    keys.write_text(yaml.safe_dump([{"role": "admin", "name": "admin", "key": ADMIN}]))
    settings = {
        "TANDEM_DATABASE_URL": database_url,
        "TANDEM_KEYS_FILE": str(keys),
        "TANDEM_LOG_LEVEL": "warning",
        "TANDEM_TOPIC_PARTITIONS": "12",
    }
    if kafka:
        settings["TANDEM_KAFKA_BOOTSTRAP"] = kafka
    await migrate(database_url)
    await create_topics(settings, directory)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(database_url, name="benchmark", pool_size=2))
        routers = [TandemProcess("router", settings=settings, log=directory / f"{number}.log") for number in (1, 2)]
        for router in routers:
            router.start()
            stack.push_async_callback(router.stop)
        for router in routers:
            await router.ready()
        await TandemClient(routers[0].url, ADMIN).apply_team(yaml.safe_dump(_team(per_hour)))
        pids = {
            "router 1": routers[0].pid,
            "router 2": routers[1].pid,
            "postgres": min(children_running("bin/postgres")),
        }
        if kafka:
            pids["kafka"] = min(children_running("kafka.Kafka"))
        before = {name: cost_of(pid) for name, pid in pids.items()}
        await _append(database_url, kafka, total)

        async def done() -> bool:
            async with engine.connect() as connection:
                assigned = "SELECT count(*) FROM router.handoff WHERE state = 'assigned'"
                return int(await connection.scalar(text(assigned)) or 0) >= per_hour * POOLS * REPS_EACH

        await until(done, seconds=600, what=lambda: "\n".join(router.log_text() for router in routers), poll=_POLL)
        costs = {name: cost_of(pid).since(before[name]) for name, pid in pids.items()}
        return await _table(engine, costs, per_hour=per_hour)


def _team(per_hour: int) -> dict[str, object]:
    names = [[f"rep {pool} {number}" for number in range(REPS_EACH)] for pool in range(POOLS)]
    return {
        "reps": [
            {"name": name, "email": f"{name.replace(' ', '')}@example.com", "capacity": 100_000, "per_hour": per_hour}
            for pool in names
            for name in pool
        ],
        "pools": [{"name": f"pool {number}", "members": members} for number, members in enumerate(names)],
        "rules": [
            {"when": {"account.region": f"region {number}"}, "pool": f"pool {number}", "unavailable": "next"}
            for number in range(POOLS)
        ],
        "default_pool": "pool 0",
        "hours": {"zone": "Europe/Berlin", "week": {"mon-sun": "00:00-24:00"}},
        "endpoints": [{"name": "crm", "url": "https://example.com/", "enabled": False}],
    }


async def _append(database_url: str, kafka: str | None, total: int) -> None:
    """Append all handoffs before the routers have had time for more than the first."""
    values = []
    for number in range(total):
        handoff = make_handoff(contact_id=uuid4(), account={"name": "Acme", "region": f"region {number % POOLS}"})
        values.append((str(handoff.contact.id).encode(), encode_handoff(handoff)))
    async with open_log(
        kafka_bootstrap=kafka, database_url=database_url, name="benchmark", append_timeout=timedelta(seconds=60)
    ) as log:
        for start in range(0, total, 1000):
            records = [Record(value=value, key=key) for key, value in values[start : start + 1000]]
            await log.append(TopicName.HANDOFFS, records)


async def _table(engine: AsyncEngine, costs: dict[str, Cost], *, per_hour: int) -> Table:
    async with engine.connect() as connection:
        rows = (
            await connection.execute(
                text("SELECT handoff_id, rep, at FROM router.handoff_event WHERE step = 'assign' ORDER BY at")
            )
        ).all()
        waiting = await connection.scalar(text("SELECT count(*) FROM router.handoff WHERE state = 'ready'"))
        owners = (await connection.execute(text("SELECT DISTINCT owner FROM router.position"))).all()
    twice = [handoff for handoff, count in Counter(row.handoff_id for row in rows).items() if count > 1]
    by_rep: defaultdict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        by_rep[row.rep].append(row.at)
    most = max(_most_within_hour(instants) for instants in by_rep.values())
    seconds = (rows[-1].at - rows[0].at).total_seconds()
    table = Table("what", "value", title="assigning, two routers", title_justify="left")
    table.add_row("handoffs assigned", f"{len(rows):,} by {len(owners)} processes, {len(by_rep)} reps in {POOLS} pools")
    transactions = len({row.at for row in rows})
    table.add_row("handoffs in a transaction", f"{len(rows) / transactions:.0f} on average")
    table.add_row("rate", f"{len(rows) / seconds:,.0f} a second over {seconds:.1f} s")
    table.add_row("most that a rep was given within an hour", f"{most}, of {per_hour} at most")
    table.add_row("assigned twice", str(len(twice)))
    table.add_row("left in the queue by the caps", str(waiting))
    for name, cost in costs.items():
        each = cost.cpu_seconds / len(rows) * 1e6
        table.add_row(name, f"{each:,.0f} µs of CPU a handoff, peak {cost.peak_megabytes:.0f} MB")
    return table


def _most_within_hour(instants: Iterable[datetime]) -> int:
    ordered = sorted(instants)
    return max(place + 1 - bisect_right(ordered, at - HOUR) for place, at in enumerate(ordered))


if __name__ == "__main__":
    asyncio.run(main())

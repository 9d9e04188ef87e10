"""What running response clocks cost while they wait: CPU of one router process and of PostgreSQL with and without them.

    python -m benchmarks.clocks [--clocks 100000] [--seconds 20]

Handoffs that a rep has and that nobody answers are put into the database by COPY, each with a clock that runs out in
some hours. The CPU of so many seconds is measured without them, with them, and without them again. In between some
clocks among them run out: how late after that instant the handoff is taken from its rep is measured, too.
"""

import argparse
import asyncio
import statistics
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.machine import machine
from benchmarks.stack import Stack, open_stack
from shared.clock import utc_now
from shared.events.handoff import Respond, encode_handoff
from shared.postgres.engine import open_engine
from tests.support.handoffs import make_handoff
from tests.support.waiting import until

RESPOND = Respond(within_seconds=300, reassign_after_seconds=900, escalate_after_seconds=3600, hours="always")
PROMISED = timedelta(seconds=RESPOND.within_seconds + RESPOND.reassign_after_seconds)
FIRST_DUE = timedelta(hours=6)
SOON = timedelta(seconds=8)  # longer than a router that was told nothing looks away
RINGING = 20
COLUMNS = (
    *("id", "contact_id", "state", "state_since", "pool", "rep", "assignments", "steps", "decided_at", "created_at"),
    *("document", "clock_from", "given_at", "due_at", "clock_version"),
)


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clocks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(machine())
    table = Table("running clocks", "router, CPU ms a second", "PostgreSQL, CPU ms a second")
    for column in table.columns:
        column.justify = "right"
    async with open_stack("postgres") as stack, open_engine(stack.database_url, name="bench") as engine:
        late: list[float] = []
        for clocks in (0, arguments.clocks, 0):
            await _fill(engine, clocks)
            await asyncio.sleep(6)  # what the router does about the change itself
            table.add_row(f"{clocks:,}", *await _idle(stack, seconds=arguments.seconds))
            if clocks:
                late = await _ring(engine)
        console.print(table)
        console.print(
            f"{len(late)} clocks that ran out among {arguments.clocks:,}: noticed after "
            f"{statistics.median(late):.0f} ms in the median, {max(late):.0f} ms at most"
        )


async def _idle(stack: Stack, *, seconds: float) -> tuple[str, str]:
    before = stack.costs()
    await asyncio.sleep(seconds)
    after = stack.costs()
    spent = (after[name].since(before[name]).cpu_seconds / seconds * 1000 for name in ("router", "postgres"))
    router, postgres = spent
    return f"{router:.1f}", f"{postgres:.1f}"


async def _fill(engine: AsyncEngine, count: int) -> None:
    """Have just so many handoffs, whose clocks are set for the team as it is."""
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE router.handoff CASCADE"))
        version = await connection.scalar(text("SELECT version FROM router.team"))
        now = utc_now()
        document = encode_handoff(msgspec.structs.replace(make_handoff(), respond=RESPOND))
        rows = (
            _row(document, now=now, due_at=now + FIRST_DUE + timedelta(milliseconds=100 * number), version=version)
            for number in range(count)
        )
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.copy_records_to_table("handoff", schema_name="router", columns=COLUMNS, records=rows)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE router.handoff"))  # so that autovacuum is not what is measured


def _row(document: bytes, *, now: datetime, due_at: datetime, version: int | None) -> tuple[object, ...]:
    given_at = due_at - PROMISED
    who = ("assigned", now, "everyone", "Robin", 1, 1)
    return (uuid4(), uuid4(), *who, now, now, document, given_at, given_at, due_at, version)


async def _ring(engine: AsyncEngine) -> list[float]:
    """Let some of the clocks run out, and return how many milliseconds later each handoff was taken from its rep."""
    due_at = utc_now() + SOON
    async with engine.begin() as connection:
        chosen = "SELECT id FROM router.handoff WHERE due_at IS NOT NULL LIMIT :count"
        rows = await connection.execute(
            text(
                "UPDATE router.handoff SET due_at = :due_at, given_at = :given_at, clock_from = :given_at "
                f"WHERE id IN ({chosen}) RETURNING id"
            ),
            {"due_at": due_at, "given_at": due_at - PROMISED, "count": RINGING},
        )
        ringing = set(rows.scalars())
    late: dict[object, float] = {}

    async def all_rang() -> bool:
        async with engine.connect() as connection:
            rows = await connection.execute(
                text("SELECT id FROM router.handoff WHERE id = ANY(:ids) AND state <> 'assigned'"),
                {"ids": list(ringing - late.keys())},
            )
            milliseconds = (utc_now() - due_at).total_seconds() * 1000
            late.update(dict.fromkeys(rows.scalars(), milliseconds))
        return len(late) == len(ringing)

    await until(all_rang, seconds=60, what="the clocks to ring", poll=timedelta(milliseconds=2))
    return list(late.values())


if __name__ == "__main__":
    asyncio.run(main())

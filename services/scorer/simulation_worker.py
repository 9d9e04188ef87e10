"""The worker that has simulations done: it claims one, and starts a process for it.

Every scorer runs one; the lease on the claimed row sees to it that one of them is at work. Told to stop, it ends the
process and gives the lease back, so that another scorer goes on at once.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from datetime import timedelta

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.shadowing import Shadowing
from services.scorer.simulation_process import Job
from services.scorer.store.simulations import Simulation, SimulationStore
from shared.clock import Clock
from shared.repeating import repeat
from shared.service import Worker


def simulating_worker(
    engine: AsyncEngine,
    *,
    simulations: SimulationStore,
    shadowing: Shadowing,
    database_url: str,
    owner: str,
    clock: Clock,
    every: timedelta,
    wake: asyncio.Event,
) -> Worker:
    """Return the worker; it looks at the interval, or when it is woken, for what is to be simulated."""
    logger = structlog.get_logger().bind(worker="simulating")

    async def claim() -> Simulation | None:
        await shadowing.come_due()
        async with engine.begin() as connection:
            return await simulations.claim(connection, owner, now=clock())

    async def release(held: Simulation) -> None:
        async with engine.begin() as connection:
            await simulations.release(connection, held)

    async def run(stopping: asyncio.Event) -> None:
        async def work() -> timedelta:
            held = await claim()
            if held is None:
                return every
            code = await _run_process(Job(database_url, held.id, owner), stopping)
            if code:
                logger.warning("simulation.broke_off", simulation=str(held.id), exit_code=code)
            await release(held)
            return every if code else timedelta()

        await repeat(work, stopping, worker="simulating", retry=every, wake=wake)

    return run


async def _run_process(job: Job, stopping: asyncio.Event) -> int:
    """Have the job done by a process; return its exit code, 0 also when it was ended because we stop."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.scorer.simulation_process", stdin=PIPE
    )
    ended = asyncio.create_task(process.wait())
    stop = asyncio.create_task(stopping.wait())
    try:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        return ended.result() if ended.done() else 0
    finally:
        stop.cancel()
        await _end(process)
        await ended


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()  # what it has in hand rolls back

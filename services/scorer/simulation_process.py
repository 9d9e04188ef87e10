"""The process that a simulation runs in: `python -m services.scorer.simulation_process`, started by the scorer.

It reads its job from standard input and lives no longer than that stays open, so it ends with the process that started
it, however that ends. It computes for minutes, which in the scorer's own process would hold up everything else there;
here it has connections of its own, and gives way to the scorer wherever both want the processor.
"""

import asyncio
import gc
import os
import sys
import threading
from uuid import UUID

import msgspec

from services.scorer.errors import SimulationLost
from services.scorer.simulating import Simulating
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.shadows import ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import SimulationStore
from shared.clock import utc_now
from shared.event_loop import new_event_loop
from shared.postgres.engine import open_engine, passes

NICE = 10  # of 19: gives way, and gets on all the same
AWAY = 75  # the database is: to be tried again


class Job(msgspec.Struct, frozen=True):
    """What the process is to do: a simulation that its parent has claimed."""

    database_url: str
    simulation_id: UUID
    owner: str


async def work(job: Job) -> int:
    """Do the job and return the exit code."""
    simulations = SimulationStore()
    async with open_engine(job.database_url, name="tandem-simulation", pool_size=2) as engine:
        simulating = Simulating(
            engine,
            simulations=simulations,
            leads=SimulatedLeadStore(),
            shadows=ShadowStore(),
            handoffs=HandoffStore(),
            agreements=AgreementStore(),
            clock=utc_now,
        )
        try:
            async with engine.connect() as connection:
                held = await simulations.held(connection, job.simulation_id, owner=job.owner)
            await simulating.run(held)
        except SimulationLost:
            return 0
        except Exception as error:
            if not passes(error):
                raise
            return AWAY
    return 0


def main() -> None:
    """Read the job and do it."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    if hasattr(os, "nice"):
        os.nice(NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # thousands of touches at once hold no cycles
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        code = runner.run(work(job))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the thread that reads standard input would have a regular end abort


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()

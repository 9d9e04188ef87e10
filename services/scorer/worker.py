"""What the scorer does without being asked: score records, arm what cooled down, apply a new agreement, relay."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from time import monotonic

import structlog

from services.scorer.accounts import AccountDecider
from services.scorer.handlers import Scorer
from services.scorer.settings import ScorerSettings
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import Lane, lanes
from services.scorer.sweeper import Sweeper
from shared.events.topics import TopicName
from shared.log.group_worker import GroupWorker, members_of
from shared.platform import Platform
from shared.postgres.engine import passes
from shared.postgres.positions import Positions
from shared.repeating import repeat
from shared.service import Worker
from shared.stopping import wait_for_any

GROUP = "scorer"
TOPICS = (TopicName.TOUCHES, TopicName.FEEDBACK, TopicName.CONTACTS)

# Some 7,000 touches over all members: the larger a transaction, the more of its touches share contacts. 5 MiB gain 3 %
# and take the process beyond 300 MB.
SCORE_BYTES = 4 << 20

SWEEP = 200  # contacts in one transaction
LANES = 2  # of a sweep through all contacts: while one waits for the database, the other computes
LANE_SWEEP = 500  # contacts in one transaction of it: holds them for some 30 ms, at half the overhead for each
LOOK = 500  # accounts in one transaction
_PART = 20  # looking at accounts takes a twentieth of the time at most
_LONGEST_PAUSE = timedelta(seconds=30)

_PAUSE = timedelta(seconds=1)


def scoring_worker(
    platform: Platform, *, scorer: Scorer, positions: Positions, settings: ScorerSettings
) -> GroupWorker:
    """Return the worker that reads touches, feedback and merges as one of the group."""
    return GroupWorker(
        GROUP,
        TOPICS,
        log=platform.log,
        claim=positions.claim,
        handle=scorer.handle,
        set_aside=scorer.set_aside,
        metrics=platform.metrics,
        set_aside_limit=platform.set_aside_limit,
        max_records=settings.score_records,
        max_bytes=SCORE_BYTES,
        members=members_of(settings.score_members, kafka=settings.kafka_bootstrap),
    )


def once_readable(platform: Platform, agreements: AgreementStore, worker: Worker) -> Worker:
    """Return the worker, begun only when the active agreement can be read: without it all its work is void.

    It raises ScorerError when this version of the code cannot read the agreement.
    """

    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with platform.engine.connect() as connection:
                    await agreements.active(connection)
            except Exception as error:
                if not passes(error):
                    raise
                structlog.get_logger().warning("scorer.waits", reason=str(error))
                await wait_for_any(stopping, timeout=_PAUSE)
            else:
                await worker(stopping)
                return

    return run


def sweeping(name: str, sweep: Callable[..., Awaitable[int]], *, every: timedelta, wake: asyncio.Event) -> Worker:
    """Return a worker that sweeps until nothing is due, then waits for the interval or to be woken."""
    logger = structlog.get_logger().bind(worker=name)

    async def work() -> timedelta:
        swept = await sweep(limit=SWEEP)
        if not swept:
            return every
        logger.info("sweep.done", contacts=swept)
        return timedelta()

    return partial(repeat, work, worker=name, retry=every, wake=wake)


def repricing(sweeper: Sweeper, *, every: timedelta, wake: asyncio.Event) -> Worker:
    """Return a worker that applies a new agreement: in lanes beside each other, if many contacts need it."""

    async def run(stopping: asyncio.Event) -> None:
        async def follow(lane: Lane) -> int:
            swept = 0
            while not stopping.is_set() and (done := await sweeper.apply_agreement(limit=LANE_SWEEP, lane=lane)):
                swept += done
            return swept

        async def sweep(*, limit: int) -> int:
            swept = await sweeper.apply_agreement(limit=limit)
            if swept == limit:
                swept += sum(await asyncio.gather(*map(follow, lanes(LANES))))
            return swept

        await sweeping("repricing", sweep, every=every, wake=wake)(stopping)

    return run


def deciding_accounts(decider: AccountDecider, *, every: timedelta) -> Worker:
    """Return a worker that looks at accounts which are due.

    All marks on an account are dealt with at once, so the longer it waits under load, the less each costs: it lags
    then, by what a round through all accounts takes, but does not fall behind.
    """

    async def work() -> timedelta:
        began = monotonic()
        await decider.decide(limit=LOOK)
        return max(every, min(_PART * timedelta(seconds=monotonic() - began), _LONGEST_PAUSE))

    return partial(repeat, work, worker="accounts", retry=every)

"""What ingest does without being asked.

It understands what was accepted, keeps what could not be used, forgets who was erased, settles pairs of old, and
watches its outbox.
"""

from datetime import timedelta
from functools import partial

from services.ingest.erasing import Erasing
from services.ingest.handlers import Understanding
from services.ingest.keeping import Keeping
from services.ingest.settings import IngestSettings
from services.ingest.settling import SETTLED_AT_ONCE, Settling
from shared.events.topics import TopicName
from shared.log.group_worker import GroupWorker, members_of
from shared.platform import Platform
from shared.postgres.positions import Positions
from shared.repeating import repeat
from shared.service import Worker

GROUP = "ingest"
KEEPING_GROUP = "ingest.rejected"
ERASURES_GROUP = "ingest.erasures"
TOPICS = (TopicName.EVENTS_WEB, TopicName.EVENTS_CAMPAIGN)

_SETTLE_EVERY = timedelta(minutes=1)  # while processes of a release without merges are still running
_MOST_ERASURES = 200  # records of `contacts` in one transaction, which keeps others from linking aliases


def understanding_worker(
    platform: Platform, *, understanding: Understanding, positions: Positions, settings: IngestSettings
) -> GroupWorker:
    """Return the worker that reads `events.*` as part of the group."""
    return GroupWorker(
        GROUP,
        TOPICS,
        log=platform.log,
        claim=positions.claim,
        handle=understanding.handle,
        set_aside=understanding.set_aside,
        metrics=platform.metrics,
        members=members_of(settings.understand_members, kafka=settings.kafka_bootstrap),
        set_aside_limit=platform.set_aside_limit,
        optional=tuple(dict(settings.extra_topics)),
    )


def keeping_worker(platform: Platform, *, keeping: Keeping, positions: Positions) -> GroupWorker:
    """Return the worker that reads `events.rejected`, which every service writes, as one of the group."""
    return GroupWorker(
        KEEPING_GROUP,
        (TopicName.EVENTS_REJECTED,),
        log=platform.log,
        claim=positions.claim,
        handle=keeping.handle,
        set_aside=keeping.set_aside,
        metrics=platform.metrics,
        set_aside_limit=platform.set_aside_limit,
        max_records=1_000,
    )


def erasures_worker(platform: Platform, *, erasing: Erasing, positions: Positions) -> GroupWorker:
    """Return the worker that reads `contacts` as one of a group of its own: no backlog of events holds it up."""
    return GroupWorker(
        ERASURES_GROUP,
        (TopicName.CONTACTS,),
        log=platform.log,
        claim=positions.claim,
        handle=erasing.handle,
        set_aside=erasing.set_aside,
        metrics=platform.metrics,
        set_aside_limit=platform.set_aside_limit,
        max_records=_MOST_ERASURES,
    )


def settling_worker(settling: Settling) -> Worker:
    """Return the worker that decides on the pairs that an earlier release has kept."""

    async def work() -> timedelta:
        settled = await settling.settle()
        return _SETTLE_EVERY if settled < SETTLED_AT_ONCE else timedelta()

    return partial(repeat, work, worker="ingest.settling", retry=_SETTLE_EVERY)

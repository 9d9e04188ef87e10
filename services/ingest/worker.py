"""The workers of ingest: one understands what was accepted, one keeps what could not be used."""

from services.ingest.handlers import Understanding
from services.ingest.keeping import Keeping
from services.ingest.settings import IngestSettings
from shared.events.topics import TopicName
from shared.log.group_worker import GroupWorker
from shared.platform import Platform
from shared.postgres.positions import Positions

GROUP = "ingest"
KEEPING_GROUP = "ingest.rejected"
TOPICS = (TopicName.EVENTS_WEB, TopicName.EVENTS_CAMPAIGN)


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
        members=settings.understand_members,
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
        max_records=1_000,
    )

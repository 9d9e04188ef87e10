"""The worker that understands what was accepted."""

from services.ingest.handlers import Understanding
from shared.events.topics import TopicName
from shared.log.group_worker import GroupWorker
from shared.platform import Platform
from shared.postgres.positions import Positions

GROUP = "ingest"
TOPICS = (TopicName.EVENTS_WEB, TopicName.EVENTS_CAMPAIGN)


def understanding_worker(platform: Platform, *, understanding: Understanding, positions: Positions) -> GroupWorker:
    """Return the worker that reads `events.*` as one of the group."""
    return GroupWorker(
        GROUP,
        TOPICS,
        log=platform.log,
        claim=positions.claim,
        handle=understanding.handle,
        set_aside=understanding.set_aside,
        metrics=platform.metrics,
    )

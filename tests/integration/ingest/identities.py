"""The part of ingest that decides who is who, as a test uses it without the rest."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.domain.identity import Caps
from services.ingest.identifying import Identifying
from services.ingest.store.aliases import Aliases
from services.ingest.store.merges import Merges
from services.ingest.store.tables import alias, outbox
from shared.clock import utc_now
from shared.events.contact import ContactMessage, decode_contact
from shared.events.topics import TopicName
from shared.log.protocol import EventLog
from shared.postgres.outbox import Outbox
from shared.telemetry.metrics import Metrics
from tests.support.topic_reader import read_topic


def merges_on(engine: AsyncEngine, log: EventLog) -> Merges:
    """Return the store of merges."""
    return Merges(engine, Outbox(engine, outbox, log))


def aliases_on(engine: AsyncEngine, log: EventLog) -> Aliases:
    """Return the store of aliases."""
    return Aliases(engine, merges_on(engine, log))


def identifying_on(engine: AsyncEngine, log: EventLog, *, metrics: Metrics | None = None) -> Identifying:
    """Return what a worker uses."""
    return Identifying(aliases=aliases_on(engine, log), caps=Caps(), metrics=metrics or Metrics(), clock=utc_now)


async def stored_aliases(engine: AsyncEngine) -> dict[tuple[str, str], UUID]:
    """Return whom each alias names."""
    async with engine.connect() as connection:
        rows = await connection.execute(select(alias.c.kind, alias.c.value, alias.c.contact_id))
        return {(row.kind, row.value): row.contact_id for row in rows}


async def told(engine: AsyncEngine, log: EventLog) -> list[ContactMessage]:
    """Relay what waits, and return all that `contacts` tells."""
    relay = Outbox(engine, outbox, log)
    while await relay.relay_once():
        pass
    return [decode_contact(record.value) for record in await read_topic(log, TopicName.CONTACTS)]

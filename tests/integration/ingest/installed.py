"""Ingest as a test uses it: a client in front, and what came out behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.app import open_ingest
from services.ingest.settings import IngestSettings
from services.ingest.store.tables import position
from services.ingest.worker import ERASURES_GROUP, GROUP, TOPICS
from shared.clock import Clock, utc_now
from shared.events.contact import ContactErased, encode_contact
from shared.events.rejected import Rejected, decode_rejected
from shared.events.topics import TopicName
from shared.events.touch import Touch, decode_touches
from shared.http.app import create_app
from shared.http.keys import KeyEntry, KeyRing, Role
from shared.log.protocol import EventLog
from shared.log.records import Partition, Record
from shared.platform import Platform
from shared.postgres.positions import Positions
from shared.secrets import SecretBox
from shared.service import Service, Worker
from shared.telemetry.metrics import Metrics
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

WEB_KEY = "wk_website_0123456789"
CAMPAIGN_KEY = "wk_campaign_0123456789"
SALES_KEY = "sales_0123456789abcdef"
MARKETING_KEY = "marketing_0123456789"
ADMIN_KEY = "admin_0123456789abcdef"
SECRET_KEY = "c2VjcmV0LWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc="


@dataclass(frozen=True, slots=True)
class Ingest:
    """An opened ingest; its worker runs only within `understanding`."""

    service: Service
    client: httpx.AsyncClient
    log: EventLog
    engine: AsyncEngine
    metrics: Metrics
    app: FastAPI

    async def post(self, path: str, body: Any, **request: Any) -> httpx.Response:
        """Post JSON, or bytes as they are, with the key of the website unless headers are given."""
        headers = request.pop("headers", {"Authorization": f"Bearer {WEB_KEY}"})
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.client.post(path, headers=headers, **content, **request)

    @asynccontextmanager
    async def understanding(self) -> AsyncIterator[None]:
        """Run the worker; at the end wait until it has read everything, then stop it."""
        stopping = asyncio.Event()
        working = asyncio.create_task(self.service.workers["understanding"](stopping))
        try:
            yield
            await until(self.caught_up, seconds=30, what="everything is understood")
        finally:
            stopping.set()
            await working

    async def erase(self, *contacts: UUID) -> None:
        """Erase one person, known under these ids, and wait until that is done."""
        erased = ContactErased(id=uuid4(), contact_ids=contacts, at=utc_now())
        await self.log.append(TopicName.CONTACTS, [Record(value=encode_contact(erased), key=str(contacts[0]).encode())])
        stopping = asyncio.Event()
        working = asyncio.create_task(self.service.workers["erasures"](stopping))

        async def done() -> bool:
            return await self._at_the_end(ERASURES_GROUP, [TopicName.CONTACTS])

        try:
            await until(done, seconds=30, what="everybody is erased")
        finally:
            stopping.set()
            await working

    async def caught_up(self) -> bool:
        """Tell whether the positions are at the end of the log."""
        return await self._at_the_end(GROUP, TOPICS)

    async def _at_the_end(self, group: str, topics: Sequence[str]) -> bool:
        partitions = [
            Partition(topic, number) for topic in topics for number in range(await self.log.partition_count(topic))
        ]
        stored = await Positions(self.engine, position, owner="test").read(group, partitions)
        return all([stored.get(partition, 0) == (await self.log.bounds(partition))[1] for partition in partitions])

    async def knows_its_sources(self) -> bool:
        """Tell whether the sources have been read."""
        return "the sources have not been read" not in await self.service.readiness()

    async def understand(self) -> list[Touch]:
        """Understand everything that was accepted; return all touches."""
        async with self.understanding():
            pass
        return await self.touches()

    async def touches(self) -> list[Touch]:
        """Return the touches published so far."""
        return [
            touch for record in await read_topic(self.log, TopicName.TOUCHES) for touch in decode_touches(record.value)
        ]

    async def rejected(self) -> list[Rejected]:
        """Return the rejections kept so far, in the order of their places."""
        records = await read_topic(self.log, TopicName.EVENTS_REJECTED)
        kept = [decode_rejected(record.value) for record in records]
        return sorted(kept, key=lambda one: (one.topic, one.partition, one.offset, one.item or 0))


@asynccontextmanager
async def open_test_ingest(
    engine: AsyncEngine,
    log: EventLog,
    *,
    owner: str = "test",
    clock: Clock = utc_now,
    wait: bool = True,
    more_keys: Sequence[KeyEntry] = (),
    secret_keys: str = SECRET_KEY,
    **settings: Any,
) -> AsyncIterator[Ingest]:
    """Open ingest on this database and log; it knows its sources."""
    metrics = Metrics()
    keys = KeyRing(
        [
            KeyEntry(Role.SOURCE, "website", WEB_KEY, "web"),
            KeyEntry(Role.SOURCE, "mailer", CAMPAIGN_KEY, "campaign"),
            KeyEntry(Role.SALES, "Sam", SALES_KEY),
            KeyEntry(Role.MARKETING, "Mia", MARKETING_KEY),
            KeyEntry(Role.ADMIN, "Ada", ADMIN_KEY),
            *more_keys,
        ]
    )
    platform = Platform(
        engine=engine, log=log, keys=keys, metrics=metrics, clock=clock, owner=owner, secrets=SecretBox(secret_keys)
    )
    settings = {"source_refresh": timedelta(milliseconds=100), **settings}
    ingest_settings = IngestSettings(database_url=SecretStr(""), **settings)
    async with open_ingest(ingest_settings, platform) as service, _running(service.workers["sources"]):
        app = create_app([service], metrics=metrics, draining=lambda: False)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest.example") as client:
            opened = Ingest(service, client, log, engine, metrics, app)
            if wait:
                await until(opened.knows_its_sources, what="the sources read")
            yield opened


@asynccontextmanager
async def _running(worker: Worker) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    working = asyncio.create_task(worker(stopping))
    try:
        yield
    finally:
        stopping.set()
        await working

"""A backlog of page views on Kafka, the servers around it, and how fast a group works it off."""

import asyncio
import itertools
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.population import agreement_text, any_path, contact_of, page_view, populate, terms_of
from benchmarks.processes import Cost, children_running, cost_of
from services.client import TandemClient
from services.ingest.packing import pack_touches
from shared.events.touch import Touch, encode_touches
from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.log.records import Record
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from tests.support.kafka import running_kafka
from tests.support.processes import TandemProcess, create_topics, running_tandem

PARTITIONS = 12
PACKED, SINGLE = "touches", "touches.single"  # topics: as ingest packs them; a touch in each record
# A server of a million contacts has not got what PostgreSQL is delivered with: see operations.md.
_SERVER = {"shared_buffers": "4GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}
_LOOK = timedelta(milliseconds=100)
_STILL = timedelta(minutes=5)  # without a commit: it will not come
_CHUNK = 1_200  # touches appended at once, about a hundred in a record


@dataclass(frozen=True, slots=True)
class Run:
    """One backlog, worked off."""

    rate: float  # events a second
    costs: dict[str, Cost]  # by process
    events: int

    def row(self, name: str) -> str:
        """Return what a process took of the processor for one event."""
        return f"{self.costs[name].cpu_seconds / self.events * 1e6:.1f} µs ({self.costs[name].cpu_seconds:.1f} CPU s)"


class Crowd:
    """Contacts drawn by Zipf's law: the k-th is met 1/k as often as the first."""

    def __init__(self, contacts: int) -> None:
        self._dice = random.Random(3)
        self._numbers = range(contacts)
        self._weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(contacts)))
        self._events = 0

    def touches(self, count: int) -> list[Touch]:
        """Return page views that nobody saw before, received now."""
        now = datetime.now(UTC)
        met = self._dice.choices(self._numbers, cum_weights=self._weights, k=count)
        made = []
        for number in met:
            self._events += 1
            occurred_at = now - timedelta(seconds=self._dice.randrange(60))
            path = any_path(self._dice)
            message = f"event {self._events}"
            made.append(page_view(message, contact_of(number), occurred_at=occurred_at, received_at=now, path=path))
        return made


class Bench:
    """Servers, the topic, and what runs on them."""

    def __init__(
        self, *, settings: dict[str, str], directory: Path, log: EventLog, admin: AIOKafkaAdminClient, crowd: Crowd
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.crowd = crowd
        self._log = log
        self._admin = admin
        self.appended = {PACKED: 0, SINGLE: 0}  # records
        self._servers = {
            "postgres": min(children_running("bin/postgres")),
            "kafka": min(children_running("kafka.Kafka")),
        }

    async def append(self, records: Sequence[Record]) -> None:
        """Put records on the topic, as `packed` makes them."""
        await self._log.append(PACKED, records)
        self.appended[PACKED] += len(records)

    async def backlog(self, events: int) -> None:
        """Put as many events on the topic."""
        for first in range(0, events, _CHUNK):
            await self.append(packed(self.crowd.touches(min(_CHUNK, events - first))))

    async def backlog_of_singles(self, events: int) -> None:
        """Put as many events on a topic of their own, each in a record by its contact."""
        await self._admin.create_topics([NewTopic(SINGLE, num_partitions=PARTITIONS, replication_factor=1)])
        for first in range(0, events, _CHUNK):
            touches = self.crowd.touches(min(_CHUNK, events - first))
            await self._log.append(
                SINGLE, [Record(encode_touches([touch]), key=touch.contact_id.bytes) for touch in touches]
            )
        self.appended[SINGLE] = events

    async def done(self, group: str, topic: str) -> int:
        """Return how many records of the topic a group has committed."""
        offsets = await self._admin.list_consumer_group_offsets(group)
        return sum(max(0, each.offset) for place, each in offsets.items() if place.topic == topic)

    async def reached(self, group: str, topic: str, records: int) -> tuple[int, float]:
        """Wait until a group has committed so many records; return how many it has, and when by the clock.

        Raises RuntimeError when it stands still.
        """
        at, moved = -1, perf_counter()
        while at < records:
            await asyncio.sleep(_LOOK.total_seconds())
            now = await self.done(group, topic)
            if now > at:
                at, moved = now, perf_counter()
            if perf_counter() - moved > _STILL.total_seconds():
                raise RuntimeError(f"{group} stands still at {at} of {records} records")
        return at, moved

    async def worked_off(self, group: str, pid: int, *, events: int, before: int, topic: str = PACKED) -> Run:
        """Return how fast the group works off all that it has not committed yet."""
        appended = self.appended[topic]
        began, started = await self.reached(group, topic, before + 1)  # its first commit: from here on it runs
        costs = self._costs(group, pid)
        _, ended = await self.reached(group, topic, appended)
        share = (appended - began) / (appended - before)
        spent = {name: cost.since(costs[name]) for name, cost in self._costs(group, pid).items()}
        return Run(events * share / max(ended - started, 0.001), spent, max(1, round(events * share)))

    def _costs(self, group: str, pid: int) -> dict[str, Cost]:
        return {name: cost_of(each) for name, each in {group: pid, **self._servers}.items()}


@asynccontextmanager
async def open_bench(*, contacts: int, touches: int) -> AsyncIterator[Bench]:
    """Start the servers and fill the database."""
    keys = {role: f"{role}_{secrets.token_hex(16)}" for role in ("marketing", "sales")}
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        keys_file = directory / "keys.yaml"
        keys_file.write_text(yaml.safe_dump([{"role": role, "name": role, "key": key} for role, key in keys.items()]))
        server = EmbeddedPostgres(directory / "postgres", max_connections=200, settings=_SERVER)
        postgres = await stack.enter_async_context(server)
        kafka = await stack.enter_async_context(running_kafka())
        settings = {
            "TANDEM_DATABASE_URL": postgres.url,
            "TANDEM_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TANDEM_KEYS_FILE": str(keys_file),
            "TANDEM_LOG_LEVEL": "warning",
            "TANDEM_TOPIC_PARTITIONS": str(PARTITIONS),
        }
        await migrate(postgres.url)
        await create_topics(settings, directory)
        await populate(postgres.url, terms_of(agreement_text()), contacts=contacts, touches=touches)
        log = await stack.enter_async_context(
            open_log(
                kafka_bootstrap=kafka.bootstrap,
                database_url=postgres.url,
                name="bench",
                append_timeout=timedelta(seconds=60),
            )
        )
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        stack.push_async_callback(admin.close)
        bench = Bench(settings=settings, directory=directory, log=log, admin=admin, crowd=Crowd(contacts))
        async with scorer(bench) as process:
            draft = await TandemClient(process.url, keys["marketing"]).propose(agreement_text())
            for key in keys.values():
                await TandemClient(process.url, key).sign(draft["version"])
        yield bench


def scorer(bench: Bench) -> AbstractAsyncContextManager[TandemProcess]:
    """Run one scorer."""
    return running_tandem("scorer", settings=bench.settings, log=bench.directory / "scorer.log")


def packed(touches: Sequence[Touch]) -> list[Record]:
    """Return records as ingest makes them, with a key, though nobody needs it but those who keep state by it."""
    records = pack_touches(((touch, None) for touch in touches), partitions=PARTITIONS)
    return [replace(record, key=b"%d" % (record.partition or 0)) for record in records]

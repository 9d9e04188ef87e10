"""The log is taken away under load and brought back: ingest refuses quickly, holds little, and loses nothing."""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest

from shared.events.topics import TopicName
from shared.log.opening import open_log
from shared.log.records import Topic
from shared.postgres.migrate import migrate
from tests.e2e.conftest import Install
from tests.support.kafka import empty_kafka
from tests.support.postgres import running_postgres
from tests.support.processes import running_tandem
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

CLIENTS = 16
EVENTS = 5
FILLING = "x" * 4_000
MOST_GROWTH = 100 << 20  # bytes of memory
QUICKLY = 0.5  # seconds, at the median, of a machine that does much else

Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outage:
    """A log that can be taken away, and the settings of those who use it."""

    settings: dict[str, str]
    begin: Step
    end: Step


@dataclass(slots=True)
class Load:
    """What clients have sent and been answered."""

    url: str
    key: str
    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    seconds_of_refusals: list[float] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)

    async def send(self, stopping: asyncio.Event) -> None:
        """Post batches one after the other, each with ids of its own."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as client:
            while not stopping.is_set():
                ids = [f"m-{next(self.numbers)}" for _ in range(EVENTS)]
                batch = [{"type": "page", "userId": "u", "messageId": one, "name": FILLING} for one in ids]
                started = time.monotonic()
                answer = await client.post("/v1/batch", json={"batch": batch, "writeKey": self.key})
                self.answers[answer.status_code] += 1
                if answer.status_code == 200:
                    self.acknowledged.update(ids)
                else:
                    self.seconds_of_refusals.append(time.monotonic() - started)
                    await asyncio.sleep(0.02)

    async def reaches(self, status: int, answers: int) -> None:
        """Return once so many more answers of the status have come."""
        goal = self.answers[status] + answers

        async def reached() -> bool:
            return self.answers[status] >= goal

        await until(reached, seconds=60, what=lambda: f"{answers} more answers of {status}: {self.answers}")


@asynccontextmanager
async def _outage(kind: str, install: Install) -> AsyncIterator[Outage]:
    async with AsyncExitStack() as stack:
        if kind == "postgres killed":
            server = await stack.enter_async_context(running_postgres())
            await server.create_database("log")
            await migrate(server.url("log"))
            settings = {**install.settings, "TANDEM_DATABASE_URL": server.url("log")}
            yield Outage(settings, server.kill, server.start)
            return
        kafka = await stack.enter_async_context(empty_kafka())

        async def begin() -> None:
            kafka.kill() if kind == "kafka killed" else kafka.pause()

        async def end() -> None:
            if kind == "kafka killed":
                await kafka.start()
            else:
                kafka.resume()

        yield Outage(install.on_kafka(kafka.bootstrap).settings, begin, end)


@pytest.mark.parametrize("kind", ["postgres killed", "kafka frozen", "kafka killed"])
async def test_the_log_goes_away_under_load(kind: str, install: Install) -> None:
    """Every event that got a 200 is in the log afterwards; refusals are 503 and quick; memory stays bounded."""
    async with _outage(kind, install) as outage:
        settings = {**outage.settings, "TANDEM_APPEND_TIMEOUT": "1s", "TANDEM_TOPIC_PARTITIONS": "4"}
        async with open_log(
            kafka_bootstrap=settings.get("TANDEM_KAFKA_BOOTSTRAP"),
            database_url=settings["TANDEM_DATABASE_URL"],
            name="test",
            append_timeout=timedelta(seconds=10),
        ) as log:
            await log.create_topics([Topic(name, partitions=4, retention_hours=1) for name in TopicName])
            async with running_tandem("ingest", settings=settings, log=install.directory / "ingest.log") as tandem:
                load = Load(tandem.url, install.keys["source"])
                stopping = asyncio.Event()
                sending = [asyncio.create_task(load.send(stopping)) for _ in range(CLIENTS)]
                await load.reaches(200, 100)
                before = _resident_bytes(tandem.pid)
                await outage.begin()
                try:
                    await load.reaches(503, 200)
                    growth = _resident_bytes(tandem.pid) - before
                finally:
                    await outage.end()
                await load.reaches(200, 100)
                stopping.set()
                await asyncio.gather(*sending)
            stored = {
                item["messageId"]
                for record in await read_topic(log, TopicName.EVENTS_WEB)
                for item in json.loads(record.value)["batch"]
            }

    assert load.acknowledged <= stored
    assert set(load.answers) == {200, 503}
    assert statistics.median(load.seconds_of_refusals) < QUICKLY
    assert growth < MOST_GROWTH


def _resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10

"""A router that runs in the test's process: workers as tasks, the API in memory, the log and database real."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import httpx
import yaml
from sqlalchemy import text

from services.router.app import open_router
from services.router.settings import RouterSettings
from shared.clock import utc_now
from shared.events.contact import ContactErased, encode_contact
from shared.events.feedback import Feedback, decode_feedback
from shared.events.handoff import HandoffMessage, HandoffReady, encode_handoff
from shared.events.rejected import Rejected, decode_rejected
from shared.events.topics import TopicName
from shared.http.app import create_app
from shared.log.records import Record, Topic
from shared.platform import Platform, open_platform
from shared.service import Service
from tests.support.waiting import until

KEYS = {role: f"{role}-key-for-tests" for role in ("rep", "sales", "marketing", "admin")}
REPS = [
    {"name": "Rita", "email": "rita@harbour.example", "capacity": 100},
    {"name": "Sven", "email": "sven@harbour.example", "capacity": 100},
]
POOLS = [{"name": "everyone", "members": ["Rita", "Sven"]}]
EVERY_WORKER = (
    "handoffs",
    "erasures",
    "nurture",
    "queue",
    "clock",
    "deliveries",
    "bell",
    "replays",
    "outbox",
    "gauges",
)


@dataclass(slots=True)
class MovableClock:
    """The time of day, moved forward by tests that cannot wait for hours."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(slots=True)
class RunningRouter:
    """One running router, and what a test wants to do with it."""

    service: Service
    platform: Platform
    http: httpx.AsyncClient
    clock: MovableClock
    stopping: asyncio.Event
    tasks: dict[str, asyncio.Task[None]]
    secrets: dict[str, str] = field(default_factory=dict)

    async def set_team(self, **team: Any) -> Any:
        """Set the team; what is left out is two reps in one pool."""
        document = {"reps": REPS, "pools": POOLS, **team}
        answer = await self.call("PUT", "/v1/team", content=yaml.safe_dump(document, allow_unicode=True).encode())
        self.secrets |= {item["name"]: item["secret"] for item in answer["endpoints"] if "secret" in item}
        return answer

    async def hand_over(self, *messages: HandoffMessage, traceparent: str | None = None) -> None:
        """Append messages to `handoffs`."""
        headers = (("traceparent", traceparent.encode()),) if traceparent else ()
        await self.append(*(encode_handoff(message) for message in messages), headers=headers, keys=_keys(messages))

    async def append(
        self, *values: bytes, headers: tuple[tuple[str, bytes], ...] = (), keys: Sequence[bytes | None] = ()
    ) -> None:
        """Append bytes to `handoffs`."""
        keys = keys or [b"same" for _ in values]
        await self.platform.log.append(
            TopicName.HANDOFFS,
            [Record(value=value, key=key, headers=headers) for value, key in zip(values, keys, strict=True)],
        )

    async def erase(self, *contacts: UUID, erasure_id: UUID | None = None) -> UUID:
        """Tell of the erasure of one person, known under these ids."""
        erased = ContactErased(id=erasure_id or uuid4(), contact_ids=contacts, at=self.clock())
        key = str(contacts[0]).encode()
        await self.platform.log.append(TopicName.CONTACTS, [Record(value=encode_contact(erased), key=key)])
        return erased.id

    async def call(self, method: str, path: str, *, role: str = "admin", status: int = 200, **request: Any) -> Any:
        """Call the API and return the JSON of the expected answer."""
        answer = await self.http.request(method, path, headers={"Authorization": f"Bearer {KEYS[role]}"}, **request)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def state(self, handoff_id: UUID) -> str | None:
        """Return the state of a handoff, None when it is not known."""
        answer = await self.http.get(f"/v1/handoffs/{handoff_id}", headers={"Authorization": f"Bearer {KEYS['admin']}"})
        return str(answer.json()["state"]) if answer.status_code == 200 else None

    async def wait_for_state(self, handoff_id: UUID, state: str) -> Any:
        """Return the handoff when it is in the state."""

        async def there() -> bool:
            return await self.state(handoff_id) == state

        await until(there, what=f"{handoff_id} to be {state}")
        return await self.call("GET", f"/v1/handoffs/{handoff_id}")

    async def wait_for_delivery(self, state: str, *, count: int = 1) -> list[Any]:
        """Return the deliveries in the state when there are that many."""
        found: list[Any] = []

        async def there() -> bool:
            found[:] = (await self.call("GET", f"/v1/deliveries?state={state}&limit=200"))["deliveries"]
            return len(found) >= count

        await until(there, what=lambda: f"{count} deliveries {state}, not {len(found)}")
        return found

    async def feedback(self) -> list[Feedback]:
        """Return what is on `feedback`, in order."""
        return [decode_feedback(value) for value in await self._topic(TopicName.FEEDBACK)]

    async def wait_for_feedback(self, count: int) -> list[Feedback]:
        """Return what is on `feedback` when there are that many."""

        async def there() -> bool:
            return len(await self.feedback()) >= count

        await until(there, what=f"{count} records of feedback")
        return await self.feedback()

    async def rejected(self) -> list[Rejected]:
        """Return what is on `events.rejected`."""
        return [decode_rejected(value) for value in await self._topic(TopicName.EVENTS_REJECTED)]

    async def _topic(self, topic: str) -> list[bytes]:
        async with self.platform.engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT r.value FROM log.record r JOIN log.topic t ON t.id = r.topic_id WHERE t.name = :topic "
                    'ORDER BY r.appended_at, r.partition, r."offset"'
                ),
                {"topic": topic},
            )
            return [bytes(row.value) for row in rows]

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        self.stopping.set()
        await asyncio.gather(*self.tasks.values())

    async def kill(self, worker: str) -> None:
        """Cut a worker off where it stands, as SIGKILL does."""
        self.tasks[worker].cancel()
        await asyncio.gather(self.tasks[worker], return_exceptions=True)


@asynccontextmanager
async def run_router(
    database_url: str, *, workers: Sequence[str] = EVERY_WORKER, clock: MovableClock | None = None, **settings: Any
) -> AsyncIterator[RunningRouter]:
    """Open a router and run these workers of it."""
    clock = clock or MovableClock()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        keys_file = directory / "keys.yaml"
        keys_file.write_text(yaml.safe_dump([{"role": role, "name": role, "key": key} for role, key in KEYS.items()]))
        chosen = RouterSettings(
            **{
                "database_url": database_url,
                "keys_file": keys_file,
                "delivery_allowed_networks": "127.0.0.0/8",
                "public_url": "https://tandem.harbour.example",
                "log_level": "error",
                **settings,
            }
        )
        platform = await stack.enter_async_context(open_platform(chosen, name="test", clock=clock))
        await platform.log.create_topics([Topic(name=name, partitions=4, retention_hours=24) for name in TopicName])
        service = await stack.enter_async_context(open_router(chosen, platform))
        app = create_app([service], metrics=platform.metrics, draining=lambda: False)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://router.test")
        )
        stopping = asyncio.Event()
        tasks = {name: asyncio.create_task(service.workers[name](stopping), name=name) for name in workers}
        try:
            yield RunningRouter(
                service=service, platform=platform, http=http, clock=clock, stopping=stopping, tasks=tasks
            )
        finally:
            stopping.set()
            _, late = await asyncio.wait(tasks.values(), timeout=10) if tasks else (set(), set())
            for task in late:
                task.cancel()
            results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise failures[0]


def _keys(messages: Sequence[HandoffMessage]) -> list[bytes | None]:
    return [
        str(message.contact.id if isinstance(message, HandoffReady) else message.contact_id).encode()
        for message in messages
    ]

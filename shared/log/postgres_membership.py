"""Membership: how the consumers of a group share partitions on PostgreSQL.

Each member holds an advisory lock that means "I am here", and one for each partition that it reads. Members rank
themselves by the numbers of the first kind; the share of a member follows from its rank and from how many they are.
A member lets go of what is no longer its share before it reaches for what is. All locks belong to one session, so a
member that dies, or loses its connection, has let go of everything.

Who holds a lock is a matter of sharing work, not of safety: positions are guarded by `shared.postgres.positions`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.ids import derived_id
from shared.log.absences import LOOK_EVERY, Absences
from shared.log.errors import LogUnavailable, TopicMissing
from shared.log.postgres_schema import APPENDED_CHANNEL, MEMBERS_CHANNEL
from shared.log.postgres_topics import Topics
from shared.log.records import Partition
from shared.postgres.engine import passes
from shared.stopping import wait_for_any

POLL = timedelta(seconds=1)  # a member that died says nothing
RETRY = timedelta(milliseconds=50)  # another member is about to let go
RECONNECT = timedelta(milliseconds=500)
STEP_TIMEOUT = timedelta(seconds=5)
LEAVE_TIMEOUT = timedelta(seconds=1)

_POSITIVE = 0x7FFF_FFFF

# A host that vanished is noticed within 25 seconds, so that its locks do not outlive it for hours.
_KEEPALIVE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
_SEATS = """
SELECT classid::bigint AS class, objid::bigint AS number FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = ANY($1::bigint[]::oid[])
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_LOCK = "SELECT number FROM unnest($2::integer[]) AS number WHERE pg_try_advisory_lock($1::integer, number)"
_UNLOCK = "SELECT pg_advisory_unlock($1::integer, number) FROM unnest($2::integer[]) AS number"

OnPartitions = Callable[[Iterable[Partition]], None]


class Membership:
    """One member; calls back when partitions are `taken` and `lost`, and when records were `appended`."""

    def __init__(
        self,
        engine: AsyncEngine,
        topics: Topics,
        group: str,
        names: Sequence[str],
        *,
        optional: Sequence[str],
        absences: Absences,
        taken: OnPartitions,
        lost: OnPartitions,
        appended: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._topics = topics
        self._group = group
        self._wanted = tuple(names)
        self._optional = tuple(optional)
        self._absences = absences
        self._names = self._wanted  # those that are read: all that are wanted, and the optional ones that are there
        self._taken = taken
        self._lost = lost
        self._appended = appended
        self._held: set[Partition] = set()
        self._seat = 0
        self._changed = asyncio.Event()
        self._broken = asyncio.Event()
        self._logger = structlog.get_logger().bind(group=group)
        self.missing: TopicMissing | None = None

    async def run(self) -> None:
        """Keep the seat, with a new connection after every outage, until cancelled."""
        while True:
            try:
                async with self._session() as connection:
                    looked_at = monotonic()
                    while not self._broken.is_set():
                        if monotonic() >= looked_at + LOOK_EVERY.total_seconds():
                            if await self._there() != self._names:
                                break
                            looked_at = monotonic()
                        self._changed.clear()
                        settled = await self._share(connection)
                        await wait_for_any(self._changed, self._broken, timeout=POLL if settled else RETRY)
            except TopicMissing as missing:
                self.missing = missing
            except Exception as error:
                if not (isinstance(error, LogUnavailable) or passes(error)):
                    raise
                self._logger.warning("membership.lost", reason=repr(error))
            await asyncio.sleep(RECONNECT.total_seconds())

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.Connection]:
        """Take a seat; on the way out everything is let go, in good order if the server still answers."""
        self._names = await self._there()
        self.missing = None
        ids = {str((await self._topics.find(name)).id) for name in self._names}

        def on_appended(*event: object) -> None:
            if not ids.isdisjoint(str(event[-1]).split()):
                self._appended()

        def on_members(*event: object) -> None:
            if event[-1] == str(self._class("group")):
                self._changed.set()

        async with self._engine.connect() as pooled:
            raw = await pooled.get_raw_connection()
            connection: asyncpg.Connection = raw.driver_connection
            raw.detach()  # kept for long, so it must not count against the pool
            try:
                async with asyncio.timeout(STEP_TIMEOUT.total_seconds()):
                    self._broken.clear()
                    connection.add_termination_listener(lambda _: self._broken.set())
                    await connection.execute(_KEEPALIVE)
                    await connection.add_listener(APPENDED_CHANNEL, on_appended)
                    await connection.add_listener(MEMBERS_CHANNEL, on_members)
                    self._seat = random.randrange(_POSITIVE)
                    for name in self._names:
                        await connection.fetch(_LOCK, self._class("seat", name), [self._seat])
                    await self._announce(connection)
                yield connection
            finally:
                self._lost(self._held)
                self._held.clear()
                with suppress(Exception):
                    async with asyncio.timeout(LEAVE_TIMEOUT.total_seconds()):
                        await connection.execute("SELECT pg_advisory_unlock_all()")
                        await self._announce(connection)
                connection.terminate()

    async def _there(self) -> tuple[str, ...]:
        """Return the topics to read now. Raises TopicMissing for one of our own, LogUnavailable."""
        for name in self._wanted:
            await self._topics.find(name)
        there = []
        for name in self._optional:
            with suppress(TopicMissing):
                await self._topics.find(name)
                there.append(name)
        self._absences.note(self._group, self._optional, there)
        return *self._wanted, *there

    async def _share(self, connection: asyncpg.Connection) -> bool:
        """Let go, then reach for; tell whether we hold our whole share."""
        async with asyncio.timeout(STEP_TIMEOUT.total_seconds()):
            seats = await connection.fetch(_SEATS, [self._class("seat", name) for name in self._names])
            settled = True
            released = False
            for name in self._names:
                ranked = sorted(row["number"] for row in seats if row["class"] == self._class("seat", name))
                share = await self._share_of(name, ranked)
                held = {partition for partition in self._held if partition.topic == name}
                released |= await self._release(connection, name, held - share)
                settled &= await self._reach(connection, name, share - held)
            if released:
                await self._announce(connection)
            return settled

    async def _share_of(self, name: str, ranked: Sequence[int]) -> set[Partition]:
        """Return every nth partition, n members being there. Topics begin at different members."""
        partitions = (await self._topics.find(name)).partitions
        rank = ranked.index(self._seat)
        return {
            Partition(name, number)
            for number in range(partitions)
            if (number + self._class("seat", name)) % len(ranked) == rank
        }

    async def _release(self, connection: asyncpg.Connection, name: str, partitions: set[Partition]) -> bool:
        if partitions:
            self._held -= partitions
            self._lost(partitions)
            await connection.fetch(_UNLOCK, self._class("read", name), [partition.number for partition in partitions])
        return bool(partitions)

    async def _reach(self, connection: asyncpg.Connection, name: str, partitions: set[Partition]) -> bool:
        if partitions:
            numbers = [partition.number for partition in partitions]
            rows = await connection.fetch(_LOCK, self._class("read", name), numbers)
            got = {Partition(name, row["number"]) for row in rows}
            self._held |= got
            self._taken(sorted(got))
            return got == partitions
        return True

    async def _announce(self, connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT pg_notify($1, $2)", MEMBERS_CHANNEL, str(self._class("group")))

    def _class(self, *parts: str) -> int:
        """Return the first number of a kind of lock of this group."""
        return derived_id("log", self._group, *parts).int & _POSITIVE

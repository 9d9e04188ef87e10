"""Membership in a consumer group on Kafka: one aiokafka consumer, made anew when it breaks.

What aiokafka does differently from what its documentation says, and what is done about it here:

* It hands out records before `on_partitions_assigned` has finished: partitions are paused there before anything is
  awaited, and given a position, so that it looks for none of its own.
* It swallows what the callbacks raise: they only pass the news on.
* `stop` does not call `on_partitions_revoked`, and waits for a join that may take long: it gets a time limit.
* Its poll watchdog ends with the first exception: it is switched off, and `ConsumerWorker.last_progress` stands in.
* The task that fetches may die in silence: `check` looks after it.
* The sticky assignor keeps one state for all groups of a process: partitions are dealt round robin.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from shared.log.absences import LOOK_EVERY, Absences
from shared.log.errors import LogUnavailable, TopicMissing
from shared.log.records import Partition
from shared.stopping import wait_for_any

SESSION_TIMEOUT = timedelta(seconds=15)  # after which a member that died in silence is replaced
HEARTBEAT = timedelta(seconds=1)  # the others learn with it that somebody came or went
REBALANCE_TIMEOUT = timedelta(seconds=15)
REQUEST_TIMEOUT = timedelta(seconds=20)  # a join is one request, so this must be the longer one
# aiokafka has one fetch under way to a broker, for all partitions of which nothing is read ahead. After 100 ms of a
# transaction it asks for the idle ones alone, and the busy ones wait until that is answered: for this long, where
# nothing comes. So does a partition that resumes. Twenty fetches a second cost an idle service 1.5 % of a core.
FETCH_WAIT = timedelta(milliseconds=50)
REFUSED_FOR = timedelta(minutes=5)  # after which a topic that we may not read is tried again
REJOIN_PAUSE = timedelta(milliseconds=500)
STOP_TIMEOUT = timedelta(seconds=5)
MIRROR_EVERY = timedelta(seconds=1)
MIRROR_TIMEOUT = timedelta(seconds=3)
LAST_MIRROR_TIMEOUT = timedelta(seconds=1)
FETCH_BYTES = 16 << 20  # a broker
PARTITION_BYTES = 1 << 20  # a partition; a larger batch still comes, alone
NEVER_MS = (1 << 31) - 1

OnPartitions = Callable[[Iterable[Partition]], None]


class KafkaMember:
    """One member; calls back when partitions are `taken` (paused) and `lost`."""

    def __init__(
        self,
        brokers: Mapping[str, Any],
        *,
        client_id: str,
        group: str,
        names: Sequence[str],
        optional: Sequence[str],
        absences: Absences,
        count_partitions: Callable[[str], Awaitable[int]],
        find_topics: Callable[[Sequence[str]], Awaitable[frozenset[str]]],
        taken: OnPartitions,
        lost: OnPartitions,
    ) -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._group = group
        self._names = tuple(names)
        self._optional = tuple(optional)
        self._absences = absences
        self._count_partitions = count_partitions
        self._find_topics = find_topics
        self._taken = taken
        self._lost = lost
        self._broken = asyncio.Event()
        self._offsets: dict[TopicPartition, int] = {}
        self._held: frozenset[Partition] = frozenset()
        self._refused: dict[str, float] = {}  # topics of others, until when
        self._logger = structlog.get_logger().bind(group=group)
        self.consumer: AIOKafkaConsumer | None = None
        self.settled = asyncio.Event()  # between rebalances
        self.missing: TopicMissing | None = None
        self.trouble: str | None = None

    async def run(self) -> None:
        """Be a member until cancelled."""
        while True:
            try:
                for name in self._names:
                    await self._count_partitions(name)
                self.missing = None
                await self._join(await self._there())
            except TopicMissing as missing:
                self.missing = missing
            except (LogUnavailable, KafkaError, OSError, TimeoutError) as error:
                self._complain(error)
            finally:
                await self._leave()
            await asyncio.sleep(REJOIN_PAUSE.total_seconds())

    def check(self, error: Exception | None = None) -> None:
        """Have the consumer made anew if the error is one that it does not get over, or if it is dead."""
        fetcher = self.consumer and self.consumer._fetcher  # noqa: SLF001 - nothing public tells that its task died
        dead = fetcher and fetcher.error_future.done()
        if dead or (error and not getattr(error, "retriable", False)):
            self._complain(error or LogUnavailable("The fetching task ended."))
            self._broken.set()

    def refused(self, topics: Iterable[object]) -> bool:
        """Go on without topics of others that Kafka does not let us read; tell whether they are such."""
        found = {topic for topic in self._optional if topic in set(topics)}
        for topic in found:
            self._logger.warning("topic.refused", topic=topic, reason="grant READ on it; it is tried again later")
            self._refused[topic] = monotonic() + REFUSED_FOR.total_seconds()
        if found:
            self._broken.set()
        return bool(found)

    def mirror(self, offsets: dict[TopicPartition, int]) -> None:
        """Note offsets to be committed to Kafka within a second."""
        self._offsets |= offsets

    async def keep_mirrored(self) -> None:
        """Commit what was noted, until cancelled."""
        while True:
            await asyncio.sleep(MIRROR_EVERY.total_seconds())
            await self._mirror(MIRROR_TIMEOUT)

    async def revoked(self, consumer: AIOKafkaConsumer) -> None:
        """Let go of everything: Kafka is about to deal anew."""
        if consumer is not self.consumer or consumer is None:
            return
        self.settled.clear()
        self._offsets = {}  # whoever gets the partitions tells where they stand, and may be further by then
        self._lost(self._held)
        self._held = frozenset()

    async def assigned(self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        """Hold what was dealt, paused until its position is known."""
        if consumer is not self.consumer or consumer is None:
            return
        for partition in partitions:
            consumer.pause(partition)
            consumer.seek(partition, 0)  # never read: `resume` follows the true position
        self._held = frozenset(Partition(*partition) for partition in partitions)
        self.trouble = None
        self.settled.set()
        self._taken(sorted(self._held))

    def read(self, partition: Partition, position: int) -> None:
        """Read a partition of ours from a position on."""
        if self.consumer and partition in self._held:
            self.consumer.seek(TopicPartition(*partition), position)
            self.consumer.resume(TopicPartition(*partition))

    def pause(self, partition: Partition) -> None:
        """Stop reading a partition."""
        if self.consumer and partition in self._held:
            self.consumer.pause(TopicPartition(*partition))

    async def _there(self) -> frozenset[str]:
        """Return the optional topics that are there and not refused.

        A subscription to one that is not there could create it; one that is refused would stop all others.
        """
        if not self._optional:
            return frozenset()
        found = await self._find_topics(self._optional)
        there = frozenset(topic for topic in found if self._refused.get(topic, 0.0) <= monotonic())
        self._absences.note(self._group, self._optional, there)
        return there

    async def _join(self, there: frozenset[str]) -> None:
        consumer = AIOKafkaConsumer(
            **self._brokers,
            client_id=self._client_id,
            group_id=self._group,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=_milliseconds(SESSION_TIMEOUT),
            heartbeat_interval_ms=_milliseconds(HEARTBEAT),
            rebalance_timeout_ms=_milliseconds(REBALANCE_TIMEOUT),
            request_timeout_ms=_milliseconds(REQUEST_TIMEOUT),
            fetch_max_wait_ms=_milliseconds(FETCH_WAIT),
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
            max_poll_interval_ms=NEVER_MS,
            metadata_max_age_ms=60_000,
        )
        self._broken.clear()
        self.consumer = consumer
        consumer.subscribe((*self._names, *sorted(there)), listener=_Listener(self, consumer))
        await consumer.start()
        while not self._broken.is_set():
            await wait_for_any(self._broken, timeout=LOOK_EVERY)
            with suppress(LogUnavailable):
                if await self._there() != there:
                    self._broken.set()

    async def _leave(self) -> None:
        consumer = self.consumer
        if consumer is None:
            return
        await self._mirror(LAST_MIRROR_TIMEOUT)
        await self.revoked(consumer)
        self.consumer = None
        stopping = asyncio.create_task(consumer.stop())
        done, _ = await asyncio.wait([stopping], timeout=STOP_TIMEOUT.total_seconds())
        if done:
            self._log_failure(stopping)
        else:
            await _abandon(consumer, stopping)

    async def _mirror(self, timeout: timedelta) -> None:
        if not self.consumer or not self.settled.is_set():
            return
        offsets, self._offsets = self._offsets, {}
        ours = {partition: offsets[partition] for partition in self.consumer.assignment() & offsets.keys()}
        if ours:
            try:
                async with asyncio.timeout(timeout.total_seconds()):
                    await self.consumer.commit(ours)
            except (KafkaError, IllegalStateError, TimeoutError) as error:
                self._logger.debug("mirror.failed", reason=repr(error))
                self._offsets = ours | self._offsets

    def _complain(self, error: BaseException) -> None:
        self._logger.warning("group.lost", reason=repr(error))
        if isinstance(error, KafkaError) and not error.retriable:
            self.trouble = f"The group {self._group} cannot be joined: {error!r}"

    def _log_failure(self, stopping: asyncio.Task[None]) -> None:
        if error := stopping.exception():
            self._logger.warning("group.left_badly", reason=repr(error))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Passes the news on, with the consumer that it comes from: one that was replaced may still talk."""

    def __init__(self, member: KafkaMember, consumer: AIOKafkaConsumer) -> None:
        self._member = member
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        await self._member.revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._member.assigned(self._consumer, assigned)


async def _abandon(consumer: AIOKafkaConsumer, stopping: asyncio.Task[None]) -> None:
    """End a consumer that does not end by itself, because its broker does not answer."""
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    coordinator, fetcher, client = consumer._coordinator, consumer._fetcher, consumer._client  # noqa: SLF001 - no other way
    with suppress(Exception):
        async with asyncio.timeout(STOP_TIMEOUT.total_seconds()):
            if coordinator:
                await coordinator._stop_heartbeat_task()  # noqa: SLF001
                await coordinator._stop_commit_offsets_refresh_task()  # noqa: SLF001
            if fetcher:
                await fetcher.close()
            await client.close()


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)

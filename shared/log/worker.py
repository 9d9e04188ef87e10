"""The loop every consuming worker runs: fetch, handle, mirror; and what becomes of each kind of failure.

* Killed at any line: the transaction of the handler is void or whole; the next owner reads on from the position.
* Kafka or Postgres away: the batch is rewound and tried again, waiting longer each time, up to `LONGEST_PAUSE`.
* Position lost: another member owns the partition; drop the work, read again only what is still ours.
* A record that breaks the handler: its neighbours go through one by one, then it is set aside with the reason
  and the partition moves on.
* Many such records in a row, and nothing that works between them: not the records are at fault. The worker halts, tries
  one record now and then, and goes on by itself once one works.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from time import monotonic, time

import structlog

from shared.log.errors import LogUnavailable, PositionLost
from shared.log.protocol import Consumer
from shared.log.records import Batch, Partition
from shared.postgres.engine import passes
from shared.stopping import wait_for_any
from shared.telemetry.metrics import Metrics

BATCH_BYTES = 3 << 20  # some 5,000 events: larger transactions cost memory, and gain little
FETCH_TIMEOUT = timedelta(milliseconds=500)
SHORTEST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=5)
SET_ASIDE_LIMIT = 50
CAREFUL_FOR = timedelta(seconds=60)  # at most, where a partition has gone to another member in the middle of it

Handle = Callable[[Sequence[Batch]], Awaitable[None]]
SetAside = Callable[[Batch, Exception], Awaitable[None]]


class ConsumerWorker:
    """Feeds batches to a handler until told to stop.

    `handle` processes the batches in one transaction that begins with `Positions.advance`.
    `set_aside` keeps a single unprocessable record with its reason and moves past it, in one transaction likewise.
    """

    def __init__(
        self,
        name: str,
        consumer: Consumer,
        *,
        handle: Handle,
        set_aside: SetAside,
        metrics: Metrics,
        max_records: int = 5000,
        max_bytes: int = BATCH_BYTES,
        set_aside_limit: int = SET_ASIDE_LIMIT,
    ) -> None:
        self._name = name
        self._consumer = consumer
        self._handle = handle
        self._set_aside = set_aside
        self._metrics = metrics
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._set_aside_limit = set_aside_limit  # 0: none
        # Up to which position records are handled alone, and until when. Each partition has its own: its neighbours'
        # traffic must not use up the patience that its records need.
        self._one_by_one: dict[Partition, tuple[int, float]] = {}
        self._aside_in_a_row = 0
        self._pause = SHORTEST_PAUSE
        self._logger = structlog.get_logger().bind(worker=name)
        self.halted: str | None = None  # why the worker stands still until somebody acts
        self.last_progress = monotonic()  # when the loop last came round; liveness watches it

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; the batch in hand is finished first."""
        while not stopping.is_set():
            self.last_progress = monotonic()
            self._metrics.workers_halted.labels(self._name).set(1 if self.halted else 0)
            self._metrics.partitions_stalled.labels(self._name).set(len(self._consumer.stalled()))
            self._metrics.topics_absent.labels(self._name).set(len(self._consumer.absent()))
            self._one_by_one = {where: alone for where, alone in self._one_by_one.items() if alone[1] > monotonic()}
            limit = 1 if self._one_by_one else self._max_records
            batches = await self._consumer.fetch(max_records=limit, max_bytes=self._max_bytes, timeout=FETCH_TIMEOUT)
            if batches:
                await self._process(batches, stopping)

    async def _process(self, batches: Sequence[Batch], stopping: asyncio.Event) -> None:
        started = monotonic()
        try:
            await self._handle(batches)
        except Exception as error:  # whatever it is, the partition must move on
            if _passes(error):
                await self._again(batches, error, stopping)
            elif not any(batch.records for batch in batches):
                await self._again(batches, error, stopping)  # there is nothing that could be set aside
            elif (count := _count(batches)) > 1:
                self._logger.exception("batch.failed", records=count)
                until = monotonic() + CAREFUL_FOR.total_seconds()
                self._one_by_one |= {batch.partition: (batch.next_position, until) for batch in batches}
                self._rewind(batches)
            else:
                await self._put_aside(batches[0], error, stopping)
        else:
            if any(batch.records for batch in batches):
                self._metrics.batch_seconds.labels(self._name).observe(monotonic() - started)
                self._aside_in_a_row = 0
                if self.halted:
                    self.halted = None
                    self._logger.warning("worker.resumed")
            await self._moved(batches)

    async def _put_aside(self, batch: Batch, reason: Exception, stopping: asyncio.Event) -> None:
        """Keep the record that broke the handler; if even that cannot be done, only a person can help."""
        if 0 < self._set_aside_limit <= self._aside_in_a_row:
            await self._halt(batch, reason, stopping)
            return
        try:
            await self._set_aside(batch, reason)
        except Exception as error:
            if not _passes(error):
                raise
            await self._again([batch], error, stopping)
        else:
            self._logger.error("record.set_aside", at=f"{batch.partition}@{batch.position}", exc_info=reason)
            self._metrics.records_set_aside.labels(self._name).inc()
            self._aside_in_a_row += 1
            await self._moved([batch])

    async def _halt(self, batch: Batch, reason: Exception, stopping: asyncio.Event) -> None:
        """Leave the record where it is and try again later; meanwhile other partitions have a turn."""
        if self.halted is None:
            self._logger.error("worker.halted", at=f"{batch.partition}@{batch.position}", exc_info=reason)
        self.halted = (
            f"the worker has halted: the last {self._aside_in_a_row} records were set aside and now "
            f"{batch.partition}@{batch.position} breaks its handler, too: {reason!r}"
        )
        self._rewind([batch])
        await wait_for_any(stopping, timeout=LONGEST_PAUSE)

    async def _moved(self, batches: Sequence[Batch]) -> None:
        self._pause = SHORTEST_PAUSE
        count = _count(batches)
        for batch in batches:
            position, _ = self._one_by_one.get(batch.partition, (0, 0.0))
            if batch.next_position >= position:
                self._one_by_one.pop(batch.partition, None)
            else:
                self._one_by_one[batch.partition] = position, monotonic() + CAREFUL_FOR.total_seconds()
        self._metrics.consumed_records.labels(self._name).inc(count)
        if count:
            oldest = min(batch.records[0].appended_at.timestamp() for batch in batches if batch.records)
            self._metrics.consumer_lag_seconds.labels(self._name).set(max(0.0, time() - oldest))
        await self._consumer.mirror(batches)

    async def _again(self, batches: Sequence[Batch], error: Exception, stopping: asyncio.Event) -> None:
        event = "position.lost" if isinstance(error, PositionLost) else "batch.waits"
        self._logger.warning(event, reason=str(error) or repr(error), pause_seconds=self._pause.total_seconds())
        self._rewind(batches)
        await wait_for_any(stopping, timeout=self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _rewind(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._consumer.rewind(batch.partition)


def _count(batches: Sequence[Batch]) -> int:
    return sum(len(batch.records) for batch in batches)


def _passes(error: Exception) -> bool:
    return isinstance(error, (PositionLost, LogUnavailable)) or passes(error)

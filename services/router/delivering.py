"""Delivering: claim what is due, send it, end it. No transaction is open while anybody waits for a receiver.

* Killed at any line: the lease runs out, and the delivery is sent again under the same `webhook-id`.
* Too slow for its lease: the attempt's end is fenced off, because somebody else may be sending already.
* An endpoint that fails gets one attempt at a time until one succeeds, so that it cannot hold everybody's slots.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.domain.outcome import Outcome, Reply, Verdict, judge
from services.router.domain.retry import RetryPolicy
from services.router.domain.webhook import Message, attempt_headers
from services.router.sender import Sender
from services.router.store.attempts import AttemptStore, Finished
from services.router.store.claims import Claimed, ClaimStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.postgres.engine import passes
from shared.stopping import wait_for_any
from shared.telemetry.metrics import Metrics

POLL = timedelta(milliseconds=500)  # backstop for retries and for what other processes made
TIDY = timedelta(seconds=2)  # how often expired leases and old connections are looked at
PAUSE = timedelta(seconds=1)  # while PostgreSQL is away


class DeliveryWorker:
    """Sends deliveries until told to stop; those under way are finished first."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        claims: ClaimStore,
        attempts: AttemptStore,
        teams: TeamStore,
        sender: Sender,
        policy: RetryPolicy,
        lease: timedelta,
        concurrency: int,
        endpoint_concurrency: int,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._claims = claims
        self._attempts = attempts
        self._teams = teams
        self._sender = sender
        self._policy = policy
        self._lease = lease
        self._concurrency = concurrency
        self._endpoint_concurrency = endpoint_concurrency
        self._metrics = metrics
        self._clock = clock
        self._logger = structlog.get_logger().bind(worker="router.deliveries")
        self._wake = asyncio.Event()
        self._sending: dict[asyncio.Task[None], str] = {}
        self._failing: set[str] = set()
        self._ended: list[tuple[Finished, Verdict]] = []
        self._any_ended = asyncio.Event()
        self._tidied = -TIDY.total_seconds()

    def wake(self) -> None:
        """Look for deliveries now."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until told to stop."""
        sent = asyncio.Event()
        ending = asyncio.create_task(self._end_attempts(sent))
        try:
            while not (stopping.is_set() or ending.done()):
                self._wake.clear()
                await self._claim(stopping)
                await wait_for_any(self._wake, stopping, timeout=POLL)
            if self._sending:
                await asyncio.wait(self._sending)
            sent.set()
            self._any_ended.set()
            await ending
        finally:
            for task in (*self._sending, ending):
                task.cancel()

    async def _claim(self, stopping: asyncio.Event) -> None:
        """Start what is due, as far as there are slots; each attempt that ends wakes us for the next."""
        free = self._concurrency - len(self._sending)
        if free <= 0:
            return
        now = self._clock()
        try:
            await self._tidy(now)
            claimed = await self._claims.claim(
                slots=self._slots(),
                each=self._endpoint_concurrency,
                total=free,
                lease_id=uuid4(),
                lease_until=now + self._lease,
                now=now,
            )
            if stopping.is_set():
                await self._claims.release(claimed)
                return
        except Exception as error:
            if not passes(error):
                raise
            self._logger.warning("deliveries.wait", reason=str(error))
            await wait_for_any(stopping, timeout=PAUSE)
            return
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery))
            self._sending[task] = delivery.endpoint
            task.add_done_callback(self._sending.pop)

    def _slots(self) -> dict[str, int]:
        """Return how many more attempts each endpoint may have that is busy or failing."""
        busy = Counter(self._sending.values())
        return {
            endpoint: max(0, (1 if endpoint in self._failing else self._endpoint_concurrency) - busy[endpoint])
            for endpoint in {*busy, *self._failing}
        }

    async def _tidy(self, now: datetime) -> None:
        if monotonic() - self._tidied < TIDY.total_seconds():
            return
        self._tidied = monotonic()
        await self._sender.close_old()
        reclaimed = await self._claims.reclaim(now=now)
        if reclaimed:
            self._logger.warning("deliveries.reclaimed", count=reclaimed)

    async def _deliver(self, delivery: Claimed) -> None:
        started_at, started = self._clock(), monotonic()
        message = Message(id=delivery.message_id, body=delivery.body)
        try:
            headers = attempt_headers(message, secret=delivery.secret, at=started_at, traceparent=delivery.traceparent)
            reply = await self._sender.send(delivery.endpoint, delivery.url, headers=headers, body=message.body)
        except Exception as error:  # a fault of ours must not send the same delivery around for ever
            self._logger.exception("delivery.failed", delivery=str(delivery.id))
            reply = Reply(status=None, outcome=Outcome.BROKEN, error=repr(error))
        seconds = monotonic() - started
        self._end(delivery, reply, started_at=started_at, seconds=seconds)

    def _end(self, delivery: Claimed, reply: Reply, *, started_at: datetime, seconds: float) -> None:
        failures = 0 if reply.outcome is Outcome.DELIVERED else delivery.failures + 1
        verdict = judge(reply, self._policy, failures=failures, chance=random.random(), now=self._clock())
        if verdict.delivered:
            state = "delivered"
            self._failing.discard(delivery.endpoint)
        else:
            state = "pending" if verdict.next_attempt else "dead"
            self._failing.add(delivery.endpoint)
        self._metrics.delivery_attempts.labels(reply.outcome).inc()
        self._metrics.delivery_seconds.labels(reply.outcome).observe(seconds)
        finished = Finished(
            delivery=delivery,
            state=state,
            failures=failures,
            started_at=started_at,
            duration_ms=round(seconds * 1000, 3),
            outcome=reply.outcome,
            status=reply.status,
            error=_storable(reply.error),
            response=_storable(reply.excerpt.decode(errors="replace")),
            peer=reply.peer,
            next_attempt=verdict.next_attempt,
        )
        self._ended.append((finished, verdict))
        self._any_ended.set()

    async def _end_attempts(self, sent: asyncio.Event) -> None:
        """Write down what attempts came to, as many at once as there are, until the last was sent."""
        while self._ended or not sent.is_set():
            if not self._ended:
                await self._any_ended.wait()
                self._any_ended.clear()
                continue
            batch = self._ended[:]
            try:
                await self._save(batch)
            except Exception as error:
                if not passes(error):
                    raise
                self._logger.warning("deliveries.wait", reason=str(error))
                await asyncio.sleep(PAUSE.total_seconds())
                continue
            del self._ended[: len(batch)]
            self._wake.set()

    async def _save(self, batch: Sequence[tuple[Finished, Verdict]]) -> None:
        now = self._clock()
        async with self._engine.begin() as connection:
            ours = await self._attempts.finish(connection, [finished for finished, _ in batch], now=now)
            for finished, verdict in batch:
                endpoint = finished.delivery.endpoint
                if verdict.disable_endpoint:
                    await self._teams.disable_endpoint(connection, endpoint, now=now)
                if verdict.pause_endpoint:
                    await self._teams.pause_endpoint(connection, endpoint, until=verdict.pause_endpoint)
        for finished, verdict in batch:
            delivery = finished.delivery
            self._logger.info(
                "delivery.attempted",
                delivery=str(delivery.id),
                webhook_id=delivery.message_id,
                endpoint=delivery.endpoint,
                outcome=str(finished.outcome),
                status=finished.status,
                duration_ms=finished.duration_ms,
                lease_kept=delivery.id in ours,
            )
            if verdict.delivered and delivery.id in ours:
                self._metrics.delivery_end_to_end_seconds.observe((now - delivery.created_at).total_seconds())


def _storable(written: str) -> str:
    """PostgreSQL keeps no NUL in text."""
    return written.replace("\0", "�")

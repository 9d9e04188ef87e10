"""Delivering: claim what is due, send it, end it. No transaction is open while anybody waits for a receiver.

* Killed at any line: the lease runs out, and the delivery is sent again under the same `webhook-id`.
* Too slow for its lease: it is renewed while the process lives; an end without a lease is fenced off, because somebody
  else may be sending already.
* An endpoint that fails gets one attempt at a time until one succeeds, so that it cannot hold everybody's slots.
"""

import asyncio
import random
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID, uuid4

import msgspec
import structlog

from services.router.attempt_ending import AttemptEnding, Ended
from services.router.attempting import Attempted, Attempts
from services.router.domain.destination import Target
from services.router.domain.outcome import judge, sign_of
from services.router.domain.retry import RetryPolicy
from services.router.domain.webhook import Message
from services.router.lookout import EVERYWHERE, Lookout
from services.router.pacing import Pacing
from services.router.sender import Sender
from services.router.store.attempts import Finished
from services.router.store.claims import Claimed, ClaimStore
from services.router.store.leases import LeaseStore
from services.router.targets import TargetBroken, Targets
from shared.clock import Clock
from shared.postgres.engine import passes
from shared.stopping import wait_for_any
from shared.telemetry.metrics import Metrics

TIDY = timedelta(seconds=2)  # how often expired leases and old connections are looked at
PAUSE = timedelta(seconds=1)  # while PostgreSQL is away


class DeliveryWorker:
    """Sends deliveries until told to stop; those under way are finished first."""

    def __init__(
        self,
        *,
        claims: ClaimStore,
        leases: LeaseStore,
        targets: Targets,
        attempts: Attempts,
        ending: AttemptEnding,
        sender: Sender,
        policy: RetryPolicy,
        lease: timedelta,
        pacing: Pacing,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._claims = claims
        self._targets = targets
        self._attempts = attempts
        self._leases = leases
        self._ending = ending
        self._sender = sender
        self._policy = policy
        self._lease = lease
        self._pacing = pacing
        self._metrics = metrics
        self._clock = clock
        self._logger = structlog.get_logger().bind(worker="router.deliveries")
        self._lookout = Lookout()
        self._wake = asyncio.Event()
        self._sending: dict[asyncio.Task[None], Claimed] = {}
        self._leased: dict[UUID, tuple[Claimed, float]] = {}  # until their ends are written down
        self._ended: list[Ended] = []
        self._any_ended = asyncio.Event()
        self._tidied = -TIDY.total_seconds()

    def wake(self, endpoints: Collection[str] | None = None) -> None:
        """Look for deliveries to these endpoints now, or to any."""
        if endpoints is None:
            self._lookout.name_all()
        else:
            self._lookout.name(endpoints)
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until told to stop."""
        sent = asyncio.Event()
        ending = asyncio.create_task(self._end_attempts(sent))
        beating = asyncio.create_task(self._keep_leases())
        try:
            while not (stopping.is_set() or ending.done()):
                self._wake.clear()
                await self._claim(stopping)
                await wait_for_any(self._wake, stopping, timeout=EVERYWHERE)
            if self._sending:
                await asyncio.wait(self._sending)
            sent.set()
            self._any_ended.set()
            await ending
        finally:
            for task in (*self._sending, ending, beating):
                task.cancel()

    async def _claim(self, stopping: asyncio.Event) -> None:
        """Start what is due, as far as there is room; each attempt that ends wakes us for the next."""
        free = self._pacing.free(at=monotonic())
        if free <= 0:
            return
        look = self._lookout.next(at=monotonic())
        if look is None:
            return
        rooms = self._pacing.rooms(look)
        full = {name for name, room in rooms.items() if not room.slots}
        if look.names is not None and full == look.names:
            self._lookout.took(look, short=full, busy=full)  # the attempts under way name them again when they end
            return
        now = self._clock()
        try:
            await self._tidy(now)
            claims = await self._claims.claim(
                only=look.names,
                rooms=rooms,
                each=self._pacing.first,
                total=free,
                lease_id=uuid4(),
                lease_until=now + self._lease,
                now=now,
            )
            claimed = claims.deliveries
            self._lookout.took(look, short=claims.short | full, busy=self._pacing.busy())
            if claims.again or len(claimed) == free:
                self._lookout.again(look)
            if claims.again:
                self._wake.set()
            if stopping.is_set():
                await self._leases.release(claimed)
                return
            targets = await self._targets.open((delivery.endpoint, delivery.revision) for delivery in claimed)
        except Exception as error:
            if not passes(error):
                raise
            self._lookout.again(look)
            self._logger.warning("deliveries.wait", reason=str(error))
            await wait_for_any(stopping, timeout=PAUSE)
            return
        self._pacing.took(claimed)
        for delivery in claimed:
            self._begin(delivery, targets[delivery.endpoint])

    def _begin(self, delivery: Claimed, target: Target | TargetBroken) -> None:
        self._pacing.began(delivery, at=monotonic())
        self._leased[delivery.id] = delivery, monotonic()
        task = asyncio.create_task(self._deliver(delivery, target))
        self._sending[task] = delivery
        task.add_done_callback(self._sending.pop)

    async def _tidy(self, now: datetime) -> None:
        if monotonic() - self._tidied < TIDY.total_seconds():
            return
        self._tidied = monotonic()
        await self._sender.close_old()
        reclaimed = await self._leases.reclaim(now=now)
        if reclaimed:
            self._logger.warning("deliveries.reclaimed", count=reclaimed)

    async def _keep_leases(self) -> None:
        """Renew the leases of what takes long, or could not be written down yet."""
        third = self._lease.total_seconds() / 3
        while True:
            await asyncio.sleep(third / 2)
            old = [delivery for delivery, renewed in self._leased.values() if monotonic() - renewed >= third]
            if not old:
                continue
            try:
                kept = await self._leases.renew(old, until=self._clock() + self._lease)
            except Exception as error:
                if not passes(error):
                    raise
                self._logger.warning("deliveries.wait", reason=str(error))
                continue
            for delivery in old:
                if delivery.id in kept and delivery.id in self._leased:
                    self._leased[delivery.id] = delivery, monotonic()

    async def _deliver(self, delivery: Claimed, target: Target | TargetBroken) -> None:
        started_at, started = self._clock(), monotonic()
        message = Message(id=delivery.message_id, body=delivery.body)
        attempted = await self._attempts.make(target, message, traceparent=delivery.traceparent, delivery=delivery.id)
        self._end(delivery, target, attempted, started_at=started_at, seconds=monotonic() - started)

    def _end(
        self,
        delivery: Claimed,
        target: Target | TargetBroken,
        attempted: Attempted,
        *,
        started_at: datetime,
        seconds: float,
    ) -> None:
        reply, sign = attempted.reply, sign_of(attempted.reply.outcome)
        policy = self._policy.with_pauses(target.retries) if isinstance(target, Target) else self._policy
        verdict = judge(
            reply, policy, failures=delivery.failures, chance=random.random(), now=self._clock(), since=delivery.since
        )
        self._pacing.ended(delivery, sign, at=monotonic())
        self._metrics.delivery_attempts.labels(reply.outcome).inc()
        self._metrics.delivery_seconds.labels(reply.outcome).observe(seconds)
        finished = Finished(
            delivery=delivery,
            state="delivered" if verdict.delivered else "pending" if verdict.next_attempt else "dead",
            failures=verdict.failures,
            started_at=started_at,
            duration_ms=round(seconds * 1000, 3),
            outcome=reply.outcome,
            status=reply.status,
            error=_storable(reply.error),
            response=_storable(reply.excerpt.decode(errors="replace")),
            peer=reply.peer,
            next_attempt=verdict.next_attempt,
            phases=msgspec.json.encode(reply.phases).decode(),
            request_headers=_storable(msgspec.json.encode(attempted.headers).decode()),
        )
        self._ended.append(
            Ended(finished, verdict, sign, mostly_failing=self._pacing.mostly_failing(delivery.endpoint))
        )
        self._any_ended.set()
        self._leave(delivery.endpoint)  # room for the next one, while this one's end is written down

    async def _end_attempts(self, sent: asyncio.Event) -> None:
        """Write down what attempts came to, as many at once as there are, until the last was sent."""
        while self._ended or not sent.is_set():
            if not self._ended:
                await self._any_ended.wait()
                self._any_ended.clear()
                continue
            batch = self._ended[:]
            try:
                ours = await self._ending.save(batch)
            except Exception as error:
                if not passes(error):
                    raise
                self._logger.warning("deliveries.wait", reason=str(error))
                await asyncio.sleep(PAUSE.total_seconds())
                continue
            del self._ended[: len(batch)]
            self._told(batch, ours)
            # Once more: only now may the next of the same contact go to an endpoint that keeps their order.
            self._leave(*(ended.finished.delivery.endpoint for ended in batch))

    def _leave(self, *endpoints: str) -> None:
        """Look where attempts ended, as far as something may be left there, and at what there was no room for."""
        self._lookout.ended(endpoints)
        if self._lookout.waiting:
            self._wake.set()

    def _told(self, batch: Sequence[Ended], ours: set[UUID]) -> None:
        now = self._clock()
        for ended in batch:
            finished, delivery = ended.finished, ended.finished.delivery
            self._leased.pop(delivery.id, None)
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
            if ended.verdict.delivered and delivery.id in ours:
                self._metrics.delivery_end_to_end_seconds.observe((now - delivery.created_at).total_seconds())


def _storable(written: str) -> str:
    """PostgreSQL keeps no NUL in text."""
    return written.replace("\0", "�")

"""Assigning: the queue is decided under the lock of the team, so that capacity and turns are never raced for."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.handoff import State, Step, Taken, take
from services.router.domain.published import feedback_on
from services.router.domain.queue import Assignment, free_pools, plan_assignments
from services.router.domain.team import Team
from services.router.store.deliveries import DeliveryStore, NewDelivery
from services.router.store.handoffs import HandoffStore
from services.router.store.queue import QueueStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.events.feedback import encode_feedback
from shared.events.topics import TopicName
from shared.ids import MessageId, derived_id
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.telemetry.metrics import Metrics

QUEUE_BATCH = 500  # handoffs looked at in one transaction

ROUTER = "router"  # who did it, where nobody did it in person


class Assigner:
    """Gives waiting handoffs to reps."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        teams: TeamStore,
        handoffs: HandoffStore,
        queue: QueueStore,
        deliveries: DeliveryStore,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._engine = engine
        self._teams = teams
        self._handoffs = handoffs
        self._queue = queue
        self._deliveries = deliveries
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._public_url = public_url

    async def sweep(self) -> int:
        """Assign what can be assigned, and return how many handoffs were looked at."""
        async with self._engine.begin() as connection:
            team = await self._teams.lock(connection)
            return await self.assign(connection, team, now=self._clock())

    async def assign(self, connection: AsyncConnection, team: Team, *, now: datetime) -> int:
        """Assign what can be assigned in the caller's transaction, which holds the lock of the team."""
        if not team.pools:
            return 0
        open_handoffs = await self._handoffs.open_counts(connection)
        waiting = await self._queue.waiting(
            connection, pools=free_pools(team, open_handoffs), team_version=team.version, limit=QUEUE_BATCH
        )
        if not waiting:
            return 0
        plan = plan_assignments(team, waiting, open_handoffs=open_handoffs, now=now, public_url=self._public_url)
        if plan.queued:
            await self._queue.save_queued(connection, plan.queued)
        if plan.assignments:
            await self._save(connection, plan.assignments, now=now)
            await self._teams.save_owed(connection, plan.owed)
        return len(waiting)

    async def _save(self, connection: AsyncConnection, assignments: Sequence[Assignment], *, now: datetime) -> None:
        taken = [
            Taken(
                handoff_id=item.handoff.id,
                contact_id=item.handoff.contact_id,
                number=item.handoff.steps + 1,
                at=now,
                step=Step.ASSIGN,
                before=State.READY,
                after=take(State.READY, Step.ASSIGN),
                by=ROUTER,
                rep=item.rep,
                decision=msgspec.to_builtins(item.decision),
            )
            for item in assignments
        ]
        await self._queue.save_assigned(connection, assignments, now=now)
        await self._handoffs.save_steps(connection, taken)
        await self._deliveries.create(
            connection,
            [
                NewDelivery(
                    id=derived_id("delivery", item.message.id, endpoint),
                    message_id=item.message.id,
                    endpoint=endpoint,
                    handoff_id=item.handoff.id,
                    contact_id=item.handoff.contact_id,
                    body=item.message.body,
                    traceparent=item.handoff.traceparent,
                )
                for item in assignments
                for endpoint in item.endpoints
            ],
            now=now,
        )
        traces = {item.handoff.id: item.handoff.traceparent for item in assignments}
        await self._outbox.put(connection, feedback_messages((step, traces[step.handoff_id]) for step in taken))
        for item in assignments:
            self._metrics.handoffs_assigned.labels(item.decision.route.pool).inc()


def feedback_messages(steps: Iterable[tuple[Taken, str | None]]) -> list[OutboxMessage]:
    """Return what is published about the steps, each with the trace that it belongs to."""
    return [
        OutboxMessage(
            id=MessageId(feedback.id),
            topic=TopicName.FEEDBACK,
            key=str(feedback.contact_id).encode(),
            value=encode_feedback(feedback),
            traceparent=traceparent,
        )
        for step, traceparent in steps
        if (feedback := feedback_on(step)) is not None
    ]

"""Assigning: the queue is decided under the lock of the team, so that capacity and turns are never raced for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.answer_link import NO_LINKS, AnswerLinks
from services.router.domain.availability import Load, Roster
from services.router.domain.handoff import Taken
from services.router.domain.published import feedback_on
from services.router.domain.queue import Assignment, plan_assignments
from services.router.domain.team import Team
from services.router.store.deliveries import DeliveryStore, NewDelivery
from services.router.store.given import GivenStore
from services.router.store.handoffs import HandoffStore, NewHandoff
from services.router.store.objections import ObjectionStore
from services.router.store.queue import QueueStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.events.feedback import encode_feedback
from shared.events.topics import TopicName
from shared.ids import MessageId
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.telemetry.metrics import Metrics

QUEUE_BATCH = 500  # handoffs looked at in one transaction

ROUTER = "router"  # who did it, where nobody did it in person

_FORGET_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of a look at the queue."""

    looked_at: int = 0
    moved: bool = False  # something was given to somebody, or waits for somebody else than before
    queued: bool = False  # something waits
    due_at: datetime | None = None  # when the first of the clocks that were set runs out
    opens_at: datetime | None = None  # when time alone may let something go on

    @property
    def more(self) -> bool:
        """Whether to look again at once."""
        return self.looked_at == QUEUE_BATCH and self.moved


class Assigner:
    """Gives waiting handoffs to reps."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        teams: TeamStore,
        handoffs: HandoffStore,
        queue: QueueStore,
        given: GivenStore,
        deliveries: DeliveryStore,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
        public_url: str,
        links: AnswerLinks = NO_LINKS,
    ) -> None:
        self._engine = engine
        self._teams = teams
        self._handoffs = handoffs
        self._queue = queue
        self._given = given
        self._deliveries = deliveries
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._public_url = public_url
        self._links = links
        self._objections = ObjectionStore(engine)
        self._forgot_at: datetime | None = None

    async def sweep(self) -> Swept:
        """Assign what can be assigned, and tell when it is worth looking again."""
        async with self._engine.begin() as connection:
            team = await self._teams.lock(connection)
            now = self._clock()  # under the lock, so that times and turns are in one order
            roster = await self.roster(connection, team, now=now)
            swept = await self._assign(connection, roster, {})
            if self._forgot_at is None or now - self._forgot_at >= _FORGET_INTERVAL:
                await self._given.forget(connection, now=now)
                self._forgot_at = now
            released_at = await self._queue.next_release(connection, now=now)
            instants = [instant for instant in (roster.opens_at(), released_at) if instant is not None]
        return replace(swept, opens_at=min(instants, default=None))

    async def assign(
        self, connection: AsyncConnection, team: Team, *, now: datetime, arrived: Iterable[NewHandoff] = ()
    ) -> Swept:
        """Assign what can be assigned in the caller's transaction, which holds the lock of the team.

        `arrived` is what the transaction put in the queue, known from its records already.
        """
        if not team.pools:
            return Swept()
        roster = await self.roster(connection, team, now=now)
        return await self._assign(connection, roster, {handoff.ready.id: handoff for handoff in arrived})

    async def roster(self, connection: AsyncConnection, team: Team, *, now: datetime) -> Roster:
        """Return who can take what now. The caller's transaction holds the lock of the team."""
        open_handoffs = await self._handoffs.open_counts(connection)
        capped = [rep.name for rep in team.reps if rep.per_hour is not None or rep.per_day is not None]
        given = await self._given.recent(connection, capped, now=now)
        names = open_handoffs.keys() | given.keys()
        return Roster(team, {name: Load(open_handoffs.get(name, 0), given.get(name, ())) for name in names}, now=now)

    async def _assign(self, connection: AsyncConnection, roster: Roster, arrived: Mapping[UUID, NewHandoff]) -> Swept:
        team = roster.team
        if not team.pools:
            return Swept()
        waiting = await self._queue.waiting(
            connection,
            free=roster.free(),
            team_version=team.version,
            now=roster.now,
            limit=QUEUE_BATCH,
            owners=any(rule.owner for rule in team.rules),
            arrived=arrived,
        )
        if not waiting:
            return Swept()
        accounts = [handoff.ready.contact.account_id for handoff in waiting]
        heard = await self._objections.of_accounts(connection, accounts)
        plan = plan_assignments(roster, waiting, public_url=self._public_url, links=self._links, heard=heard)
        if plan.queued:
            await self._queue.save_queued(connection, plan.queued)
        if plan.assignments:
            await self._save(connection, plan.assignments, now=roster.now)
            await self._teams.save_owed(connection, plan.owed)
        return Swept(
            looked_at=len(waiting),
            moved=bool(plan.assignments) or any(item.handoff.team_version != team.version for item in plan.queued),
            queued=bool(plan.queued),
            due_at=min((item.clock.due_at for item in plan.assignments if item.clock.due_at), default=None),
        )

    async def _save(self, connection: AsyncConnection, assignments: Sequence[Assignment], *, now: datetime) -> None:
        taken = [
            Taken(
                handoff_id=item.handoff.id,
                contact_id=item.handoff.contact_id,
                number=item.handoff.steps + 1,
                at=now,
                step=item.handoff.step,
                before=item.handoff.state,
                after=item.clock.state,
                by=ROUTER,
                rep=item.rep,
                pool=item.decision.route.pool,
                decision=msgspec.to_builtins(item.decision),
            )
            for item in assignments
        ]
        await self._queue.save_assigned(connection, assignments, now=now)
        await self._given.add(connection, (item.rep for item in assignments), now=now)
        await self._handoffs.save_steps(connection, taken)
        await self._deliveries.create(
            connection,
            [
                NewDelivery(
                    item.message,
                    endpoint,
                    handoff_id=item.handoff.id,
                    contact_id=item.handoff.contact_id,
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
            self._metrics.handoffs_assigned.labels(item.pool).inc()


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

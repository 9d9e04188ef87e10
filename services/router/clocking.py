"""Keeping the clock: what is not answered in time goes to somebody else, and in the end to the manager.

A clock is one instant in the row of its handoff. Whoever gives a handoff to a rep sets it; of one that nobody has, or
that was answered or taken back, this worker does, and sets all of them anew when the team changes. Then it sleeps until
the next one is due, or until it is woken.

* Killed at any line: a transaction is whole or void, and the instants are still there.
* Two processes: each takes clocks that the other has not locked. A clock that another process set is looked at after
  `POLL` at the latest, should that process have died.
* A handoff is due when its row says so, whenever it is noticed: it expires as of that instant. But who gets it next
  gets it now, and has all of the promised time.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.assigning import ROUTER, Assigner, Swept, feedback_messages
from services.router.domain.answer_link import AnswerLinks
from services.router.domain.brief import write_brief
from services.router.domain.clock import ResponseClock
from services.router.domain.handoff import Step, Taken, take
from services.router.domain.team import Team
from services.router.domain.webhook import ESCALATED, Message, render_expired, render_given
from services.router.store.clocks import ClockStore
from services.router.store.deliveries import DeliveryStore, NewDelivery
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.objections import ObjectionStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.postgres.outbox import Outbox
from shared.repeating import repeat
from shared.telemetry.metrics import Metrics

POLL = timedelta(seconds=5)
CLOCK_BATCH = 500  # clocks set in one transaction
RING_BATCH = 100  # clocks that ring in one transaction, which holds the lock of the team

_WORKING = datetime.max.replace(tzinfo=UTC)


def clock_of(handoff: Handoff, team: Team, *, now: datetime) -> ResponseClock:
    """Return the clock of a handoff. One that was given before there were clocks starts now."""
    return ResponseClock.of(
        handoff.ready.respond,
        team,
        state=handoff.state,
        came_at=handoff.clock_from or now,
        given_at=handoff.given_at or now if handoff.rep else None,
        pool=handoff.pool,
        rep=handoff.rep,
    )


class ClockKeeper:
    """Sets clocks, and does what is due."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        clocks: ClockStore,
        teams: TeamStore,
        handoffs: HandoffStore,
        deliveries: DeliveryStore,
        assigner: Assigner,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
        public_url: str,
        links: AnswerLinks,
    ) -> None:
        self._engine = engine
        self._clocks = clocks
        self._teams = teams
        self._handoffs = handoffs
        self._deliveries = deliveries
        self._assigner = assigner
        self._outbox = outbox
        self._objections = ObjectionStore(engine)
        self._metrics = metrics
        self._clock = clock
        self._public_url = public_url
        self._links = links
        self._wake = asyncio.Event()
        self._looks_at = _WORKING

    def wake(self) -> None:
        """Look at the clocks now."""
        self._wake.set()

    def heed(self, swept: Swept) -> None:
        """Look at clocks that are to be set now, and when one that was just set runs out, at the latest."""
        if swept.queued or (swept.due_at is not None and swept.due_at < self._looks_at):
            self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep the clocks until told to stop."""

        async def work() -> timedelta:
            self._looks_at = _WORKING  # what is set meanwhile may not be seen
            pause = await self.work()
            self._looks_at = self._clock() + pause
            return pause

        await repeat(work, stopping, worker="router.clock", retry=POLL, wake=self._wake)

    async def work(self) -> timedelta:
        """Do one batch of what there is to do, and return how long there is nothing more."""
        team = await self._teams.read()
        unset, due_at = await self._clocks.look(version=team.version)
        if unset:
            await self.set_clocks(team)
        now = self._clock()
        if due_at is not None and due_at <= now:
            if not await self.ring():
                return POLL / 50  # somebody holds it: another process, or an answer
            return timedelta()
        if unset:
            return timedelta()
        return min(POLL, due_at - now) if due_at else POLL

    async def set_clocks(self, team: Team) -> int:
        """Set clocks that are not set for this version of the team, and return how many."""
        now = self._clock()
        async with self._engine.begin() as connection:
            handoffs = await self._clocks.lock_unset(connection, version=team.version, limit=CLOCK_BATCH)
            await self._set(connection, handoffs, team, now=now)
        return len(handoffs)

    async def ring(self) -> int:
        """Do what is due, and return how many clocks were looked at."""
        async with self._engine.begin() as connection:
            team = await self._teams.lock(connection)
            now = self._clock()
            due = await self._clocks.lock_due(connection, now=now, limit=RING_BATCH)
            ringing = [handoff for handoff in due if clock_of(handoff, team, now=now).ring(now)]
            # The team has changed since they were set: what is not due any more goes on.
            await self._set(connection, [handoff for handoff in due if handoff not in ringing], team, now=now)
            for handoff in ringing:
                await self._take(connection, handoff, team, now=now)
            if ringing:
                await self._assigner.assign(connection, team, now=now)
                await self._tell(connection, ringing, team, now=now)
        if ringing:
            self._outbox.announce()
        return len(due)

    async def _set(
        self, connection: AsyncConnection, handoffs: Sequence[Handoff], team: Team, *, now: datetime
    ) -> None:
        clocks = [(handoff.id, clock_of(handoff, team, now=now)) for handoff in handoffs]
        await self._clocks.set(
            connection,
            [(handoff, clock.came_at, clock.given_at, clock.due_at) for handoff, clock in clocks],
            version=team.version,
        )

    async def _take(self, connection: AsyncConnection, handoff: Handoff, team: Team, *, now: datetime) -> None:
        clock = clock_of(handoff, team, now=now)
        steps: list[Taken] = []
        state = handoff.state
        for number, step in enumerate(clock.ring(now), handoff.steps + 1):
            after = take(state, step)
            steps.append(
                Taken(
                    handoff_id=handoff.id,
                    contact_id=handoff.contact_id,
                    number=number,
                    at=now if step is Step.ESCALATE else (handoff.due_at or now),
                    step=step,
                    before=state,
                    after=after,
                    by=ROUTER,
                    rep=clock.manager if step is Step.ESCALATE else handoff.rep,
                    pool=handoff.pool,
                )
            )
            state = after
        await self._handoffs.move(connection, steps)
        await self._deliveries.cancel(connection, [handoff.id])  # nobody is told late that it is theirs
        if steps[-1].step is Step.ESCALATE:
            await self._deliver_escalation(connection, handoff, team, manager=clock.manager or "", now=now)
        await self._outbox.put(connection, feedback_messages((taken, handoff.traceparent) for taken in steps))
        for taken in steps:
            self._metrics.clock_steps.labels(handoff.pool or "", taken.step).inc()

    async def _deliver_escalation(
        self, connection: AsyncConnection, handoff: Handoff, team: Team, *, manager: str, now: datetime
    ) -> None:
        rep, pool = team.rep(manager), handoff.pool or ""
        assert rep is not None, "a pool names no manager that the team does not have"
        account_id = handoff.ready.contact.account_id
        heard = await self._objections.of_accounts(connection, [account_id])
        message = render_given(
            handoff.ready,
            kind=ESCALATED,
            rep=rep,
            pool=pool,
            brief=write_brief(handoff.ready, heard=heard.get(account_id, ()) if account_id else ()),
            assignment=handoff.assignments + 1,
            assigned_at=now,
            previous=handoff.rep or (handoff.owners[-1] if handoff.owners else None),
            public_url=self._public_url,
            links=self._links,
        )
        endpoints = [endpoint.name for endpoint in team.endpoints if endpoint.serves(pool=pool, rep=manager)]
        await self._deliver(connection, handoff, message, endpoints, now=now)

    async def _tell(
        self, connection: AsyncConnection, expired: Sequence[Handoff], team: Team, *, now: datetime
    ) -> None:
        """Tell who had a handoff that it is theirs no more; endpoints that hear who has it now know already."""
        for before in expired:
            if before.rep is None:
                continue
            handoff = await self._handoffs.lock(connection, before.id)
            pool = handoff.pool or ""
            endpoints = [
                endpoint.name
                for endpoint in team.endpoints
                if endpoint.serves(pool=before.pool or "", rep=before.rep)
                and not (handoff.rep and endpoint.serves(pool=pool, rep=handoff.rep))
            ]
            message = render_expired(
                handoff.ready,
                step=before.steps + 1,
                at=now,
                previous=before.rep,
                rep=handoff.rep,
                state=handoff.state,
            )
            await self._deliver(connection, handoff, message, endpoints, now=now)

    async def _deliver(
        self,
        connection: AsyncConnection,
        handoff: Handoff,
        message: Message,
        endpoints: Sequence[str],
        *,
        now: datetime,
    ) -> None:
        await self._deliveries.create(
            connection,
            [
                NewDelivery(
                    message,
                    endpoint,
                    handoff_id=handoff.id,
                    contact_id=handoff.contact_id,
                    traceparent=handoff.traceparent,
                )
                for endpoint in endpoints
            ],
            now=now,
        )

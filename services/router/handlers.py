"""Records of `handoffs` become handoffs in the queue, and opt-outs take them out: one transaction a fetch."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.assigning import ROUTER, Assigner, Swept
from services.router.domain.handoff import State, Step, allows
from services.router.reading import Intake, read_batches
from services.router.store.deliveries import DeliveryStore
from services.router.store.erasures import ErasureStore
from services.router.store.handoffs import HandoffStore
from services.router.store.nurtures import NurtureStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.log.records import Batch
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics

_EVERY_STATE = tuple(State)


class HandoffsHandler:
    """Handles fetches of `handoffs`.

    `assigned` is called after a commit that may have made deliveries and messages, `queued` after one that left
    something in the queue, `withdrawn` after one that may have taken handoffs back.
    """

    def __init__(
        self,
        *,
        positions: Positions,
        teams: TeamStore,
        handoffs: HandoffStore,
        deliveries: DeliveryStore,
        nurtures: NurtureStore,
        erasures: ErasureStore,
        assigner: Assigner,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
        assigned: Callable[[Swept], None],
        queued: Callable[[], None],
        withdrawn: Callable[[], None],
    ) -> None:
        self._positions = positions
        self._teams = teams
        self._handoffs = handoffs
        self._deliveries = deliveries
        self._nurtures = nurtures
        self._erasures = erasures
        self._assigner = assigner
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._assigned = assigned
        self._queued = queued
        self._withdrawn = withdrawn

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Take in the records and assign what can be assigned."""
        intake = read_batches(batches, now=self._clock())
        swept = Swept()
        async with self._positions.transaction(batches) as connection:
            await self._outbox.put(connection, intake.rejected)
            if intake.handoffs or intake.opt_outs:
                swept = await self._take_in(connection, intake)
        self._assigned(swept)
        if swept.queued:
            self._queued()
        if intake.opt_outs:
            self._withdrawn()

    async def _take_in(self, connection: AsyncConnection, intake: Intake) -> Swept:
        team = await self._teams.lock(connection)
        now = self._clock()  # under the lock, so that times and turns are in one order
        arrived = [handoff.ready.contact.id for handoff in intake.handoffs]
        erased = await self._erasures.among(connection, arrived) if arrived else set()
        handoffs = [handoff for handoff in intake.handoffs if handoff.ready.contact.id not in erased]
        self._metrics.erased_dropped.labels("router").inc(len(arrived) - len(handoffs))
        newest: dict[UUID, datetime] = {}
        for opt_out in intake.opt_outs:
            newest[opt_out.contact_id] = max(opt_out.at, newest.get(opt_out.contact_id, opt_out.at))
        await self._handoffs.opt_out(connection, newest.items())
        if newest:
            await self._nurtures.withdraw(connection, newest.keys())
        opted_out = await self._handoffs.insert_new(connection, handoffs, now=now)
        if newest or opted_out:
            contacts = {*newest, *(handoff.ready.contact.id for handoff in handoffs)}
            await self._withdraw(connection, contacts, now=now)
        return await self._assigner.assign(connection, team, now=now, arrived=handoffs)

    async def _withdraw(self, connection: AsyncConnection, contacts: set[UUID], *, now: datetime) -> None:
        """End what was decided before its contact opted out, whichever of the two arrived first."""
        unwanted = await self._handoffs.unwanted(connection, contacts, _EVERY_STATE)
        if not unwanted:
            return
        withdrawing = allows(Step.WITHDRAW)
        await self._handoffs.move(
            connection,
            [handoff.taking(Step.WITHDRAW, at=now, by=ROUTER) for handoff in unwanted if handoff.state in withdrawing],
        )
        await self._deliveries.cancel(connection, [handoff.id for handoff in unwanted])

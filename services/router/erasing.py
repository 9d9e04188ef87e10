"""Erasing: what is not delivered is cancelled, what is kept is stripped, and whoever had the lead is told.

A fetch of `contacts` is one transaction, and doing it again changes nothing: the messages to the endpoints have ids
derived from the erasure. It holds the lock of the team, as does whatever takes in handoffs or assigns them, so that a
handoff is either there to be stripped or meets the ids that are kept.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.assigning import ROUTER
from services.router.domain.erasure import render_contact_erased, stripped
from services.router.domain.handoff import Step, allows
from services.router.reading import reject
from services.router.store.deliveries import DeliveryStore, NewDelivery
from services.router.store.erasures import ErasureStore, Holder, joined
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.nurtures import NurtureStore
from services.router.store.teams import TeamStore
from shared.clock import Clock, require_aware
from shared.events.contact import ContactErased, decode_contact
from shared.events.handoff import encode_handoff
from shared.log.records import Batch
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.postgres.positions import Positions


class ErasuresHandler:
    """Handles fetches of `contacts`. `erased` is called after a commit that may have made deliveries."""

    def __init__(
        self,
        *,
        positions: Positions,
        teams: TeamStore,
        handoffs: HandoffStore,
        deliveries: DeliveryStore,
        erasures: ErasureStore,
        nurtures: NurtureStore,
        outbox: Outbox,
        clock: Clock,
        erased: Callable[[], None],
    ) -> None:
        self._positions = positions
        self._teams = teams
        self._handoffs = handoffs
        self._deliveries = deliveries
        self._erasures = erasures
        self._nurtures = nurtures
        self._outbox = outbox
        self._clock = clock
        self._erased = erased

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Erase the contacts that the records name; what else `contacts` tells is not for the router."""
        now = self._clock()
        erasures, rejected = _read(batches, now=now)
        async with self._positions.transaction(batches) as connection:
            await self._outbox.put(connection, rejected)
            if erasures:
                await self._teams.lock(connection)
                for erased in erasures:
                    await self._erase(connection, erased, now=now)
        if erasures or rejected:
            self._erased()

    async def _erase(self, connection: AsyncConnection, erased: ContactErased, *, now: datetime) -> None:
        await self._erasures.remember(connection, [(contact, erased.id, erased.at) for contact in erased.contact_ids])
        handoffs = await self._handoffs.lock_of_contacts(connection, erased.contact_ids)
        ids = [handoff.id for handoff in handoffs]
        await self._withdraw(connection, handoffs, now=now)
        await self._erasures.hold(connection, ids)
        await self._deliveries.cancel(connection, ids)
        holders = joined(
            [
                *await self._erasures.holders(connection, ids),
                *await self._nurtures.erase(connection, erased.contact_ids),
            ]
        )
        await self._tell(connection, erased, holders, now=now)
        await self._erasures.strip(
            connection, [(handoff.id, encode_handoff(stripped(handoff.ready))) for handoff in handoffs]
        )
        await self._erasures.forget(connection, erased.contact_ids)

    async def _withdraw(self, connection: AsyncConnection, handoffs: Sequence[Handoff], *, now: datetime) -> None:
        withdrawing = allows(Step.WITHDRAW)
        await self._handoffs.move(
            connection,
            [handoff.taking(Step.WITHDRAW, at=now, by=ROUTER) for handoff in handoffs if handoff.state in withdrawing],
        )

    async def _tell(
        self, connection: AsyncConnection, erased: ContactErased, holders: Sequence[Holder], *, now: datetime
    ) -> None:
        """Tell the endpoints, each after what is on its way there: else the lead would come after its erasure."""
        contact_id = erased.contact_ids[0]
        deliveries = []
        for holder in holders:
            message = render_contact_erased(erased, contact_id, endpoint=holder.endpoint, handoffs=holder.handoffs)
            deliveries.append(
                NewDelivery(message, holder.endpoint, contact_id=contact_id, not_before=holder.sending_until)
            )
        await self._deliveries.create(connection, deliveries, now=now)
        # To endpoints that the team has no more it goes when they return and it is replayed.
        removed = await self._erasures.removed_endpoints(connection)
        await self._deliveries.end_for_endpoints(
            connection, sorted({holder.endpoint for holder in holders} & set(removed)), now=now
        )


def _read(batches: Sequence[Batch], *, now: datetime) -> tuple[list[ContactErased], list[OutboxMessage]]:
    erasures: list[ContactErased] = []
    rejected: list[OutboxMessage] = []
    for record in (record for batch in batches for record in batch.records):
        try:
            message = decode_contact(record.value)
            require_aware(message.at)
        except (ValueError, OverflowError, RecursionError) as error:  # msgspec's errors are ValueErrors
            rejected.append(reject(record, reason="malformed", message=str(error), now=now))
            continue
        if isinstance(message, ContactErased) and message.contact_ids:
            erasures.append(message)
    return erasures, rejected

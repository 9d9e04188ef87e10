"""Records of `nurture` become deliveries to the endpoints that ask for them: one transaction a fetch.

It holds the lock of the team, as do opt-outs and erasures, so that a message is either there to be cancelled or meets
what is kept of them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from services.router.domain.endpoint import EndpointEvent
from services.router.domain.nurture import render_nurture
from services.router.reading import reject, trace_of
from services.router.store.deliveries import DeliveryStore, NewDelivery
from services.router.store.nurtures import NewNurture, NurtureStore
from services.router.store.teams import TeamStore
from shared.clock import Clock, require_aware
from shared.events.nurture import ContactNurture, decode_nurture
from shared.log.records import Batch
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.postgres.positions import Positions

_Read = tuple[ContactNurture, str | None]  # with its trace


class NurtureHandler:
    """Handles fetches of `nurture`. `told` is called after a commit that may have made deliveries."""

    def __init__(
        self,
        *,
        positions: Positions,
        teams: TeamStore,
        nurtures: NurtureStore,
        deliveries: DeliveryStore,
        outbox: Outbox,
        clock: Clock,
        told: Callable[[], None],
    ) -> None:
        self._positions = positions
        self._teams = teams
        self._nurtures = nurtures
        self._deliveries = deliveries
        self._outbox = outbox
        self._clock = clock
        self._told = told

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Make deliveries of the records, each once. Where no endpoint asks for them, they are passed over."""
        now = self._clock()
        read, rejected = _read(batches, now=now)
        async with self._positions.transaction(batches) as connection:
            await self._outbox.put(connection, rejected)
            team = await self._teams.lock(connection)
            endpoints = [endpoint.name for endpoint in team.endpoints if endpoint.wants(EndpointEvent.CONTACT_NURTURE)]
            if read and endpoints:
                told = [(nurture, render_nurture(nurture), trace) for nurture, trace in read]
                new = await self._nurtures.add(
                    connection, [NewNurture(message.id, nurture.contact_id, nurture.at) for nurture, message, _ in told]
                )
                deliveries = [
                    NewDelivery(message, endpoint, contact_id=nurture.contact_id, traceparent=trace)
                    for nurture, message, trace in told
                    if message.id in new
                    for endpoint in endpoints
                ]
                await self._deliveries.create(connection, deliveries, now=now)
        self._told()


def _read(batches: Sequence[Batch], *, now: datetime) -> tuple[list[_Read], list[OutboxMessage]]:
    read: list[_Read] = []
    rejected: list[OutboxMessage] = []
    for record in (record for batch in batches for record in batch.records):
        try:
            nurture = decode_nurture(record.value)
            require_aware(nurture.at)
            read.append((nurture, trace_of(record)))
        except (ValueError, OverflowError, RecursionError) as error:  # msgspec's errors are ValueErrors
            rejected.append(reject(record, reason="malformed", message=str(error), now=now))
    return read, rejected

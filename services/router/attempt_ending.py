"""What attempts came to, written down in one transaction: deliveries, log, endpoints, and whom to tell."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.breaker import BreakerPolicy, Sign, after_attempts, given_up
from services.router.domain.endpoint import EndpointEvent
from services.router.domain.operational import render_delivery_exhausted, render_endpoint_disabled
from services.router.domain.outcome import Verdict
from services.router.domain.webhook import Message
from services.router.store.attempts import AttemptStore, Finished
from services.router.store.deliveries import DeliveryStore, NewDelivery
from services.router.store.endpoints import DisabledBecause, EndpointStore
from shared.clock import Clock
from shared.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Ended:
    """One attempt that ended."""

    finished: Finished
    verdict: Verdict
    sign: Sign
    mostly_failing: bool  # its endpoint, in the last minute


class AttemptEnding:
    """Writes down ends of attempts."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        attempts: AttemptStore,
        deliveries: DeliveryStore,
        endpoints: EndpointStore,
        breaker: BreakerPolicy,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._breaker = breaker
        self._metrics = metrics
        self._clock = clock

    async def save(self, batch: Sequence[Ended]) -> set[UUID]:
        """Write the ends down, and return the deliveries whose lease was still ours."""
        now = self._clock()
        async with self._engine.begin() as connection:
            ours = await self._attempts.finish(connection, [ended.finished for ended in batch], now=now)
            counted = [ended for ended in batch if ended.finished.delivery.id in ours]
            await self._save_endpoints(connection, counted, now=now)
            await self._tell_exhausted(connection, counted, now=now)
        return ours

    async def _save_endpoints(self, connection: AsyncConnection, batch: Sequence[Ended], *, now: datetime) -> None:
        """Keep how the endpoints do; of one that does well and always did, nothing is written."""
        ends: dict[str, list[Ended]] = defaultdict(list)
        for ended in batch:
            ends[ended.finished.delivery.endpoint].append(ended)
        told = {name: of_one for name, of_one in ends.items() if any(map(_tells, of_one))}
        if not told:
            return
        changed, disabled = {}, []
        for state in await self._endpoints.lock(connection, told):
            of_one = told[state.name]
            after = after_attempts(
                state.breaker,
                [(end.sign, end.finished.delivery.probe) for end in of_one],
                self._breaker,
                mostly_failing=any(end.mostly_failing for end in of_one),
                chance=random.random(),
                now=now,
            )
            if after != state.breaker:
                changed[state.name] = after
                if after.opens > state.opens:
                    self._metrics.breakers_opened.labels(state.name).inc()
            if any(end.verdict.disable_endpoint for end in of_one):
                disabled.append((state.name, DisabledBecause.GONE))
            elif given_up(after, self._breaker, now=now):
                disabled.append((state.name, DisabledBecause.FAILING))
            if pauses := [end.verdict.pause_endpoint for end in of_one if end.verdict.pause_endpoint]:
                await self._endpoints.pause(connection, state.name, until=max(pauses))
        await self._endpoints.save_breakers(connection, changed)
        for name, because in disabled:
            names = await self._endpoints.disable(connection, [name], because=because, now=now)
            await self.tell_disabled(connection, names, because=because, now=now)

    async def tell_disabled(
        self, connection: AsyncConnection, names: Iterable[str], *, because: DisabledBecause, now: datetime
    ) -> None:
        """Tell who asked that endpoints get nothing more."""
        for name in names:
            message = render_endpoint_disabled(name, because=because, at=now)
            await self._tell(connection, EndpointEvent.ENDPOINT_DISABLED, message, about=name, now=now)

    async def _tell_exhausted(self, connection: AsyncConnection, batch: Sequence[Ended], *, now: datetime) -> None:
        """Tell who asked of deliveries that failed for the last time, once for an endpoint."""
        first = {ended.finished.delivery.endpoint: ended for ended in reversed(batch) if ended.finished.state == "dead"}
        for name, ended in sorted(first.items()):
            delivery = ended.finished.delivery
            message = render_delivery_exhausted(
                name,
                delivery_id=delivery.id,
                webhook_id=delivery.message_id,
                attempts=delivery.attempts + 1,
                outcome=ended.finished.outcome,
                at=now,
            )
            await self._tell(connection, EndpointEvent.DELIVERY_EXHAUSTED, message, about=name, now=now)

    async def _tell(
        self, connection: AsyncConnection, event: EndpointEvent, message: Message, *, about: str, now: datetime
    ) -> None:
        """Make a delivery to each endpoint that asked, but not to the one that it is about."""
        wanting = await self._endpoints.wanting(connection, event)
        await self._deliveries.create(
            connection,
            [NewDelivery(message, endpoint) for endpoint in wanting if endpoint != about],
            now=now,
        )


def _tells(ended: Ended) -> bool:
    """Tell whether the endpoint has something to be written down about it."""
    return ended.sign is not Sign.WELL or ended.finished.delivery.failing

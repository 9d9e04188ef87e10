"""Telling: decisions as messages for the router, with the brief that each handoff carries."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.briefing import handoff_ready
from services.scorer.domain.deciding import Decision, Handoff
from services.scorer.domain.terms import Terms
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.touches import TouchStore
from shared.events.handoff import ContactOptedOut, encode_handoff
from shared.events.nurture import ContactNurture, encode_nurture
from shared.events.rejected import Rejected, encode_rejected
from shared.events.topics import TopicName
from shared.ids import MessageId
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.telemetry.metrics import Metrics

HISTORY = 300  # newest touches that a brief is written from


class Telling:
    """Writes what was decided into the outbox, in the transaction of the decision."""

    def __init__(self, touches: TouchStore, handoffs: HandoffStore, outbox: Outbox, metrics: Metrics) -> None:
        self._touches = touches
        self._handoffs = handoffs
        self._outbox = outbox
        self._metrics = metrics

    async def decided(
        self,
        connection: AsyncConnection,
        decided: Sequence[tuple[UUID, Decision]],
        terms: Terms | None,
        *,
        traces: Mapping[UUID, str],
    ) -> None:
        """Write the messages in the order of the decisions; the first of each pair is what tipped it."""
        handoffs = [decision for _, decision in decided if isinstance(decision, Handoff)]
        asked = [(handoff.contact.id, handoff.decided_at) for handoff in handoffs]
        if handoffs:
            assert terms is not None, "nothing is handed off without an agreement"
            await self._handoffs.add(connection, handoffs, agreement=terms.version)
        histories = iter(await self._touches.received_until(connection, asked, limit=HISTORY))
        messages = []
        for cause, decision in decided:
            topic = TopicName.HANDOFFS
            match decision:
                case Handoff():
                    assert terms is not None, "nothing is handed off without an agreement"
                    contact_id = decision.contact.id
                    # What a machine did is not what the contact read.
                    history = [judged.touch for judged in next(histories) if not judged.suspect]
                    value = encode_handoff(handoff_ready(decision, history, terms))
                case ContactOptedOut():
                    contact_id = decision.contact_id
                    value = encode_handoff(decision)
                case ContactNurture():
                    topic, contact_id = TopicName.NURTURE, decision.contact_id
                    value = encode_nurture(decision)
                case _:
                    assert_never(decision)
            messages.append(
                OutboxMessage(
                    id=MessageId(decision.id),
                    topic=topic,
                    key=str(contact_id).encode(),
                    value=value,
                    traceparent=traces.get(cause),
                )
            )
        await self._outbox.put(connection, messages)

    async def rejected(self, connection: AsyncConnection, rejected: Sequence[Rejected]) -> None:
        """Write what could not be used, with the reason."""
        messages = [
            OutboxMessage(
                id=MessageId(item.id),
                topic=TopicName.EVENTS_REJECTED,
                key=str(item.id).encode(),
                value=encode_rejected(item),
            )
            for item in rejected
        ]
        await self._outbox.put(connection, messages)

    def announce(self, decisions: Iterable[Decision], *, rejected: int = 0) -> None:
        """Wake the relay and count what was decided and rejected, after the commit."""
        messages = rejected
        for decision in decisions:
            messages += 1
            if isinstance(decision, Handoff):
                self._metrics.handoffs_decided.labels(decision.reason).inc()
            elif isinstance(decision, ContactNurture):
                self._metrics.nurtures_told.labels(decision.kind).inc()
        if messages:
            self._metrics.outbox_waiting.labels("scorer").inc(messages)
            self._outbox.announce()

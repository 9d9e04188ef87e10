"""Handlers: load, decide, save. Each call is one transaction; what it decides leaves through its outbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.domain.accepting import Unusable, accept_feedback, accept_touches
from services.scorer.domain.briefing import handoff_ready
from services.scorer.domain.deciding import Decision, Handoff, take_feedback, take_terms, take_touch
from services.scorer.domain.instants import to_micros
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.errors import ContactsRaced
from services.scorer.store.agreements import Active, AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.touches import TouchStore
from shared.clock import Clock
from shared.events.feedback import Feedback
from shared.events.handoff import ContactOptedOut, encode_handoff
from shared.events.rejected import Place, Rejected, encode_rejected, rejected_by
from shared.events.topics import TopicName
from shared.events.touch import Alias, Touch
from shared.ids import MessageId
from shared.log.records import Batch, StoredRecord
from shared.postgres.outbox import TRACE_HEADER, Outbox, OutboxMessage
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics

HISTORY = 300  # newest touches that a brief is written from
_ATTEMPTS = 5  # at creating contacts that another process creates at the same time


@dataclass(slots=True)
class _Arrived:
    """What the records of one call hold."""

    touches: list[Touch] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    traces: list[tuple[str, list[Touch]]] = field(default_factory=list)


@dataclass(slots=True)
class _Outcome:
    """What one transaction did, to be told once it is committed."""

    counted: int = 0
    repeated: int = 0
    messages: int = 0
    reasons: list[str] = field(default_factory=list)


class Scorer:
    """Counts touches, decides, heeds feedback, and applies new agreements."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        positions: Positions,
        outbox: Outbox,
        contacts: ContactStore,
        touches: TouchStore,
        agreements: AgreementStore,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._positions = positions
        self._outbox = outbox
        self._contacts = contacts
        self._touches = touches
        self._agreements = agreements
        self._metrics = metrics
        self._clock = clock

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Score what the records hold, exactly once. Raises PositionLost."""
        arrived = self._accept(batches)
        for attempt in range(_ATTEMPTS):
            try:
                async with self._positions.transaction(batches) as connection:
                    outcome = await self._score(connection, arrived)
            except ContactsRaced:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                self._tell(outcome)
                return

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep the records of the batch with the reason, and move past them. Raises PositionLost."""
        rejected = [
            self._rejected(
                record,
                Unusable(reason="handler_failed", message=f"{type(error).__name__}: {error}", original=record.value),
            )
            for record in batch.records
        ]
        async with self._positions.transaction([batch]) as connection:
            await self._outbox.put(connection, [_rejection(item) for item in rejected])
        self._tell(_Outcome(messages=len(rejected)))

    async def apply_agreement(self, *, limit: int) -> int:
        """Decide contacts under the active agreement that were last decided under another; return how many.

        Each contact is decided once, as of the instant of activation, by whichever process gets hold of it first.
        """
        async with self._engine.begin() as connection:
            active = await self._agreements.hold_active(connection)
            if active is None:
                return 0
            states = await self._contacts.lock_outdated(connection, active.terms.version, limit=limit)
            if not states:
                return 0
            decided = await self._reprice(connection, active, states, leaving_out={})
            outcome = _Outcome()
            await self._put(connection, decided, active.terms, traces={}, outcome=outcome)
            await self._contacts.save(connection, states)
        self._tell(outcome)
        return len(states)

    async def arm_cooled(self, *, limit: int) -> int:
        """Arm contacts whose engagement has fallen or whose cool-down is over; return how many."""
        now = self._clock()
        async with self._engine.begin() as connection:
            states = await self._contacts.lock_cooled(connection, now, limit=limit)
            for state in states.values():
                state.arming = state.arming.at(to_micros(now))
            await self._contacts.save(connection, states)
        return len(states)

    def _accept(self, batches: Sequence[Batch]) -> _Arrived:
        arrived = _Arrived()
        for batch in batches:
            for record in batch.records:
                unusable: list[Unusable] = []
                if record.partition.topic == TopicName.FEEDBACK:
                    feedback = accept_feedback(record.value)
                    if isinstance(feedback, Feedback):
                        arrived.feedback.append(feedback)
                    else:
                        unusable = [feedback]
                else:
                    touches, unusable = accept_touches(record.value)
                    arrived.touches += touches
                    trace = record.header(TRACE_HEADER)
                    if trace:
                        arrived.traces.append((trace.decode("ascii", "replace"), touches))
                arrived.rejected += [self._rejected(record, item) for item in unusable]
        return arrived

    async def _score(self, connection: AsyncConnection, arrived: _Arrived) -> _Outcome:
        active = await self._agreements.hold_active(connection)
        terms = active.terms if active else None
        outcome = _Outcome(messages=len(arrived.rejected))
        fresh = await self._add_touches(connection, arrived.touches)
        outcome.counted = sum(map(len, fresh.values()))
        outcome.repeated = len(arrived.touches) - outcome.counted

        ids = fresh.keys() | {feedback.contact_id for feedback in arrived.feedback}
        states = await self._contacts.lock(connection, ids) if ids else {}
        decided: list[tuple[UUID, Decision]] = []
        if active is not None:
            version = active.terms.version
            outdated = {contact_id: state for contact_id, state in states.items() if state.agreement != version}
            if outdated:
                decided += await self._reprice(connection, active, outdated, leaving_out=fresh)
            for feedback in arrived.feedback:
                if state := states.get(feedback.contact_id):
                    take_feedback(state, feedback, active.terms)

        new = []
        named: list[tuple[Alias, UUID]] = []
        for contact_id, touches in fresh.items():
            state = states.get(contact_id)
            if state is None:
                state = states[contact_id] = ContactState()
                new.append(contact_id)
                if terms is not None:
                    state.agreement, state.counting = terms.version, terms.counting
            for touch in touches:
                named += [(alias, contact_id) for alias in touch.aliases if alias not in state.aliases]
                decided += [(touch.id, decision) for decision in take_touch(contact_id, state, touch, terms)]
        if decided:
            traces = {touch.id: trace for trace, touches in arrived.traces for touch in touches}
            await self._put(connection, decided, terms, traces=traces, outcome=outcome)
        await self._outbox.put(connection, [_rejection(item) for item in arrived.rejected])
        await self._contacts.save(connection, states, new=new)
        await self._contacts.add_aliases(connection, named)
        return outcome

    async def _add_touches(self, connection: AsyncConnection, arrived: Sequence[Touch]) -> dict[UUID, list[Touch]]:
        """Keep the touches, and return those that were not there by contact, in their order."""
        unique: dict[tuple[UUID, UUID], Touch] = {}
        for touch in arrived:
            unique.setdefault((touch.contact_id, touch.id), touch)
        repeated = await self._touches.add(connection, list(unique.values())) if unique else set()
        fresh: dict[UUID, list[Touch]] = {}
        for key, touch in unique.items():
            if not repeated or key not in repeated:
                fresh.setdefault(touch.contact_id, []).append(touch)
        return fresh

    async def _reprice(
        self,
        connection: AsyncConnection,
        active: Active,
        states: dict[UUID, ContactState],
        *,
        leaving_out: Mapping[UUID, Sequence[Touch]],
    ) -> list[tuple[UUID, Decision]]:
        """Decide the contacts as of the activation. What counts differently is counted again from the history."""
        terms = active.terms
        miscounted = [contact_id for contact_id, state in states.items() if state.counting != terms.counting]
        histories = await self._touches.of_contacts(connection, miscounted)
        decided: list[tuple[UUID, Decision]] = []
        for contact_id, state in states.items():
            history = histories.get(contact_id)
            if history is not None:
                uncounted = {touch.id for touch in leaving_out.get(contact_id, ())}
                history = [touch for touch in history if touch.id not in uncounted]
            decisions = take_terms(contact_id, state, terms, at=active.since, touches=history)
            decided += [(contact_id, decision) for decision in decisions]
        return decided

    async def _put(
        self,
        connection: AsyncConnection,
        decided: Sequence[tuple[UUID, Decision]],
        terms: Terms | None,
        *,
        traces: dict[UUID, str],
        outcome: _Outcome,
    ) -> None:
        """Write the messages in the order of the decisions; the first of each pair is the touch that tipped it."""
        handoffs = [decision for _, decision in decided if isinstance(decision, Handoff)]
        asked = [(handoff.contact.id, handoff.decided_at) for handoff in handoffs]
        histories = iter(await self._touches.received_until(connection, asked, limit=HISTORY))
        messages = []
        for cause, decision in decided:
            match decision:
                case Handoff():
                    assert terms is not None
                    contact_id = decision.contact.id
                    value = encode_handoff(handoff_ready(decision, next(histories), terms))
                    outcome.reasons.append(decision.reason)
                case ContactOptedOut():
                    contact_id = decision.contact_id
                    value = encode_handoff(decision)
                case _:
                    assert_never(decision)
            messages.append(
                OutboxMessage(
                    id=MessageId(decision.id),
                    topic=TopicName.HANDOFFS,
                    key=str(contact_id).encode(),
                    value=value,
                    traceparent=traces.get(cause),
                )
            )
        await self._outbox.put(connection, messages)
        outcome.messages += len(messages)

    def _tell(self, outcome: _Outcome) -> None:
        if outcome.messages:
            self._metrics.outbox_waiting.labels("scorer").inc(outcome.messages)
            self._outbox.announce()
        self._metrics.touches_counted.inc(outcome.counted)
        self._metrics.touches_repeated.inc(outcome.repeated)
        for reason in outcome.reasons:
            self._metrics.handoffs_decided.labels(reason).inc()

    def _rejected(self, record: StoredRecord, unusable: Unusable) -> Rejected:
        return rejected_by(
            record.headers,
            Place(record.partition.topic, record.partition.number, record.offset),
            reason=unusable.reason,
            message=unusable.message,
            at=self._clock(),
            original=unusable.original,
            item=unusable.item,
            frame=(b"", b"") if unusable.item is None else (b"[", b"]"),
        )


def _rejection(rejected: Rejected) -> OutboxMessage:
    return OutboxMessage(
        id=MessageId(rejected.id),
        topic=TopicName.EVENTS_REJECTED,
        key=str(rejected.id).encode(),
        value=encode_rejected(rejected),
    )

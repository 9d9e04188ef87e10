"""Handlers: load, decide, save. Each call is one transaction; what it decides leaves through its outbox."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.arrival import Arrived, read_batches, reject
from services.scorer.domain.accepting import Published, Unusable
from services.scorer.domain.deciding import Decision, take_feedback
from services.scorer.domain.merging import owners, part_strangers, roots
from services.scorer.domain.owning import by_owner
from services.scorer.domain.recounting import recount
from services.scorer.domain.terms import Terms
from services.scorer.erasing import Eraser
from services.scorer.errors import ContactsElsewhere, ContactsToErase
from services.scorer.holding import Holding
from services.scorer.judging import Judging, Verdicts
from services.scorer.merging import Merging
from services.scorer.repricing import reprice
from services.scorer.roster import Roster
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.erasures import ErasureStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.held import Held
from services.scorer.store.touches import TouchStore
from services.scorer.taking import take_in_turns
from services.scorer.telling import Telling
from shared.clock import Clock
from shared.events.contact import ContactsMerged, ContactsUnmerged
from shared.events.touch import Touch, encode_touch
from shared.log.records import Batch
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics

_Decided = list[tuple[UUID, Decision]]  # with what tipped each


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one transaction did, to be told once it is committed."""

    decided: _Decided
    counted: int
    suspect: int
    repeated: int
    erased: int  # what was dropped because its contact was erased


def _part(arrived: Arrived, parted: Mapping[tuple[UUID, UUID], UUID], held: Held, *, ids: set[UUID]) -> Arrived:
    """Prepare touches of contacts that others were parted from; drop those of owners who were erased since.

    Raises ContactsElsewhere.
    """
    if elsewhere := set(parted.values()) - ids:
        raise ContactsElsewhere(elsewhere)
    erased = {key for key, owner in parted.items() if owner not in held and owner != key[0]}
    touches = {
        contact_id: [each for each in published if (contact_id, each.touch.id) not in erased]
        for contact_id, published in arrived.touches.items()
    }
    part_strangers(_touches(touches), held)
    return replace(arrived, touches=touches)


def _touches(published: Mapping[UUID, Sequence[Published]]) -> Iterator[Touch]:
    return (each.touch for those in published.values() for each in those)


class Scorer:
    """Counts touches, decides, heeds feedback, and merges contacts."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        positions: Positions,
        holding: Holding,
        judging: Judging,
        merging: Merging,
        telling: Telling,
        roster: Roster,
        contacts: ContactStore,
        touches: TouchStore,
        erasures: ErasureStore,
        eraser: Eraser,
        handoffs: HandoffStore,
        agreements: AgreementStore,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._positions = positions
        self._holding = holding
        self._judging = judging
        self._merging = merging
        self._telling = telling
        self._roster = roster
        self._contacts = contacts
        self._touches = touches
        self._erasures = erasures
        self._eraser = eraser
        self._handoffs = handoffs
        self._agreements = agreements
        self._metrics = metrics
        self._clock = clock

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Score what the records hold, exactly once. Raises PositionLost."""
        arrived = read_batches(batches, now=self._clock())

        async def score(also: Collection[UUID]) -> _Outcome:
            async with self._positions.transaction(batches) as connection:
                return await self._score(connection, arrived, also)

        while True:
            try:
                outcome = await self._holding.attempts(score)
            except ContactsToErase as found:
                await self._eraser.spread(found.ids)
            else:
                break
        self._tell(outcome, rejected=len(arrived.rejected))

    async def take(self, touch: Touch) -> None:
        """Take one touch that came by no record."""
        arrived = Arrived()
        arrived.add([Published.of(touch, msgspec.Raw(encode_touch(touch)))])

        async def score(also: Collection[UUID]) -> _Outcome:
            async with self._engine.begin() as connection:
                return await self._score(connection, arrived, also)

        self._tell(await self._holding.attempts(score), rejected=0)

    def _tell(self, outcome: _Outcome, *, rejected: int) -> None:
        self._telling.announce((decision for _, decision in outcome.decided), rejected=rejected)
        self._metrics.touches_counted.inc(outcome.counted)
        self._metrics.touches_suspect.inc(outcome.suspect)
        self._metrics.touches_repeated.inc(outcome.repeated)
        self._metrics.erased_dropped.labels("scorer").inc(outcome.erased)

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep the records of the batch with the reason, and move past them. Raises PositionLost."""
        rejected = [
            reject(
                record,
                Unusable(reason="handler_failed", message=f"{type(error).__name__}: {error}", original=record.value),
                now=self._clock(),
            )
            for record in batch.records
        ]
        async with self._positions.transaction([batch]) as connection:
            await self._telling.rejected(connection, rejected)
        self._telling.announce((), rejected=len(rejected))

    async def _score(self, connection: AsyncConnection, arrived: Arrived, also: Collection[UUID]) -> _Outcome:
        active = await self._agreements.hold_active(connection)
        terms = active.terms if active else None
        came = arrived.size()
        if arrived.merges:
            arrived = await self._without_erased_merges(connection, arrived)
        # Contacts before touches: who waits for another's touch then holds no contact that the other needs.
        ids = arrived.contacts() | set(also)
        held = await self._holding.lock(connection, ids, needed=arrived.to_merge())
        # Asked after the lock: whoever erased a contact in the meantime has committed by now.
        if unknown := ids - held.keys():
            arrived = arrived.without(await self._erasures.among(connection, unknown))
        outdated = held.outdated(terms.version) if terms else {}
        repriced = await reprice(connection, self._touches, active, outdated)
        decided = [(contact_id, decision) for contact_id, each in repriced.items() for decision in each]
        for message in arrived.merges:
            match message:
                case ContactsMerged():
                    decided += await self._merging.merge(connection, held, message, terms)
                case ContactsUnmerged():
                    decided += await self._merging.unmerge(connection, held, message, terms)
                case _:
                    assert_never(message)

        moved = roots(held.tombstones(), held)
        parted = owners(_touches(arrived.touches), held) if held.is_anybody_parted() else {}
        if parted:
            arrived = _part(arrived, parted, held, ids=ids)
        fresh = await self._add_touches(connection, arrived.touches, moved, parted)
        said = [(moved.get(feedback.contact_id, feedback.contact_id), feedback) for feedback in arrived.feedback]
        said = [(contact_id, feedback) for contact_id, feedback in said if contact_id in held]
        answered = {contact_id for contact_id, _ in said}
        await self._handoffs.answered(connection, said)
        if terms is not None:
            for contact_id, feedback in said:
                told = take_feedback(contact_id, held[contact_id], feedback, terms)
                decided += [(feedback.id, decision) for decision in told]

        verdicts = await self._judging.judge(connection, fresh)
        await self._recount(connection, held, fresh, verdicts, terms)
        # A merge changes whom it names, and whom they live on in.
        others = held.keys() if arrived.merges else answered | repriced.keys()
        taken = take_in_turns(held, fresh, others=others, told=arrived.told(), verdicts=verdicts, active=active)
        decided += taken.decided
        counted = sum(map(len, fresh.values()))
        traces = {each.touch.id: trace for trace, some in arrived.traces for each in some} if decided else {}
        await self._telling.decided(connection, decided, terms, traces=traces)
        await self._telling.rejected(connection, arrived.rejected)
        await self._roster.keep(connection, taken.marks)
        await self._contacts.save(connection, taken.written)
        await self._contacts.add_aliases(connection, taken.named)
        return _Outcome(
            decided,
            counted=counted,
            suspect=taken.suspect,
            repeated=arrived.published() - counted,
            erased=came - arrived.size(),
        )

    async def _without_erased_merges(self, connection: AsyncConnection, arrived: Arrived) -> Arrived:
        """Leave out merges of the erased. Raises ContactsToErase: who is one person with them goes, too."""
        erased = await self._erasures.among(connection, arrived.to_merge())
        if not erased:
            return arrived
        void = [message for message in arrived.merges if not erased.isdisjoint((message.survivor, message.other))]
        same_person = {
            contact_id
            for message in void
            if isinstance(message, ContactsMerged)
            for contact_id in (message.survivor, message.other)
        }
        if same_person - erased:
            raise ContactsToErase(same_person - erased)
        return replace(arrived, merges=[message for message in arrived.merges if message not in void])

    async def _recount(
        self,
        connection: AsyncConnection,
        held: Held,
        fresh: Mapping[UUID, Sequence[Published]],
        verdicts: Verdicts,
        terms: Terms | None,
    ) -> None:
        """Count those contacts anew that counted a click which turned out suspect; the new touches come after."""
        histories = await self._touches.of_contacts(connection, verdicts.miscounted)
        for contact_id, history in histories.items():
            uncounted = {each.touch.id for each in fresh[contact_id]}
            counted = [judged for judged in history if judged.touch.id not in uncounted]
            held[contact_id] = recount(held[contact_id], counted, terms)

    async def _add_touches(
        self,
        connection: AsyncConnection,
        touches: Mapping[UUID, Sequence[Published]],
        moved: Mapping[UUID, UUID],
        parted: Mapping[tuple[UUID, UUID], UUID],
    ) -> Mapping[UUID, Sequence[Published]]:
        """Keep the touches, and return those that were not there, in their order, by the contact that they belong to.

        `moved` tells where contacts live on, `parted` whose single touches are, should anybody have been parted.
        """
        fresh = by_owner(touches, moved, parted)
        repeated = await self._touches.add(connection, fresh) if fresh else set()
        if not repeated:
            return fresh
        new = {
            owner: [each for each in published if (owner.int, each.touch.id.int) not in repeated]
            for owner, published in fresh.items()
        }
        return {owner: published for owner, published in new.items() if published}

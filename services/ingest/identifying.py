"""Who the events are about: load, decide, save, until nobody has come between."""

from collections.abc import Sequence
from datetime import datetime

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, Decision, Person, decide, wanted
from services.ingest.store.aliases import Aliases
from shared.clock import Clock
from shared.ids import ContactId
from shared.telemetry.metrics import Metrics


class Identifying:
    """Finds and makes contacts, links their aliases, merges those that are one person."""

    def __init__(self, *, aliases: Aliases, caps: Caps, metrics: Metrics, clock: Clock) -> None:
        self._aliases = aliases
        self._caps = caps
        self._metrics = metrics
        self._clock = clock

    async def identify(self, events: Sequence[Names], received_at: Sequence[datetime]) -> Sequence[Person | None]:
        """Return the person of each event, once all that others must know of them is committed.

        None: the event is about somebody who was erased.
        """
        decision, kept = await self._decide(events, received_at)
        people: list[Person | None] = [None] * len(events)
        for index, person in zip(kept, decision.people, strict=True):
            people[index] = person
        return people

    async def decide(self, events: Sequence[Names], received_at: Sequence[datetime]) -> Decision:
        """Return the decision, once it is committed. Repeating it changes nothing."""
        return (await self._decide(events, received_at))[0]

    async def _decide(self, events: Sequence[Names], received_at: Sequence[datetime]) -> tuple[Decision, Sequence[int]]:
        """Return the decision and which events it is about: the others are dropped and counted."""
        kept: Sequence[int] = range(len(events))
        histories_of: set[ContactId] = set()
        while True:
            names = [events[index] for index in kept]
            aliases = wanted(names)
            known = await self._aliases.load(aliases, histories_of=histories_of)
            unknown = aliases - known.contacts.keys()
            decision = decide(names, known, caps=self._caps)
            if decision.asks:
                histories_of |= decision.asks
                continue
            received = [received_at[index] for index in kept]
            saving = await self._aliases.save(decision, received_at=received, now=self._clock(), unknown=unknown)
            if saving:
                self._metrics.merges.inc(len(decision.merges))
                for refusal, times in decision.refused.items():
                    self._metrics.merges_refused.labels(refusal).inc(times)
                return decision, kept
            if met := saving.met:
                told = zip(kept, names, decision.people, strict=True)
                before = len(kept)
                kept = [
                    index
                    for index, each, person in told
                    if person.contact_id not in met.contacts and met.aliases.isdisjoint(wanted([each]))
                ]
                self._metrics.erased_dropped.labels("ingest").inc(before - len(kept))

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

    async def identify(self, events: Sequence[Names], received_at: Sequence[datetime]) -> Sequence[Person]:
        """Return the person of each event, once all that others must know of them is committed."""
        return (await self.decide(events, received_at)).people

    async def decide(self, events: Sequence[Names], received_at: Sequence[datetime]) -> Decision:
        """Return the decision, once it is committed. Repeating it changes nothing."""
        aliases = wanted(events)
        histories_of: set[ContactId] = set()
        while True:
            known = await self._aliases.load(aliases, histories_of=histories_of)
            decision = decide(events, known, caps=self._caps)
            if decision.asks:
                histories_of |= decision.asks
            elif await self._aliases.save(decision, received_at=received_at, now=self._clock()):
                self._metrics.merges.inc(len(decision.merges))
                for refusal, times in decision.refused.items():
                    self._metrics.merges_refused.labels(refusal).inc(times)
                return decision

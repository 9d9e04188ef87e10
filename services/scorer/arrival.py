"""What has arrived: the records of a fetch, read and sorted by what they tell."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.scorer.domain.accepting import Published, Unusable, accept_contact, accept_feedback, accept_touches
from shared.events.contact import ContactErased, ContactsMerged, ContactsUnmerged
from shared.events.feedback import Feedback
from shared.events.rejected import Place, Rejected, rejected_by
from shared.events.topics import TopicName
from shared.log.records import Batch, StoredRecord
from shared.postgres.outbox import TRACE_HEADER


@dataclass(slots=True)
class Arrived:
    """What the records of one call hold."""

    touches: dict[UUID, list[Published]] = field(default_factory=lambda: defaultdict(list))  # by contact, as they came
    feedback: list[Feedback] = field(default_factory=list)
    merges: list[ContactsMerged | ContactsUnmerged] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    traces: list[tuple[str, list[Published]]] = field(default_factory=list)

    def add(self, published: Iterable[Published]) -> None:
        """Add touches."""
        touches = self.touches
        for each in published:
            touches[each.touch.contact_id].append(each)

    def contacts(self) -> set[UUID]:
        """Return the contacts that it is about."""
        return {*self.touches, *(feedback.contact_id for feedback in self.feedback)} | self.to_merge()

    def size(self) -> int:
        """Return how many messages there are."""
        return self.published() + len(self.feedback) + len(self.merges)

    def published(self) -> int:
        """Return how many touches there are."""
        return sum(map(len, self.touches.values()))

    def without(self, contacts: Collection[UUID]) -> "Arrived":
        """Return it without touches and feedback of these contacts."""
        if not contacts:
            return self
        return replace(
            self,
            touches={contact_id: each for contact_id, each in self.touches.items() if contact_id not in contacts},
            feedback=[feedback for feedback in self.feedback if feedback.contact_id not in contacts],
        )

    def to_merge(self) -> set[UUID]:
        """Return the contacts that have to be there, even if nothing is known of them yet."""
        return {contact_id for message in self.merges for contact_id in (message.survivor, message.other)}

    def told(self) -> list[tuple[UUID, datetime]]:
        """Return contacts of which something else than touches tells, and when."""
        merged = [
            (contact_id, message.at) for message in self.merges for contact_id in (message.survivor, message.other)
        ]
        return merged + [(feedback.contact_id, feedback.at) for feedback in self.feedback]


def read_batches(batches: Sequence[Batch], *, now: datetime) -> Arrived:
    """Return what the records hold; what cannot be used is rejected without its neighbours."""
    arrived = Arrived()
    for batch in batches:
        for record in batch.records:
            unusable: list[Unusable] = []
            match record.partition.topic:
                case TopicName.FEEDBACK:
                    feedback = accept_feedback(record.value)
                    if isinstance(feedback, Feedback):
                        arrived.feedback.append(feedback)
                    else:
                        unusable = [feedback]
                case TopicName.CONTACTS:
                    message = accept_contact(record.value)
                    match message:
                        case ContactsMerged() | ContactsUnmerged():
                            arrived.merges.append(message)
                        case ContactErased():
                            pass  # what the scorer itself told the others
                        case Unusable():
                            unusable = [message]
                        case _:
                            assert_never(message)
                case _:
                    published, unusable = accept_touches(record.value)
                    arrived.add(published)
                    trace = record.header(TRACE_HEADER)
                    if trace:
                        arrived.traces.append((trace.decode("ascii", "replace"), published))
            arrived.rejected += [reject(record, item, now=now) for item in unusable]
    return arrived


def reject(record: StoredRecord, unusable: Unusable, *, now: datetime) -> Rejected:
    """Return what is kept of a record, or of one item of it."""
    return rejected_by(
        record.headers,
        Place(record.partition.topic, record.partition.number, record.offset),
        reason=unusable.reason,
        message=unusable.message,
        at=now,
        original=unusable.original,
        item=unusable.item,
        frame=(b"", b"") if unusable.item is None else (b"[", b"]"),
    )

"""Ingest decides who is one person, the scorer counts: both together, whatever is sent and however it arrives.

Ingest is its decisions and a model of its store, the scorer is the real one. Between them messages change places: those
of `touches` at will, those of `contacts` as far as one key allows; any of them may come again.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Merge
from services.ingest.store.merges import merge_id
from shared.events.contact import ContactsMerged, ContactsUnmerged, encode_contact
from shared.events.topics import TopicName
from shared.events.touch import Alias, Touch, encode_touches
from tests.integration.scorer.conftest import Rig, open_rig
from tests.support.reference_model import final
from tests.support.touches import NOON, a_profile, a_touch, a_track, agreement
from tests.unit.ingest.contacts_model import ContactsModel, connected
from tests.unit.ingest.test_identity_always import BOUNDLESS, clear_events, in_batches, muddle

MINUTE = timedelta(minutes=1)
EMPTY = text("TRUNCATE scorer.contact, scorer.alias, scorer.touch, scorer.merge, scorer.outbox")


@dataclass
class Told:
    """What ingest has told the scorer."""

    touches: list[Touch] = field(default_factory=list)
    contacts: list[ContactsMerged | ContactsUnmerged] = field(default_factory=list)  # in their order


class Sender:
    """Ingest: it takes batches of events, now and then one again, and undoes merges."""

    def __init__(self) -> None:
        self.model = ContactsModel(BOUNDLESS)
        self.told = Told()
        self._made: dict[UUID, tuple[Merge, set[Alias]]] = {}  # merges that stand, and what they moved

    def take(self, batch: Sequence[tuple[int, Names]]) -> None:
        """Understand numbered events."""
        before = {alias: contact for alias, (contact, _) in self.model.aliases.items()}
        decision = self.model.take([names for _, names in batch])
        at = NOON + len(self.told.contacts) * MINUTE
        before |= decision.links
        for merge in decision.merges:
            moved = {alias for alias, contact in before.items() if contact == merge.other}
            before |= dict.fromkeys(moved, merge.survivor)
            identity = merge_id(merge.survivor, merge.other)
            self._made[identity] = merge, moved
            self.told.contacts.append(
                ContactsMerged(
                    id=identity, survivor=merge.survivor, other=merge.other, aliases=tuple(sorted(moved)), at=at
                )
            )
        for (number, _), person in zip(batch, decision.people, strict=True):
            self.told.touches.append(a_step(number, person.contact_id, person.aliases))

    def undo(self, dice: random.Random) -> None:
        """Undo one of the merges that can be undone, if there is any."""
        free = [identity for identity, (merge, _) in self._made.items() if merge.survivor not in self.model.merged]
        if not free:
            return
        identity = dice.choice(free)
        merge, moved = self._made.pop(identity)
        back = {alias for alias in moved if self.model.aliases[alias][0] == merge.survivor}
        self.model.part(merge.survivor, merge.other, back)
        self.told.contacts.append(
            ContactsUnmerged(
                id=identity,
                survivor=merge.survivor,
                other=merge.other,
                aliases=tuple(sorted(back)),
                at=NOON + len(self.told.contacts) * MINUTE,
            )
        )


def a_step(number: int, contact: UUID, aliases: tuple[Alias, ...]) -> Touch:
    """Return what somebody does: the same for the same number."""
    at = NOON - timedelta(days=number % 3, hours=number)
    match number % 4:
        case 0:
            return a_profile(number, contact=contact, at=at, received_at=NOON, aliases=aliases)
        case 1:
            return a_track(number, "Email Link Clicked", contact=contact, at=at, received_at=NOON, aliases=aliases)
        case _:
            return a_touch(number, path="/pricing", contact=contact, at=at, received_at=NOON, aliases=aliases)


async def arrive(rig: Rig, told: Told, dice: random.Random) -> None:
    """Let the scorer handle all messages, in an order that partitions and repeats may bring about."""
    lanes: dict[UUID, list[bytes]] = {}
    for message in told.contacts:
        lanes.setdefault(message.other, []).append(encode_contact(message))
    queues = [(TopicName.CONTACTS, lane) for lane in lanes.values()]
    queues += [(TopicName.TOUCHES, [encode_touches([touch])]) for touch in told.touches]
    again = [(topic, list(values)) for topic, values in queues if dice.random() < 0.3]
    order = [number for number, (_, values) in enumerate(queues) for _ in values]
    dice.shuffle(order)
    steps = [(queues[number][0], queues[number][1].pop(0)) for number in order]
    for topic, values in again:
        if topic == TopicName.TOUCHES:
            steps.insert(dice.randrange(len(steps)), (topic, values[0]))
        else:
            steps += [(topic, value) for value in values]
    while steps:
        size = dice.choice([1, 1, 2, 5, 20])
        call, steps = steps[:size], steps[size:]
        batches = [
            await rig.batch(*values, topic=topic)
            for topic in (TopicName.CONTACTS, TopicName.TOUCHES)
            if (values := [value for of, value in call if of == topic])
        ]
        await rig.scorer.handle(batches)
        for batch in batches:
            rig.passed(batch)


async def agrees(rig: Rig, sender: Sender) -> None:
    """Check that every contact has the touches whose strongest name is its own, and the score of these."""
    owners = {alias: contact for alias, (contact, _) in sender.model.aliases.items()}
    histories: dict[UUID, list[Touch]] = {}
    for touch in sender.told.touches:
        histories.setdefault(owners[touch.aliases[0]], []).append(touch)
    page = await rig.get("/v1/contacts", limit=200)
    shown = {UUID(contact["id"]): contact for contact in page["contacts"]}
    assert {who for who, contact in shown.items() if contact["aliases"]} == histories.keys()
    for who, history in histories.items():
        expected = final(history, agreement(), as_of=NOON)
        assert shown[who]["touches"] == expected.touches
        assert abs(shown[who]["engagement"]["score"] - expected.score) < 1e-9
        named = {Alias(**alias) for alias in shown[who]["aliases"]}
        assert {owners[alias] for alias in named} == {who}
    for gone in sender.model.merged:
        async with rig.engine.connect() as connection:
            found = await rig.contacts.find(connection, gone)
        assert found is None or found[0] == sender.model.living(gone)


async def play(database_url: str, batches: list[list[Names]], dice: random.Random, *, undoing: bool) -> Sender:
    """Send the batches, have the scorer handle what ingest tells, and check."""
    sender = Sender()
    number = 0
    for names in batches:
        batch = list(enumerate(names, number))
        number += len(batch)
        sender.take(batch)
        if undoing and dice.random() < 0.4:
            sender.undo(dice)
        if dice.random() < 0.2:  # crashed before its position moved
            sender.take(batch)
    async with open_rig(database_url) as rig:
        async with rig.engine.begin() as connection:
            await connection.execute(EMPTY)
            version = await connection.scalar(text("SELECT max(version) FROM scorer.agreement"))
        if version is None:
            await rig.activate()
        await arrive(rig, sender.told, dice)
        await agrees(rig, sender)
    return sender


on_one_database = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@on_one_database
@given(batches=clear_events(), dice=st.randoms(use_true_random=False))
async def test_clear_names(database_url: str, batches: list[list[Names]], dice: random.Random) -> None:
    """Any order and any split of the same events, delivered anyhow, ends in the contacts that they join."""
    sender = await play(database_url, batches, dice, undoing=False)

    assert sender.model.partition() == connected([names for batch in batches for names in batch])


@on_one_database
@given(batches=muddle.flatmap(in_batches), dice=st.randoms(use_true_random=False))
async def test_any_names_and_merges_undone(database_url: str, batches: list[list[Names]], dice: random.Random) -> None:
    """Whatever is merged and parted again, each touch ends with the contact that its strongest name names."""
    await play(database_url, batches, dice, undoing=True)

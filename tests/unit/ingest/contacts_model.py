"""The store of aliases and merges as a model: it takes decisions in, and gives back what they taught."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, Decision, Person, decide, wanted
from services.ingest.domain.known import History, Holding, Known
from shared.events.touch import Alias
from shared.ids import ContactId

START = datetime(2026, 3, 1, tzinfo=UTC)


class ContactsModel:
    """Knows of each alias whom it names and since when, and of each merge who lives on in whom."""

    def __init__(self, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self.aliases: dict[Alias, tuple[ContactId, datetime]] = {}
        self.merged: dict[ContactId, ContactId] = {}
        self.parted: set[frozenset[ContactId]] = set()
        self.now = START

    def take(self, events: Sequence[Names]) -> Decision:
        """Decide on a batch as the worker does, and keep the decision."""
        histories: set[ContactId] = set()
        while True:
            decision = decide(events, self.known(wanted(events), histories), caps=self.caps)
            if not decision.asks:
                break
            assert not decision.asks <= histories, "it asks for what it was given"
            histories |= decision.asks
        for alias, contact in decision.links.items():
            assert alias not in self.aliases, "a link moves an alias"
            self.aliases[alias] = contact, self.now
        for merge in decision.merges:
            assert merge.other not in self.merged, "a contact is merged away twice"
            self.merged[merge.other] = merge.survivor
            for alias, (contact, since) in self.aliases.items():
                if contact == merge.other:
                    self.aliases[alias] = merge.survivor, since
        self.now += timedelta(seconds=1)
        return decision

    def take_all(self, batches: Iterable[Sequence[Names]]) -> list[Person]:
        """Take all batches; return whom each event was about."""
        return [person for batch in batches for person in self.take(batch).people]

    def part(self, survivor: ContactId, other: ContactId, aliases: Iterable[Alias]) -> None:
        """Undo a merge."""
        del self.merged[other]
        self.parted.add(frozenset({survivor, other}))
        for alias in aliases:
            self.aliases[alias] = other, self.aliases[alias][1]

    def known(self, aliases: Collection[Alias], histories: Collection[ContactId] = ()) -> Known:
        """Return what the worker would load."""
        found = [(alias, self.aliases[alias][0]) for alias in aliases if alias in self.aliases]
        return Known(
            found,
            holdings={contact: self._holding(contact) for _, contact in found},
            histories={contact: self._history(contact) for contact in histories},
        )

    def living(self, contact: ContactId) -> ContactId:
        """Return in whom the contact lives on."""
        while contact in self.merged:
            contact = self.merged[contact]
        return contact

    def partition(self) -> set[frozenset[Alias]]:
        """Return the aliases, those of each contact together."""
        groups: dict[ContactId, set[Alias]] = {}
        for alias, (contact, _) in self.aliases.items():
            groups.setdefault(contact, set()).add(alias)
        return set(map(frozenset, groups.values()))

    def named(self, kind: str, value: str) -> ContactId:
        """Return the contact that an alias names."""
        return next(
            contact for alias, (contact, _) in self.aliases.items() if (alias.kind, alias.value) == (kind, value)
        )

    def _holding(self, contact: ContactId) -> Holding:
        held = {alias: since for alias, (named, since) in self.aliases.items() if named == contact}
        return Holding(
            user=next((alias.value for alias in held if alias.kind == "user"), ""),
            emails=frozenset(alias.value for alias in held if alias.kind == "email"),
            anonymous=sum(alias.kind == "anonymous" for alias in held),
            since=min(held.values()),
        )

    def _history(self, contact: ContactId) -> History:
        members = {contact, *(other for other in self.merged if self.living(other) == contact)}
        apart = {other for pair in self.parted if pair & members for other in pair - members}
        return History(frozenset(members), frozenset(apart))


def connected(events: Iterable[Names]) -> set[frozenset[Alias]]:
    """Return the aliases of the events, those that events join, directly or through others, together."""
    groups: list[set[Alias]] = []
    for names in events:
        carried = {*names.aliases, *([Alias("anonymous", names.previous)] if names.previous else ())}
        touching = [group for group in groups if group & carried]
        groups = [group for group in groups if not group & carried] + [carried.union(*touching)]
    return set(map(frozenset, groups))

"""Which contact an event is about, which aliases its names become, and which contacts turn out to be one person.

The strongest known name decides: user, then email, then anonymous id. The names that are new then belong to the same
contact, and contacts that the other names already have are joined with it. What keeps strangers apart is `Refusal`.

Of two contacts the one whose oldest alias is older survives. A contact that this very decision makes is known to
nobody yet: its names are linked to the other contact, and there is nothing to merge. All people are told at the end,
so that every event of the batch names a survivor.

The same event decided again finds its strongest name known and comes to the same contact.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from services.ingest.domain.identifiers import Names
from services.ingest.domain.known import History, Holding, Known
from shared.events.touch import Alias
from shared.ids import ContactId, contact_id

_NEVER = datetime.max.replace(tzinfo=UTC)


class Refusal(StrEnum):
    """Why a name was not linked, or two contacts were not merged, although an event showed both together."""

    TWO_USERS = "two_users"  # two user ids never share a contact, whoever says so
    SHARED_DEVICE = (
        "shared_device"  # an anonymous id seen with several addresses: a tablet at a fair, a family's browser
    )
    UNDONE = "undone"  # somebody has undone such a merge before
    EMAILS_FULL = "emails_full"
    ANONYMOUS_FULL = "anonymous_full"
    MERGES_FULL = "merges_full"


@dataclass(frozen=True, slots=True)
class Caps:
    """What one contact may hold: a user id wired into somebody's code would collect every name there is."""

    emails: int = 50
    anonymous: int = 500
    merges: int = 100


class Person(NamedTuple):
    """Who an event is about, and which of the names it carries are this contact's."""

    contact_id: ContactId
    aliases: tuple[Alias, ...]


class Merge(NamedTuple):
    """Two contacts known before are one person."""

    survivor: ContactId
    other: ContactId
    event: int  # that showed it, by its place among the events
    names: Names  # of that event


@dataclass(frozen=True, slots=True)
class Decision:
    """Who each event is about, and what has to be written down before anybody is told."""

    people: list[Person] = field(default_factory=list)  # one for each event, in order
    links: dict[Alias, ContactId] = field(default_factory=dict)  # aliases that are new
    merges: list[Merge] = field(default_factory=list)  # in this order, after the links
    # What it rests on: contacts known before that gain or lose something, with what they had; and for merges, where
    # the names of their events pointed, and the histories that allowed them.
    changing: dict[ContactId, Holding] = field(default_factory=dict)
    evidence: dict[Alias, ContactId] = field(default_factory=dict)
    histories: dict[ContactId, History] = field(default_factory=dict)
    refused: Counter[Refusal] = field(default_factory=Counter)
    # Contacts whose history has to be known: load it and decide again. Until then this is no decision.
    asks: set[ContactId] = field(default_factory=set)


def wanted(events: Iterable[Names]) -> set[Alias]:
    """Return the aliases that a decision about these events has to know."""
    aliases: set[Alias] = set()
    for names in events:
        aliases.update(names.aliases)
        if names.previous:
            aliases.update((Alias("user", names.previous), Alias("anonymous", names.previous)))
    return aliases


def decide(events: Sequence[Names], known: Known, *, caps: Caps) -> Decision:
    """Decide in order; what one event teaches, the next knows. `known` learns what is decided."""
    return _Deciding(known, caps).decide(events)


class _Deciding:
    def __init__(self, known: Known, caps: Caps) -> None:
        self.known = known
        self.caps = caps
        self.decision = Decision(histories=dict(known.histories))
        self.made: dict[ContactId, list[Alias]] = {}  # contacts that nobody knows yet, and what is linked to them

    def decide(self, events: Sequence[Names]) -> Decision:
        carried = []
        for event, names in enumerate(events):
            aliases = names.aliases
            if names.previous:
                aliases += (_previous(names, self.known),)
            carried.append(aliases)
            self.decision.people.append(self._as_known(names, aliases) or self._person(event, names, aliases))
        if self.known.joined:
            self.decision.people[:] = map(self._settled, self.decision.people, carried)
        return self.decision

    def _as_known(self, names: Names, aliases: tuple[Alias, ...]) -> Person | None:
        """Return the person when all names are known as this contact's; most events tell nothing new."""
        known = self.known
        contact = known.contacts.get(aliases[0])
        if contact is None or known.joined:
            return None
        for alias in aliases[1:]:
            if known.contacts.get(alias) != contact:
                return None
        return Person(contact, aliases) if _may_lend(aliases[0], contact, names, known) else None

    def _person(self, event: int, names: Names, aliases: tuple[Alias, ...]) -> Person:
        known = self.known
        found = [known.named(alias) for alias in aliases]
        contact = next(
            (
                contact
                for alias, contact in zip(aliases, found, strict=True)
                if contact is not None and _may_lend(alias, contact, names, known)
            ),
            None,
        ) or contact_id(aliases[0].kind, aliases[0].value)
        own = aliases
        for alias, then in zip(aliases, found, strict=True):
            if then == contact:
                continue
            other = known.named(alias)  # what this event has taught by now
            if other is None:
                held = known.holding(contact)
                refusal = _full(alias, held, self.caps)
                if refusal is None:
                    self._link(alias, contact, held)
            elif other != contact:
                refusal = self._refusal(alias, contact, other, names)
                if refusal is None:
                    contact = self._join(contact, other, event, names)
            else:
                refusal = None
            if refusal is not None:
                self.decision.refused[refusal] += 1
                own = tuple(one for one in own if one != alias)
        return Person(contact, own)

    def _settled(self, person: Person, aliases: tuple[Alias, ...]) -> Person:
        contact = self.known.living(person.contact_id)
        return Person(contact, tuple(alias for alias in aliases if self.known.named(alias) == contact))

    def _link(self, alias: Alias, contact: ContactId, held: Holding) -> None:
        if held.since is not None:
            self.decision.changing.setdefault(contact, held)
        elif contact in self.made:
            self.made[contact].append(alias)
        else:
            self.made[contact] = [alias]
        self.known.link(alias, contact, held)
        self.decision.links[alias] = contact

    def _changes(self, contact: ContactId) -> None:
        self.decision.changing.setdefault(contact, self.known.holding(contact))

    def _refusal(self, alias: Alias, contact: ContactId, other: ContactId, names: Names) -> Refusal | None:
        """Return what speaks against joining the contact with the one that a name of the event already has."""
        one, two = self.known.holding(contact), self.known.holding(other)
        if one.user and two.user:
            return Refusal.TWO_USERS
        said = names.previous and alias.value == names.previous  # then the source says itself that they are one
        if alias.kind == "anonymous" and one.emails and two.emails and not said:
            return Refusal.SHARED_DEVICE
        if len(one.emails) + len(two.emails) > self.caps.emails:
            return Refusal.EMAILS_FULL
        if one.anonymous + two.anonymous > self.caps.anonymous:
            return Refusal.ANONYMOUS_FULL
        if one.since is None or two.since is None:
            return None
        histories = [self.known.histories.get(each) for each in (contact, other)]
        if histories[0] is None or histories[1] is None:
            self.decision.asks.update(
                each for each, history in zip((contact, other), histories, strict=True) if history is None
            )
            return None
        if histories[0].apart & histories[1].members or histories[1].apart & histories[0].members:
            return Refusal.UNDONE
        if len(histories[0].members) + len(histories[1].members) - 1 > self.caps.merges:
            return Refusal.MERGES_FULL
        return None

    def _join(self, contact: ContactId, other: ContactId, event: int, names: Names) -> ContactId:
        """Make the two contacts one; return the one that survives."""
        survivor, other = sorted((contact, other), key=self._age)
        if self.known.stored(other):
            self._changes(survivor)
            self._changes(other)
            self.decision.merges.append(Merge(survivor, other, event, names))
            for alias in wanted([names]):
                if alias in self.known.contacts and alias not in self.decision.links:
                    self.decision.evidence[alias] = self.known.contacts[alias]
        else:
            if self.known.stored(survivor):
                self._changes(survivor)
            moved = self.made.pop(other)
            self.decision.links.update(dict.fromkeys(moved, survivor))
            if not self.known.stored(survivor):
                self.made.setdefault(survivor, []).extend(moved)
        self.known.join(survivor, other)
        return survivor

    def _age(self, contact: ContactId) -> tuple[datetime, ContactId]:
        return self.known.holding(contact).since or _NEVER, contact


def _previous(names: Names, known: Known) -> Alias:
    """Return what an alias call means by the previous id: a user that is known, else an anonymous id."""
    user = Alias("user", names.previous)
    return user if user in known.contacts else Alias("anonymous", names.previous)


def _may_lend(alias: Alias, contact: ContactId, names: Names, known: Known) -> bool:
    """Tell whether the contact that a known alias names may be the one that the event is about."""
    held = known.holding(contact)
    if names.user and held.user and held.user != names.user:
        return False
    if alias.kind == "anonymous" and names.email:
        return not held.emails or names.email in held.emails
    return True


def _full(alias: Alias, held: Holding, caps: Caps) -> Refusal | None:
    """Return why the contact may not have one more name of this kind."""
    if alias.kind == "email" and len(held.emails) >= caps.emails:
        return Refusal.EMAILS_FULL
    if alias.kind == "anonymous" and held.anonymous >= caps.anonymous:
        return Refusal.ANONYMOUS_FULL
    return None

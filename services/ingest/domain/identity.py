"""Which contact an event is about, and which aliases its names become.

The strongest known name decides: user, then email, then anonymous id. The names that are new then belong to the same
contact. Three rules keep strangers apart:

* Two user ids never share a contact. A new user id on a browser or an address that belongs to another user is another
  person, so it gets a contact of its own.
* An anonymous id is weak: browsers are shared. It lends its contact to a new address only if the contact has none yet,
  so a tablet at a fair does not make one person of all who typed their address into it.
* An alias, once it is there, never moves. Where an event shows that two contacts are one person, the pair is kept
  with its evidence as a pending merge.

The same event decided again finds its strongest name known and comes to the same contact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.ingest.domain.identifiers import Names
from shared.events.touch import Alias
from shared.ids import ContactId, contact_id

EMAILS_PER_CONTACT = 50  # a user id wired into somebody's code would collect every address there is

Pair = tuple[ContactId, ContactId]


class Known:
    """Aliases and the contacts that they name, as far as a decision needs them."""

    def __init__(self, aliases: Iterable[tuple[Alias, ContactId]] = ()) -> None:
        self.contacts: dict[Alias, ContactId] = {}
        self.users: dict[ContactId, str] = {}
        self.emails: dict[ContactId, set[str]] = {}
        for alias, contact in aliases:
            self.add(alias, contact)

    def add(self, alias: Alias, contact: ContactId) -> None:
        """Let the alias name the contact."""
        self.contacts[alias] = contact
        if alias.kind == "user":
            self.users[contact] = alias.value
        elif alias.kind == "email":
            self.emails.setdefault(contact, set()).add(alias.value)

    def held(self, contact: ContactId) -> frozenset[Alias]:
        """Return the user id and the addresses of a contact."""
        users = [Alias("user", self.users[contact])] if contact in self.users else []
        return frozenset([*users, *(Alias("email", email) for email in self.emails.get(contact, ()))])


class Person(NamedTuple):
    """Who an event is about, and which of the names it carries are this contact's."""

    contact_id: ContactId
    aliases: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who each event is about, and what has to be written down before anybody is told."""

    people: list[Person] = field(default_factory=list)  # one for each event, in order
    links: dict[Alias, ContactId] = field(default_factory=dict)  # aliases that are new
    # Contacts known before that gain a user id or an address, and what of both they had: the decision rests on it.
    gaining: dict[ContactId, frozenset[Alias]] = field(default_factory=dict)
    merges: dict[Pair, Names] = field(default_factory=dict)  # (survivor, other) and the names that show it


def wanted(events: Iterable[Names]) -> set[Alias]:
    """Return the aliases that a decision about these events has to know."""
    aliases: set[Alias] = set()
    for names in events:
        aliases.update(names.aliases)
        if names.previous:
            aliases.update((Alias("user", names.previous), Alias("anonymous", names.previous)))
    return aliases


def decide(events: Sequence[Names], known: Known) -> Decision:
    """Decide in order; what one event teaches, the next knows. `known` learns the new links."""
    before = set(known.contacts.values())
    decision = Decision()
    for names in events:
        aliases = names.aliases
        if names.previous:
            aliases += (_previous(names, known),)
        found = [known.contacts.get(alias) for alias in aliases]
        contact = next(
            (
                contact
                for alias, contact in zip(aliases, found, strict=True)
                if contact is not None and _may_lend(alias, contact, names, known)
            ),
            None,
        ) or contact_id(aliases[0].kind, aliases[0].value)
        own = aliases
        for alias, other in zip(aliases, found, strict=True):
            if other is None:
                if alias.kind == "email" and len(known.emails.get(contact, ())) >= EMAILS_PER_CONTACT:
                    own = _without(own, alias)
                    continue
                if alias.kind != "anonymous" and contact in before and contact not in decision.gaining:
                    decision.gaining[contact] = known.held(contact)
                known.add(alias, contact)
                decision.links[alias] = contact
            elif other != contact:
                own = _without(own, alias)
                if _may_be_one(alias, contact, other, names, known):
                    decision.merges.setdefault((contact, other), names)
        decision.people.append(Person(contact, own))
    return decision


def _without(aliases: tuple[Alias, ...], alias: Alias) -> tuple[Alias, ...]:
    return tuple(other for other in aliases if other != alias)


def _previous(names: Names, known: Known) -> Alias:
    """Return what an alias call means by the previous id: a user that is known, else an anonymous id."""
    user = Alias("user", names.previous)
    return user if user in known.contacts else Alias("anonymous", names.previous)


def _may_lend(alias: Alias, contact: ContactId, names: Names, known: Known) -> bool:
    """Tell whether the contact that a known alias names may be the one that the event is about."""
    if names.user and known.users.get(contact, names.user) != names.user:
        return False
    if alias.kind == "anonymous" and names.email:
        emails = known.emails.get(contact)
        return not emails or names.email in emails
    return True


def _may_be_one(alias: Alias, contact: ContactId, other: ContactId, names: Names, known: Known) -> bool:
    """Tell whether a name that belongs to another contact shows that both are one person."""
    if names.previous and alias.value == names.previous:
        return True  # the source says so itself
    users = known.users.get(contact), known.users.get(other)
    if all(users) and users[0] != users[1]:
        return False
    if alias.kind == "anonymous":
        emails = known.emails.get(contact), known.emails.get(other)
        return not (emails[0] and emails[1] and emails[0].isdisjoint(emails[1]))
    return True

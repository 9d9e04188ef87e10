"""What is known of contacts when a decision about them is made, and what the decision itself has taught so far."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import assert_never

import msgspec

from shared.events.touch import Alias
from shared.ids import ContactId


class Holding(msgspec.Struct, frozen=True, gc=False):
    """The names that a contact has. Anonymous ids are many and weak: they are only counted."""

    user: str = ""
    emails: frozenset[str] = frozenset()
    anonymous: int = 0
    since: datetime | None = None  # when its oldest alias was linked; None: by this decision

    def rests_on(self) -> tuple[str, frozenset[str]]:
        """Return what a decision rests on: if it changes meanwhile, the decision has to be made again."""
        return self.user, self.emails


class History(msgspec.Struct, frozen=True, gc=False):
    """The merges that made a contact what it is."""

    members: frozenset[ContactId]  # itself, and all that live on in it
    apart: frozenset[ContactId] = frozenset()  # from which a merge that was undone has parted one of the members


NOTHING = Holding()


class Known:
    """Aliases, the contacts that they name, and what these have, as far as a decision needs them."""

    def __init__(
        self,
        aliases: Iterable[tuple[Alias, ContactId]] = (),
        *,
        holdings: Mapping[ContactId, Holding] | None = None,
        histories: Mapping[ContactId, History] | None = None,
    ) -> None:
        self.contacts: dict[Alias, ContactId] = dict(aliases)  # as it was found, and what is linked since
        self.holdings: dict[ContactId, Holding] = dict(holdings or {})
        self.histories: dict[ContactId, History] = dict(histories or {})
        self.joined: dict[ContactId, ContactId] = {}  # by this decision: who lives on in whom

    def named(self, alias: Alias) -> ContactId | None:
        """Return the contact that the alias names."""
        contact = self.contacts.get(alias)
        return self.living(contact) if contact and self.joined else contact

    def living(self, contact: ContactId) -> ContactId:
        """Return the contact that this one lives on in; itself, if it was not joined to another."""
        while contact in self.joined:
            contact = self.joined[contact]
        return contact

    def holding(self, contact: ContactId) -> Holding:
        """Return what the contact has."""
        return self.holdings.get(contact, NOTHING)

    def stored(self, contact: ContactId) -> bool:
        """Tell whether others may know the contact, as they cannot know one that this decision makes."""
        return self.holding(contact).since is not None

    def link(self, alias: Alias, contact: ContactId, held: Holding) -> None:
        """Let an alias that named nobody name the contact, which has `held` so far."""
        self.contacts[alias] = contact
        user, emails, anonymous = held.user, held.emails, held.anonymous
        match alias.kind:
            case "user":
                user = alias.value
            case "email":
                emails |= {alias.value}
            case "anonymous":
                anonymous += 1
            case kind:
                assert_never(kind)
        self.holdings[contact] = Holding(user, emails, anonymous, held.since)

    def join(self, survivor: ContactId, other: ContactId) -> None:
        """Let the survivor have all that the other has."""
        ours, theirs = self.holding(survivor), self.holding(other)
        self.holdings[survivor] = Holding(
            ours.user or theirs.user, ours.emails | theirs.emails, ours.anonymous + theirs.anonymous, ours.since
        )
        histories = [self.histories[contact] for contact in (survivor, other) if contact in self.histories]
        if len(histories) == 2:
            self.histories[survivor] = History(
                histories[0].members | histories[1].members, histories[0].apart | histories[1].apart
            )
        self.joined[other] = survivor

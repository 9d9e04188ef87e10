"""What the scorer knows about one contact: enough to decide on the next touch without looking at the earlier ones.

Everything in here is the same in whatever order the same touches came, except `arming`, which records decisions, and
the last bits of the decayed counts.

`gc=False`: what was read holds no cycles, and a sweep reads a million states.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from services.scorer.domain.arming import Arming
from services.scorer.domain.decay import DecayedCount
from shared.agreement.model import Stage
from shared.events.touch import Alias, Campaign
from shared.ids import contact_id, derived_id


class RuleCount(msgspec.Struct, array_like=True, omit_defaults=True, gc=False):
    """What one contact did that meets one rule. Instants are in microseconds."""

    decayed: DecayedCount
    count: int = 0  # touches that counted
    last: int = -(1 << 62)  # newest `occurred_at` of a touch that met the rule
    days: dict[int, int] = {}  # of a rule with `per_day`: how many counted on each UTC day since 1970
    suspect: int = 0  # touches that met the rule and do not count, because a machine may have made them
    over: int = 0  # touches that met the rule and do not count, because `per_day` of their day had counted before


class Prepared(msgspec.Struct, array_like=True, gc=False):
    """What rules counted under an agreement that is not in force yet, so that it can be from one instant on."""

    version: int
    rules: dict[str, RuleCount] = {}  # by rule id


class Stamped(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value, and which touch said it when. The newest wins; of two at one instant, the greater touch id."""

    value: Any
    at: int
    touch_id: UUID

    def beats(self, other: "Stamped | None") -> bool:
        """Tell whether this value stands against the other."""
        return other is None or (self.at, self.touch_id) > (other.at, other.touch_id)


Told = dict[str, Stamped]  # by trait

_NOTHING = b"{}"
_read_told = msgspec.json.Decoder(Told).decode
_read_accounts = msgspec.json.Decoder(dict[str, Told]).decode
_write_told = msgspec.json.Encoder(order="sorted").encode  # the same bytes in whatever order it was told


class Nurtured(msgspec.Struct, frozen=True, omit_defaults=True):
    """What marketing was told of a contact last."""

    stage: Stage | None = None
    at: int | None = None  # None: nothing yet, this is where it stood when telling began
    recycled: UUID | None = None  # handoff that it was told of as given back
    cooled: UUID | None = None  # handoff during which it was told to have cooled


class ContactState(msgspec.Struct, omit_defaults=True, gc=False):
    """The state of one contact. Changed in place within the transaction that holds its row."""

    rules: dict[str, RuleCount] = {}  # by rule id
    touches: int = 0  # that were the contact's own doing
    first_at: int | None = None
    last_at: int | None = None
    # JSON, unread until somebody asks: most touches neither tell nor ask who the contact is. `told` and
    # `told_of_accounts` read them, `tell` and `tell_of_accounts` write them.
    traits: bytes = _NOTHING
    domain: Stamped | None = None  # of the account
    accounts: bytes = _NOTHING
    aliases: list[Alias] = []  # sorted
    opted_out: Stamped | None = None
    first_campaign: Stamped | None = None
    last_campaign: Stamped | None = None
    fit: float | None = None  # score under the agreement it was last decided under; None: to be reckoned again
    arming: Arming = Arming()
    counting: str = ""  # counting hash of the agreement that the counts were made under; "" when there was none
    agreement: int = 0  # version that the contact was last decided under; 0 when there was none
    # Counts under the agreement that is about to be in force: whole, or None. What changes `rules` changes them, too.
    prepared: Prepared | None = None
    # The order of decisions as the router has to see it, whatever the order of the touches was. In microseconds.
    handed_at: int | None = None  # `decided_at` of the newest handoff
    withdrawn_at: int | None = None  # `at` of the newest opt-out that the router was told of
    merged: list[UUID] = []  # sorted: ids of contacts that turned out to be this person, and of those merged into them
    # Names that a merge undone gave to another contact, hashed as the id of a contact is, and that contact. Touches
    # that ingest published before may carry them under this one.
    parted: dict[UUID, UUID] = {}
    nurtured: Nurtured | None = None
    nurture_due: int | None = None  # when there may be something to tell marketing if nothing else happens
    counted_in: UUID | None = None  # account in which the contact counts, as far as its last transaction told
    handed_for: UUID | None = None  # account whose handoff the contact's latest one is
    merged_into: UUID | None = None  # the contact that this one lives on in; it holds nothing itself then

    @property
    def is_opted_out(self) -> bool:
        """Whether the contact asked to be left alone."""
        return self.opted_out is not None and self.opted_out.value is True

    def due_at(self) -> int | None:
        """Return when time alone changes something about the contact."""
        rearms_at, nurture_due = self.arming.rearms_at, self.nurture_due
        if rearms_at is None or nurture_due is None:
            return nurture_due if rearms_at is None else rearms_at
        return min(rearms_at, nurture_due)

    def told(self) -> Told:
        """Return what is told of the contact, by trait."""
        return _read_told(self.traits)

    def tell(self, told: Told) -> None:
        """Let this be what is told of the contact."""
        self.traits = _write_told(told)

    def told_of_accounts(self) -> dict[str, Told]:
        """Return what is told of each account, by its domain; "" where no domain was told."""
        return _read_accounts(self.accounts)

    def tell_of_accounts(self, told: dict[str, Told]) -> None:
        """Let this be what is told of accounts."""
        self.accounts = _write_told(told)

    def profile(self) -> dict[str, Any]:
        """Return the contact's traits; `email` also when only an alias tells it."""
        traits = {key: stamped.value for key, stamped in self.told().items()}
        if not traits.get("email"):
            email = next((alias.value for alias in self.aliases if alias.kind == "email"), None)
            if email:
                traits["email"] = email
        return traits

    def account_domain(self) -> str:
        """Return the domain of the contact's account, or an empty text."""
        return str(self.domain.value) if self.domain else ""

    def account_id(self) -> UUID | None:
        """Return the identity of the contact's account: its domain's."""
        domain = self.account_domain()
        return account_id(domain) if domain else None

    def account(self) -> dict[str, Any]:
        """Return the traits of the contact's account."""
        accounts = self.told_of_accounts()
        told = {**accounts.get("", {}), **accounts.get(self.account_domain(), {})}
        return {key: stamped.value for key, stamped in told.items()}


def hashed(alias: Alias) -> UUID:
    """Return a name as a state may keep it that is not of its contact: whoever is erased shall not be named in it."""
    return contact_id(alias.kind, alias.value)


@lru_cache(maxsize=10_000)
def account_id(domain: str) -> UUID:
    """Return the identity of the account with the domain."""
    return derived_id("account", domain)


encode_state = msgspec.msgpack.Encoder(uuid_format="bytes").encode
_read_state = msgspec.msgpack.Decoder(ContactState).decode
_read_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_state(value: bytes) -> ContactState:
    """Read a stored state. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _state_of_json(value) if value.startswith(b"{") else _read_state(value)


def _state_of_json(value: bytes) -> ContactState:
    """Read a state as it was stored by the releases before states were MessagePack."""
    fields = _read_fields(value)
    told = {name: bytes(fields.pop(name)) for name in ("traits", "accounts") if name in fields}
    return msgspec.structs.replace(msgspec.json.decode(msgspec.json.encode(fields), type=ContactState), **told)


def may_have_parted(value: bytes) -> bool:
    """Tell cheaply of a stored state: False only when nobody was parted from its contact for sure."""
    return b"parted" in value  # the field's name, left out where it has nothing to tell


def campaign_of(stamped: Stamped | None) -> Campaign | None:
    """Return the stamped campaign, which is a mapping when it was read from the store."""
    if stamped is None:
        return None
    value: Campaign | Mapping[str, Any] = stamped.value
    return value if isinstance(value, Campaign) else msgspec.convert(value, Campaign)

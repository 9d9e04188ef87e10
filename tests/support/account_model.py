"""Accounts in plain code, from raw touches, to hold the scorer against. It shares no code with it but the agreement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from uuid import UUID

from shared.agreement.model import Agreement
from shared.events.touch import Touch
from tests.support.reference_model import final


@dataclass
class ModelAccount:
    """One account: what each person adds, and who of them is in which role and did something of late."""

    adds: dict[UUID, float]
    roles: dict[UUID, set[str]]
    recent: set[UUID]

    @property
    def engagement(self) -> float:
        """What all add up to."""
        return sum(self.adds.values())

    def ready(self, agreement: Agreement) -> bool:
        """Whether the threshold holds, leaving aside who is with sales."""
        accounts = agreement.accounts
        assert accounts is not None
        taken = {role for person in self.recent for role in self.roles[person]}
        return (
            self.engagement >= accounts.ready.engagement
            and len(self.recent) >= accounts.ready.contacts
            and taken.issuperset(accounts.ready.roles)
        )


def model_accounts(
    touches: Mapping[UUID, Iterable[Touch]], agreement: Agreement, *, as_of: datetime
) -> dict[str, ModelAccount]:
    """Return the accounts by domain, given each person's touches in any order, with repeats."""
    accounts = agreement.accounts
    assert accounts is not None
    found: dict[str, ModelAccount] = {}
    for person, arrived in touches.items():
        kept = list({touch.id: touch for touch in arrived}.values())
        newest_first = sorted(kept, key=lambda touch: (touch.occurred_at, touch.id), reverse=True)
        domain = next((touch.account_domain for touch in newest_first if touch.account_domain), "")
        title = next((str(touch.traits["title"]) for touch in newest_first if "title" in touch.traits), "")
        told = final(kept, agreement, as_of=as_of)
        if not domain or told.opted_out or domain == "rival.example" or told.score < accounts.least:
            continue
        account = found.setdefault(domain, ModelAccount({}, {}, set()))
        account.adds[person] = min(told.score, accounts.cap)
        account.roles[person] = {
            role.id
            for role in accounts.roles
            if any(fnmatchcase(title.lower(), str(pattern)) for pattern in role.when[0].any_of)
        }
        did = [touch.occurred_at for touch in kept if touch.path and touch.id not in told.suspect]
        if did and (accounts.ready.within is None or max(did) + accounts.ready.within >= as_of):
            account.recent.add(person)
    return found

"""What the API shows of accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.scorer.domain.account import AccountState, assess_account
from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.instants import from_micros, to_micros
from services.scorer.domain.rollup import Person, roll_up
from services.scorer.domain.terms import Terms
from services.scorer.store.accounts import People


def show_account(
    account_id: UUID, state: AccountState, people: People, terms: Terms, *, as_of: datetime
) -> dict[str, Any]:
    """Return an account with its engagement at the instant, under an agreement that has accounts.

    People who are still counted under an earlier version of the agreement are left out until they are not.
    """
    accounts = terms.accounts
    assert accounts is not None, "the caller has looked"
    at = to_micros(as_of)
    waiting = [contact_id for contact_id, contact in people if contact.counting != terms.counting]
    ready = [(contact_id, contact) for contact_id, contact in people if contact.counting == terms.counting]
    assessment = assess_account(roll_up(ready, terms, accounts, at), accounts)
    rollup = assessment.rollup
    arming = state.arming.at(at)
    left_out = {**rollup.left_out, **dict.fromkeys(waiting, "counted again at the moment")}
    newest = max((contact for _, contact in people), key=lambda contact: contact.last_at or 0, default=None)
    return {
        "id": account_id,
        "domain": next((contact.account_domain() for _, contact in people), None),
        "traits": newest.account() if newest else {},
        "engagement": {"score": rollup.engagement, "parts": rollup.parts},
        "people": [_person(person) for person in rollup.people],
        "left_out": [{"contact": contact_id, "reason": reason} for contact_id, reason in left_out.items()],
        "ready": assessment.ready,
        "missing": assessment.missing,
        "arming": {
            "state": arming.kind,
            "handoff_id": arming.handoff_id,
            "contact": state.contact_id,
            "until": _instant(arming.rearms_at) if arming.kind is not ArmingKind.ARMED else None,
        },
        "agreement": terms.version,
        "as_of": as_of,
    }


def _person(person: Person) -> dict[str, Any]:
    profile = person.state.profile()
    return {
        "id": person.contact_id,
        "name": profile.get("name"),
        "email": profile.get("email"),
        "title": profile.get("title"),
        "roles": person.roles,
        "engagement": person.engagement,
        "adds": person.adds,
        "last_at": _instant(person.last_at),
        "recent": person.recent,
        "arming": person.arming.kind,
    }


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)

"""An agreement with accounts, for tests."""

from datetime import datetime
from typing import Any
from uuid import UUID

from shared.events.touch import Touch
from shared.ids import contact_id
from tests.support.touches import NOON, TEXT, a_profile

SECTION = """
accounts:
  ready: {engagement: 60, contacts: 3, within: 7d, roles: [decision_maker]}
  per_contact: {least: 5, cap: 30}
  roles: {decision_maker: {contact.title: ["*director*", "vp *"]}, user: {contact.title: ["*clerk*"]}}
  rearm: {below: 40}
"""
ACCOUNTS_TEXT = TEXT + SECTION


def somebody(name: str) -> UUID:
    """Return the contact of a name."""
    return contact_id("user", name)


def who(name: str, *, title: str = "Clerk", domain: str = "acme.example", at: datetime = NOON, **fields: Any) -> Touch:
    """Return a touch that tells where somebody works, as what."""
    return a_profile(
        f"who {name} {domain} {at}",
        contact=somebody(name),
        at=at,
        traits={"title": title, "name": name},
        account_domain=domain,
        account_traits={},
        **fields,
    )

"""Readmission: somebody who was erased signs up again, and is a contact like any other, with no past.

The new contact has an id of its own. The old one stays erased, so that whatever is still under way from before, or is
replayed, finds nobody.
"""

from collections.abc import Collection
from uuid import UUID

import msgspec

from services.ingest.domain.identifiers import read_email, read_identifier
from shared.events.touch import Alias
from shared.ids import ContactId, derived_id

SOURCE = "tandem"
EVENT = "com.tandem.contact.readmitted"


def aliases_of(name: str) -> tuple[Alias, ...]:
    """Return what a person may have been known as who gives this name; some take addresses as user ids."""
    user, email = read_identifier(name), read_email(name)
    aliases = (Alias("user", user),) if user else ()
    return (*aliases, Alias("email", email)) if email else aliases


def readmitted_id(readmission: UUID) -> ContactId:
    """Derive the identity of the new contact."""
    return ContactId(derived_id("readmitted", readmission))


def readmission_event(readmission: UUID, aliases: Collection[Alias]) -> bytes:
    """Return the event that makes the contact known to all services, so that it can be found, and erased again."""
    user = next((alias.value for alias in aliases if alias.kind == "user"), None)
    email = min((alias.value for alias in aliases if alias.kind == "email"), default=None)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": str(readmission),
            "source": SOURCE,
            "type": EVENT,
            "data": {"type": "identify", "userId": user, "traits": {"email": email} if email else {}},
        }
    )

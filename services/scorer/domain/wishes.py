"""What somebody says on behalf of a contact: to be left alone, or not any more.

It is a touch like any other, so it competes with what the contact said itself by time alone, is in the history with who
said it, and counts for no rule that asks for an action.
"""

from datetime import datetime
from uuid import UUID

from shared.events.touch import Touch, TouchType
from shared.ids import derived_id

SOURCE = "tandem"


def wish(contact_id: UUID, *, opted_out: bool, by: str, role: str, at: datetime) -> Touch:
    """Return the touch that opts the contact out, or in again."""
    name = "Opted Out" if opted_out else "Opted In"
    return Touch(
        id=derived_id("wish", contact_id, name, by, at.isoformat()),
        contact_id=contact_id,
        source=SOURCE,
        kind="web",
        type=TouchType.IDENTIFY,
        name=name,
        occurred_at=at,
        received_at=at,
        properties={"by": by, "role": role},
        opted_out=opted_out,
    )

"""The schemas of the webhooks, for receivers who check or generate code. A test holds it against rendered messages."""

from typing import Any

import msgspec

from services.router.domain.brief import Brief
from services.router.domain.erasure import CONTACT_ERASED
from services.router.domain.webhook import LEAD_READY
from shared.events.touch import Alias

LEAD_READY_SCHEMA = "webhook-lead-sales-ready"
CONTACT_ERASED_SCHEMA = "webhook-contact-erased"

_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
_UUID = {"type": "string", "format": "uuid"}
_URL = {"type": "string", "format": "uri"}
_ANYTHING = {"type": "object"}


def webhook_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each webhook by the name that it is served under."""
    (brief, alias), definitions = msgspec.json.schema_components([Brief, Alias], ref_template="#/$defs/{name}")
    data = _closed(
        handoff=_closed(
            id=_UUID,
            state={"const": "assigned"},
            reason={"enum": ["threshold", "hand_raise", "account"]},
            agreement={"type": "integer"},
            decided_at=_INSTANT,
            assigned_at=_INSTANT,
            assignment={"type": "integer", "minimum": 1},
        ),
        rep=_closed(name=_TEXT, email=_TEXT),
        pool=_TEXT,
        contact=_closed(
            id=_UUID,
            email=_TEXT,
            name=_TEXT,
            company=_TEXT,
            aliases={"type": "array", "items": alias},
            traits=_ANYTHING,
            account=_closed(id={"type": ["string", "null"], "format": "uuid"}, domain=_TEXT, traits=_ANYTHING),
        ),
        brief=brief,
        answer=_closed(accept=_URL, reject=_URL, reject_reasons={"type": "array", "items": _TEXT}),
    )
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": LEAD_READY,
        "description": "A rep was given a lead. The headers are those of Standard Webhooks.",
        **_closed(type={"const": LEAD_READY}, timestamp=_INSTANT, data=data),
        "$defs": definitions,
    }
    return {LEAD_READY_SCHEMA: schema, CONTACT_ERASED_SCHEMA: _contact_erased()}


def _contact_erased() -> dict[str, Any]:
    ids = {"type": "array", "items": _UUID}
    data = _closed(contact=_closed(id=_UUID, ids=ids), handoffs=ids, erased_at=_INSTANT)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": CONTACT_ERASED,
        "description": "The contact of these handoffs is to be forgotten. The headers are those of Standard Webhooks.",
        **_closed(type={"const": CONTACT_ERASED}, timestamp=_INSTANT, data=data),
    }


def _closed(**properties: Any) -> dict[str, Any]:
    """Return an object that has all of these; receivers must expect more of them later."""
    return {"type": "object", "required": list(properties), "properties": properties}

"""The schemas of the webhooks, for receivers who check or generate code. A test holds it against rendered messages."""

from typing import Any

import msgspec

from services.router.domain.brief import Brief
from services.router.domain.erasure import CONTACT_ERASED
from services.router.domain.handoff import State
from services.router.domain.nurture import CONTACT_NURTURE
from services.router.domain.webhook import ESCALATED, EXPIRED, LEAD_READY, REASSIGNED, STATES
from shared.events.nurture import NurtureKind
from shared.events.touch import Alias

LEAD_READY_SCHEMA = "webhook-lead-sales-ready"
GIVEN_SCHEMAS = {
    LEAD_READY: LEAD_READY_SCHEMA,
    REASSIGNED: "webhook-handoff-reassigned",
    ESCALATED: "webhook-handoff-escalated",
}
EXPIRED_SCHEMA = "webhook-handoff-expired"
CONTACT_ERASED_SCHEMA = "webhook-contact-erased"
NURTURE_SCHEMA = "webhook-contact-nurture"

_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
_UUID = {"type": "string", "format": "uuid"}
_URL = {"type": "string", "format": "uri"}
_ANYTHING = {"type": "object"}
_NAMED_OR_NOBODY = {"type": ["object", "null"], "required": ["name"], "properties": {"name": _TEXT}}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def webhook_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each webhook by the name that it is served under."""
    (brief, alias), definitions = msgspec.json.schema_components([Brief, Alias], ref_template="#/$defs/{name}")
    given = {
        LEAD_READY: "A rep was given a lead. The headers are those of Standard Webhooks.",
        REASSIGNED: "A rep was given a lead that somebody else did not answer in time.",
        ESCALATED: "The manager of the pool was given a lead that nobody answered in time.",
    }
    schemas = {
        GIVEN_SCHEMAS[kind]: {
            "$schema": _DIALECT,
            "title": kind,
            "description": description,
            **_closed(type={"const": kind}, timestamp=_INSTANT, data=_given(STATES[kind], brief, alias)),
            "$defs": definitions,
        }
        for kind, description in given.items()
    }
    return {**schemas, EXPIRED_SCHEMA: _expired(), CONTACT_ERASED_SCHEMA: _contact_erased(), NURTURE_SCHEMA: _nurture()}


def _given(state: State, brief: dict[str, Any], alias: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        handoff=_closed(
            id=_UUID,
            state={"const": state},
            reason={"enum": ["threshold", "hand_raise", "account"]},
            agreement={"type": "integer"},
            decided_at=_INSTANT,
            assigned_at=_INSTANT,
            assignment={"type": "integer", "minimum": 1},
        ),
        rep=_closed(name=_TEXT, email=_TEXT),
        previous_rep=_NAMED_OR_NOBODY,
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
        links={"type": "object", "additionalProperties": _URL},
        answer=_closed(accept=_URL, reject=_URL, reject_reasons={"type": "array", "items": _TEXT}),
    )


def _expired() -> dict[str, Any]:
    data = _closed(
        handoff=_closed(id=_UUID, state={"enum": [State.EXPIRED, State.REASSIGNED, State.ESCALATED]}),
        previous_rep=_closed(name=_TEXT),
        rep=_NAMED_OR_NOBODY,
    )
    return {
        "$schema": _DIALECT,
        "title": EXPIRED,
        "description": "A lead that a rep did not answer in time is theirs no more.",
        **_closed(type={"const": EXPIRED}, timestamp=_INSTANT, data=data),
    }


def _contact_erased() -> dict[str, Any]:
    ids = {"type": "array", "items": _UUID}
    data = _closed(contact=_closed(id=_UUID, ids=ids), handoffs=ids, erased_at=_INSTANT)
    return {
        "$schema": _DIALECT,
        "title": CONTACT_ERASED,
        "description": "The contact of these handoffs is to be forgotten. The headers are those of Standard Webhooks.",
        **_closed(type={"const": CONTACT_ERASED}, timestamp=_INSTANT, data=data),
    }


def _nurture() -> dict[str, Any]:
    (alias,), definitions = msgspec.json.schema_components([Alias], ref_template="#/$defs/{name}")
    stage = {"type": ["string", "null"]}
    data = _closed(
        contact=_closed(
            id=_UUID, email=_TEXT, aliases={"type": "array", "items": alias}, account=_closed(domain=_TEXT)
        ),
        why={"enum": [str(kind) for kind in NurtureKind]},
        stage=stage,
        before=stage,
        handoff={"type": ["string", "null"], "format": "uuid"},
        reason=_TEXT,
        engagement={"type": "number"},
        fit={"type": "number"},
        touches={"type": "integer"},
        agreement={"type": "integer"},
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": CONTACT_NURTURE,
        "description": "Marketing may go on helping the contact. The headers are those of Standard Webhooks.",
        **_closed(type={"const": CONTACT_NURTURE}, timestamp=_INSTANT, data=data),
        "$defs": definitions,
    }


def _closed(**properties: Any) -> dict[str, Any]:
    """Return an object that has all of these; receivers must expect more of them later."""
    return {"type": "object", "required": list(properties), "properties": properties}

"""JSON Schemas of what travels: each event of the vocabulary as its source sends it, and each message of the topics.

Those of messages are made from the structs that write and read them, so they cannot say anything else.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.events.contact import ContactErased, ContactsMerged, ContactsUnmerged
from shared.events.feedback import Feedback
from shared.events.handoff import ContactOptedOut, HandoffReady
from shared.events.nurture import ContactNurture
from shared.events.rejected import Rejected
from shared.events.touch import Touch, TouchType
from shared.events.vocabulary import VOCABULARY, KnownEvent
from shared.events.vocabulary_properties import Property, PropertyType

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

# By the name under which the schema is served.
MESSAGES: Mapping[str, type[msgspec.Struct]] = {
    "touch": Touch,
    "contacts-merged": ContactsMerged,
    "contacts-unmerged": ContactsUnmerged,
    "contact-erased": ContactErased,
    "handoff-ready": HandoffReady,
    "contact-opted-out": ContactOptedOut,
    "contact-nurture": ContactNurture,
    "feedback": Feedback,
    "rejected": Rejected,
}

_TYPES: Mapping[PropertyType, Schema] = {
    PropertyType.TEXT: {"type": ["string", "number"]},
    PropertyType.NUMBER: {"type": "number"},
    PropertyType.INTEGER: {"type": "integer"},
    PropertyType.FLAG: {"type": "boolean"},
    PropertyType.INSTANT: {"type": "string", "format": "date-time"},
    PropertyType.URL: {"type": "string", "format": "uri-reference"},
    PropertyType.LIST: {"type": "array"},
}
_IDENTIFIER: Schema = {"type": ["string", "number", "null"]}
_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}


def published_schemas() -> dict[str, Schema]:
    """Return every schema by the name that it is served under."""
    events = {event.slug: event_schema(event) for event in VOCABULARY}
    return events | {name: message_schema(name, kind) for name, kind in MESSAGES.items()}


def event_schema(event: KnownEvent) -> Schema:
    """Return the schema of a call that sends the event, in Segment's form."""
    properties: Schema = {
        "type": {"const": str(event.type)},
        "properties": {
            "type": "object",
            "properties": {one.name: _property_schema(one) for one in event.properties},
        },
        **call_properties(),
    }
    required = ["type"]
    if event.type is TouchType.TRACK:
        properties["event"] = {"const": event.name}
        required.append("event")
    return {
        "$schema": DIALECT,
        "title": event.name,
        "description": event.meaning,
        "type": "object",
        "required": required,
        "anyOf": [{"required": ["userId"]}, {"required": ["anonymousId"]}, {"required": ["context"]}],
        "properties": properties,
    }


def call_properties() -> Schema:
    """Return what every call in Segment's form may hold besides its own facts."""
    return {
        "userId": _IDENTIFIER,
        "anonymousId": _IDENTIFIER,
        "messageId": {**_IDENTIFIER, "description": "Makes a repeat harmless for ever."},
        "timestamp": _TIME,
        "sentAt": _TIME,
        "context": {
            "type": ["object", "null"],
            "properties": {
                "traits": {"type": ["object", "null"]},
                "page": {"type": ["object", "null"]},
                "campaign": {"type": ["object", "null"]},
                "userAgent": {"type": ["string", "null"]},
            },
        },
    }


def message_schema(name: str, kind: type[Any]) -> Schema:
    """Return the schema of one message, whole in itself."""
    (top,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    own = definitions.pop(top["$ref"].rpartition("/")[2])
    return {"$schema": DIALECT, **own, "title": name} | ({"$defs": definitions} if definitions else {})


def _property_schema(one: Property) -> Schema:
    description = f"{one.meaning} {one.unit[:1].upper()}{one.unit[1:]}." if one.unit else one.meaning
    return {**_TYPES[one.type], "description": description}

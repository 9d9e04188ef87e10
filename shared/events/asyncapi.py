"""The AsyncAPI document: the topics, and what is on them, for whoever reads or writes them besides Tandem."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from shared.events.schemas import MESSAGES, Schema, call_properties
from shared.events.topics import TopicName
from shared.events.touch import TouchType

KAFKA_BINDING = "0.5.0"
JSON = "application/json"

_TEXT: Schema = {"type": "string", "minLength": 1}
_ATTRIBUTES: Mapping[str, Schema] = {
    "id": _TEXT,
    "source": _TEXT,
    "type": _TEXT,
    "specversion": {"const": "1.0"},
    "time": {"type": "string", "format": "date-time"},
    "subject": _TEXT,
    "userid": _TEXT,
    "anonymousid": _TEXT,
    "email": _TEXT,
}
_REQUIRED = ["id", "source", "type", "specversion"]


class _Flow(NamedTuple):
    """A topic, and what Tandem does with it as seen from outside."""

    topic: TopicName
    action: str  # `receive`: others may write it; `send`: others may read it
    summary: str
    messages: tuple[str, ...]
    key: Schema | None = None


_CONTACT_KEY: Schema = {"type": "string", "format": "uuid", "description": "The contact."}
_EVENTS = ("segment-call", "segment-batch", "cloudevent", "cloudevent-binary", "cloudevents-batch")
_FLOWS = (
    _Flow(TopicName.EVENTS_WEB, "receive", "Raw events of websites and apps.", _EVENTS),
    _Flow(TopicName.EVENTS_CAMPAIGN, "receive", "Raw events of mail and campaigns.", _EVENTS),
    _Flow(TopicName.EVENTS_REJECTED, "send", "What was not understood, with the reason.", ("rejected",)),
    _Flow(TopicName.TOUCHES, "send", "What contacts did, by contact.", ("touches",)),
    _Flow(
        TopicName.CONTACTS,
        "send",
        "Merges, merges undone, erasures; the key is the contact that is no longer of its own.",
        ("contacts-merged", "contacts-unmerged", "contact-erased"),
        _CONTACT_KEY,
    ),
    _Flow(
        TopicName.HANDOFFS,
        "send",
        "Contacts that are sales-ready, and those who want to be left alone.",
        ("handoff-ready", "contact-opted-out"),
        _CONTACT_KEY,
    ),
    _Flow(TopicName.NURTURE, "send", "Contacts for marketing to keep helping.", ("contact-nurture",), _CONTACT_KEY),
    _Flow(TopicName.FEEDBACK, "send", "What became of handoffs.", ("feedback",), _CONTACT_KEY),
)


def asyncapi_document(*, version: str) -> dict[str, Any]:
    """Return the document, in AsyncAPI 3.0."""
    payloads, components = _payloads()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tandem",
            "version": version,
            "description": "The real-time handoff from marketing to sales: the topics that its services meet through.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {flow.topic: _channel(flow) for flow in _FLOWS},
        "operations": {_operation_name(flow): _operation(flow) for flow in _FLOWS},
        "components": {"messages": _messages(payloads), "schemas": components},
    }


def _payloads() -> tuple[dict[str, Schema], dict[str, Schema]]:
    kinds = list(MESSAGES.values())
    tops, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    payloads = dict(zip(MESSAGES, tops, strict=True))
    components |= {"SegmentCall": _call(), "CloudEvent": _cloudevent()}
    return payloads, components


def _channel(flow: _Flow) -> dict[str, Any]:
    return {
        "address": str(flow.topic),
        "description": flow.summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in flow.messages},
        "bindings": {"kafka": {"topic": str(flow.topic), "bindingVersion": KAFKA_BINDING}},
    }


def _operation_name(flow: _Flow) -> str:
    return flow.action + "".join(part.title() for part in flow.topic.split("."))


def _operation(flow: _Flow) -> dict[str, Any]:
    place = f"#/channels/{flow.topic}"
    return {
        "action": flow.action,
        "summary": flow.summary,
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/{name}"} for name in flow.messages],
    }


def _messages(payloads: Mapping[str, Schema]) -> dict[str, Any]:
    keys = {name: flow.key for flow in _FLOWS for name in flow.messages}
    call, event = {"$ref": "#/components/schemas/SegmentCall"}, {"$ref": "#/components/schemas/CloudEvent"}
    bodies: dict[str, tuple[Schema, str]] = {
        "segment-call": (call, JSON),
        "segment-batch": (
            {
                "type": "object",
                "required": ["batch"],
                "properties": {
                    "batch": {"type": "array", "minItems": 1, "items": call},
                    "context": {"type": "object"},
                    "sentAt": {"type": "string", "format": "date-time"},
                },
            },
            JSON,
        ),
        "cloudevent": (event, "application/cloudevents+json"),
        "cloudevent-binary": ({"type": "object"}, JSON),
        "cloudevents-batch": ({"type": "array", "items": event}, "application/cloudevents-batch+json"),
        "touches": ({"type": "array", "items": payloads["touch"]}, JSON),
        **{name: (payload, JSON) for name, payload in payloads.items() if name != "touch"},
    }
    messages = {name: _message(name, body, media_type, keys[name]) for name, (body, media_type) in bodies.items()}
    messages["cloudevent-binary"]["headers"] = {
        "type": "object",
        "required": [f"ce_{name}" for name in _REQUIRED],
        "properties": {f"ce_{name}": schema for name, schema in _ATTRIBUTES.items()},
    }
    return messages


def _message(name: str, payload: Schema, media_type: str, key: Schema | None) -> dict[str, Any]:
    binding = {"bindingVersion": KAFKA_BINDING} | ({"key": key} if key else {})
    return {"name": name, "contentType": media_type, "payload": payload, "bindings": {"kafka": binding}}


def _call() -> Schema:
    return {
        "type": "object",
        "description": "One call in Segment's form. `/v1/schemas` has the events that are known by name.",
        "required": ["type"],
        "properties": {
            "type": {"enum": [str(kind) for kind in TouchType]},
            "event": {"type": "string"},
            "name": {"type": ["string", "null"]},
            "groupId": {"type": ["string", "number", "null"]},
            "previousId": {"type": ["string", "number", "null"]},
            "properties": {"type": ["object", "null"]},
            "traits": {"type": ["object", "null"]},
            **call_properties(),
        },
    }


def _cloudevent() -> Schema:
    return {
        "type": "object",
        "description": "A CloudEvent 1.0 in structured form.",
        "required": _REQUIRED,
        "properties": {**_ATTRIBUTES, "data": {"type": "object"}, "data_base64": {"type": "string"}},
    }

"""The AsyncAPI document, held against the official schema of AsyncAPI 3.0 (`@asyncapi/specs` 6.11.1)."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from shared.events.asyncapi import asyncapi_document
from shared.events.handoff import encode_handoff
from shared.events.schemas import published_schemas
from shared.events.topics import TopicName
from shared.events.touch import Campaign, encode_touches
from tests.support.handoffs import make_handoff, make_opt_out
from tests.support.touches import a_demo_request

OFFICIAL = Path(__file__).resolve().parents[1] / "support/asyncapi/asyncapi-3.0.0.json"


@pytest.fixture(scope="module", name="document")
def _document() -> Any:
    return json.loads(msgspec.json.encode(asyncapi_document(version="1.2.3")))


def test_the_official_schema(document: Any) -> None:
    """It holds, and would not if the document were another."""
    official = jsonschema.Draft7Validator(json.loads(OFFICIAL.read_text()))
    official.validate(document)

    assert not official.is_valid({**document, "channels": {"touches": {"adress": "touches"}}})
    assert not official.is_valid({**document, "asyncapi": "2.6.0"})


def test_topics(document: Any) -> None:
    """Every topic is a channel under its own name, with at least one message, and nothing else is."""
    assert {channel["address"] for channel in document["channels"].values()} == {*TopicName}
    for name, channel in document["channels"].items():
        assert channel["bindings"]["kafka"]["topic"] == name
        assert channel["messages"]


def test_references(document: Any) -> None:
    """Each leads somewhere."""
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/')[1:]}:
        found = document
        for key in reference.split("/"):
            found = found[key]
        assert found


def test_messages_and_their_schemas(document: Any) -> None:
    """What Tandem writes is what the schemas say, alone and on its topic."""
    touch = a_demo_request("m-1", campaign=Campaign(name="spring"), suspect="honeypot")
    handoff, opt_out = make_handoff(), make_opt_out(touch.contact_id)
    written = {
        "touch": encode_touches(touch),
        "handoff-ready": encode_handoff(handoff),
        "contact-opted-out": encode_handoff(opt_out),
    }
    for name, message in written.items():
        schema = jsonschema.Draft202012Validator(published_schemas()[name])
        schema.validate(json.loads(message))

        assert not schema.is_valid({})
    payload = document["components"]["messages"]["touches"]["payload"]
    jsonschema.Draft202012Validator({**document, **payload}).validate([json.loads(written["touch"])])

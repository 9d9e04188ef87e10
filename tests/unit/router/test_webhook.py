"""The message: one rendering, a stable identity, and signatures that others verify."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.router.domain.brief import write_brief
from services.router.domain.signing import SECRET_BYTES, write_secret
from services.router.domain.team import Rep
from services.router.domain.webhook import LEAD_READY, Message, message_id, render_given
from services.router.domain.webhook_schema import LEAD_READY_SCHEMA, webhook_schemas
from shared.events.handoff import HandoffReady
from tests.support.handoffs import DECIDED_AT, make_handoff
from tests.support.signed import signed_headers

SECRET = write_secret(b"\1" * SECRET_BYTES)


def render(handoff: HandoffReady) -> Message:
    return render_given(
        handoff,
        kind=LEAD_READY,
        rep=Rep(name="Rita", email="rita@harbour.example", capacity=5),
        pool="everyone",
        brief=write_brief(handoff),
        assignment=1,
        previous=None,
        assigned_at=DECIDED_AT,
        public_url="https://tandem.example/",
    )


def test_the_vector_of_the_specification() -> None:
    """We sign as Standard Webhooks says."""
    message = Message(id="msg_p5jXN8AQM9LWM0D4loKWxJek", body=b'{"test": 2432232314}')
    signed = signed_headers(
        message, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at=datetime.fromtimestamp(1614265330, tz=UTC)
    )

    assert {name: value for name, value in signed.items() if name.startswith("webhook-")} == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text(max_size=200), st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES))
def test_any_message(text: str, random: bytes) -> None:
    """The library that receivers use verifies what we sign, and refuses a changed byte."""
    message = Message(id="msg_1", body=json.dumps({"text": text}).encode())
    secret = write_secret(random)
    headers = signed_headers(message, secret=secret, at=datetime.now(UTC))

    assert Webhook(secret).verify(message.body, headers) == {"text": text}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(message.body + b" ", headers)


def test_two_attempts() -> None:
    """A second attempt has the same id and another timestamp and signature."""
    message = render(make_handoff())
    first = signed_headers(message, secret=SECRET, at=DECIDED_AT)
    second = signed_headers(message, secret=SECRET, at=DECIDED_AT + timedelta(seconds=5))

    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_the_identity() -> None:
    """The id depends on the handoff and on which assignment it is, and has no dot in it."""
    handoff, other = uuid4(), uuid4()

    assert message_id(handoff, 1) == message_id(handoff, 1)
    assert len({message_id(handoff, 1), message_id(handoff, 2), message_id(other, 1)}) == 3
    assert message_id(handoff, 1).startswith("msg_")
    assert "." not in message_id(handoff, 1)


def test_the_envelope() -> None:
    """Type, timestamp and data; in the data who, for whom, why and where to answer."""
    handoff = make_handoff()
    payload = json.loads(render(handoff).body)

    assert (payload["type"], payload["timestamp"]) == ("lead.sales_ready", "2026-03-02T10:30:00Z")
    assert payload["data"]["handoff"] == {
        "id": str(handoff.id),
        "state": "assigned",
        "reason": "hand_raise",
        "agreement": 3,
        "decided_at": "2026-03-02T10:30:00Z",
        "assigned_at": "2026-03-02T10:30:00Z",
        "assignment": 1,
    }
    assert payload["data"]["rep"] == {"name": "Rita", "email": "rita@harbour.example"}
    assert payload["data"]["contact"]["email"] == "ada@acme-freight.example"
    assert payload["data"]["answer"]["accept"] == f"https://tandem.example/v1/handoffs/{handoff.id}/accept"
    assert payload["data"]["brief"]["text"].startswith("Ada Byrne, Director of Operations at Acme Freight")


def test_traits_of_every_kind() -> None:
    """Whatever JSON a trait holds arrives as it was."""
    traits = {"nul": "a\0b", "big": 2**80, "deep": {"list": [1, None, True, "ü"]}, "": ""}
    payload = json.loads(render(make_handoff(traits=traits)).body)

    assert payload["data"]["contact"]["traits"] == traits


def test_the_size() -> None:
    """A usual message is within the 20 kB that receivers expect."""
    assert len(render(make_handoff()).body) < 8000


def test_a_secret() -> None:
    """A secret is whsec_ and its bytes in base64."""
    assert base64.b64decode(SECRET.removeprefix("whsec_")) == b"\1" * SECRET_BYTES


def test_the_schema_of_the_message() -> None:
    """What is rendered is what the schema says, with everything in it described."""
    schema = webhook_schemas()[LEAD_READY_SCHEMA]
    closed = json.loads(
        json.dumps(schema).replace('"type": "object", "required"', '"additionalProperties": false, "required"')
    )
    message = json.loads(render(make_handoff()).body)

    jsonschema.Draft202012Validator(closed).validate(message)
    assert not jsonschema.Draft202012Validator(schema).is_valid({**message, "data": {}})

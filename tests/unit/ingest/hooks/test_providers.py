"""The providers together: what holds for each of them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Rejection
from services.ingest.domain.source import Source
from services.ingest.intake.hooks.providers import HOOKS, Provider, problems_of
from services.ingest.intake.hooks.signature import HookRequest, NotVerified
from services.ingest.intake.record import HOOK_PREFIX, Intake, hook_intake
from tests.unit.ingest.hooks.hooking import read_hook
from tests.unit.ingest.hooks.test_sendgrid import KEY

# Keys that the readers look for, so that the odd values reach what is behind them.
KEYS = """
email timestamp event events event-data signature message headers user-variables client-info campaigns RecordType Type
MessageID Recipient Metadata msg metadata ts _id subscriptionType propertyName propertyValue objectId occurredAt
object_type metric data identifiers event_id event_type form_response hidden definition fields answers field type
payload questions_and_answers question answer tracking scheduled_event created_at contact lead stat hit submission
results form core value id mautic.lead_post_save_new mautic.form_on_submit mautic.page_on_hit mautic.email_on_open
mautic.lead_channel_subscription_changed
""".split()
WORDS = """
a@b.example open contact.propertyChange invitee.created form_response email opened Bounce click subscribe
2026-03-01T10:00:00Z 1772359200 nan -1
""".split()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)
MAPPING = "{email: email, name: event, timestamp: timestamp, properties: data}"


@pytest.mark.parametrize("provider", Provider)
@given(body=VALUES)
def test_any_json(provider: Provider, body: Any) -> None:
    """Whatever it is, it becomes events and rejections, each with a reason."""
    _read(provider, json.dumps(body).encode())


@pytest.mark.parametrize("provider", Provider)
@given(body=st.binary(max_size=200) | st.text(alphabet="data[]=&%0\\\"{}:,'x", max_size=60).map(str.encode))
def test_any_bytes(provider: Provider, body: bytes) -> None:
    """Likewise."""
    _read(provider, body)


def _read(provider: Provider, body: bytes) -> None:
    items = read_hook(provider, body, mapping=MAPPING)
    for item in items:
        match item:
            case Event():
                assert item.names.aliases
                assert item.message_id
                assert item.occurred_at.tzinfo is UTC
            case Rejection():
                assert item.message


@pytest.mark.parametrize("provider", [provider for provider, hook in HOOKS.items() if hook.verify])
@given(
    body=st.binary(max_size=50),
    value=st.text(max_size=60) | st.sampled_from(["t=1,v1=2", "t=,v1", "sha256=", "1772359200", "AAAA", "é"]),
    secret=st.text(max_size=20),
)
def test_any_signature(provider: Provider, body: bytes, value: str, secret: str) -> None:
    """Whatever stands where the signature should be proves nothing, and breaks nothing."""
    names = """
    x-twilio-email-event-webhook-signature x-twilio-email-event-webhook-timestamp x-mandrill-signature
    x-hubspot-signature-v3 x-hubspot-request-timestamp x-cio-signature x-cio-timestamp webhook-signature
    typeform-signature calendly-webhook-signature
    """.split()
    verify = HOOKS[provider].verify
    assert verify is not None
    request = HookRequest(
        urls=["https://tandem.example/"],
        headers=dict.fromkeys(names, value),
        body=body,
        received_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
    )

    with pytest.raises(NotVerified):
        verify(request, [secret])


def test_each_provider_is_known_everywhere() -> None:
    """It has its row in the table and its name among the intakes, and no other has."""
    assert set(HOOKS) == set(Provider)
    assert {intake for intake in Intake if intake.startswith(HOOK_PREFIX)} == {hook_intake(one) for one in Provider}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (Source(name="s", kind="campaign", provider="mailgun", secrets=("x",)), ""),
        (Source(name="s", kind="campaign", provider="sendgrid", secrets=(KEY,)), ""),
        (Source(name="s", kind="campaign", provider="generic", mapping=MAPPING), ""),
        (Source(name="s", kind="campaign"), ""),
        (Source(name="s", kind="campaign", provider="mailgunn"), "'mailgunn' is not known"),
        (Source(name="s", kind="campaign", provider="sendgrid", secrets=(KEY, "x")), "not the verification key"),
        (Source(name="s", kind="campaign", provider="generic"), "needs a mapping"),
        (Source(name="s", kind="campaign", provider="generic", mapping="{nmae: x}"), "Mapping: `nmae`"),
    ],
)
def test_what_is_wrong_with_a_source(source: Source, problem: str) -> None:
    """It is told before the first webhook comes."""
    problems = problems_of(source)

    assert bool(problems) is bool(problem)
    assert all(isinstance(one, str) for one in problems)
    assert problem in "".join(problems[:1])

"""Webhooks of a source that requires consent: where their bodies say that it was given."""

from typing import Any

import pytest

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.domain.source import Source
from services.ingest.intake.hooks.providers import Provider, problems_of
from tests.unit.ingest.hooks.hooking import event_in, read_hook, reason_in

CLICK = {"email": "ada@acme.example", "event": "click", "timestamp": 1772359100, "sg_event_id": "e-1"}
ASKED = {"consent": "marketing"}


def test_a_provider_that_is_told_where_to_look() -> None:
    """The expression sees the event as it was understood; what it finds to be true is consent."""
    mapping = "consent: properties.agreed == 'yes'"
    agreed = event_in(Provider.SENDGRID, [{**CLICK, "agreed": "yes"}], mapping=mapping, **ASKED)

    assert agreed.names.email == "ada@acme.example"
    assert reason_in(Provider.SENDGRID, [CLICK], mapping=mapping, **ASKED) is Reason.NO_CONSENT
    assert reason_in(Provider.SENDGRID, [{**CLICK, "agreed": "no"}], mapping=mapping, **ASKED) is Reason.NO_CONSENT


def test_a_trait_as_consent() -> None:
    """Facts of the person can tell it, too."""
    body = {
        "mautic.lead_post_save_update": [
            {
                "contact": {
                    "id": 5,
                    "fields": {"core": {"email": {"value": "ada@acme.example"}, "gdpr": {"value": "1"}}},
                },
                "timestamp": "2026-03-01T09:00:00+00:00",
            }
        ]
    }
    assert event_in(Provider.MAUTIC, body, mapping="consent: traits.gdpr == '1'", **ASKED).traits["gdpr"] == "1"
    assert reason_in(Provider.MAUTIC, body, mapping="consent: traits.gdpr == '2'", **ASKED) is Reason.NO_CONSENT


@pytest.mark.parametrize(
    "mapping", ["", "consent: properties.nothing", "consent: contains(properties.none, 'x')", "consent: properties.url"]
)
def test_a_webhook_that_carries_none(mapping: str) -> None:
    """It is kept without its bytes, and the message says what to do."""
    (rejection,) = read_hook(Provider.SENDGRID, [{**CLICK, "url": "https://x.example"}], mapping=mapping, **ASKED)

    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.original) == (Reason.NO_CONSENT, b"")
    assert "mapping" in rejection.message


@pytest.mark.parametrize("value", [True, False, "true", 1, None])
def test_a_mapping_of_any_provider(value: Any) -> None:
    """Its `consent` stands beside the other keys and sees the body; only true is a yes."""
    mapping = "{email: mail, consent: legal.ok, constants: {name: Form Submitted}}"
    (item,) = read_hook(
        Provider.GENERIC, {"mail": "ada@acme.example", "legal": {"ok": value}}, mapping=mapping, **ASKED
    )

    assert isinstance(item, Event) == (value is True)


@pytest.mark.parametrize("provider", [Provider.SENDGRID, Provider.GENERIC])
def test_an_opt_out_without_consent(provider: Provider) -> None:
    """It is heard, and nothing but the wish and whose it is goes on."""
    body = {**CLICK, "event": "unsubscribe", "agreed": "no", "ip": "10.0.0.1"}
    mapping = """{email: email, properties: "@", consent: "contains(none, 'x')", constants: {name: Unsubscribed}}"""
    event = event_in(provider, [body], mapping=mapping, **ASKED)

    assert (event.name, event.names.email, event.properties) == ("Unsubscribed", "ada@acme.example", {})


@pytest.mark.parametrize(
    ("provider", "mapping", "right"),
    [
        ("sendgrid", "consent: properties.agreed", True),
        ("sendgrid", "consent: properties.[", False),
        ("sendgrid", "agreed: properties.agreed", False),
        ("generic", "consent: agreed", False),
        ("generic", "{email: e, consent: agreed, constants: {name: x}}", True),
        ("generic", "{email: e, consent: 7, constants: {name: x}}", False),
    ],
)
def test_a_source_as_it_is_saved(provider: str, mapping: str, right: bool) -> None:  # noqa: FBT001  # what is expected
    """A mapping that cannot be used is told at once; of other providers than `generic` the consent alone will do."""
    assert (problems_of(Source(name="m", kind="campaign", provider=provider, mapping=mapping)) == []) is right

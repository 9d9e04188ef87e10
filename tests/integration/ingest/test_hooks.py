"""Webhooks of providers over HTTP: what each is answered, and what becomes of what it sent."""

import asyncio
import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.ingest.intake.hooks.providers import Provider
from shared.events.topics import TopicName
from shared.http.keys import KeyEntry, Role
from shared.log.protocol import EventLog
from shared.postgres.engine import open_engine
from tests.integration.ingest.installed import ADMIN_KEY, WEB_KEY, Ingest, open_test_ingest
from tests.integration.ingest.test_rejected import keep, replay
from tests.support.topic_reader import read_topic

PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = b64encode(PRIVATE_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
SECRET = "the secret of the webhook"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAPPING = "{email: person.mail, message_id: id, constants: {name: Signed Up}}"

Sign = Callable[[str, bytes], tuple[bytes, dict[str, str]]]


def key_of(provider: str) -> str:
    return f"wk_{provider}_0123456789"


def mac(*parts: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(SECRET.encode(), b"".join(parts), algorithm)


def sendgrid(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp = str(int(time.time()))
    signature = PRIVATE_KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    name = "X-Twilio-Email-Event-Webhook"
    return body, {f"{name}-Signature": b64encode(signature).decode(), f"{name}-Timestamp": stamp}


def mailgun(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp, token = str(int(time.time())), "t" * 50
    signature = hmac.new(SECRET.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    signed = {**json.loads(body), "signature": {"timestamp": stamp, "token": token, "signature": signature}}
    return json.dumps(signed).encode(), {}


def mandrill(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    value = httpx.QueryParams(body.decode())["mandrill_events"]
    signature = mac(url.encode(), b"mandrill_events", value.encode(), algorithm="sha1")
    return body, {**FORM, "X-Mandrill-Signature": b64encode(signature).decode()}


def hubspot(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp = str(int(time.time() * 1000))
    signature = b64encode(mac(b"POST", url.encode(), body, stamp.encode())).decode()
    return body, {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": stamp}


def customerio(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp = str(int(time.time()))
    return body, {"X-CIO-Signature": mac(b"v0:", stamp.encode(), b":", body).hex(), "X-CIO-Timestamp": stamp}


def mautic(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {"Webhook-Signature": b64encode(mac(body)).decode()}


def typeform(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {"Typeform-Signature": f"sha256={b64encode(mac(body)).decode()}"}


def calendly(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp = str(int(time.time()))
    return body, {"Calendly-Webhook-Signature": f"t={stamp},v1={mac(stamp.encode(), b'.', body).hex()}"}


def postmark(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {"Authorization": "Basic " + b64encode(f"tandem:{key_of('postmark')}".encode()).decode()}


def mailchimp(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {**FORM, "Authorization": f"Bearer {key_of('mailchimp')}"}


def generic(url: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {"X-Webhook-Secret": SECRET}


SIGNS: dict[Provider, Sign] = {
    Provider.SENDGRID: sendgrid,
    Provider.MAILGUN: mailgun,
    Provider.POSTMARK: postmark,
    Provider.MAILCHIMP: mailchimp,
    Provider.MANDRILL: mandrill,
    Provider.HUBSPOT: hubspot,
    Provider.CUSTOMERIO: customerio,
    Provider.MAUTIC: mautic,
    Provider.TYPEFORM: typeform,
    Provider.CALENDLY: calendly,
    Provider.GENERIC: generic,
}
UNSIGNED = {Provider.POSTMARK, Provider.MAILCHIMP, Provider.GENERIC}

ADA = "ada@acme.example"
GOOD: dict[Provider, tuple[Any, str]] = {
    Provider.SENDGRID: (
        [{"email": ADA, "event": "click", "timestamp": 1772358000, "sg_event_id": "1"}],
        "Email Link Clicked",
    ),
    Provider.MAILGUN: ({"event-data": {"event": "opened", "recipient": ADA, "id": "1"}}, "Email Opened"),
    Provider.POSTMARK: ({"RecordType": "Open", "Recipient": ADA, "MessageID": "1"}, "Email Opened"),
    Provider.MAILCHIMP: (
        b"type=unsubscribe&fired_at=2026-02-28+15%3A30%3A00&data%5Bemail%5D=ada%40acme.example",
        "Unsubscribed",
    ),
    Provider.MANDRILL: (
        b"mandrill_events=%5B%7B%22event%22%3A%22click%22%2C%22msg%22%3A%7B%22email%22%3A%22ada%40acme.example%22%7D%7D%5D",
        "Email Link Clicked",
    ),
    Provider.HUBSPOT: (
        [
            {
                "eventId": 1,
                "portalId": 33,
                "objectId": 7,
                "subscriptionType": "contact.propertyChange",
                "propertyName": "email",
                "propertyValue": ADA,
            }
        ],
        "",
    ),
    Provider.CUSTOMERIO: (
        {"event_id": "1", "object_type": "email", "metric": "clicked", "data": {"identifiers": {"email": ADA}}},
        "Email Link Clicked",
    ),
    Provider.MAUTIC: ({"mautic.email_on_open": [{"stat": {"id": 1, "emailAddress": ADA}}]}, "Email Opened"),
    Provider.TYPEFORM: (
        {"event_type": "form_response", "form_response": {"token": "1", "answers": [{"type": "email", "email": ADA}]}},
        "Form Submitted",
    ),
    Provider.CALENDLY: ({"event": "invitee.created", "payload": {"uri": "1", "email": ADA}}, "Meeting Booked"),
    Provider.GENERIC: ({"id": "1", "person": {"mail": ADA}}, "Signed Up"),
}


def body_of(provider: Provider) -> bytes:
    body = GOOD[provider][0]
    return body if isinstance(body, bytes) else json.dumps(body).encode() + b"\r\n"


@pytest_asyncio.fixture
async def hooked(database_url: str, log: EventLog) -> AsyncIterator[Ingest]:
    """Ingest with a source for each provider, named like it, and two without a provider."""
    entries = [
        KeyEntry(
            Role.SOURCE,
            provider,
            key_of(provider),
            "campaign",
            provider=provider,
            secret=PUBLIC_KEY if provider is Provider.SENDGRID else SECRET,
            mapping=MAPPING if provider is Provider.GENERIC else "",
        )
        for provider in Provider
    ]
    entries.append(KeyEntry(Role.SOURCE, "by key", "wk_by_key_0123456789", "campaign"))
    async with (
        open_engine(database_url, name="test") as engine,
        open_test_ingest(engine, log, more_keys=entries) as opened,
    ):
        yield opened


async def send(
    ingest: Ingest, provider: Provider, body: bytes, headers: dict[str, str], *, source: str = "", query: str = ""
) -> httpx.Response:
    return await ingest.client.post(
        f"/v1/hooks/{provider}/{source or provider}{query}", content=body, headers=headers, follow_redirects=False
    )


def url_of(provider: Provider) -> str:
    return f"http://ingest.example/v1/hooks/{provider}/{provider}"


async def test_each_provider(hooked: Ingest) -> None:
    """What is proven is answered 200, stored under its source, and understood."""
    for provider in Provider:
        body, headers = SIGNS[provider](url_of(provider), body_of(provider))
        answer = await send(hooked, provider, body, headers)

        assert (answer.status_code, answer.json()) == (200, {"success": True}), (provider, answer.text)
    touches = await hooked.understand()

    assert await hooked.rejected() == []
    assert {touch.source: touch.name for touch in touches} == {provider: GOOD[provider][1] for provider in Provider}
    assert {touch.kind for touch in touches} == {"campaign"}
    assert len({touch.contact_id for touch in touches}) == 1


async def test_what_is_stored(hooked: Ingest) -> None:
    """The bytes that were signed, to the last of them."""
    body, headers = sendgrid("", body_of(Provider.SENDGRID))
    await send(hooked, Provider.SENDGRID, body, headers)
    (record,) = await read_topic(hooked.log, TopicName.EVENTS_CAMPAIGN)

    assert record.value == body
    assert body.endswith(b"\r\n")
    assert record.header("tandem-intake") == b"hook.sendgrid"
    assert record.header("tandem-source") == b"sendgrid"


async def test_what_is_not_proven(hooked: Ingest) -> None:
    """It is 401, which is tried again or told to somebody; for Mailgun 406, the end of it. Nothing is stored."""
    for provider in Provider:
        refusal = 406 if provider is Provider.MAILGUN else 401
        body, headers = SIGNS[provider](url_of(provider), body_of(provider))
        unsigned = {name: value for name, value in headers.items() if name == "Content-Type"}
        changed = body.replace(b"t" * 50, b"u" * 50) if provider is Provider.MAILGUN else body + b" "

        without = body_of(provider) if provider is Provider.MAILGUN else body
        answer = await send(hooked, provider, without, unsigned)
        assert answer.status_code == refusal, (provider, answer.text)
        assert answer.json()["message"]
        if provider not in UNSIGNED:
            assert answer.json()["code"] == "not_verified"
            assert (await send(hooked, provider, changed, headers)).status_code == refusal, provider
            # The key in the address opens no side door beside the signature.
            by_key = await send(hooked, provider, without, unsigned, query=f"?key={key_of(provider)}")
            assert by_key.status_code == refusal, provider
    assert await read_topic(hooked.log, TopicName.EVENTS_CAMPAIGN) == []


async def test_poison(hooked: Ingest) -> None:
    """What nobody can read is 200 all the same, so that it blocks nothing, and is kept with its reason and bytes."""
    for provider in Provider:
        poison = b"mandrill_events=%5B5%5D" if provider is Provider.MANDRILL else b'{"event-data": 5}'
        body, headers = SIGNS[provider](url_of(provider), poison)
        answer = await send(hooked, provider, body, headers)

        assert answer.status_code == 200, (provider, answer.text)
    touches = await hooked.understand()
    rejected = await hooked.rejected()

    assert touches == []
    assert {one.headers["tandem-source"] for one in rejected} == set(Provider)
    assert all(one.original for one in rejected)


DISABLED = {
    Provider.MAILGUN: 406,
    **dict.fromkeys(
        (Provider.CALENDLY, Provider.TYPEFORM, Provider.MAUTIC, Provider.CUSTOMERIO, Provider.MANDRILL), 200
    ),
}


async def test_a_disabled_source(ingest: Ingest) -> None:
    """Whoever stops at errors gets 200, and what it sent is set aside, to count once replayed; the others are refused.

    Without proof of who sends, nobody's is taken.
    """
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    for provider in set(Provider) - {Provider.POSTMARK, Provider.MAILCHIMP}:
        new = {
            "name": provider,
            "kind": "campaign",
            "provider": provider,
            "secrets": [PUBLIC_KEY if provider is Provider.SENDGRID else SECRET],
            "mapping": MAPPING if provider is Provider.GENERIC else "",
        }
        assert (await ingest.client.post("/v1/sources", json=new, headers=admin)).status_code == 201
        await ingest.client.post(f"/v1/sources/{provider}/disable", headers=admin)
        body, headers = SIGNS[provider](url_of(provider), body_of(provider))
        answer = await send(ingest, provider, body, headers)
        unsigned = await send(ingest, provider, body_of(provider), {"X-Webhook-Secret": "wrong"})

        assert answer.status_code == DISABLED.get(provider, 403), (provider, answer.text)
        assert unsigned.status_code in {401, 403, 406}, provider
    taken = {provider for provider, status in DISABLED.items() if status == 200}
    assert await ingest.understand() == []
    rejected = await ingest.rejected()
    assert {(one.source, one.reason) for one in rejected} == {(provider, "source_disabled") for provider in taken}

    await keep(ingest)
    assert (await replay(ingest, reason=["source_disabled"]))["replayed"] == len(taken)
    touches = await ingest.understand()
    assert {touch.source: touch.name for touch in touches} == {provider: GOOD[provider][1] for provider in taken}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_visit_before_an_address_is_saved(hooked: Ingest, method: str) -> None:
    """Mailchimp and Mandrill come and look; they find something, also before the source is there."""
    for provider in Provider:
        for source in (provider, "not yet"):
            for slash in ("", "/"):
                answer = await hooked.client.request(method, f"/v1/hooks/{provider}/{source}{slash}")

                assert answer.status_code == 200


async def test_places_of_the_key(hooked: Ingest) -> None:
    """Without a secret the key of the source counts, wherever a provider can put it."""
    key = "wk_by_key_0123456789"
    basic = "Basic " + b64encode(f"tandem:{key}".encode()).decode()
    body = json.dumps(GOOD[Provider.POSTMARK][0]).encode()
    for headers, query in [
        ({}, f"?key={key}"),
        ({}, f"?writeKey={key}"),
        ({"Authorization": f"Bearer {key}"}, ""),
        ({"Authorization": basic}, ""),
        ({"Authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}, ""),
        ({"X-Webhook-Secret": key}, ""),
    ]:
        for provider in (Provider.POSTMARK, Provider.SENDGRID):
            answer = await send(hooked, provider, body, headers, source="by key", query=query)

            assert answer.status_code == 200, (headers, query, answer.text)


async def test_a_key_of_somebody_else(hooked: Ingest) -> None:
    """It is known, but not for this source."""
    answer = await send(hooked, Provider.POSTMARK, b"{}", {"Authorization": f"Bearer {WEB_KEY}"})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_source_that_is_not_there(hooked: Ingest) -> None:
    """It is 503, which every provider tries again, and never 404, of which some die: it may be there by then."""
    for provider in Provider:
        for source in ("missing", "website" if provider is Provider.GENERIC else "generic"):
            body, headers = SIGNS[provider](url_of(provider), body_of(provider))
            answer = await send(hooked, provider, body, headers, source=source)
            if source == "website":  # a source without a provider takes any; its key is missing
                assert answer.status_code == 401
                continue
            assert (answer.status_code, answer.json()["code"]) == (503, "unknown_source")
            assert answer.headers["retry-after"]


async def test_a_provider_that_is_not_known(hooked: Ingest) -> None:
    """It is 400 with the names of those that are; a typing error does not switch a webhook off."""
    for method in ("POST", "GET"):
        answer = await hooked.client.request(method, "/v1/hooks/typefrom/typeform")

        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_provider")
        assert "typeform" in answer.json()["message"]


@pytest.mark.parametrize(
    "forwarded",
    [
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hooks.acme.example"},
        {"X-Forwarded-Host": "hooks.acme.example", "X-Forwarded-Prefix": "/tandem"},
        {"Host": "hooks.acme.example"},
    ],
)
async def test_an_address_behind_a_proxy(hooked: Ingest, forwarded: dict[str, str]) -> None:
    """HubSpot and Mandrill sign the address as they know it; the proxy's headers tell which that is."""
    prefix = forwarded.get("X-Forwarded-Prefix", "")
    for provider in (Provider.HUBSPOT, Provider.MANDRILL):
        known_as = f"https://hooks.acme.example{prefix}/v1/hooks/{provider}/{provider}?a=%20b"
        body, headers = SIGNS[provider](known_as, body_of(provider))
        answer = await send(hooked, provider, body, {**headers, **forwarded}, query="?a=%20b")

        assert answer.status_code == 200, (provider, answer.text)


async def test_a_large_batch(hooked: Ingest) -> None:
    """SendGrid's batches grow to 768 KB, more than a request of another kind may have."""
    event = {"email": ADA, "event": "open", "timestamp": 1772358000, "useragent": "x" * 350}
    body, headers = sendgrid(
        "", json.dumps([{**event, "sg_event_id": str(number)} for number in range(1_600)]).encode()
    )
    answer = await send(hooked, Provider.SENDGRID, body, headers)

    assert len(body) > 700_000
    assert answer.status_code == 200
    assert len(await hooked.understand()) == 1_600


async def test_the_same_webhook_again(hooked: Ingest) -> None:
    """A retry is the same touch, also where the provider gives no id."""
    for provider in Provider:
        for _ in range(2):
            body, headers = SIGNS[provider](url_of(provider), body_of(provider))
            assert (await send(hooked, provider, body, headers)).status_code == 200
    touches = await hooked.understand()

    assert len(touches) == 2 * len(Provider)
    assert len({touch.id for touch in touches}) == len(Provider)


async def test_a_log_that_takes_too_long(hooked: Ingest) -> None:
    """The answer is 503 before Customer.io hangs up after four seconds."""
    async with hooked.engine.connect() as connection:
        await connection.exec_driver_sql("LOCK TABLE log.record IN ACCESS EXCLUSIVE MODE")
        body, headers = customerio("", body_of(Provider.CUSTOMERIO))
        started = time.monotonic()
        answer = await send(hooked, Provider.CUSTOMERIO, body, headers)

        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert time.monotonic() - started < 4
        await connection.rollback()
    again = await asyncio.wait_for(send(hooked, Provider.CUSTOMERIO, body, headers), 10)

    assert again.status_code == 200


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"provider": "mailgunn"}, "'mailgunn' is not known"),
        ({"provider": "sendgrid", "secrets": ["no key"]}, "not the verification key"),
        ({"provider": "generic"}, "needs a mapping"),
        ({"provider": "generic", "mapping": "{emial: mail}"}, "`emial` is not known"),
    ],
)
async def test_a_source_that_cannot_be_used(hooked: Ingest, given: dict[str, Any], problem: str) -> None:
    """It is refused when it is saved, new or changed, with what is wrong."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    new = {"name": "fair", "kind": "campaign", "provider": "generic", "mapping": MAPPING}
    wrong = await hooked.client.post(
        "/v1/sources", json={"name": "other", "kind": "campaign", **given}, headers=headers
    )
    added = await hooked.client.post("/v1/sources", json=new, headers=headers)
    changed = await hooked.client.patch("/v1/sources/fair", json={"mapping": "", **given}, headers=headers)

    assert added.status_code == 201, added.text
    for answer in (wrong, changed):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_source"), answer.text
        assert problem in answer.json()["message"]

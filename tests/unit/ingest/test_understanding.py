"""What an event means."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.identity import Person
from services.ingest.domain.understanding import touch_of
from services.ingest.intake.record import origin_of
from services.ingest.packing import MAX_TOUCHES_BYTES, pack_touches
from shared.events.touch import Alias, Campaign, Touch, TouchType, decode_touches, touches_partition
from shared.ids import ContactId, contact_id, touch_id
from tests.unit.ingest.reading import RECEIVED_AT, read_batch, read_one
from tests.unit.ingest.test_record import calls

ADA = Person(contact_id("user", "ada"), (Alias("user", "ada"),))
ORIGIN = origin_of(
    {"tandem-source": "website"},
    topic="events.campaign",
    partition=0,
    offset=0,
    appended_at=RECEIVED_AT,
    now=RECEIVED_AT,
)


def touch(event: Event) -> Touch:
    return touch_of(event, ORIGIN, ADA)


def page(**fields: Any) -> Touch:
    return touch(read_one({"type": "page", "userId": "ada", **fields}))


def track(name: str, **fields: Any) -> Touch:
    return touch(read_one({"type": "track", "event": name, "userId": "ada", **fields}))


def test_what_every_touch_has() -> None:
    """Identity, contact, source and times."""
    found = track("Form Submitted", messageId="m-1", properties={"form": "demo"})

    assert found.id == touch_id("website", "m-1")
    assert (found.contact_id, found.aliases) == (ADA.contact_id, ADA.aliases)
    assert (found.source, found.kind, found.type, found.name) == (
        "website",
        "campaign",
        TouchType.TRACK,
        "Form Submitted",
    )
    assert (found.occurred_at, found.received_at) == (RECEIVED_AT, RECEIVED_AT)
    assert found.properties == {"form": "demo"}
    assert found.opted_out is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"properties": {"path": "/own", "url": "https://acme.example/url"}}, "/own"),
        ({"properties": {"url": "https://acme.example/url?x#y"}}, "/url"),
        ({"context": {"page": {"path": "/context"}}}, "/context"),
        ({"context": {"page": {"url": "https://acme.example/context"}}}, "/context"),
        ({"properties": {"url": "http://[bad"}}, ""),
        ({"properties": {"url": {"a": 1}}}, ""),
        ({}, ""),
    ],
)
def test_the_path_of_a_page(fields: dict[str, Any], path: str) -> None:
    """The properties say it, or the context, or the URL."""
    assert page(**fields).path == path


@pytest.mark.parametrize(
    ("fields", "campaign"),
    [
        ({"context": {"campaign": {"name": "spring", "medium": "email"}}}, Campaign(name="spring", medium="email")),
        (
            {"properties": {"url": "https://a.example/?utm_campaign=Spring%20sale&utm_source=news&utm_term=t"}},
            Campaign(name="Spring sale", source="news", term="t"),
        ),
        ({"properties": {"url": "https://a.example/?utm_campaign=a%00b"}}, Campaign(name="ab")),
        ({"context": {"campaign": {}, "page": {"url": "https://a.example/?utm_source=x"}}}, Campaign(source="x")),
        ({"context": {"campaign": {"name": None}}}, None),
        ({"properties": {"url": "http://[bad?utm_source=x"}}, None),
        ({"properties": {"campaign_name": "spring"}}, Campaign(name="spring", source="website")),
        ({"properties": {"campaign_id": 17}}, Campaign(name="17", source="website")),
        ({}, None),
    ],
)
def test_the_campaign(fields: dict[str, Any], campaign: Campaign | None) -> None:
    """The SDK says it, or the link's parameters, or the mail platform."""
    assert page(**fields).campaign == campaign


def test_the_campaign_of_a_mail() -> None:
    """Its medium is email."""
    assert track("Email Opened", properties={"campaign_name": "spring"}).campaign == Campaign(
        name="spring", source="website", medium="email"
    )


@pytest.mark.parametrize(
    ("item", "domain", "traits"),
    [
        ({"type": "identify", "traits": {"email": "ada@acme.example"}}, "acme.example", {}),
        ({"type": "identify", "traits": {"email": "ada@gmail.com"}}, "", {}),
        ({"type": "identify", "traits": {"company": "Acme"}}, "", {"name": "Acme"}),
        (
            {
                "type": "identify",
                "traits": {"email": "ada@gmail.com", "company": {"name": "Acme", "website": "acme.example"}},
            },
            "acme.example",
            {"name": "Acme", "website": "acme.example"},
        ),
        (
            {"type": "group", "groupId": "g", "traits": {"domain": "acme.example", "industry": "logistics"}},
            "acme.example",
            {"id": "g", "domain": "acme.example", "industry": "logistics"},
        ),
    ],
)
def test_the_account(item: dict[str, Any], domain: str, traits: dict[str, Any]) -> None:
    """A company tells its domain, or the address does; a free mailbox does not."""
    found = touch(read_one({"userId": "ada", **item}))

    assert (found.account_domain, found.account_traits) == (domain, traits)


def test_traits_of_a_group_are_not_the_contacts() -> None:
    """They are the account's."""
    assert touch(read_one({"type": "group", "userId": "ada", "traits": {"name": "Acme"}})).traits == {}


@pytest.mark.parametrize(
    ("item", "opted_out"),
    [
        ({"type": "track", "event": "Unsubscribed"}, True),
        ({"type": "track", "event": "email marked as spam"}, True),
        ({"type": "track", "event": "Resubscribed"}, False),
        ({"type": "track", "event": "Email Opened"}, None),
        ({"type": "page", "name": "Unsubscribed"}, None),
        ({"type": "identify", "traits": {"unsubscribed": True}}, True),
        ({"type": "identify", "traits": {"do_not_contact": "yes"}}, True),
        ({"type": "identify", "traits": {"do_not_contact": 1}}, True),
        ({"type": "track", "event": "x", "context": {"traits": {"unsubscribed": "TRUE"}}}, True),
        ({"type": "identify", "traits": {"unsubscribed": False}}, None),
        ({"type": "identify", "traits": {"unsubscribed": "no"}}, None),
        ({"type": "group", "traits": {"unsubscribed": True}}, None),
    ],
)
def test_opting_out(item: dict[str, Any], *, opted_out: bool | None) -> None:
    """Events and traits opt out; only an event of its own opts in again."""
    assert touch(read_one({"userId": "ada", **item})).opted_out is opted_out


@given(st.lists(calls, max_size=5))
def test_any_event_reaches_the_log(items: list[Any]) -> None:
    """Whatever was understood can be written and read back, and holds no NUL."""
    touches = [touch(item) for item in read_batch(*items, {}) if isinstance(item, Event)]

    for record in pack_touches([(one, None) for one in touches], partitions=4):
        assert b"\\u0000" not in record.value.replace(b"\\\\", b"")
        assert decode_touches(record.value)


def test_records_of_touches() -> None:
    """Each holds touches of its partition in order, none is too large, sampled traces travel apart."""
    contacts = [ContactId(UUID(int=number)) for number in range(20)]
    base = page(properties={"text": "x" * 60_000})
    touches = [msgspec.structs.replace(base, contact_id=contact) for contact in contacts * 3]
    sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    unsampled = sampled[:-2] + "00"
    records = pack_touches([*((one, unsampled) for one in touches), (base, sampled)], partitions=3)

    found = []
    for record in records:
        assert len(record.value) <= MAX_TOUCHES_BYTES
        for one in decode_touches(record.value):
            assert touches_partition(one.contact_id, 3) == record.partition
            found.append(one)
    assert len(found) == 61
    assert [record.headers for record in records if record.headers] == [(("traceparent", sampled.encode()),)]
    for contact in contacts:
        assert sum(one.contact_id == contact for one in found) == 3

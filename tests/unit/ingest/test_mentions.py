"""Who is named in what was set aside."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
import pytest

from services.ingest.domain.mentions import aliases_in, contacts_in
from shared.events.rejected import Place, Rejected, reject
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.ids import contact_id

ADA = contact_id("email", "ada@acme.example")


def rejected(original: bytes, **fields: Any) -> Rejected:
    """Return a rejection of these bytes."""
    facts: dict[str, Any] = {"reason": "unknown_type", "message": "", "headers": (), **fields}
    topic = facts.pop("topic", TopicName.EVENTS_WEB)
    return reject(Place(topic, 0, 1), at=datetime(2026, 3, 1, tzinfo=UTC), original=original, **facts)


@pytest.mark.parametrize(
    "original",
    [
        b'{"email": "Ada@Acme.example"}',
        b'{"to": "Ada Lovelace <ada@acme.example>, ben@x.example"}',
        b'{"url": "mailto:ada@acme.example?subject=x"}',
        b'{"email": "ada\\u0040acme.example"}',
        b'{"email": "ada@ACME.example"',
        b"ada@acme.example.",
        urlencode({"type": "subscribe", "data[email]": "ada@acme.example"}).encode(),
        urlencode({"mandrill_events": '[{"msg": {"email": "ada@acme.example"}}]'}).encode(),
        b"\xff\xfe ada@acme.example \x00",
        b"@@ada@acme.example@",
    ],
)
def test_an_address_wherever_it_stands(original: bytes) -> None:
    """It is found as the alias that it would be, whatever stands around it."""
    assert Alias("email", "ada@acme.example") in aliases_in(rejected(original))


@pytest.mark.parametrize(
    "original",
    [
        b'{"userId": "user-ada"}',
        b'{"userId":" user-ada "}',
        b'{"properties": {"owner": "user\\u002dada"}}',
        b'["x", "user-ada"',
        b"kind=x&user_id=user-ada",
        b"user_id=" + quote_plus("user-ada").replace("-", "%2D").encode(),
    ],
)
def test_an_id_that_is_a_whole_text(original: bytes) -> None:
    """It may be a user or an anonymous id."""
    assert {Alias("user", "user-ada"), Alias("anonymous", "user-ada")} <= aliases_in(rejected(original))


def test_an_id_that_is_part_of_a_word() -> None:
    """It is not that id; neither is a number that is no id, nor a placeholder."""
    found = aliases_in(rejected(b'{"userId": "user-adam", "budget": 815, "user_id": 4711, "anonymousId": "null"}'))

    assert {alias.value for alias in found if alias.kind == "user"} >= {"user-adam", "4711"}
    assert not {"user-ada", "815", "null", ""} & {alias.value for alias in found}


def test_headers_and_messages_name_people_too() -> None:
    """A query string, a user id in an attribute, and what the message quotes."""
    headers = [("tandem-query", "e=pv&uid=user-ada"), ("ce_user", "user-ben")]
    found = aliases_in(rejected(b"", headers=headers, message='"cleo@x.example" is no time'))

    assert {Alias("user", "user-ada"), Alias("user", "user-ben"), Alias("email", "cleo@x.example")} <= found


def test_contacts_by_their_ids() -> None:
    """They are found in what services tell each other; an erasure that failed is kept, to be repeated."""
    original = msgspec.json.encode({"contact_ids": [ADA]})

    assert contacts_in(rejected(original, topic=TopicName.HANDOFFS)) == {ADA}
    assert contacts_in(rejected(original, topic=TopicName.CONTACTS)) == set()


@pytest.mark.parametrize("part", [b"@", b'"', b'\\"', b"a", b"a@", b"=", b"%40", b"\\u0040", b"x@y.", b'"user_id":'])
def test_what_somebody_made_up_to_be_slow(part: bytes) -> None:
    """Megabytes of it take no more than their length."""
    begun = time.process_time()
    aliases_in(rejected(part * (500_000 // len(part))))

    assert time.process_time() - begun < 5

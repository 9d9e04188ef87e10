"""What a request has to be before it is stored."""

import gzip
import json
import zlib
from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.rejection import Refused
from services.ingest.intake.body import BodyError, BodyNotGzip, BodyTooLarge, inflate
from services.ingest.intake.credentials import header_keys
from services.ingest.intake.envelope import (
    attributes_of,
    cloudevents_form,
    open_batch,
    open_call,
    open_posthog,
    open_snowplow,
    posthog_ids,
)
from services.ingest.intake.record import Intake

LIMIT = 1000


def test_deflate() -> None:
    """It is told by its first bytes, too."""
    assert inflate(zlib.compress(b'{"a":1}'), max_bytes=LIMIT) == b'{"a":1}'
    with pytest.raises(BodyTooLarge):
        inflate(zlib.compress(b"x" * (LIMIT + 1)), max_bytes=LIMIT)


def test_gzip_in_several_members() -> None:
    """They are one body, and what is no gzip stays as it is."""
    assert inflate(gzip.compress(b"ab") + gzip.compress(b"cd"), max_bytes=LIMIT) == b"abcd"
    assert inflate(b'{"a":1}', max_bytes=LIMIT) == b'{"a":1}'


@pytest.mark.parametrize(
    "body",
    [b"x" * (LIMIT + 1), gzip.compress(b"x" * (LIMIT + 1)), gzip.compress(b"x" * LIMIT) + gzip.compress(b"x")],
)
def test_a_body_over_the_limit(body: bytes) -> None:
    """It is refused, however it is wrapped."""
    with pytest.raises(BodyTooLarge):
        inflate(body, max_bytes=LIMIT)


def test_a_body_of_exactly_the_limit() -> None:
    """It is taken."""
    assert len(inflate(gzip.compress(b"x" * LIMIT), max_bytes=LIMIT)) == LIMIT


def test_a_gzip_bomb() -> None:
    """It is refused after inflating no more than the limit: a hundred megabytes would take a second and the memory."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(bomb.compress(bytes(1_000_000)) for _ in range(100)) + bomb.flush()

    with pytest.raises(BodyTooLarge):
        inflate(body, max_bytes=LIMIT)


@pytest.mark.parametrize("body", [b"\x1f\x8b", b"\x1f\x8bgarbage that goes on", gzip.compress(b"abcdef" * 50)[:-9]])
def test_broken_gzip(body: bytes) -> None:
    """It is refused as that."""
    with pytest.raises(BodyNotGzip):
        inflate(body, max_bytes=LIMIT)


@given(st.binary(max_size=300).map(lambda tail: b"\x1f\x8b" + tail) | st.binary(max_size=300))
def test_any_body(body: bytes) -> None:
    """It is inflated or refused, nothing else."""
    with suppress(BodyError):
        assert len(inflate(body, max_bytes=LIMIT)) <= LIMIT


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("Basic " + b64encode(b"wk:").decode(), ["wk"]),
        ("Basic " + b64encode(b"wk").decode(), ["wk"]),
        ("basic  " + b64encode(b"wk:secret").decode(), ["wk"]),
        ("Basic " + b64encode(b":wk").decode(), ["wk"]),
        ("Bearer wk", ["wk"]),
        ("bearer  wk ", ["wk"]),
        ("Bearer", []),
        ("Basic %%%", []),
        ("Basic " + b64encode(b"\xff\xfe").decode(), []),
        ("Digest wk", []),
        ("", []),
    ],
)
def test_keys_in_the_authorization_header(header: str, keys: list[str]) -> None:
    """Every spelling that an SDK sends is read, nonsense is no key."""
    assert list(header_keys(header)) == keys


def test_the_write_key_in_the_body() -> None:
    """It is read where it is a text."""
    assert open_batch(b'{"batch":[1,2],"writeKey":"wk"}').write_keys == ("wk",)
    assert open_batch(b'{"batch":[1,2],"writeKey":"wk"}').events == 2
    assert open_call(b'{"writeKey":5}').write_keys == ()
    assert open_call(b'{"writeKey":"\xff"}').write_keys == ()
    assert open_call(b"{}").write_keys == ()


@pytest.mark.parametrize(
    ("body", "events", "keys"),
    [
        (b'{"api_key":"k","batch":[{"token":"other"},1]}', 2, ("k",)),
        (b'{"token":"k","batch":[1]}', 1, ("k",)),
        (b'{"batch":[5,{"properties":{"token":"k"}},{"api_key":"other"}]}', 3, ("k",)),
        (b'[{"event":"x"},{"api_key":"k"}]', 2, ("k",)),
        (b'{"event":"x","properties":{"token":"k"}}', 1, ("k",)),
        (b'{"event":"x","api_key":"k","token":"other"}', 1, ("k", "other")),
        (b'{"$token":"k","$distinct_id":"u"}', 1, ("k",)),
        (b'{"event":"x","api_key":5,"properties":[]}', 1, ()),
        (b'\xef\xbb\xbf {"event":"\\ud83d","api_key":"k"}', 1, ("k",)),
    ],
)
def test_the_key_in_a_body_of_posthog(body: bytes, events: int, keys: tuple[str, ...]) -> None:
    """The request's own comes first, else that of the first event with one."""
    envelope = open_posthog(body)

    assert (envelope.events, envelope.write_keys) == (events, keys)


def test_the_ids_in_a_body_of_posthog() -> None:
    """Those that are texts."""
    assert posthog_ids(b'{"batch":[{"uuid":"a"},{"uuid":5},7,{},{"uuid":"b"}]}') == ["a", "b"]
    assert posthog_ids(b'[{"uuid":"a"},[],[{"uuid":"b"}],{"uuid":"c"}]') == ["a", "c"]
    assert posthog_ids(b'{"event":"x"}') == []


def test_the_app_ids_of_snowplow() -> None:
    """Each of them may be the key."""
    envelope = open_snowplow(b'{"schema":"x","data":[{"aid":"a"},{"aid":"b"},{"aid":"a"},{"aid":null},5,{}]}')

    assert (envelope.events, envelope.write_keys) == (6, ("a", "b"))


@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_envelope(body: bytes) -> None:
    """It is opened or refused, nothing else."""
    for opened in (open_batch, open_call, open_posthog, open_snowplow):
        with suppress(Refused):
            assert opened(body).events >= 1


@pytest.mark.parametrize(
    ("content_type", "attributes", "body", "form"),
    [
        ("application/cloudevents+json; charset=UTF-8", {}, b"{}", Intake.CLOUDEVENTS_STRUCTURED),
        ("Application/CloudEvents-Batch+JSON", {}, b"[]", Intake.CLOUDEVENTS_BATCH),
        ("application/json", {"id": "1"}, b"[]", Intake.CLOUDEVENTS_BINARY),
        ("application/json", {}, b" [{}]", Intake.CLOUDEVENTS_BATCH),
        ("", {}, b"{}", Intake.CLOUDEVENTS_STRUCTURED),
        ("application/cloudevents+avro", {}, b"", None),
        ("application/cloudevents+protobuf", {"id": "1"}, b"", None),
    ],
)
def test_the_form_of_cloudevents(
    content_type: str, attributes: dict[str, str], body: bytes, form: Intake | None
) -> None:
    """The media type decides, then the headers, then the bytes."""
    assert cloudevents_form(body, content_type=content_type, attributes=attributes) is form


def test_attributes_in_headers() -> None:
    """Quotes are undone, then one percent-decoding; the result is UTF-8."""
    headers = [(b"ce-id", b'"a \\"b\\""'), (b"ce-source", b"%E2%82%AC%2520"), (b"content-type", b"x")]

    assert attributes_of(headers) == {"id": 'a "b"', "source": "\u20ac%20"}


@pytest.mark.parametrize("header", [(b"ce-id", b"%ff"), (b"ce-a_b", b"x"), (b"ce-", b"x")])
def test_attributes_that_are_none(header: tuple[bytes, bytes]) -> None:
    """They are refused, not guessed."""
    with pytest.raises(Refused):
        attributes_of([header])

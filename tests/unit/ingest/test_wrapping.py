"""Bodies that are JSON only after some unwrapping."""

import gzip
import json
import string
import zlib
from base64 import b64encode, urlsafe_b64encode
from contextlib import suppress
from itertools import count
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.rejection import Refused
from services.ingest.intake.body import BodyError, BodyTooLarge
from services.ingest.intake.envelope import open_posthog
from services.ingest.intake.wrapping import unwrapped

EVENT = json.dumps({"event": "x", "name": "Zoë ??>>~~ \U0001f600"}, ensure_ascii=False).encode()
BASE64 = b64encode(EVENT)
WRAPPED = [
    EVENT,
    b" \n" + EVENT,
    b"[" + EVENT + b"]",
    BASE64,
    BASE64.rstrip(b"="),
    BASE64 + b"\r\n",
    urlsafe_b64encode(EVENT),
    b64encode(gzip.compress(EVENT)),
    b64encode(zlib.compress(EVENT)),
    b"data=" + quote(EVENT).encode(),
    b"data=" + quote(BASE64).encode(),
    b"data=" + BASE64,  # a plus that nobody escaped is a space in a form
    urlencode({"compression": "base64", "data": BASE64.decode()}).encode(),
    urlencode({"ver": "1.2.3", "ip": "1", "data": BASE64.decode()}).encode(),
    urlencode({"data": b64encode(gzip.compress(EVENT)).decode(), "compression": "gzip-js"}).encode(),
]


@pytest.mark.parametrize("body", WRAPPED)
@pytest.mark.parametrize("compression", ["", "gzip-js", "base64", "nonsense"])
def test_each_wrapping(body: bytes, compression: str) -> None:
    """The same event comes out, whatever the label says."""
    found = json.loads(unwrapped(body, compression=compression, max_bytes=1000))

    assert found in (json.loads(EVENT), [json.loads(EVENT)])


@pytest.mark.parametrize("blank", string.whitespace)
def test_deflated_bytes_that_end_like_a_blank(blank: str) -> None:
    """They are inflated: the last byte of deflate is part of its checksum, whatever it looks like as text."""
    events = (b'{"event":"%d"}' % number for number in count())
    event = next(event for event in events if zlib.compress(event).endswith(blank.encode()))

    assert unwrapped(zlib.compress(event), compression="", max_bytes=1000) == event


@pytest.mark.parametrize(
    ("body", "compression"), [(b"N4IgbgpgTgzglgewHYgFwEYA0", "lz64"), (b"data=N4Ig&compression=lz64", "")]
)
def test_lz64(body: bytes, compression: str) -> None:
    """It is refused with what to do instead: newer SDKs do not send it any more."""
    with pytest.raises(Refused, match="gzip"):
        unwrapped(body, compression=compression, max_bytes=1000)


def test_a_bomb_in_base64() -> None:
    """It is refused after inflating no more than the limit."""
    with pytest.raises(BodyTooLarge):
        unwrapped(b64encode(gzip.compress(bytes(10_000_000))), compression="", max_bytes=1000)


@given(st.binary(max_size=200).map(lambda tail: b"data=" + tail) | st.binary(max_size=200), st.text(max_size=10))
def test_any_body(body: bytes, compression: str) -> None:
    """It is unwrapped or refused, nothing else; and so is what comes out."""
    with suppress(Refused, BodyError):
        open_posthog(unwrapped(body, compression=compression, max_bytes=1000))

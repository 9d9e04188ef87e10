"""What was rejected, read again alone: as it would have been read in its first place."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.domain.rejection import Rejection
from services.ingest.intake.record import origin_of
from services.ingest.packing import pack_rejection
from shared.events.rejected import (
    MAX_FRAME_BYTES,
    MAX_HEADERS,
    Place,
    Rejected,
    decode_rejected,
    read_attempt,
    read_place,
)
from tests.unit.ingest.reading import LIMITS, RECEIVED_AT, read

STRICT = msgspec.structs.replace(LIMITS, max_event_bytes=1)  # refuses everything that can be told apart
SEGMENT = {"tandem-intake": "segment.batch", "tandem-source": "website"}
POSTHOG = {"tandem-intake": "posthog", "tandem-sent-at": "2026-03-01T08:00:20+00:00"}
SNOWPLOW = {"tandem-intake": "snowplow.payload", "tandem-query": "page=Over", "tandem-user-agent": "Mozilla/5.0"}
CLOUDEVENTS = {"tandem-intake": "cloudevents.batch", "tandem-source": "website"}


def kept(value: bytes, headers: dict[str, str], *, offset: int = 7) -> list[Rejected]:
    """Return what is kept of a record whose items are all refused."""
    rejections = read(value, headers, offset=offset, limits=STRICT)
    assert all(isinstance(rejection, Rejection) for rejection in rejections)
    return [as_kept(rejection, headers) for rejection in rejections if isinstance(rejection, Rejection)]


def as_kept(rejection: Rejection, headers: dict[str, str]) -> Rejected:
    """Return what is kept of a rejection in a record with these headers, which stands behind what it repeats."""
    offset = 99 if "tandem-place" in headers else 7
    origin = origin_of(
        headers, topic="events.web", partition=3, offset=offset, appended_at=RECEIVED_AT, now=RECEIVED_AT
    )
    return decode_rejected(pack_rejection(rejection, origin, headers).value)


def again(rejected: Rejected, *, attempt: int = 1) -> tuple[bytes, dict[str, str]]:
    """Return the record that a replay of it is."""
    more = {"tandem-place": str(rejected.place()), "tandem-replay": str(attempt)}
    return rejected.before + rejected.original + rejected.after, {**rejected.headers, **more}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)  # with NUL: such an item is refused again
ITEMS = st.fixed_dictionaries(
    {"type": st.just("track"), "event": st.just("Form Submitted"), "userId": st.just("u")},
    optional={
        "messageId": TEXTS,
        "timestamp": st.just("2026-03-01T09:00:00Z"),
        "sentAt": st.just("2026-03-01T09:10:00Z"),
        "context": st.fixed_dictionaries({"campaign": st.dictionaries(st.sampled_from(["name", "source"]), TEXTS)}),
        "properties": st.dictionaries(TEXTS, st.integers(0, 9)),
    },
)
SHARED = st.fixed_dictionaries(
    {},
    optional={
        "sentAt": st.sampled_from(["2026-03-01T08:00:10Z", "yesterday", 5, None, {"a": 10**30}]),
        "context": st.fixed_dictionaries(
            {"campaign": st.just({"name": "spring"}), "traits": st.dictionaries(TEXTS, TEXTS, max_size=2)}
        ),
    },
)


@given(items=st.lists(ITEMS, min_size=1, max_size=5), shared=SHARED)
@example(items=[{"type": "track"}, {"type": "track", "messageId": "\0"}], shared={})
@example(items=[{"type": "track"}], shared={"context": {"traits": {"a": "\0"}}})
def test_an_item_of_a_batch(items: list[Any], shared: dict[str, Any]) -> None:
    """Context, time sent and identity are those that it had among its neighbours; refused, it is the same rejection."""
    value = json.dumps({"batch": items, **shared}).encode()
    whole = read(value, SEGMENT)
    for first, rejected in zip(whole, kept(value, SEGMENT), strict=True):
        replayed, headers = again(rejected)
        (second,) = read(replayed, headers, offset=99)

        if isinstance(first, Rejection):  # its index is 0 now; its place is what tells which one it was
            assert isinstance(second, Rejection)
            assert as_kept(second, headers) == msgspec.structs.replace(
                as_kept(first, SEGMENT), attempt=1, headers=headers
            )
        else:
            assert second == first


def test_an_item_of_a_batch_of_cloudevents() -> None:
    """It stays an event of its own place, though CloudEvents have ids."""
    events = [
        {"id": str(number), "source": "/shop", "type": "order", "specversion": "1.0", "data": {"userId": "u"}}
        for number in range(3)
    ]
    value = json.dumps(events).encode()
    for event, rejected in zip(read(value, CLOUDEVENTS), kept(value, CLOUDEVENTS), strict=True):
        replayed, headers = again(rejected)

        assert read(replayed, headers, offset=99) == [event]


CAPTURED = [{"event": "x", "distinct_id": "u", "timestamp": "2026-03-01T08:00:00Z"}] * 2
VIEWED = [{"e": "pv", "duid": "d", "url": "https://acme.example/", "tv": "js-4"}] * 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (CAPTURED[0], POSTHOG),
        (CAPTURED, POSTHOG),
        ({"batch": CAPTURED}, POSTHOG),
        ({"batch": CAPTURED, "sent_at": "2026-03-01T08:00:10Z"}, POSTHOG),
        ({"batch": CAPTURED, "sent_at": {"a": 10**30}}, POSTHOG),
        ({"data": VIEWED}, SNOWPLOW),
    ],
)
def test_an_item_of_another_protocol(body: Any, headers: dict[str, str]) -> None:
    """What the request said for all of them still holds."""
    value = json.dumps(body).encode()
    for event, rejected in zip(read(value, headers), kept(value, headers), strict=True):
        replayed, more = again(rejected)

        assert read(replayed, more, offset=99) == [event]


def test_what_fails_again_is_the_same_rejection() -> None:
    """Its id and place stay those of the first time; the attempt is told."""
    (first, second) = kept(b'{"batch": [{"type": "page"}, {"type": "page"}]}', SEGMENT)
    value, headers = again(second, attempt=2)
    (back,) = kept(value, headers, offset=99)

    assert (back.id, back.place(), back.attempt) == (second.id, second.place(), 2)
    assert first.id != second.id


def test_a_record_that_comes_back_whole() -> None:
    """A replayed item that cannot even be told apart is that item's rejection still."""
    (item,) = kept(b'{"batch": [{"type": "page"}]}', SEGMENT)
    _, headers = again(item)
    origin = origin_of(headers, topic="events.web", partition=0, offset=99, appended_at=RECEIVED_AT, now=RECEIVED_AT)
    (broken,) = read(b"}", headers)
    assert isinstance(broken, Rejection)

    assert decode_rejected(pack_rejection(broken, origin, headers).value).id == item.id


@pytest.mark.parametrize(
    "stated", ["", "x", "a/1", "a/1/2/3/4", "a/-1/2", "a b/1/2", "a/1/2\n", "a/1/" + "9" * 30, None]
)
def test_a_place_that_is_none(stated: str | None) -> None:
    """What others write into the header does no harm."""
    assert read_place(stated) is None


@given(
    place=st.builds(
        Place,
        st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True),
        st.integers(0, 999),
        st.integers(0, 10**17),
        st.none() | st.integers(0, 9999),
    )
)
def test_a_place_written_and_read(place: Place) -> None:
    """It comes back as it was."""
    assert read_place(str(place)) == place


def test_attempts_that_are_none() -> None:
    """Anything but a small number counts as the first reading."""
    assert [read_attempt(stated) for stated in (None, "", "x", "-1", "12345678", "٣", "7")] == [0, 0, 0, 0, 0, 0, 7]


def test_too_much_to_be_kept() -> None:
    """It says that it cannot be replayed, rather than be replayed as something else."""
    large_context = json.dumps({"batch": [{}], "context": {"app": "x" * MAX_FRAME_BYTES}}).encode()
    (without_context,) = kept(large_context, SEGMENT)
    (without_header,) = kept(b'{"batch": [{}]}', {**SEGMENT, "ce_id": "x" * 5_000})
    many = {f"a-{number}": "x" for number in range(MAX_HEADERS * 2)}
    (whole,) = kept(b'{"batch": [{}]}', {**many, **SEGMENT})

    assert (without_context.incomplete, without_header.incomplete, whole.incomplete) == (True, True, False)
    assert whole.headers.items() >= SEGMENT.items()
    assert len(whole.headers) == MAX_HEADERS

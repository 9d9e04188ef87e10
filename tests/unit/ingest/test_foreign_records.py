"""Records of other producers: what their headers may say, and what is not believed."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identity import Person
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.domain.understanding import touch_of
from services.ingest.intake.record import (
    LONG_AGO,
    MAX_RECORD_BYTES,
    MOST_AHEAD,
    OWN_TOPICS,
    Intake,
    is_tombstone,
    origin_of,
    read_record,
    text_headers,
)
from services.ingest.settings import IngestSettings
from shared.settings import SettingsError, load_settings
from tests.unit.ingest.reading import LIMITS, RECEIVED_AT, read

NOW = RECEIVED_AT
NOBODY = Person(UUID(int=1), ())  # type: ignore[arg-type]
CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "userid": "u"}


def origin(headers: dict[str, str] | None = None, *, topic: str = "shop.orders", **more: Any) -> Origin:
    where: dict[str, Any] = {"partition": 3, "offset": 7, "appended_at": NOW, "now": NOW, **more}
    return origin_of(headers or {}, topic=topic, kinds={**OWN_TOPICS, "shop.orders": "campaign"}, **where)


@pytest.mark.parametrize(
    ("headers", "topic", "expected"),
    [
        ({}, "shop.orders", ("shop.orders", "campaign", False)),
        ({}, "events.web", ("kafka", "web", False)),
        ({"tandem-source": " shop\0 ", "tandem-kind": "web"}, "shop.orders", ("shop", "web", True)),
        ({"tandem-source": "x" * 300}, "events.campaign", ("x" * 200, "campaign", True)),
    ],
)
def test_the_source(headers: dict[str, str], topic: str, expected: tuple[str, str, bool]) -> None:
    """The header says it, else the topic."""
    found = origin(headers, topic=topic)

    assert (found.source, found.kind, found.is_named) == expected


@pytest.mark.parametrize(
    ("headers", "source"), [({}, "/shop"), ({"tandem-source": "website"}, "website"), ({"ce_x": ""}, "/shop")]
)
def test_the_source_of_a_cloudevent(headers: dict[str, str], source: str) -> None:
    """Its own attribute, unless the record names one: each event of a batch has its own."""
    where = origin(headers)
    for item in read_record(json.dumps([CLOUD_EVENT, CLOUD_EVENT]).encode(), headers, where, LIMITS):
        assert isinstance(item, Event)
        assert touch_of(item, where, NOBODY).source == source


def test_a_cloudevent_on_two_topics() -> None:
    """It is one event."""
    value = json.dumps(CLOUD_EVENT).encode()
    touches = []
    for where in (origin(), origin(topic="events.web")):
        (item,) = read_record(value, {}, where, LIMITS)
        assert isinstance(item, Event)
        touches.append(touch_of(item, where, NOBODY).id)

    assert len(set(touches)) == 1


@pytest.mark.parametrize(
    ("stated", "appended_at", "received_at"),
    [
        (NOW - timedelta(hours=1), NOW, NOW - timedelta(hours=1)),
        (NOW + MOST_AHEAD, NOW, NOW + MOST_AHEAD),
        (NOW + timedelta(hours=1), NOW - timedelta(hours=2), NOW - timedelta(hours=2)),
        ("9999-12-31T23:59:59Z", NOW, NOW),
        ("0001-01-01T00:00:00Z", NOW, NOW),
        ("yesterday", NOW, NOW),
        (None, NOW + timedelta(days=1), NOW),
        (None, datetime.fromisoformat("1970-01-01T00:00:00Z"), NOW),
    ],
)
def test_when_it_was_received(stated: Any, appended_at: datetime, received_at: datetime) -> None:
    """What cannot be true is not believed, neither of the header nor of the record's timestamp."""
    headers = {} if stated is None else {"tandem-received-at": str(stated)}

    assert origin(headers, appended_at=appended_at).received_at == received_at


def test_received_long_ago() -> None:
    """It happened then, and is decided upon now: as of then, all that came since would count undecayed, and more."""
    long_ago, lately = NOW - LONG_AGO - timedelta(seconds=1), NOW - LONG_AGO
    for appended_at, decided_at in ((long_ago, NOW), (lately, lately)):
        where = origin(appended_at=appended_at)
        (item,) = read_record(b'{"type": "page", "userId": "u"}', {}, where, LIMITS)
        assert isinstance(item, Event)
        touch = touch_of(item, where, NOBODY)
        assert (touch.occurred_at, touch.received_at) == (appended_at, decided_at)


@pytest.mark.parametrize(
    ("topic", "place", "believed"),
    [
        ("events.web", "shop.orders/0/5", True),
        ("events.web", "events.campaign/0/5", True),
        ("events.web", "events.web/3/6/1", True),
        ("events.web", "events.web/3/8", False),  # what is yet to come
        ("events.web", "touches/0/5", False),  # its rejection would be replayed to there
        ("events.web", "other/0/5", False),
        ("shop.orders", "shop.orders/0/5", False),  # nothing is replayed to there
    ],
)
def test_a_place_that_somebody_states(topic: str, place: str, *, believed: bool) -> None:
    """Only one that a replay may have written counts, and only then the attempt beside it."""
    found = origin({"tandem-place": place, "tandem-replay": "3"}, topic=topic)

    assert (str(found.place()) == place, found.attempt) == (believed, 3 if believed else 0)


@pytest.mark.parametrize(
    ("headers", "is_null", "expected"),
    [({}, True, True), ({}, False, False), ({"ce_id": "1"}, True, False), ({"tandem-source": "s"}, True, True)],
)
def test_tombstones(headers: dict[str, str], *, is_null: bool, expected: bool) -> None:
    """No value says that a key is gone; a CloudEvent without data has none either."""
    assert is_tombstone(headers, is_null=is_null) is expected


def test_headers_that_are_no_utf8() -> None:
    """They stay apart, so that no id is taken for another."""
    one, other = (text_headers([("ce_id", value)])["ce_id"] for value in (b"\xe9", b"\xe8"))

    assert one != other


def test_a_record_that_the_client_cannot_read() -> None:
    """What stands for it is kept with the reason: where it lies is told by its place."""
    headers = {"tandem-unreadable": "The name of a header is not UTF-8."}

    (item,) = read_record(b"", headers, origin(headers), LIMITS)

    assert item == Rejection(Reason.UNREADABLE, "The name of a header is not UTF-8.", b"")


def test_a_record_without_end() -> None:
    """It is rejected as a whole before anybody reads it."""
    (item,) = read(b'{"batch": [' + b" " * MAX_RECORD_BYTES + b"{}]}")

    assert isinstance(item, Rejection)
    assert item.reason is Reason.EVENT_TOO_LARGE


CONTROL = ["source", "kind", "intake", "received-at", "consent", "sent-at", "query", "user-agent", "place", "replay"]


@given(
    headers=st.dictionaries(
        st.sampled_from([f"tandem-{name}" for name in CONTROL] + ["ce_id", "ce_source", "content-type", "traceparent"]),
        st.text() | st.sampled_from([*Intake, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "touches/1/2/3", "web"]),
    ),
    value=st.sampled_from([b"", b"{}", b"[]", b'{"data":[{"e":"pv"}]}', b'{"type":"page","userId":"u","sentAt":"x"}']),
)
def test_any_headers(headers: dict[str, str], value: bytes) -> None:
    """Nothing but events and rejections ever comes of a record, and its source is a name."""
    where = origin(headers, topic="events.web")
    for item in read_record(value, headers, where, LIMITS):
        if isinstance(item, Event):
            assert touch_of(item, where, NOBODY).source
    assert where.source
    assert "\0" not in where.source
    assert where.received_at <= NOW + MOST_AHEAD


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("shop.orders", "has no kind"),
        ("shop.orders=other", "has no kind"),
        ("=web", "no name of a topic"),
        ("a b=web", "no name of a topic"),
        ("events.web=web", "Tandem's own"),
        ("a=web,a=campaign", "named twice"),
    ],
)
def test_a_setting_that_is_wrong(value: str, says: str) -> None:
    """One line says what."""
    with pytest.raises(SettingsError) as error:
        load_settings(IngestSettings, database_url=SecretStr(""), extra_topics=value)

    assert says in str(error.value)
    assert str(error.value).startswith("TANDEM_EXTRA_TOPICS: ")
    assert "\n" not in str(error.value)


def test_the_setting() -> None:
    """Names and kinds, with spaces or without."""
    settings = load_settings(
        IngestSettings, database_url=SecretStr(""), extra_topics=" shop.orders = web,mails=campaign, "
    )

    assert settings.extra_topics == (("shop.orders", "web"), ("mails", "campaign"))

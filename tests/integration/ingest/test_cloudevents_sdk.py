"""The official CloudEvents SDK: what its bindings write, over HTTP and onto the log as another producer would."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http, kafka
from cloudevents.core.v1.event import CloudEvent

from shared.events.topics import TopicName
from shared.log.records import Headers, Record
from tests.integration.ingest.installed import WEB_KEY, Ingest

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e 1 ?",
    "source": "/crm/€",
    "type": "com.acme.signed-up",
    "time": NOON,
    "datacontenttype": "application/json",
    "userid": "u-1",
    "partitionkey": "acme",
}


def event(**more: Any) -> CloudEvent:
    return CloudEvent(attributes={**ATTRIBUTES, **more}, data={"plan": "pro"})


def record(message: kafka.KafkaMessage, *, without: str = "") -> Record:
    """Return what the SDK wrote as a record, without one of its headers where a test leaves it out."""
    headers: Headers = tuple((name, value) for name, value in message.headers.items() if name != without)
    return Record(value=bytes(message.value or b""), headers=headers)


@pytest.mark.parametrize("bind", [http.to_binary_event, http.to_structured_event], ids=["binary", "structured"])
async def test_over_http(ingest: Ingest, bind: Any) -> None:
    """Sent twice it is one touch's id; time, name and person are the attributes'."""
    message = bind(event())
    headers = {**message.headers, "Authorization": f"Bearer {WEB_KEY}"}
    answers = [await ingest.post("/v1/events", message.body, headers=headers) for _ in range(2)]
    touches = await ingest.understand()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert (len(touches), len({touch.id for touch in touches})) == (2, 1)
    assert (touches[0].name, touches[0].occurred_at, touches[0].properties) == (
        "com.acme.signed-up",
        NOON,
        {"plan": "pro"},
    )
    assert {alias.value for alias in touches[0].aliases} == {"u-1"}


async def test_on_the_log(ingest: Ingest) -> None:
    """Both forms of the Kafka binding are the same event, whoever wrote them."""
    messages = [record(kafka.to_binary_event(event())), record(kafka.to_structured_event(event()))]
    await ingest.log.append(TopicName.EVENTS_CAMPAIGN, messages)
    touches = await ingest.understand()

    assert (len(touches), len({touch.id for touch in touches})) == (2, 1)
    assert {(touch.source, touch.kind, touch.name, touch.occurred_at) for touch in touches} == {
        ("/crm/€", "campaign", "com.acme.signed-up", NOON)
    }


@pytest.mark.parametrize("attribute", ["id", "source", "type", "specversion"])
async def test_a_required_attribute_is_missing(ingest: Ingest, attribute: str) -> None:
    """It is rejected; the SDK itself would make an id and a time up, and the event would count each time."""
    broken = record(kafka.to_binary_event(event()), without=f"ce_{attribute}")
    await ingest.log.append(TopicName.EVENTS_WEB, [broken, record(kafka.to_binary_event(event()))])
    touches = await ingest.understand()

    assert len(touches) == 1
    assert [one.reason for one in await ingest.rejected()] == ["missing_attribute"]


async def test_an_event_without_data(ingest: Ingest) -> None:
    """Its attributes alone are an event, in either form."""
    bare = CloudEvent(attributes={name: value for name, value in ATTRIBUTES.items() if name != "datacontenttype"})
    messages = [record(kafka.to_binary_event(bare)), record(kafka.to_structured_event(bare))]
    await ingest.log.append(TopicName.EVENTS_WEB, messages)
    touches = await ingest.understand()

    assert [touch.properties for touch in touches] == [{}, {}]
    assert await ingest.rejected() == []

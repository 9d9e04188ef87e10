"""Snowplow's form, as its trackers really send it."""

import json
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from shared.events.touch import TouchType
from tests.unit.ingest.reading import RECEIVED_AT, read

PAYLOAD = {"tandem-intake": "snowplow.payload"}
QUERY = {"tandem-intake": "snowplow.query"}
SCHEMA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
PAGE = {"e": "pv", "url": "https://acme.example/pricing", "duid": "d-1"}


def read_all(*events: Any, **headers: str) -> list[Event | Rejection]:
    return read(json.dumps({"schema": SCHEMA, "data": events}).encode(), {**PAYLOAD, **headers})


def read_one(event: Any, **headers: str) -> Event:
    (item,) = read_all(event, **headers)
    assert isinstance(item, Event), item
    return item


def described(schema: str, data: Any) -> dict[str, Any]:
    return {
        "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": schema, "data": data},
    }


def own(name: str, data: Any) -> dict[str, str]:
    """Return an event that one of Snowplow's own trackers describes."""
    schema = f"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-1"
    return {"e": "ue", "uid": "u", "ue_pr": json.dumps(described(schema, data))}


def test_a_page_view() -> None:
    """Page, ids, and a clock corrected by the time of sending."""
    sent = {
        "e": "pv",
        "url": "https://acme.example/pricing?utm_campaign=spring",
        "page": "Pricing",
        "refr": "https://search.example/",
        "uid": "u-1",
        "duid": "d-1",
        "eid": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
        "dtm": "1772366400000",  # 12:00:00
        "stm": "1772366405000",
        "tv": "py-1.1.0",
        "aid": "wk",
        "ua": "Mozilla/5.0",
    }
    event = read_one(sent)

    assert event.type is TouchType.PAGE
    assert event.page == {
        "url": "https://acme.example/pricing?utm_campaign=spring",
        "title": "Pricing",
        "referrer": "https://search.example/",
    }
    assert (event.names.user, event.names.anonymous) == ("u-1", "d-1")
    assert event.message_id == "c6ef3124-b53a-4b13-a233-0088f79dcbcb"
    assert event.occurred_at == RECEIVED_AT - timedelta(seconds=5)
    assert event.user_agent == "Mozilla/5.0"


def test_a_query() -> None:
    """The same fields, one event."""
    (event,) = read(urlencode({**PAGE, "page": "Zoë & Co", "uid": "u"}).encode(), QUERY)

    assert isinstance(event, Event)
    assert (event.type, event.page["title"], event.names.user) == (TouchType.PAGE, "Zoë & Co", "u")


def test_a_query_beside_a_payload() -> None:
    """Its fields hold for all events, and win."""
    first, second = read_all(PAGE, {**PAGE, "uid": "own"}, **{"tandem-query": "uid=over&page=Over"})

    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert first.names.user == second.names.user == "over"
    assert first.page["title"] == "Over"


def test_structured_events() -> None:
    """Named by their action, with the rest as properties; the value is a number where it is one."""
    event = read_one(
        {"e": "se", "uid": "u", "se_ca": "shop", "se_ac": "add-to-basket", "se_la": "l", "se_pr": "p", "se_va": "2.5"}
    )
    odd = read_one({"e": "se", "uid": "u", "se_ca": "shop", "se_va": "much"})

    assert (event.type, event.name) == (TouchType.TRACK, "add-to-basket")
    assert event.properties == {"category": "shop", "label": "l", "property": "p", "value": 2.5}
    assert (odd.name, odd.properties) == ("shop", {"category": "shop", "value": "much"})


@pytest.mark.parametrize("encode", [urlsafe_b64encode, b64encode, lambda raw: urlsafe_b64encode(raw).rstrip(b"=")])
def test_self_describing_json(encode: Any) -> None:
    """Plain or in base64 of either alphabet, with or without padding; contexts likewise."""
    data = described("iglu:com.acme/trial_started/jsonschema/1-0-0", {"plan": "Zoë ?>?~~~"})
    context = {"schema": "c", "data": [{"schema": "iglu:com.acme/account/jsonschema/1-0-0", "data": {"tier": "gold"}}]}
    plain = read_one({"e": "ue", "uid": "u", "ue_pr": json.dumps(data), "co": json.dumps(context)})
    encoded = read_one(
        {
            "e": "ue",
            "uid": "u",
            "ue_px": encode(json.dumps(data, ensure_ascii=False).encode()).decode(),
            "cx": encode(json.dumps(context).encode()).decode(),
        }
    )

    assert (encoded.type, encoded.name) == (TouchType.TRACK, "trial_started")
    assert encoded.properties == {"plan": "Zoë ?>?~~~", "contexts": {"account": {"tier": "gold"}}}
    assert (plain.name, plain.properties) == (encoded.name, encoded.properties)


def test_a_link_click() -> None:
    """Segment's name, with where the link led."""
    event = read_one({**own("link_click", {"targetUrl": "https://acme.example/demo"}), "url": "https://acme.example/"})

    assert (event.type, event.name) == (TouchType.TRACK, "Link Clicked")
    assert event.properties["link_url"] == "https://acme.example/demo"
    assert event.page == {"url": "https://acme.example/"}


@pytest.mark.parametrize("terms", [["forklift", "lease"], "forklift lease"])
def test_a_search(terms: Any) -> None:
    """What was searched for is the contact's own words."""
    event = read_one(own("site_search", {"terms": terms}))

    assert (event.name, event.properties["query"]) == ("Products Searched", "forklift lease")


def test_a_submitted_form() -> None:
    """The form and what was filled in by name, no password; an address there is who filled it in."""
    elements = [
        {"name": "work_email", "value": "Ada@Acme.example", "nodeName": "INPUT", "type": "email"},
        {"name": "message", "value": "Call me", "nodeName": "TEXTAREA"},
        {"name": "secret", "value": "hunter2", "type": "password"},
        "nonsense",
    ]
    sent = {**own("submit_form", {"formId": "demo", "elements": elements}), "duid": "d"}
    known = read_one(sent)
    visitor = read_one({**sent, "uid": ""})

    assert known.name == "Form Submitted"
    assert known.properties == {
        "form": "demo",
        "fields": {"work_email": "Ada@Acme.example", "message": "Call me"},
        "email": "Ada@Acme.example",
    }
    assert known.names.email == ""
    assert visitor.names.email == "ada@acme.example"


@pytest.mark.parametrize(
    ("event", "kind", "name"),
    [
        ({"e": "pp", "uid": "u"}, TouchType.IDENTIFY, ""),
        ({"e": "tr", "uid": "u", "tr_id": "1", "tr_tt": "9.5"}, TouchType.TRACK, "Order Completed"),
        ({"e": "ti", "uid": "u", "ti_sk": "s"}, TouchType.TRACK, "Product Ordered"),
        (own("screen_view", {"name": "Home"}), TouchType.SCREEN, "Home"),
        (own("add_to_cart", {"sku": "s"}), TouchType.TRACK, "Product Added"),
        (own("web_vitals", {}), TouchType.IDENTIFY, ""),
        (own("something_new", {}), TouchType.TRACK, "something_new"),
        (
            {"e": "ue", "uid": "u", "ue_pr": json.dumps(described("iglu:com.acme/link_click/jsonschema/1-0-0", None))},
            TouchType.TRACK,
            "link_click",
        ),
    ],
)
def test_kinds(event: dict[str, str], kind: TouchType, name: str) -> None:
    """Each kind of event is one of Segment's calls; a heartbeat only tells who is there."""
    found = read_one(event)

    assert (found.type, found.name) == (kind, name)


SESSION = {"schema": "c", "data": [{"schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
                                    "data": {"userId": "device-1"}}]}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"uid": "u", "duid": "d", "tnuid": "n"}, ("u", "", "d")),
        ({"tnuid": "n"}, ("", "", "n")),
        ({"tnuid": "00000000-0000-0000-0000-000000000000", "uid": "u"}, ("u", "", "")),
        ({"uid": "Ada@Acme.example"}, ("Ada@Acme.example", "ada@acme.example", "")),
        ({"uid": "null", "duid": "d"}, ("", "", "d")),
        ({"co": json.dumps(SESSION)}, ("", "", "device-1")),
    ],
)
def test_who_an_event_is_about(fields: dict[str, Any], names: tuple[str, str, str]) -> None:
    """`uid` is the user; the browser's or device's own id is anonymous."""
    found = read_one({"e": "pv", **fields}).names

    assert (found.user, found.email, found.anonymous) == names


def test_the_agent_of_the_request() -> None:
    """It is the person's where a browser sends; a server's own tells nothing of anybody."""
    agent = {"tandem-user-agent": "Mozilla/5.0"}

    assert read_one({**PAGE, "tv": "js-4.10.1"}, **agent).user_agent == "Mozilla/5.0"
    assert read_one({**PAGE, "tv": "js-4.10.1", "ua": "own"}, **agent).user_agent == "own"
    assert read_one({**PAGE, "tv": "py-1.1.0"}, **{"tandem-user-agent": "python-requests/2.34.2"}).user_agent == ""


def test_clocks() -> None:
    """A true time needs no correction; a time of sending that is none corrects nothing."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    early = str(int((noon - timedelta(hours=3)).timestamp() * 1000))

    assert read_one({**PAGE, "ttm": early, "dtm": "1", "stm": "5"}).occurred_at == noon - timedelta(hours=3)
    assert read_one({**PAGE, "dtm": early, "stm": "soon"}).occurred_at == noon - timedelta(hours=3)
    assert read_one(PAGE).occurred_at == RECEIVED_AT
    assert read_one(PAGE).message_id == "events.web/3/7/0"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (5, Reason.NOT_AN_OBJECT),
        ({}, Reason.UNKNOWN_TYPE),
        ({"e": "ad", "uid": "u"}, Reason.UNKNOWN_TYPE),
        ({"e": "pv"}, Reason.NO_IDENTIFIER),
        ({"e": "se", "uid": "u"}, Reason.NO_EVENT_NAME),
        ({"e": "ue", "uid": "u"}, Reason.WRONG_TYPE),
        ({"e": "ue", "uid": "u", "ue_pr": "{"}, Reason.INVALID_JSON),
        ({"e": "ue", "uid": "u", "ue_pr": "[]"}, Reason.NOT_AN_OBJECT),
        ({"e": "ue", "uid": "u", "ue_px": "%%%"}, Reason.WRONG_TYPE),
        ({"e": "ue", "uid": "u", "ue_px": "eyJ"}, Reason.INVALID_JSON),
        ({"e": "ue", "uid": "u", "ue_pr": json.dumps(described("trial", {}))}, Reason.NO_EVENT_NAME),
        ({"e": "pv", "uid": "u", "co": '{"data":[{"schema":"\\u0000"}]}'}, Reason.NUL_CHARACTER),
        ({"e": "pv", "uid": "u", "page": "a\0"}, Reason.NUL_CHARACTER),
        ({"e": "pv", "uid": "u", "co": '{"data":' + "[" * 40 + "]" * 40 + "}"}, Reason.TOO_DEEP),
        ({"e": "pv", "uid": "u", "dtm": "noon"}, Reason.BAD_TIMESTAMP),
        ({"e": "pv", "uid": "u", "dtm": "9" * 15}, Reason.BAD_TIMESTAMP),
        ({"e": "pv", "uid": "u", "page": "x" * 66_000}, Reason.EVENT_TOO_LARGE),
    ],
)
def test_what_is_rejected(event: Any, reason: Reason) -> None:
    """Each fault has its reason, and costs its neighbours nothing."""
    before, rejection, after = read_all(PAGE, event, PAGE)

    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.item, json.loads(rejection.original)) == (reason, 1, event)
    assert rejection.message


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"e=pv&uid=a%00", Reason.NUL_CHARACTER),
        (b"&".join(b"a%d=1" % number for number in range(600)), Reason.WRONG_TYPE),
        (b"e=pv&uid=u&page=" + b"x" * 66_000, Reason.EVENT_TOO_LARGE),
        (b"nonsense", Reason.UNKNOWN_TYPE),
    ],
)
def test_queries_that_are_rejected(query: bytes, reason: Reason) -> None:
    """Each fault has its reason."""
    (rejection,) = read(query, QUERY)

    assert isinstance(rejection, Rejection)
    assert rejection.reason is reason


def test_half_an_emoji_inside() -> None:
    """Also where a JSON lies within another."""
    event = read_one({"e": "ue", "uid": "u", "ue_pr": json.dumps(described("iglu:a/b/c/1-0-0", {"x": "\ud83d"}))})

    assert event.properties == {"x": "\ufffd"}


fields = st.dictionaries(
    st.sampled_from("e uid duid eid dtm stm ttm url page se_ac se_va ue_pr ue_px co cx tr_tt tv ua".split()),
    st.none() | st.integers() | st.text(max_size=20)
    | st.sampled_from(["pv", "se", "ue", "u", '{"data":{"schema":"iglu:a/b/c/d","data":5}}', "e30", "1772366400000"]),
    max_size=8,
)  # fmt: skip


@given(st.lists(fields | st.none() | st.integers() | st.text(), max_size=4), st.text(max_size=30))
def test_any_payload(events: list[Any], query: str) -> None:
    """Nothing but events and rejections ever comes of it; each rejection says what would be right."""
    for item in read_all(*events, **{"tandem-query": query}):
        assert isinstance(item, Event) or item.message.strip()


@given(st.binary(max_size=200), st.sampled_from([PAYLOAD, QUERY]))
def test_any_bytes(body: bytes, headers: dict[str, str]) -> None:
    """Nothing but events and rejections ever comes of them."""
    assert all(isinstance(item, Event | Rejection) for item in read(body, headers))

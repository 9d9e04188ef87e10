"""PostHog's form, as its SDKs really send it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.identity import Caps, decide
from services.ingest.domain.known import Known
from services.ingest.domain.rejection import Reason, Rejection
from shared.events.touch import Alias, TouchType
from shared.ids import contact_id
from tests.unit.ingest.reading import RECEIVED_AT, read

POSTHOG = {"tandem-intake": "posthog"}
DEVICE = "019a0b1c-2d3e-7f40-8a5b-6c7d8e9f0a1b"  # as browsers and apps make them
MADE_UP = "0b6c1f56-6a3f-4d2b-9f2c-5a1f0f9a5c11"  # as servers make them
BROWSER = {"$device_id": DEVICE, "distinct_id": DEVICE, "$is_identified": False, "$process_person_profile": False}


def read_all(body: Any, **headers: str) -> list[Event | Rejection]:
    return read(json.dumps(body).encode(), {**POSTHOG, **headers})


def read_one(item: Any) -> Event:
    (event,) = read_all({"batch": [item]})
    assert isinstance(event, Event), event
    return event


def test_posthog_python() -> None:
    """A batch with its key and time of sending; the clock is corrected by it, the uuid is the message's id."""
    (event,) = read_all(
        {
            "api_key": "phc_1",
            "historical_migration": False,
            "sent_at": "2026-03-01T12:00:10+00:00",
            "batch": [
                {
                    "event": "Form Submitted",
                    "distinct_id": "u-1",
                    "uuid": MADE_UP,
                    "timestamp": "2026-03-01T12:00:00+00:00",
                    "properties": {"form": "demo", "$lib": "posthog-python", "$is_server": True},
                }
            ],
        }
    )

    assert isinstance(event, Event)
    assert (event.type, event.name, event.message_id) == (TouchType.TRACK, "Form Submitted", MADE_UP)
    assert event.properties["form"] == "demo"
    assert event.occurred_at == datetime(2026, 3, 1, 9, 59, 50, tzinfo=UTC)  # ten seconds before it was received
    assert (event.names.user, event.names.anonymous) == ("", "u-1")


def test_posthog_js() -> None:
    """A list of events with the key in each; the query says when it was sent."""
    (event,) = read_all(
        [
            {
                "uuid": "019a0b1c-0000-7000-8000-000000000001",
                "event": "$pageview",
                "properties": {
                    **BROWSER,
                    "token": "phc_1",
                    "$current_url": "https://acme.example/pricing?utm_campaign=spring",
                    "$pathname": "/pricing",
                    "$referrer": "https://search.example/",
                    "title": "Pricing",
                    "utm_campaign": "spring",
                    "utm_source": "newsletter",
                    "$raw_user_agent": "Mozilla/5.0",
                    "$browser": "Chrome",
                },
                "timestamp": "2026-03-01T12:00:00.000Z",
            }
        ],
        **{"tandem-sent-at": "2026-03-01T12:00:05+00:00"},
    )

    assert isinstance(event, Event)
    assert event.type is TouchType.PAGE
    assert event.page == {
        "url": "https://acme.example/pricing?utm_campaign=spring",
        "path": "/pricing",
        "title": "Pricing",
        "referrer": "https://search.example/",
    }
    assert event.campaign == {"name": "spring", "source": "newsletter"}
    assert event.user_agent == "Mozilla/5.0"
    assert event.occurred_at == RECEIVED_AT - timedelta(seconds=5)
    assert (event.names.user, event.names.anonymous) == ("", DEVICE)
    assert "token" not in event.properties
    assert event.properties["$browser"] == "Chrome"


def test_one_event_alone() -> None:
    """Its key beside it, as `/capture` takes it by hand."""
    (event,) = read_all({"api_key": "phc_1", "event": "Signed Up", "distinct_id": 7, "properties": None})

    assert isinstance(event, Event)
    assert (event.name, event.names.anonymous, event.occurred_at) == ("Signed Up", "7", RECEIVED_AT)
    assert event.message_id == "events.web/3/7/0"


@pytest.mark.parametrize(
    ("item", "names"),
    [
        # what the event says of its id
        ({"distinct_id": "u", "properties": {"$is_identified": True}}, ("u", "", "u", "")),
        ({"distinct_id": "u", "properties": {"$user_id": "u"}}, ("u", "", "u", "")),
        ({"distinct_id": "u", "event": "$identify"}, ("u", "", "u", "")),
        (
            {"distinct_id": "u", "event": "$set", "$set": {"email": "Ada@Acme.example"}},
            ("u", "ada@acme.example", "u", ""),
        ),
        (
            {"distinct_id": "u", "event": "$set_once", "$set_once": {"email": "a@b.example"}},
            ("u", "a@b.example", "u", ""),
        ),
        ({"properties": BROWSER}, ("", "", DEVICE, "")),
        ({"properties": {"distinct_id": DEVICE, "$device_id": DEVICE}}, ("", "", DEVICE, "")),
        (
            {"event": "$set", "properties": {**BROWSER, "$set": {"email": "a@b.example"}}},
            ("", "a@b.example", DEVICE, ""),
        ),
        ({"event": "$set", "distinct_id": DEVICE, "$set": {"email": "a@b.example"}}, ("", "a@b.example", DEVICE, "")),
        ({"distinct_id": "u"}, ("", "", "u", "")),
        ({"distinct_id": "Ada@Acme.example"}, ("", "ada@acme.example", "Ada@Acme.example", "")),
        # $identify links what the browser was called before
        (
            {
                "event": "$identify",
                "distinct_id": "u",
                "properties": {"$anon_distinct_id": DEVICE, "$device_id": DEVICE},
            },
            ("u", "", "u", DEVICE),
        ),
        # an address in the properties is who filled in a visitor's form; a user may write of others
        ({"properties": {**BROWSER, "email": "a@b.example"}}, ("", "a@b.example", DEVICE, "")),
        ({"distinct_id": "u", "properties": {"email": "friend@b.example"}}, ("", "", "u", "")),
        # personless, yet somebody: a browser's visitor, an app's session
        ({"distinct_id": "v", "properties": {"$process_person_profile": False, "$device_id": "d"}}, ("", "", "v", "")),
        ({"distinct_id": "v", "properties": {"$process_person_profile": False, "$session_id": "s"}}, ("", "", "v", "")),
        ({"distinct_id": "v", "session_id": "s", "options": {"process_person_profile": False}}, ("", "", "v", "")),
        # PostHog's own order of places
        ({"$distinct_id": "people", "properties": {"distinct_id": "p"}}, ("", "", "people", "")),
        ({"distinct_id": 23, "properties": {"distinct_id": "p"}}, ("", "", "23", "")),
        ({"distinct_id": "", "properties": {"distinct_id": "p"}}, ("", "", "p", "")),
    ],
)
def test_who_an_event_is_about(item: dict[str, Any], names: tuple[str, str, str, str]) -> None:
    """Each id is an anonymous alias, and a user's besides once the event says so."""
    found = read_one({"event": "x", **item}).names

    assert (found.user, found.email, found.anonymous, found.other) == names


PERSONLESS = {"$process_person_profile": False}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (5, Reason.NOT_AN_OBJECT),
        ({}, Reason.NO_EVENT_NAME),
        ({"event": " ", "distinct_id": "u"}, Reason.NO_EVENT_NAME),
        ({"event": "x"}, Reason.NO_IDENTIFIER),
        ({"event": "x", "distinct_id": "undefined"}, Reason.NO_IDENTIFIER),
        ({"event": "x", "distinct_id": {"a": 1}}, Reason.NO_IDENTIFIER),
        ({"event": "x", "distinct_id": "x" * 257}, Reason.NO_IDENTIFIER),
        ({"event": "x", "distinct_id": MADE_UP, "properties": PERSONLESS}, Reason.NO_IDENTIFIER),
        ({"event": "x", "distinct_id": MADE_UP, "options": {"process_person_profile": False}}, Reason.NO_IDENTIFIER),
        (
            {"event": "x", "distinct_id": "r", "properties": {**PERSONLESS, "$session_id": "s", "$is_server": True}},
            Reason.NO_IDENTIFIER,
        ),
        ({"event": "x", "distinct_id": "$posthog_cookieless", "properties": PERSONLESS}, Reason.NO_IDENTIFIER),
        ({"event": "$groupidentify", "distinct_id": "$company_5"}, Reason.NO_IDENTIFIER),
        (
            {"event": "$groupidentify", "distinct_id": MADE_UP, "properties": {"$lib": "posthog-python"}},
            Reason.NO_IDENTIFIER,
        ),
        (
            {"event": "$groupidentify", "distinct_id": MADE_UP, "properties": {"$is_server": True}},
            Reason.NO_IDENTIFIER,
        ),
        ({"event": "$create_alias", "distinct_id": "u"}, Reason.NO_IDENTIFIER),
        ({"event": "$create_alias", "distinct_id": "null", "properties": {"alias": "u"}}, Reason.NO_IDENTIFIER),
        ({"event": "x", "distinct_id": "u", "timestamp": "yesterday"}, Reason.BAD_TIMESTAMP),
        ({"event": "x", "distinct_id": "u", "properties": [1]}, Reason.WRONG_TYPE),
        ({"event": "x", "distinct_id": "u", "properties": {"a": "\0"}}, Reason.NUL_CHARACTER),
        ({"event": "x", "distinct_id": "u", "properties": {"a": "x" * 66_000}}, Reason.EVENT_TOO_LARGE),
    ],
)
def test_what_is_rejected(item: Any, reason: Reason) -> None:
    """Each fault has its reason, and costs its neighbours nothing."""
    before, rejection, after = read_all([{"event": "a", "distinct_id": "u"}, item, {"event": "b", "distinct_id": "u"}])

    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.item, json.loads(rejection.original)) == (reason, 1, item)
    assert rejection.message


def test_traits() -> None:
    """`$set` wins over `$set_once`; what PostHog says of itself there is no trait."""
    event = read_one(
        {
            "event": "x",
            "distinct_id": "u",
            "$set": {"title": "CTO"},
            "properties": {"$set": {"plan": "pro"}, "$set_once": {"title": "old", "$initial_referrer": "$direct"}},
        }
    )

    assert event.traits == {"title": "CTO", "plan": "pro"}
    assert event.properties == {}


@pytest.mark.parametrize(
    ("kind", "group_id", "traits"),
    [("company", "acme", {"name": "Acme"}), ("Organization", "acme", {"name": "Acme"}), ("project", "", {})],
)
def test_groups(kind: str, group_id: str, traits: dict[str, Any]) -> None:
    """A group that is a company is the account; of another kind it only tells who is there."""
    event = read_one(
        {
            "event": "$groupidentify",
            "distinct_id": "u-1",
            "properties": {"$group_type": kind, "$group_key": "acme", "$group_set": {"name": "Acme"}},
        }
    )

    assert (event.type, event.group_id, event.traits) == (TouchType.GROUP, group_id, traits)


@pytest.mark.parametrize("name", ["$pageleave", "$web_vitals", "$feature_flag_called", "$exception"])
def test_measurements(name: str) -> None:
    """They are no touch that counts: nobody did anything."""
    assert read_one({"event": name, "distinct_id": "u"}).type is TouchType.IDENTIFY


def test_a_screen_and_a_person_without_an_event() -> None:
    """A screen has its name; `/engage` sends a person's properties alone."""
    screen = read_one({"event": "$screen", "distinct_id": "u", "properties": {"$screen_name": "Home"}})
    (person,) = read_all({"$token": "k", "$distinct_id": "u", "$set": {"title": "CTO"}})

    assert (screen.type, screen.name) == (TouchType.SCREEN, "Home")
    assert isinstance(person, Event)
    assert (person.type, person.names.user, person.traits) == (TouchType.IDENTIFY, "u", {"title": "CTO"})


def test_clocks() -> None:
    """An offset counts back from the receipt; what needs no correction gets none."""
    offset, exact, far = read_all(
        {
            "sent_at": "2026-03-01T12:00:00Z",
            "batch": [
                {"event": "x", "distinct_id": "u", "offset": 3000},
                {
                    "event": "x",
                    "distinct_id": "u",
                    "timestamp": "2026-03-01T09:00:00Z",
                    "properties": {"$ignore_sent_at": True},
                },
                {"event": "x", "distinct_id": "u", "offset": 1e300},
            ],
        }
    )

    assert isinstance(offset, Event)
    assert isinstance(exact, Event)
    assert isinstance(far, Event)
    assert offset.occurred_at == RECEIVED_AT - timedelta(seconds=3)
    assert exact.occurred_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert far.occurred_at == RECEIVED_AT


def alias(distinct_id: str, other: str) -> Event:
    return read_one({"event": "$create_alias", "distinct_id": distinct_id, "properties": {"alias": other}})


@pytest.mark.parametrize(("distinct_id", "other"), [("anon-1", "u-1"), ("u-1", "anon-1")], ids=["python", "node"])
@pytest.mark.parametrize("known", [[], ["anon-1"], ["u-1"]])
def test_either_direction_of_an_alias(distinct_id: str, other: str, known: list[str]) -> None:
    """posthog-python sends the old id as the distinct id, posthog-node the new one: both link the same two."""
    visits = [read_one({"event": "x", "distinct_id": name}).names for name in known]
    later = [read_one({"event": "$set", "distinct_id": "u-1", "$set": {"a": 1}}).names]
    decision = decide([*visits, alias(distinct_id, other).names, *later], Known(), caps=Caps())

    assert len({person.contact_id for person in decision.people}) == 1
    assert decision.merges == []


@pytest.mark.parametrize(("distinct_id", "other"), [("u-1", "u-2"), ("u-2", "u-1")])
def test_an_alias_of_two_users(distinct_id: str, other: str) -> None:
    """It never makes one contact of two users."""
    users = [read_one({"event": "$identify", "distinct_id": name}).names for name in ("u-1", "u-2")]
    decision = decide([*users, alias(distinct_id, other).names], Known(), caps=Caps())

    assert decision.merges == []
    assert decision.links[Alias("user", "u-1")] != decision.links[Alias("user", "u-2")]


def test_a_visitor_who_signs_in() -> None:
    """Whatever comes first: the visits, the `$identify`, what a server says of the user."""
    visit = read_one({"event": "$pageview", "properties": BROWSER}).names
    identify = read_one(
        {"event": "$identify", "distinct_id": "u", "properties": {"$anon_distinct_id": DEVICE, "$is_identified": True}}
    ).names
    server = read_one({"event": "Paid", "distinct_id": "u"}).names
    people = decide([visit, identify, server], Known(), caps=Caps()).people

    assert {person.contact_id for person in people} == {contact_id("anonymous", DEVICE)}
    assert len({person.contact_id for person in decide([identify, visit, server], Known(), caps=Caps()).people}) == 1


keys = st.sampled_from(
    "event uuid distinct_id properties timestamp offset $set $set_once options alias $device_id $is_identified"
    " $process_person_profile $group_type $group_key $group_set $current_url utm_source $user_id email".split()
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["$identify", "$create_alias", "$groupidentify", "u-1", "a@b.example", "2026-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=6),
    max_leaves=15,
)  # fmt: skip
events = st.dictionaries(keys, values, max_size=8)


@given(body=events | st.lists(events | values, max_size=4) | st.fixed_dictionaries({"batch": st.lists(values)}))
def test_any_json(body: Any) -> None:
    """Nothing but events and rejections ever comes of it; each rejection says what would be right."""
    for item in read_all(body):
        assert isinstance(item, Event) or item.message.strip()


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_bytes(body: bytes, sent_at: str) -> None:
    """Nothing but events and rejections ever comes of them."""
    assert all(isinstance(item, Event | Rejection) for item in read(body, {**POSTHOG, "tandem-sent-at": sent_at}))

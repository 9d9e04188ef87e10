"""The vocabulary, and what is made of it."""

import jsonschema
import pytest

from services.ingest.domain.understanding import OPT_INS, OPT_OUTS
from shared.events.schemas import event_schema, published_schemas
from shared.events.touch import TouchType
from shared.events.vocabulary import VOCABULARY, KnownEvent, is_own_doing
from shared.events.vocabulary_page import PAGE, replaced
from tests.support.touches import a_profile, a_touch, a_track
from tests.unit.ingest.reading import read_one

SAMPLES = {
    "text": "a",
    "number": 1.5,
    "integer": 1,
    "true or false": True,
    "ISO 8601 instant": "2026-03-01T10:00:00Z",
    "URL": "https://acme.example/a",
    "list of objects": [{}],
}


def call_of(event: KnownEvent) -> dict[str, object]:
    """Return a call that sends the event with all of its properties."""
    name = {"event": event.name} if event.type is TouchType.TRACK else {"name": "Home"}
    properties = {one.name: SAMPLES[one.type] for one in event.properties}
    return {"type": str(event.type), **name, "userId": "u", "properties": properties}


def test_the_page_is_current() -> None:
    """`python -m shared.events.vocabulary_page` would change nothing."""
    page = PAGE.read_text()

    assert replaced(page) == page


def test_a_page_without_a_place_for_it() -> None:
    """That is told, instead of losing the rest of the page."""
    with pytest.raises(ValueError, match="no <!-- vocabulary"):
        replaced("# Events")


def test_names_are_unique() -> None:
    """Each event, and each schema, has a name of its own."""
    names = [event.name.lower() for event in VOCABULARY]

    assert len(set(names)) == len(names)
    assert len({*published_schemas()}) == len(published_schemas()) > len(names)


def test_what_opts_out() -> None:
    """The names that ingest heeds are those of the vocabulary."""
    assert frozenset({"unsubscribed", "email marked as spam"}) == OPT_OUTS
    assert frozenset({"resubscribed"}) == OPT_INS


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("Email Delivered", False),
        ("email sent ", False),
        ("In App Failed", False),
        ("Trial Ended", False),
        ("Email Opened", True),
        ("Email Link Clicked", True),
        ("Unsubscribed", True),
        ("Message Sent", True),
        ("Delivered", True),
    ],
)
def test_whose_doing_it_is(name: str, own: bool) -> None:  # noqa: FBT001
    """What a sender does to a contact is told by the name, however it is written; a page of that name is viewed."""
    assert is_own_doing(a_track(1, name)) is own
    assert is_own_doing(a_touch(1, name=name))
    assert not is_own_doing(a_profile(1))


@pytest.mark.parametrize("event", VOCABULARY, ids=lambda event: event.slug)
def test_an_event_and_its_schema(event: KnownEvent) -> None:
    """What the schema allows is understood, and the schema tells it from other events."""
    schema = jsonschema.Draft202012Validator(event_schema(event))
    call = call_of(event)
    understood = read_one(call)

    schema.validate(call)
    assert (understood.type, understood.properties) == (event.type, call["properties"])
    assert not schema.is_valid({**call, "type": "group"})
    assert not schema.is_valid({**call, "properties": 5})


def test_every_schema_is_one() -> None:
    """Each is valid JSON Schema, and refers to nothing outside of itself."""
    for name, schema in published_schemas().items():
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).is_valid({"type": "track"})
        assert schema["title"], name

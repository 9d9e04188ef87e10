"""Any other provider: the mapping, and what it makes of a body."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.hooks.mapping import MappingError, compile_mapping
from services.ingest.intake.hooks.providers import Provider
from shared.events.touch import TouchType
from tests.unit.ingest.hooks.hooking import event_in, instant, read_hook, reason_in

LEADS = """
events: leads[?status == 'new']
message_id: id
timestamp: created
email: person.mail
user_id: person.id
anonymous_id: cookie
user_agent: browser
properties:
  form: form.slug
  account: $.account.name
  pages: pages[].url
traits:
  title: person.role
constants:
  type: track
  name: Form Submitted
  properties: {form: unknown, channel: fair}
"""
LEAD = {
    "id": "l-1",
    "status": "new",
    "created": 1772359100,
    "person": {"mail": "Ada@Acme.example", "id": 7, "role": "VP"},
    "cookie": "a-1",
    "browser": "Mozilla/5.0",
    "form": {"slug": "demo"},
    "pages": [{"url": "/"}, {"url": "/pricing"}],
}
WHO = "{email: email, constants: {name: x}}"


def test_a_mapping() -> None:
    """Each expression finds its part; a constant stands where it finds nothing; the rest of the body is left."""
    body = {
        "account": {"name": "Acme"},
        "leads": [LEAD, {**LEAD, "status": "old"}, {**LEAD, "id": "l-2", "form": None}],
    }
    first, second = read_hook(Provider.GENERIC, body, mapping=LEADS)

    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.type, first.name, first.message_id) == (TouchType.TRACK, "Form Submitted", "l-1")
    assert first.names == Names(email="ada@acme.example", user="7", anonymous="a-1")
    assert (first.occurred_at, first.user_agent) == (instant(1772359100), "Mozilla/5.0")
    assert first.properties == {"form": "demo", "channel": "fair", "account": "Acme", "pages": ["/", "/pricing"]}
    assert first.traits == {"title": "VP"}
    assert (second.message_id, second.properties["form"]) == ("l-2", "unknown")


def test_the_smallest_mapping() -> None:
    """The body is the event, a track call; its content is the id and its receipt the time."""
    event = event_in(
        Provider.GENERIC, {"email": "ada@acme.example", "name": "Signed Up"}, mapping="{email: email, name: name}"
    )
    again = event_in(
        Provider.GENERIC, b'{"name":"Signed Up", "email":"ada@acme.example"}', mapping="{email: email, name: name}"
    )

    assert (event.name, event.names) == ("Signed Up", Names(email="ada@acme.example"))
    assert event.message_id == again.message_id


@pytest.mark.parametrize(
    "stamp",
    [1772359100, 1772359100000, "1772359100", "1772359100.0", "2026-03-01T09:58:20Z", "2026-03-01 09:58:20"],
)
def test_a_time_in_any_form(stamp: Any) -> None:
    """Seconds and milliseconds since 1970, and ISO 8601."""
    mapping = "{email: email, timestamp: at, constants: {name: x}}"

    assert event_in(Provider.GENERIC, {"email": "a@b.example", "at": stamp}, mapping=mapping).occurred_at == instant(
        1772359100
    )


def test_a_type_that_is_found() -> None:
    """It may come from the body; an identify call needs no name."""
    mapping = "{type: kind, name: title, email: email, traits: '@'}"
    event = event_in(Provider.GENERIC, {"kind": "Identify", "email": "a@b.example"}, mapping=mapping)

    assert (event.type, event.name) == (TouchType.IDENTIFY, "")
    assert event.traits == {"kind": "Identify", "email": "a@b.example"}


def test_a_form() -> None:
    """Fields are read like JSON, with names in brackets as objects."""
    event = event_in(
        Provider.GENERIC,
        b"person[mail]=ada%40acme.example&kind=Signed+Up",
        mapping="{email: person.mail, name: kind}",
        content_type="application/x-www-form-urlencoded; charset=utf-8",
    )

    assert (event.name, event.names) == ("Signed Up", Names(email="ada@acme.example"))


@pytest.mark.parametrize(
    ("body", "mapping", "reason"),
    [
        ({"email": "a@b.example"}, "", Reason.NOT_MAPPED),
        ({"email": "a@b.example"}, "{email: email}", Reason.NOT_MAPPED),
        ({"email": "a@b.example"}, "{email: email, name: length(email, email)}", Reason.NOT_MAPPED),
        ({"items": 5}, "{events: items.more, email: email, constants: {name: x}}", Reason.NOT_MAPPED),
        ({"items": []}, "{events: items, email: email, constants: {name: x}}", Reason.NOT_MAPPED),
        ({"email": "a@b.example", "n": "x"}, "{email: email, name: abs(n)}", Reason.NOT_MAPPED),
        ({"email": "a@b.example", "n": "x"}, "{email: email, properties: n, constants: {name: x}}", Reason.NOT_MAPPED),
        ({"email": "a@b.example"}, "{email: email, name: kind}", Reason.NO_EVENT_NAME),
        ({"email": "a@b.example", "kind": "x"}, "{email: email, type: kind, name: kind}", Reason.UNKNOWN_TYPE),
        ({"email": "a@b.example", "kind": "group"}, "{email: email, type: kind, name: kind}", Reason.UNKNOWN_TYPE),
        ({"name": "x"}, WHO, Reason.NO_IDENTIFIER),
        (
            {"email": "a@b.example", "at": "noon"},
            "{email: email, timestamp: at, constants: {name: x}}",
            Reason.BAD_TIMESTAMP,
        ),
        (
            {"email": "a@b.example", "at": 1e300},
            "{email: email, timestamp: at, constants: {name: x}}",
            Reason.BAD_TIMESTAMP,
        ),
        (
            {"email": "a@b.example", "x": "y" * 70_000},
            "{email: email, properties: '@', constants: {name: x}}",
            Reason.EVENT_TOO_LARGE,
        ),
        (b"no json", WHO, Reason.INVALID_JSON),
        (b'{"email": "a\\u0000"}', WHO, Reason.NUL_CHARACTER),
        (b"[" * 100_000 + b"]" * 100_000, WHO, Reason.TOO_DEEP),
        (b"[" * 5_000 + b"]" * 5_000, WHO, Reason.TOO_DEEP),
        (b"[" * 100 + b"]" * 100, WHO, Reason.TOO_DEEP),
    ],
)
def test_what_cannot_be_mapped(body: Any, mapping: str, reason: Reason) -> None:
    """It is kept with its reason."""
    assert reason_in(Provider.GENERIC, body, mapping=mapping) is reason


def test_json_that_is_called_a_form() -> None:
    """It is read as what it is: whoever tries an address with curl says so without knowing."""
    form = "application/x-www-form-urlencoded"
    event = event_in(Provider.GENERIC, {"email": "ada@acme.example"}, mapping=WHO, content_type=form)

    assert event.names.email == "ada@acme.example"


def test_some_of_many() -> None:
    """The good ones are understood; the body is kept once, for a replay under a corrected mapping."""
    body = [{"email": "a@b.example"}, {"mail": "c@b.example"}, {"mail": "d@b.example"}]
    event, rejection = read_hook(Provider.GENERIC, body, mapping=WHO)

    assert isinstance(event, Event)
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.item) == (Reason.NO_IDENTIFIER, None)
    assert rejection.message.startswith("2 of 3 events; the first is number 1.")
    corrected = read_hook(Provider.GENERIC, rejection.original, mapping="{email: email || mail, constants: {name: x}}")
    assert [item.names.email for item in corrected if isinstance(item, Event)] == [
        "a@b.example",
        "c@b.example",
        "d@b.example",
    ]
    assert isinstance(corrected[0], Event)
    assert corrected[0].message_id == event.message_id


WRONG: list[tuple[str, list[str]]] = [
    ("", ["as an object"]),
    ("[]", ["as an object"]),
    ("a: [", ["neither YAML nor JSON"]),
    ("x" * 20_001, ["longer than 20000"]),
    ("{email: email}", ["Give track calls a name"]),
    ("{name: kind}", ["at least one of user_id, email, anonymous_id"]),
    ("{email: email, nmae: kind, constants: {name: x}}", ["`nmae` is not known"]),
    ("{email: 'a.', constants: {name: x}}", ["`email` is not JMESPath"]),
    ("{email: '', constants: {name: x}}", ["`email` is not an expression"]),
    ("{email: 5, constants: {name: x}}", ["`email` is not an expression"]),
    ("{email: null, constants: {name: x}}", ["`email` is not an expression"]),
    ("{email: '$.', constants: {name: x}}", ["`email` is not JMESPath"]),
    ("{email: lower(email), constants: {name: x}}", ["`email`: there is no function lower()"]),
    ("{email: 'a[].length(@, @)', constants: {name: x}}", ["`email`: length() takes 1 arguments, not 2"]),
    ("{email: email, properties: {form: 'a b'}, constants: {name: x}}", ["`properties.form` is not JMESPath"]),
    ("{email: email, properties: [a], constants: {name: x}}", ["`properties` is not an expression"]),
    ("{email: email, events: '[', constants: {name: x}}", ["`events` is not JMESPath"]),
    ("{email: email, constants: {name: x, email: y}}", ["`constants.email` is not known"]),
    ("{email: email, constants: {type: purchase, name: x}}", ["`constants.type` is not one of track"]),
    ("{email: email, constants: {name: 5}}", ["`constants.name` is not a text"]),
    ("{email: email, constants: {name: x, properties: 5}}", ["`constants.properties` is not an object"]),
    ("{email: email, constants: []}", ["`constants` is not an object", "Give track calls a name"]),
    ("{emial: email, nmae: x}", ["`emial` is not known", "`nmae` is not known", "at least one", "Give track calls"]),
]


@pytest.mark.parametrize(("text", "problems"), WRONG)
def test_a_wrong_mapping(text: str, problems: list[str]) -> None:
    """All that is wrong is told at once, each with its place."""
    with pytest.raises(MappingError) as caught:
        compile_mapping(text)

    assert len(caught.value.problems) == len(problems)
    for told, problem in zip(caught.value.problems, problems, strict=True):
        assert problem in told


def test_a_mapping_in_json() -> None:
    """JSON is YAML, too."""
    assert compile_mapping(json.dumps({"email": "person.email", "constants": {"name": "x"}})).constants == {"name": "x"}


EXPRESSIONS = st.sampled_from(
    "@|a|a.b|a[]|a[*].b|$.a|length(a)|sum(a)|to_number(a)|sort(a)|join('', a)|keys(@)|max_by(a, &b)|`1`|'text'|a[?b]"
    "|{a: a}|not_null(a, b)|a[::0]|map(&b, a)|merge(a, b)".split("|")
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.lists(EXPRESSIONS, min_size=8, max_size=8))
def test_any_expression_on_any_json(body: Any, expressions: list[str]) -> None:
    """Whatever meets, the outcome is events and rejections."""
    keys = ["events", "type", "name", "message_id", "timestamp", "email", "user_id", "properties"]
    mapping = json.dumps(dict(zip(keys, expressions, strict=True)))

    for item in read_hook(Provider.GENERIC, body, mapping=mapping):
        assert isinstance(item, Event | Rejection)

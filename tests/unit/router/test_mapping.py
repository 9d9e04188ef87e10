"""Mappings: from a message to the fields of another system, whatever the message holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.brief_template import TemplateFailed, render_template, template_mistake
from services.router.domain.endpoint import Endpoint
from services.router.domain.kind import Kind
from services.router.domain.mapping import FieldRule, Form, MappingFailed, apply_mapping
from services.router.domain.mapping_reading import write_mapping
from services.router.domain.team_reading import read_team
from services.router.errors import TeamInvalid

SOURCE = {
    "contact": {"email": "ada@acme.example", "name": "", "tags": ["a", "b"]},
    "score": "71.5",
    "at": "2026-03-02T10:30:00Z",
}


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (FieldRule(path="contact.email"), "ada@acme.example"),
        (FieldRule(path="contact.phone"), None),
        (FieldRule(path="contact.name", default="Unknown"), "Unknown"),
        (FieldRule(const=7), 7),
        (FieldRule(path="contact.tags", form=Form.TEXT), "a; b"),
        (FieldRule(path="score", form=Form.NUMBER), 71.5),
        (FieldRule(path="at", form=Form.DATE), "2026-03-02"),
        (FieldRule(path="at", form=Form.INSTANT), "2026-03-02T10:30:00Z"),
        (FieldRule(const="true", form=Form.FLAG), True),
        (FieldRule(path="{mail: contact.email}"), {"mail": "ada@acme.example"}),
    ],
)
def test_a_field(rule: FieldRule, value: Any) -> None:
    """A path, a constant, a default, in the form asked for; what has no value is left out."""
    assert apply_mapping({"x": rule}, SOURCE).get("x") == value


def test_objects_in_objects() -> None:
    """Dots in a name make them."""
    mapping = {"lead.person.mail": FieldRule(path="contact.email"), "lead.score": FieldRule(path="score")}

    assert apply_mapping(mapping, SOURCE) == {"lead": {"person": {"mail": "ada@acme.example"}, "score": "71.5"}}


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"x": FieldRule(path="contact.phone", required=True)}, "x has to have a value"),
        ({"x": FieldRule(path="contact.email", form=Form.NUMBER)}, "x has to be a number"),
        ({"x": FieldRule(path="abs(contact.email)")}, "x: abs"),
        ({"x": FieldRule(const=1), "x.y": FieldRule(const=1)}, "lies in x, which is a value already"),
    ],
)
def test_what_cannot_be_mapped(mapping: dict[str, FieldRule], says: str) -> None:
    """The failure names the field and what it lacks."""
    with pytest.raises(MappingFailed, match=says):
        apply_mapping(mapping, SOURCE)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=ANYTHING, form=st.sampled_from(Form))
def test_any_value(value: Any, form: Form) -> None:
    """Whatever the message holds, a field has its form, is left out, or the mapping fails with its name."""
    try:
        fields = apply_mapping({"x": FieldRule(path="v", form=form)}, {"v": value})
    except MappingFailed as failed:
        assert "x has to be" in str(failed)  # noqa: PT017  # it may fail or not
    else:
        kinds: dict[Form, type | tuple[type, ...]] = {Form.NUMBER: (int, float), Form.FLAG: bool}
        if form is not Form.ANY:
            assert "x" not in fields or isinstance(fields["x"], kinds.get(form, str))


def team(endpoint: str) -> str:
    """Return a team with this endpoint."""
    return f"""
reps: [{{name: Ada, email: ada@harbour.example}}]
pools: [{{name: all, members: [Ada]}}]
endpoints:
  - {{name: crm, url: "https://crm.example/", {endpoint}}}
"""


def read(endpoint: str) -> Endpoint:
    """Return the endpoint as it is read."""
    return read_team(team(endpoint)).endpoints[0]


def test_an_endpoint_of_a_kind() -> None:
    """Kind, settings, mapping and template as people write them, and as they are shown."""
    endpoint = read(
        "kind: salesforce, settings: {external_id: Key__c}, template: 'Hello {{ rep.name }}',"
        " mapping: {Score__c: brief.engagement.score, Source: {const: Web}, Rank: {path: x, default: 1, form: number}}"
    )

    assert (endpoint.kind, endpoint.settings) == (Kind.SALESFORCE, {"external_id": "Key__c"})
    assert write_mapping(endpoint.mapping) == {
        "Score__c": "brief.engagement.score",
        "Source": {"const": "Web"},
        "Rank": {"path": "x", "default": 1, "form": "number"},
    }


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("kind: sailsforce", "there is no kind 'sailsforce'; did you mean 'salesforce'"),
        ("kind: dynamics", "expected key, which dynamics needs"),
        ("kind: salesforce, settings: {objekt: Lead}", "there is no setting 'objekt'"),
        ("kind: salesforce, settings: {object: ../../query}", "expected a name of letters"),
        ("kind: generic, settings: {method: GET}", "expected one of POST, PUT, PATCH"),
        ("kind: generic, mapping: {x: 'contact..email'}", "expected a JMESPath expression"),
        ("kind: generic, mapping: {x: {path: a, const: 1}}", "expected either path or const"),
        ("kind: generic, mapping: {x: {path: a, form: colour}}", "there is no form 'colour'"),
        ("kind: generic, mapping: {}", "expected from 1 to 200 fields"),
        ("kind: generic, mapping: {x..y: a}", "expected names between the dots"),
        ("kind: slack, mapping: {x: a}", "expected no mapping"),
        ("template: 'Hello {{ rep.name'", "expected a Jinja template"),
    ],
)
def test_mistakes_are_told_when_it_is_saved(endpoint: str, says: str) -> None:
    """Not when the first lead is to be delivered."""
    with pytest.raises(TeamInvalid, match="line 5") as found:
        read(endpoint)

    assert says in str(found.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ brief.nothing.at.all }}",
        "{{ 1 / 0 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ rep.pop('name') }}",
        "{% for i in range(999999999) %}x{% endfor %}",
        "{{ 'x' * 1000000 }}",
    ],
)
def test_a_template_that_fails(template: str) -> None:
    """It fails as a template, and can neither reach into the process nor change the message."""
    data = {"rep": {"name": "Ada"}, "brief": {}}
    assert template_mistake(template) is None

    with pytest.raises(TemplateFailed, match="template"):
        render_template(template, data)
    assert data == {"rep": {"name": "Ada"}, "brief": {}}

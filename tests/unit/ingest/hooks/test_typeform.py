"""Typeform's webhooks."""

from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason
from services.ingest.intake.hooks.providers import Provider
from tests.unit.ingest.hooks.hooking import event_in, instant, reason_in, refused, verify

# A vector from the tests of a public verifier of webhooks (TypeScript, `verifyTypeform`); OpenSSL comes to the same.
SECRET = "typeform_secret"
BODY = (
    b'{"event_id":"01H","event_type":"form_response","form_response":{"form_id":"abc","token":"tok",'
    b'"submitted_at":"2023-11-14T22:13:20Z","answers":[]}}'
)
SIGNED = {"Typeform-Signature": "sha256=tpceH674tX4nhoHSDRkfV4/WGakns3OkNWpJ7GGZMko="}


def test_the_vector() -> None:
    """It verifies, also while the secret is being replaced."""
    verify(Provider.TYPEFORM, BODY, SIGNED, SECRET)
    verify(Provider.TYPEFORM, BODY, SIGNED, "new", SECRET)


def test_what_is_not_proven() -> None:
    """Another secret, a changed byte, a line end more, no signature, one without its prefix."""
    bare = {"Typeform-Signature": SIGNED["Typeform-Signature"].removeprefix("sha256=")}

    assert "does not match" in refused(Provider.TYPEFORM, BODY, SIGNED, "other")
    assert "does not match" in refused(Provider.TYPEFORM, BODY.replace(b"abc", b"abd"), SIGNED, SECRET)
    assert "does not match" in refused(Provider.TYPEFORM, BODY + b"\r\n", SIGNED, SECRET)
    assert "does not match" in refused(Provider.TYPEFORM, BODY, bare, SECRET)
    assert "no header" in refused(Provider.TYPEFORM, BODY, {}, SECRET)


def answered(*answers: dict[str, Any], kind: str = "form_response", **hidden: str) -> dict[str, Any]:
    """Return a response in the form of Typeform's example payload."""
    titles = {"f1": "Your work email", "f2": "What's your budget?", "f3": "Which products?", "f4": "Company"}
    return {
        "event_id": "LtWXD3crgy",
        "event_type": kind,
        "form_response": {
            "form_id": "lT4Z3j",
            "token": "a3a12ec67a1365927098a606107fac15",
            "submitted_at": "2026-02-28T18:17:02Z",
            "landed_at": "2026-02-28T18:07:02Z",
            "hidden": hidden,
            "definition": {
                "id": "lT4Z3j",
                "title": "Request a demo",
                "fields": [{"id": key, "title": title, "type": "short_text"} for key, title in titles.items()],
            },
            "answers": list(answers),
        },
    }


def answer(number: str, kind: str, value: Any, *, ref: str = "01GRC8GR2017M6WW347T86VV39") -> dict[str, Any]:
    return {"type": kind, kind: value, "field": {"id": number, "type": "short_text", "ref": ref}}


EMAIL = answer("f1", "email", "Ada@Acme.example")


def test_a_response() -> None:
    """The answers are properties under their questions, or under references that a person wrote."""
    event = event_in(
        Provider.TYPEFORM,
        answered(
            EMAIL,
            answer("f2", "choice", {"id": "x", "label": "10k"}),
            answer("f3", "choices", {"labels": ["A", "B"], "other": "C"}),
            answer("f4", "text", "Acme", ref="company"),
            answer("f9", "boolean", value=True, ref="9a489f17-8765-494b-933e-3624c645bd0c"),
            answer("f5", "choice", {"other": "Something else"}, ref="why"),
            utm_campaign="spring",
            user_id="u-7",
        ),
    )

    assert (event.name, event.message_id) == ("Form Submitted", "form_response/a3a12ec67a1365927098a606107fac15")
    assert event.names == Names(email="ada@acme.example", user="u-7")
    assert event.occurred_at == instant(1772302622)
    assert event.properties == {
        "utm_campaign": "spring",
        "user_id": "u-7",
        "your_work_email": "Ada@Acme.example",
        "what_s_your_budget": "10k",
        "which_products": ["A", "B", "C"],
        "company": "Acme",
        "f9": True,
        "why": "Something else",
        "form": "Request a demo",
        "form_id": "lT4Z3j",
        "form_title": "Request a demo",
    }
    assert event.traits == {"company": "Acme"}
    assert event.campaign == {"name": "spring"}


def test_a_form_that_is_named_by_a_hidden_field() -> None:
    """So that a rule of the agreement can ask for `demo`."""
    assert event_in(Provider.TYPEFORM, answered(EMAIL, form="demo")).properties["form"] == "demo"


def test_a_response_that_is_not_complete() -> None:
    """It is an event of another name and another id, so it is not taken for a submission."""
    event = event_in(Provider.TYPEFORM, answered(EMAIL, kind="form_response_partial"))

    assert (event.name, event.message_id) == ("Form Partially Submitted", "LtWXD3crgy")


@pytest.mark.parametrize("hidden", [{"email": "ada@acme.example"}, {"anonymous_id": "a-1"}, {"user_id": "u-7"}])
def test_a_person_in_hidden_fields(hidden: dict[str, str]) -> None:
    """The link to the form may say who follows it."""
    assert event_in(Provider.TYPEFORM, answered(**hidden)).names.aliases


def test_a_response_of_nobody() -> None:
    """Without an address or an id it is kept; so is what is no response."""
    assert reason_in(Provider.TYPEFORM, answered()) is Reason.NO_IDENTIFIER
    assert reason_in(Provider.TYPEFORM, BODY) is Reason.NO_IDENTIFIER
    assert reason_in(Provider.TYPEFORM, answered(EMAIL, kind="other")) is Reason.SKIPPED


@pytest.mark.parametrize("odd", [5, None, "x", {}, {"type": "text"}, {"type": {}, "field": 5}, {"field": {"id": "f1"}}])
def test_odd_answers(odd: Any) -> None:
    """They do no harm to the others."""
    body = answered(EMAIL)
    body["form_response"]["answers"].append(odd)

    assert event_in(Provider.TYPEFORM, body).names.email == "ada@acme.example"

"""Identifiers, and what they are worth."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.account import FREE_MAIL, email_domain, stated_domain
from services.ingest.domain.identifiers import MAX_CHARACTERS, PLACEHOLDERS, Names, read_email, read_identifier
from shared.events.touch import Alias


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ("Ada@Acme.Example", "ada@acme.example"),
        ("  ada+news@acme.example\n", "ada+news@acme.example"),
        ("\uff21da@acme.example", "ada@acme.example"),  # full-width A
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@B\u00dcCHER.example.", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@localhost", "ada@localhost"),
        ("o'brien@acme.example", "o'brien@acme.example"),
        ("ada", ""),
        ("@acme.example", ""),
        ("ada@", ""),
        ("ada@@acme.example", ""),
        ("Ada <ada@acme.example>", ""),
        ("ada@acme..example", ""),
        ("ada@-acme.example", ""),
        ("ada@acme_x.example", ""),
        ("ada@" + "a" * 64 + ".example", ""),
        ("a" * 250 + "@acme.example", ""),
        ("a b@acme.example", ""),
        ("ada@\u2603.example\u0000", ""),
        (5, ""),
        (None, ""),
        (["ada@acme.example"], ""),
    ],
)
def test_email_addresses(sent: Any, address: str) -> None:
    """Each has one form, so that two spellings are one contact; what is none is ignored."""
    assert read_email(sent) == address


@given(st.text(max_size=40) | st.emails())
def test_reading_an_address_twice(text: str) -> None:
    """The form that Tandem keeps is its own."""
    assert read_email(read_email(text)) == read_email(text)


@pytest.mark.parametrize(
    "placeholder",
    [
        *sorted(PLACEHOLDERS),
        "NULL",
        "Undefined",
        '"null"',
        "'None'",
        "0",
        "000",
        "00000000-0000-0000-0000-00000000",
        "-",
    ],
)
def test_placeholders(placeholder: str) -> None:
    """They name nobody, in whatever case or quotes."""
    assert read_identifier(placeholder) == ""


@pytest.mark.parametrize(
    ("sent", "identifier"),
    [
        (5, "5"),
        (5.0, "5"),
        (5.5, "5.5"),
        (0, ""),
        (-1, ""),
        (2**70, str(2**70)),
        (True, ""),
        (None, ""),
        ({}, ""),
        ("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
        ("x" * (MAX_CHARACTERS + 1), ""),
        ("nullable", "nullable"),
        ("0a", "0a"),
    ],
)
def test_identifiers(sent: Any, identifier: str) -> None:
    """Numbers become text; what no index could hold names nobody."""
    assert read_identifier(sent) == identifier


def test_aliases_of_names() -> None:
    """The strongest first."""
    names = Names(anonymous="a", user="u", email="e@x.example")

    assert names.aliases == (Alias("user", "u"), Alias("email", "e@x.example"), Alias("anonymous", "a"))


@pytest.mark.parametrize(
    ("email", "domain"),
    [("ada@acme.example", "acme.example"), ("ada@gmail.com", ""), ("ada@localhost", ""), ("", "")],
)
def test_the_domain_of_an_address(email: str, domain: str) -> None:
    """A free mailbox tells nothing about a company."""
    assert email_domain(email) == domain


def test_free_mail_domains() -> None:
    """They are written the way that addresses are."""
    assert all(read_email(f"x@{domain}") == f"x@{domain}" for domain in FREE_MAIL)


@pytest.mark.parametrize(
    ("traits", "domain"),
    [
        ({"domain": "Acme.Example"}, "acme.example"),
        ({"website": "https://www.Acme.example:8443/about?x=1"}, "acme.example"),
        ({"website": "www.b\u00fccher.example/start"}, "xn--bcher-kva.example"),
        ({"domain": "", "website": "acme.example"}, "acme.example"),
        ({"domain": "not a domain", "website": "acme.example"}, "acme.example"),
        ({"domain": "http://[bad"}, ""),
        ({"domain": "localhost"}, ""),
        ({"domain": 5}, ""),
        ({}, ""),
    ],
)
def test_the_domain_that_a_company_states(traits: dict[str, Any], domain: str) -> None:
    """It is read from a domain or a website, and left out where it is neither."""
    assert stated_domain(traits) == domain

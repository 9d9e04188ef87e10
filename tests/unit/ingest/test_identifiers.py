"""Identifiers, and what they are worth."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("Ada.Lovelace@acme.example", "ada.lovelace@acme.example"),  # dots count: only the provider knows better
        ("\u017dofie@acme.example", "\u017eofie@acme.example"),
        ("Z\u030cofie@acme.example", "\u017eofie@acme.example"),  # the same letter, composed otherwise
        ("ada@\u4f8b\u5b50.example", "ada@xn--fsqu00a.example"),
        ("ada@stra\u00dfe.example", "ada@xn--strae-oqa.example"),
        ("ada@acme\uff0eexample", "ada@acme.example"),  # full-width dot
        ("ada\uff20acme.example", ""),  # an at sign that only NFKC makes one is none
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


@pytest.mark.parametrize("sent", ["Test", "'demo-user'", "DEMO-USER "])
def test_placeholders_of_an_install(sent: str) -> None:
    """They name nobody as well, in whatever case or quotes; others do."""
    besides = frozenset({"test", "demo-user"})

    assert read_identifier(sent, besides=besides) == ""
    assert read_identifier(sent) == sent.strip()
    assert read_identifier(f"{sent}1", besides=besides) == f"{sent}1"


def test_aliases_of_names() -> None:
    """The strongest first."""
    names = Names(anonymous="a", user="u", email="e@x.example")

    assert names.aliases == (Alias("user", "u"), Alias("email", "e@x.example"), Alias("anonymous", "a"))

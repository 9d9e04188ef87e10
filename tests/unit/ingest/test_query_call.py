"""Calls whose fields are those of a query."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.query_call import call_of_query


def test_fields_within_fields() -> None:
    """Dots are what is within; the key is left out."""
    call = call_of_query("writeKey=k&userId=u&properties.plan=pro&context.page.url=https%3A%2F%2Fa.example%2F%3Fx%3D1")

    assert json.loads(call) == {
        "userId": "u",
        "properties": {"plan": "pro"},
        "context": {"page": {"url": "https://a.example/?x=1"}},
    }


def test_a_field_within_a_text() -> None:
    """There is no such thing, so it is left out."""
    assert json.loads(call_of_query("a=1&a.b=2&c.d=3&c=4")) == {"a": "1", "c": "4"}


@pytest.mark.parametrize(
    ("query", "reason"),
    [("a." * 40 + "a=1", Reason.TOO_DEEP), ("&".join(f"a{number}=1" for number in range(501)), Reason.WRONG_TYPE)],
)
def test_queries_that_are_refused(query: str, reason: Reason) -> None:
    """What no call needs is not built."""
    with pytest.raises(Refused) as refused:
        call_of_query(query)

    assert refused.value.reason is reason


@given(st.text(max_size=100))
def test_any_query(query: str) -> None:
    """It is a JSON object or refused, nothing else."""
    with suppress(Refused):
        assert isinstance(json.loads(call_of_query(query)), dict)

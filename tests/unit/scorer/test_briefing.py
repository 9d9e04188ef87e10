"""The contact's own words."""

from typing import Any

import pytest

from services.scorer.domain.briefing import own_words
from tests.support.touches import a_touch, a_track


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"message": " Our trucks are late. "}, [("message", "Our trucks are late.")]),
        ({"How can we help?": "Cheaper fuel"}, [("How can we help?", "Cheaper fuel")]),
        ({"query": "route planning"}, [("query", "route planning")]),
        ({"fields": {"comments": "Call me", "phone": "123"}}, [("comments", "Call me")]),
        ({"fields": [{"name": "message", "value": "Hello"}, {"name": "email", "value": "x"}]}, [("message", "Hello")]),
        ({"answers": [{"question": "Challenges", "answer": "Delays"}, "x", {}]}, [("Challenges", "Delays")]),
        ({"message": ""}, []),
        ({"message": 7, "form": "demo"}, []),
    ],
)
def test_words_in_forms_and_searches(properties: dict[str, Any], words: list[tuple[str, str]]) -> None:
    """Fields for free text are found, also where form tools nest them; others are not the contact's words."""
    found = own_words([a_track(1, "Form Submitted", properties=properties)])

    assert [(each.field, each.text) for each in found] == words


def test_each_text_once() -> None:
    """Newest first, a form sent twice is one text, and the query string of a page view is none."""
    touches = [
        a_track(3, "Form Submitted", properties={"message": "Second"}),
        a_track(2, "Form Submitted", properties={"message": "First"}),
        a_track(1, "Form Submitted", properties={"message": "First"}),
        a_touch(0, properties={"search": "?utm_source=x"}),
    ]

    assert [each.text for each in own_words(touches)] == ["Second", "First"]

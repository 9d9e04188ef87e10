"""The opening question: about them, never a pitch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.opening import LONGEST_QUOTE, opening_question
from shared.agreement.model import Stage
from shared.events.handoff import PageRead, Words
from tests.support.handoffs import DECIDED_AT, make_handoff

PRICING = PageRead(at=DECIDED_AT, title="Pricing", path="/pricing")


@pytest.mark.parametrize(
    ("known", "question"),
    [
        (
            {"words": (Words(at=DECIDED_AT, field="message", text="Trucks are late"),), "reason": "hand_raise"},
            "You wrote “Trucks are late.” What happened that made you ask now?",
        ),
        ({"words": (), "reason": "hand_raise"}, "What happened that made you ask now?"),
        (
            {"words": (), "reason": "threshold", "stage": "deciding", "read": (PRICING,)},
            "You read “Pricing.” What has to be true for you to decide, and who decides with you?",
        ),
        (
            {"words": (), "reason": "threshold", "stage": None, "read": ()},
            "What made you look into this now?",
        ),
    ],
)
def test_what_it_begins_with(known: dict[str, Any], question: str) -> None:
    """Their own words, else what they read last; then what happened, as far as their stage is known."""
    assert opening_question(make_handoff(**known)) == question


@given(
    stage=st.sampled_from([None, *Stage]),
    reason=st.sampled_from(["threshold", "hand_raise", "account"]),
    text=st.none() | st.text(min_size=1, max_size=1_000),
)
def test_whatever_is_known(stage: str | None, reason: str, text: str | None) -> None:
    """It is a question of bounded length on one line, and says nothing about us."""
    words = (Words(at=DECIDED_AT, field="message", text=text),) if text else ()
    question = opening_question(make_handoff(stage=stage, reason=reason, words=words))
    _own, _, asked = question.rpartition("”")

    assert asked.endswith("?")
    assert not {"we", "our", "us", "i", "my"} & set(asked.lower().strip("?").replace(",", "").split())
    assert len(question) <= LONGEST_QUOTE + 120
    assert len(question.splitlines()) == 1

"""The explanation is what the raw touches come to, whatever a contact did, now, earlier, and under other versions."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from math import fsum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.retelling import Retelling, received
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from services.scorer.showing import show_contact
from services.scorer.standing import Standing
from shared.agreement.model import Agreement
from shared.events.touch import Touch
from tests.support.random_contacts import VERSIONS, step_lists, touches_of
from tests.support.reference_explanation import explained, later
from tests.support.reference_model import suspicious
from tests.support.touches import ADA, NOON, agreement

TERMS = [Terms(number + 1, agreement(text)) for number, text in enumerate(VERSIONS)]
SECOND = timedelta(seconds=1)

at_instants = st.integers(-100 * 86_400, 400 * 86_400).map(lambda ago: NOON - timedelta(seconds=ago))


def told(touches: Iterable[Touch], terms: Terms, at: datetime) -> Any:
    """Return the contact as JSON, told again from its touches under several versions at once."""
    unique = {touch.id: touch for touch in touches}
    reasons = suspicious(list(unique.values()))
    history = [Judged(touch, "" if touch.suspect else reasons.get(touch.id, "")) for touch in unique.values()]
    retelling = Retelling(ContactState(), TERMS)
    for judged in sorted(history, key=received):
        if judged.touch.received_at <= at:
            retelling.take(judged)
    state = retelling.under(terms)
    standing = Standing(contact_id=ADA, as_of=at, state=state, terms=terms, arming=state.arming)
    return msgspec.json.decode(msgspec.json.encode(show_contact(standing)))


@given(step_lists(), st.sampled_from(TERMS), at_instants)
def test_every_number_is_what_the_touches_come_to(
    steps: list[tuple[str, int, int, int]], terms: Terms, at: datetime
) -> None:
    """Each rule's count and value, what caps and bounds cut, what is worth nothing, fit, stage, and what is missing."""
    touches = touches_of(steps)
    expected = explained(touches, terms.agreement, at)

    contact = told(touches, terms, at)

    score = contact["engagement"]["score"]
    assert score == pytest.approx(expected.score, rel=1e-9, abs=1e-9)
    parts = contact["engagement"]["parts"]
    rules = {part["rule"]: part for part in parts if "rule" in part}
    assert {rule: part["count"] for rule, part in rules.items() if part["count"]} == expected.counts
    assert {rule: part["over"] for rule, part in rules.items() if part["over"]} == +expected.over
    assert {rule: part["suspect"] for rule, part in rules.items() if part["suspect"]} == +expected.suspect
    for rule, part in rules.items():
        assert part["value"] == pytest.approx(expected.values.get(rule, 0), rel=1e-9, abs=1e-9)
        assert part["value"] == pytest.approx(part["points"] * part["decayed"], rel=1e-9, abs=1e-9)
        assert part["opted_out"] == (part["count"] if contact["opted_out"] else 0)
    for group in contact["engagement"]["groups"]:
        assert group["sum"] == pytest.approx(expected.sums[group["group"]], rel=1e-9, abs=1e-9)
        assert group["cut"] == pytest.approx(expected.cut[group["group"]], rel=1e-9, abs=1e-9)
        assert group["counts"] == group["sum"] - group["cut"]
    assert contact["fit"]["score"] == expected.fit
    assert {part["rule"]: part["value"] for part in contact["fit"]["parts"] if "adjustment" not in part} == (
        pytest.approx(expected.fit_values)
    )
    assert contact["touches"] == expected.touches
    assert contact["stage"] == expected.stage
    assert {found["rule"]: (_instant(found["at"]), _instant(found["until"])) for found in contact["evidence"]} == (
        expected.evidence
    )
    assert {gap["what"] for gap in contact["gaps"]} == expected.missing
    assert [gap["words"] for gap in contact["gaps"]] == contact["missing"]
    assert contact["ready"] == (not expected.missing)


@given(step_lists(), st.sampled_from(TERMS), at_instants)
def test_what_is_shown_adds_up(steps: list[tuple[str, int, int, int]], terms: Terms, at: datetime) -> None:
    """In every bit, in any order, and to the last digit that people see; below a threshold nothing looks like it."""
    contact = told(touches_of(steps), terms, at)

    for axis, level in (("engagement", terms.agreement.ready.engagement), ("fit", terms.agreement.ready.fit)):
        score, parts = contact[axis]["score"], contact[axis]["parts"]
        values = [part["value"] for part in parts]
        assert fsum(values) == sum(values) == sum(reversed(values)) == score
        assert sum(Decimal(part["shown"]) for part in parts) == Decimal(contact[axis]["shown"])
        assert (Decimal(contact[axis]["shown"]) >= Decimal(str(level))) == (score >= level)


@given(step_lists(), st.sampled_from(TERMS), at_instants)
def test_when_it_cools(steps: list[tuple[str, int, int, int]], terms: Terms, at: datetime) -> None:
    """A second before the instant that is told engagement has not fallen below the level, and a second after it has."""
    touches = touches_of(steps)
    contact = told(touches, terms, at)

    falls = {fall["what"]: fall for fall in contact["cooling"]["engagement"]}
    assert [fall["level"] for fall in falls.values()] == [
        terms.agreement.ready.engagement,
        terms.agreement.rearm.below,
    ]
    for fall in falls.values():
        assert fall["below"] == (contact["engagement"]["score"] < fall["level"])
        if fall["at"] is not None:
            after = _instant(fall["at"]) - at
            assert later(touches, terms.agreement, at, after + SECOND) < fall["level"]
            assert after < SECOND or later(touches, terms.agreement, at, after - SECOND) > fall["level"] - 1e-9
    _ready_until_is_right(contact, touches, terms.agreement, at)


def _ready_until_is_right(contact: Any, touches: list[Touch], terms: Agreement, at: datetime) -> None:
    """Hold `ready_until` against what the reference says a second before and after it, if nothing more is received."""
    until = contact["cooling"]["ready_until"]
    assert (until is not None) == contact["ready"]
    if until is not None:
        known = [touch for touch in touches if touch.received_at <= at]
        end = _instant(until)
        assert explained(known, terms, end + SECOND).missing
        assert end - at < SECOND or not explained(known, terms, end - SECOND).missing


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)

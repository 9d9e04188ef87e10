"""What marketing is told about contacts that are not with sales, and what not."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.scorer.domain.deciding import Decision, Handoff, pass_time, settle, take_feedback, take_touch
from services.scorer.domain.instants import from_micros
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.nurture import ContactNurture, NurtureKind
from shared.events.touch import Touch
from shared.ids import derived_id
from tests.support.touches import ADA, NOON, TEXT, a_demo_request, a_profile, a_touch, a_track, agreement

DAY = timedelta(days=1)
TERMS = Terms(1, agreement(TEXT + "nurture: {every: 2d}"))


class Life:
    """One contact, and what was decided about it."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.terms = terms
        self.state = ContactState(agreement=1, counting=terms.counting)
        self.decided: list[Decision] = []

    def does(self, *touches: Touch) -> None:
        """Take touches."""
        for touch in touches:
            self.decided += take_touch(ADA, self.state, touch, self.terms)

    def sweep(self, now: datetime) -> None:
        """Let time pass as the sweeper does, until nothing is due."""
        while (due := self.state.due_at()) is not None and from_micros(due) <= now:
            self.decided += pass_time(ADA, self.state, self.terms, now=now)

    def hears(self, kind: FeedbackKind, at: datetime) -> None:
        """Take what sales says about the latest handoff, twice."""
        handoff_id = next(one.id for one in reversed(self.decided) if isinstance(one, Handoff))
        told = Feedback(
            id=derived_id("f", handoff_id, kind),
            handoff_id=handoff_id,
            contact_id=ADA,
            kind=kind,
            at=at,
            reason="bad_timing",
        )
        for _ in range(2):
            self.decided += take_feedback(ADA, self.state, told, self.terms)

    @property
    def told(self) -> list[tuple[NurtureKind, str | None, str | None, datetime]]:
        """Return what marketing was told: why, stage before and now, when."""
        return [(one.kind, one.before, one.stage, one.at) for one in self.decided if isinstance(one, ContactNurture)]


def blog(number: int, at: datetime = NOON, **fields: Any) -> Touch:
    """Return a touch that is evidence of a first thought."""
    return a_touch(f"blog {number}", path="/blog/x", at=at, **fields)


def compare(number: int, at: datetime = NOON) -> Touch:
    """Return a touch that is evidence of active looking."""
    return a_touch(f"compare {number}", path="/compare/x", at=at)


def test_a_stage_is_entered() -> None:
    """It is told once, with where the contact stands."""
    life = Life()
    life.does(a_profile("who"), a_touch("home"), blog(1), blog(2))

    (told,) = [one for one in life.decided if isinstance(one, ContactNurture)]
    assert (told.kind, told.before, told.stage, told.at) == (NurtureKind.STAGE, None, "first_thought", NOON)
    assert (told.engagement, told.fit, told.touches, told.agreement) == (6, 80, 2, 1)
    assert told.account_domain == "acme.example"


def test_stages_change_quickly() -> None:
    """The second change waits until two days are over, and is told then, by the sweeper or the next touch."""
    swept, touched = Life(), Life()
    for life in (swept, touched):
        life.does(blog(1), compare(2, NOON + DAY))
        assert len(life.told) == 1
    swept.sweep(NOON + 9 * DAY)
    touched.does(a_touch("home", at=NOON + 3 * DAY))

    assert swept.told[1] == (NurtureKind.STAGE, "first_thought", "active_looking", NOON + 2 * DAY)
    assert touched.told[1] == (NurtureKind.STAGE, "first_thought", "active_looking", NOON + 3 * DAY)


def test_a_stage_is_left() -> None:
    """When its evidence is too old, by the end of that day; nothing is due any more after the last."""
    life = Life()
    life.does(blog(1), compare(2))
    life.sweep(NOON + 300 * DAY)

    assert [(before, now) for _, before, now, _ in life.told] == [
        (None, "first_thought"),
        ("first_thought", "active_looking"),
        ("active_looking", "first_thought"),
        ("first_thought", None),
    ]
    assert life.told[2][3] == (NOON + 31 * DAY).replace(hour=0)
    assert life.state.due_at() is None


def test_who_is_with_sales() -> None:
    """Nothing is told of a contact whose handoff is open; what sales gives back is told once, with the reason."""
    life = Life()
    life.does(a_demo_request("demo"), compare(1))
    assert life.told == []
    life.hears(FeedbackKind.RECYCLED, NOON + DAY)

    (told,) = [one for one in life.decided if isinstance(one, ContactNurture)]
    assert (told.kind, told.reason, told.stage) == (NurtureKind.RECYCLED, "bad_timing", "active_looking")
    assert told.handoff_id == life.state.arming.handoff_id


def test_cooled_down() -> None:
    """Whoever falls below the re-arm level while the handoff is open is told of once, by whom it is noticed first."""
    swept, touched = Life(), Life()
    for life in (swept, touched):
        life.does(a_demo_request("demo"))
    swept.sweep(NOON + 100 * DAY)
    swept.does(a_touch("x", at=NOON + 101 * DAY))
    touched.does(a_touch("x", at=NOON + 101 * DAY), a_touch("y", at=NOON + 102 * DAY))

    for life in (swept, touched):
        assert [kind for kind, *_ in life.told] == [NurtureKind.COOLED]
    ids = {one.id for life in (swept, touched) for one in life.decided if isinstance(one, ContactNurture)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "touch", [a_track("out", "Left", opted_out=True), a_profile("who", account_domain="rival.example")]
)
def test_who_is_left_alone(touch: Touch) -> None:
    """Nobody is told of who opted out or is disqualified."""
    life = Life()
    life.does(touch, blog(1), compare(2, NOON + 9 * DAY))
    life.sweep(NOON + 300 * DAY)

    assert life.told == []


def test_an_opt_out_is_told_as_later() -> None:
    """It voids what marketing was told before, also what was told as of a later instant."""
    life = Life()
    life.does(blog(1), a_track("out", "Left", opted_out=True, at=NOON - DAY))
    (out,) = [one for one in life.decided if not isinstance(one, ContactNurture | Handoff)]
    assert out.at >= life.told[0][3]

    life.does(a_track("in", "Back", opted_out=False, at=NOON), compare(1, NOON + 5 * DAY))
    assert life.told[1][3] > out.at


def test_when_telling_begins() -> None:
    """An agreement that has it for the first time tells of what changes from then on, not of everybody at once."""
    life = Life(Terms(1, agreement(TEXT)))
    life.does(blog(1))
    assert life.told == []
    assert life.state.due_at() is None

    life.terms = TERMS
    life.decided += settle(ADA, life.state, TERMS, at=NOON + DAY, cause="agreement")
    assert life.told == []
    life.does(compare(1, NOON + DAY))
    assert [(before, now) for _, before, now, _ in life.told] == [("first_thought", "active_looking")]

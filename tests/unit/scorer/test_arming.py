"""When a contact may be handed off, and when again."""

from uuid import UUID

import pytest

from services.scorer.domain.arming import TRANSITIONS, Arming, ArmingEvent, ArmingKind, IllegalStepError, step

HANDOFF = UUID(int=1)


def test_the_table_is_total() -> None:
    """Every state says what every event does to it."""
    assert set(TRANSITIONS) == set(ArmingKind)
    assert all(set(row) == set(ArmingEvent) for row in TRANSITIONS.values())


@pytest.mark.parametrize("kind", ArmingKind)
@pytest.mark.parametrize("event", ArmingEvent)
def test_a_step(kind: ArmingKind, event: ArmingEvent) -> None:
    """An illegal step raises; a legal one leads where the table says."""
    after = TRANSITIONS[kind][event]
    if after is None:
        with pytest.raises(IllegalStepError):
            step(kind, event)
    else:
        assert step(kind, event) is after


def test_a_handoff_that_is_open() -> None:
    """No second handoff, and nothing of the first changes."""
    handed = Arming().handed_off(HANDOFF, "threshold", level=35)

    with pytest.raises(IllegalStepError):
        handed.handed_off(UUID(int=2), "hand_raise", level=35)
    assert not handed.takes_threshold
    assert not handed.takes_hand_raise
    assert handed.handoff_id == HANDOFF


def test_engagement_falls() -> None:
    """The contact is armed from the instant on at which it fell, and not before."""
    handed = Arming().handed_off(HANDOFF, "threshold", level=35).falling(1000, level=35)

    assert handed.at(999) == handed
    assert handed.at(1000).kind is ArmingKind.ARMED
    assert handed.at(5000) == handed.at(1000)


def test_a_late_touch_sees_what_was_true_then() -> None:
    """Noticing the fall early, as the sweeper does, changes no decision as of an earlier instant."""
    handed = Arming().handed_off(HANDOFF, "hand_raise", level=20).falling(1000, level=20)

    swept = handed.at(9000)

    assert swept.kind is ArmingKind.ARMED
    assert swept.at(999) == handed
    assert swept.at(1000) == swept


def test_sales_gives_the_contact_back() -> None:
    """It cools down, and is armed when that is over; meanwhile only asking for sales counts."""
    cooling = Arming().handed_off(HANDOFF, "threshold", level=35).falling(1000, level=35).recycled(until=3000)

    assert cooling.kind is ArmingKind.COOLING
    assert not cooling.takes_threshold
    assert cooling.takes_hand_raise
    assert cooling.at(2999) == cooling
    assert cooling.at(3000).kind is ArmingKind.ARMED
    assert cooling.at(3000).at(2999) == cooling


def test_given_back_twice() -> None:
    """A repeat changes nothing, and a later one only prolongs."""
    once = Arming().handed_off(HANDOFF, "threshold", level=35).recycled(until=3000)

    assert once.recycled(until=3000) == once
    assert once.recycled(until=2000) == once
    assert once.recycled(until=4000).rearms_at == 4000


def test_a_lost_handoff() -> None:
    """It waits for engagement to fall as before, but asking for sales opens the next."""
    closed = Arming().handed_off(HANDOFF, "threshold", level=35).falling(1000, level=35).closed()

    assert closed.takes_hand_raise
    assert not closed.takes_threshold
    assert closed.at(1000).kind is ArmingKind.ARMED

"""Clicks that a machine made."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.suspicion import AT_DELIVERY, MANY_LINKS, Limits, Mail, mail_of, suspicions, weightier
from shared.events.touch import Touch
from tests.support.reference_model import suspicious
from tests.support.touches import NOON, a_touch, a_track

SECOND = timedelta(seconds=1)


def delivered(number: object, seconds: float = 0, *, mail: str | None = "m") -> Touch:
    """Return a delivery."""
    said = {"email_id": mail} if mail else {}
    return a_track(f"d{number}", "Email Delivered", at=NOON + seconds * SECOND, properties=said)


def clicked(number: object, seconds: float, *, link: str | None = "x", mail: str | None = "m") -> Touch:
    """Return a click."""
    said = {"email_id": mail, "link_url": link}
    properties = {name: value for name, value in said.items() if value}
    return a_track(f"c{number}", "Email Link Clicked", at=NOON + seconds * SECOND, properties=properties)


def judge(*touches: Touch, limits: Limits | None = None) -> dict[UUID, str]:
    """Return the reasons."""
    return suspicions((mail for touch in touches if (mail := mail_of(touch))), limits or Limits())


@pytest.mark.parametrize(
    ("seconds", "delivery_of", "click_in", "reason"),
    [
        (0, "m", "m", AT_DELIVERY),
        (4.999, "m", "m", AT_DELIVERY),
        (5, "m", "m", None),
        (-1, "m", "m", None),
        (1, "another", "m", None),
        (1, None, "m", AT_DELIVERY),  # which mail was delivered is not told
        (1, "m", None, AT_DELIVERY),  # which mail was clicked in is not told
    ],
)
def test_a_click_after_a_delivery(seconds: float, delivery_of: str, click_in: str, reason: str | None) -> None:
    """Less than five seconds after the same mail arrived nobody has read it."""
    click = clicked(1, seconds, mail=click_in)

    assert judge(delivered(1, mail=delivery_of), click).get(click.id) == reason


@pytest.mark.parametrize(
    ("clicks", "suspect"),
    [
        ([(0, "x"), (0.999, "y")], 2),  # two links within a second
        ([(0, "x"), (1, "y")], 0),
        ([(0, "x"), (1, "y"), (1.999, "z")], 3),  # three within two seconds
        ([(0, "x"), (1, "y"), (2, "z")], 0),
        ([(0, "x"), (0.1, "x"), (0.2, "x")], 0),  # one link, clicked thrice
        ([(0, "x"), (0.5, "x"), (0.9, "y"), (1.6, "y"), (3, "z")], 3),  # until 0.9; 1.6 is too late for x
    ],
)
def test_links_at_once(clicks: list[tuple[float, str]], suspect: int) -> None:
    """Nobody clicks several distinct links faster than a page loads."""
    touches = [clicked(number, seconds, link=link) for number, (seconds, link) in enumerate(clicks)]

    found = judge(*touches)

    assert len(found) == suspect
    assert set(found.values()) <= {MANY_LINKS}


def test_clicks_that_do_not_tell_their_link() -> None:
    """They are no distinct links."""
    assert judge(*(clicked(number, 0, link=None) for number in range(4))) == {}


def test_tests_that_are_switched_off() -> None:
    """A duration of zero finds nothing."""
    off = Limits(after_delivery=timedelta(0), bursts=((2, timedelta(0)), (3, timedelta(0))))

    assert judge(delivered(1), *(clicked(link, 0, link=link) for link in "xyz"), limits=off) == {}


def test_other_touches() -> None:
    """Verdicts do not depend on them."""
    assert mail_of(a_touch(1)) is None
    assert mail_of(a_touch(1, name="Email Link Clicked")) is None
    assert mail_of(a_track(1, "Email Opened")) is None


many = st.lists(
    st.builds(
        lambda number, kind, tenths, mail, link: (
            delivered(number, tenths / 10, mail=mail) if kind else clicked(number, tenths / 10, mail=mail, link=link)
        ),
        st.integers(0, 1000),
        st.booleans(),
        st.integers(0, 100),
        st.sampled_from(["m", "n", None]),
        st.sampled_from(["x", "y", "z", None]),
    ),
    max_size=14,
    unique_by=lambda touch: touch.id,
)


@given(many)
def test_plain_code_finds_the_same(touches: list[Touch]) -> None:
    """Each click held against all others gives the verdicts of the single pass."""
    assert judge(*touches) == suspicious(touches)


@given(many, st.randoms(use_true_random=False), st.integers(1, 5))
def test_in_any_order_and_in_any_pieces(touches: list[Touch], dice: object, size: int) -> None:
    """Judged piece by piece as they arrive, with neighbours within reach only, clicks end with the same verdicts."""
    whole = judge(*touches)
    arrived = touches + touches[: len(touches) // 2]
    getattr(dice, "shuffle")(arrived)  # noqa: B009  # hypothesis does not export the type
    kept: dict[UUID, Mail] = {}
    found: dict[UUID, str] = {}
    reach = Limits().reach
    for first in range(0, len(arrived), size):
        fresh = [mail for touch in arrived[first : first + size] if (mail := mail_of(touch)) and mail.id not in kept]
        kept |= {mail.id: mail for mail in fresh}
        near = [
            mail
            for mail in kept.values()
            if any(abs(mail.at - new.at) <= reach // timedelta(microseconds=1) for new in fresh)
        ]
        now = suspicions(near, Limits())
        for mail in near:
            if reason := weightier(found.get(mail.id, ""), now.get(mail.id, "")):
                found[mail.id] = reason

    assert found == whole

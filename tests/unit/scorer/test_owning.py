"""In whose history touches belong."""

from datetime import timedelta

import msgspec

from services.scorer.domain.accepting import Published
from services.scorer.domain.owning import by_owner
from shared.events.touch import Touch, encode_touch
from tests.support.touches import ADA, BEN, NOON, a_touch


def published(touch: Touch) -> Published:
    return Published.of(touch, msgspec.Raw(encode_touch(touch)))


def test_a_touch_that_comes_twice() -> None:
    """The first is kept, in its place; who has no repeat keeps all."""
    one, two, three = (published(a_touch(f"t{number}", at=NOON)) for number in range(3))
    again = published(msgspec.structs.replace(one.touch, title="said otherwise"))

    assert by_owner({ADA: [one, two, again], BEN: [three]}, {}, {}) == {ADA: [one, two], BEN: [three]}


def test_contacts_that_live_on_in_another() -> None:
    """Their touches are one history, in the order of receipt, and what both sent is in it once."""
    early, late = (published(a_touch(f"t{number}", at=NOON + number * timedelta(hours=1))) for number in range(2))

    assert by_owner({ADA: [late], BEN: [early, late]}, {ADA: BEN}, {}) == {BEN: [early, late]}


def test_a_touch_of_somebody_who_was_parted() -> None:
    """It goes to whom it is of, its neighbours stay."""
    one, two = (published(a_touch(f"t{number}", at=NOON)) for number in range(2))

    assert by_owner({ADA: [one, two]}, {}, {(ADA, two.touch.id): BEN}) == {ADA: [one], BEN: [two]}

"""What changes the hash that is signed, and what makes contacts be counted again."""

import pytest

from shared.agreement.hashing import content_hash, counting_hash
from tests.support.touches import TEXT, agreement, changed


def test_comments_spacing_and_order_of_keys() -> None:
    """Neither hash depends on how the text is written."""
    text = changed(
        ("\ntitle:", "\n# ours\ntitle:   "),
        ("web: {cap: 40}, email: {cap: 20}", "email: {cap: 20.0},   web: {cap: 40}"),
        ('{type: page, path: "/pricing*"}', "{path: '/pricing*', type: page}"),
        ("half_life: 30d", "half_life: 720h"),
    )

    assert content_hash(agreement(text)) == content_hash(agreement())
    assert counting_hash(agreement(text)) == counting_hash(agreement())


@pytest.mark.parametrize(
    ("old", "new", "counts_again"),
    [
        ("title: What we both", "title: What we all", False),
        ("points: 10,", "points: 11,", False),
        ("web: {cap: 40}", "web: {cap: 41}", False),
        ("points: 40}", "points: 45}", False),
        ("deciding: 14d", "deciding: 15d", False),
        ("engagement: 50", "engagement: 51", False),
        ("cool_down: 30d", "cool_down: 31d", False),
        ("hand_raise: 5m", "hand_raise: 6m", False),
        ("duplicate, other", "other", False),
        ("group: content,", "group: web,", False),
        ("half_life: 30d", "half_life: 31d", True),
        ("per_day: 2,", "per_day: 3,", True),
        ("/pricing*", "/prices*", True),
        ("id: blog-read,", "id: blog-seen,", True),
    ],
)
def test_a_change(old: str, new: str, counts_again: bool) -> None:  # noqa: FBT001  # a column of the table
    """Every change of meaning needs new signatures; only what counts differently is counted again."""
    text = changed((old, new))

    assert content_hash(agreement(text)) != content_hash(agreement(TEXT))
    assert (counting_hash(agreement(text)) != counting_hash(agreement(TEXT))) is counts_again

"""What changes the hash that is signed, and what makes contacts be counted again."""

import pytest

from shared.agreement.hashing import content_hash, counting_hash
from tests.support.processes import ROOT
from tests.support.touches import TEXT, agreement, changed

CALENDARS = """
calendars:
  office: {zone: Europe/Berlin, week: {mon-fri: "09:00-17:00"}}
  late: {zone: Europe/Berlin, week: {sat: "18:00-22:00"}}
"""


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


def test_an_agreement_of_the_first_release() -> None:
    """What was signed stays signed, and nobody is counted again, when the format learns to say more."""
    text = (ROOT / "tests/golden/agreements/first-release.yaml").read_text()

    assert content_hash(agreement(text)) == "b68caa2b4ee94b9e60cd8e8c1aec5f08bf506d9a91274003142d235cbca53dcf"
    assert counting_hash(agreement(text)) == "081a3b00535a2318654cf1a6a080b796497d9ffb89ee2f9155bb9bb20886bfbc"


@pytest.mark.parametrize(
    ("old", "new", "counts_again"),
    [
        ("hours: late", "hours: office", False),
        ('sat: "18:00-22:00"', 'sat: "18:00-23:00"', False),  # only sales answers in these hours
        ("Berlin, week: {mon", "Rome, week: {mon", True),  # a rule asks for these hours
        ("at_least: 50", "at_least: 51", True),
        ("at_least: 50", "at_least: 50s", True),
        ("not: {title", "all: [{title", True),
        ("in_last: 3661s", "in_last: 3662s", True),
        ("2026-05-01", "2026-05-02", True),
    ],
)
def test_a_change_of_what_came_later(old: str, new: str, counts_again: bool) -> None:  # noqa: FBT001  # a column of the table
    """The same holds for checks, all, any and not, and calendars."""
    before = changed(
        ("hours: business", "hours: late"),
        (
            "{name: Email Opened}",
            (
                "{name: Email Opened, occurred_at: {hours: office, since: 2026-05-01}, properties.seats: "
                "{at_least: 50}, properties.signed: {in_last: 3661s}, not: {title: x}}"
            ),
        ),
        text=TEXT + CALENDARS,
    )
    after = changed((old, new), text=before)
    if "[{" in new:
        after = changed(("{title: x}}", "{title: x}]}"), text=after)

    assert content_hash(agreement(after)) != content_hash(agreement(before))
    assert (counting_hash(agreement(after)) != counting_hash(agreement(before))) is counts_again

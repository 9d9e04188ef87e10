"""What the contact was shown: pages, and the promises of campaigns."""

from datetime import timedelta
from typing import Any

from services.scorer.domain.reading_matter import MOST_PAGES, pages_read, promises_made
from shared.events.handoff import Promised
from shared.events.touch import Campaign, Touch
from tests.support.touches import NOON, a_touch, a_track

SPRING = Campaign(name="spring", source="linkedin", medium="paid")
MAILING = Campaign(name="mailing", source="newsletter", medium="email")


def visit(minute: float, path: str, **fields: Any) -> Touch:
    """Return a page view some minutes after noon."""
    return a_touch(f"{path}-{minute}", at=NOON + timedelta(minutes=minute), path=path, **fields)


def test_each_page_once() -> None:
    """The last read first, with the title that it had then, and how often it was read."""
    history = [visit(9, "/pricing", title="Prices"), visit(5, "/blog"), visit(1, "/pricing", title="Pricing")]

    pages = pages_read(history)

    assert [(page.path, page.title, page.times) for page in pages] == [("/pricing", "Prices", 2), ("/blog", "", 1)]
    assert pages[0].at == NOON + timedelta(minutes=9)


def test_many_pages() -> None:
    """Whoever reads everything does not make the brief endless; the pages read last stay, fully counted."""
    history = [visit(0, f"/{number}") for number in range(100)] + [visit(-1, "/0")]

    pages = pages_read(history)

    assert len(pages) == MOST_PAGES
    assert (pages[0].path, pages[0].times) == ("/0", 2)


def test_what_two_campaigns_promised() -> None:
    """Each with what it said and offered, and the page where its visit began."""
    history = [
        visit(61, "/demo", title="See it"),
        a_track(
            60,
            "Email Link Clicked",
            at=NOON + timedelta(minutes=60),
            campaign=MAILING,
            properties={"subject": " No more\nre-keying ", "campaign_offer": "A free look"},
        ),
        visit(2, "/pricing", campaign=SPRING),
        visit(0, "/booking", title="Booking in one click", campaign=SPRING, properties={"headline": "One click"}),
        visit(-5, "/before"),
    ]

    assert promises_made(history, first=SPRING, last=MAILING) == (
        Promised(
            campaign=SPRING,
            at=NOON,
            message="One click",
            landing_page="/booking",
            landing_title="Booking in one click",
        ),
        Promised(
            campaign=MAILING,
            at=NOON + timedelta(minutes=60),
            message="No more re-keying",
            offer="A free look",
            landing_page="/demo",
            landing_title="See it",
        ),
    )


def test_a_campaign_that_is_first_and_last() -> None:
    """It is told once; what lies before the history that is looked at has neither time nor page."""
    assert promises_made([], first=SPRING, last=SPRING) == (Promised(campaign=SPRING),)
    assert promises_made([], first=None, last=None) == ()

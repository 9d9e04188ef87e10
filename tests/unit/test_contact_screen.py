"""A contact in the terminal."""

from datetime import timedelta
from io import StringIO
from typing import Any

import msgspec
from rich.console import Console, RenderableType

from services.contact_screen import render_contact, render_history
from services.scorer.domain.deciding import take_touch
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.showing import show_contact
from services.scorer.standing import Standing
from shared.events.touch import Touch
from tests.support.touches import ADA, NOON, a_profile, a_touch, a_track, agreement

DAY = timedelta(days=1)


def on_screen(renderable: RenderableType) -> str:
    """Return what a terminal of 100 columns without colours shows."""
    written = StringIO()
    console = Console(file=written, width=100, color_system=None)
    console.print(renderable)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def shown(*touches: Touch) -> Any:
    """Return the contact that did this as the API shows it."""
    terms = Terms(3, agreement())
    state = ContactState(agreement=3, counting=terms.counting)
    for touch in touches:
        take_touch(ADA, state, touch, terms)
    standing = Standing(contact_id=ADA, as_of=NOON, state=state, terms=terms, arming=state.arming)
    return msgspec.json.decode(msgspec.json.encode(show_contact(standing)))


def test_a_contact() -> None:
    """Scores with bars and parts that add up, what is missing, how it cools, and what comes next."""
    text = on_screen(
        render_contact(
            shown(
                a_profile("who", account_traits={}),
                *(a_touch(n, path="/pricing") for n in range(3)),
                a_touch("bot", path="/pricing", suspect="bot_user_agent"),
                *(a_touch(f"blog {n}", path="/blog/x", at=NOON - DAY) for n in range(9)),
            )
        )
    )

    assert "engagement  █████████████████████████░░░░░░░░░░░░░░░  61.79 of 100" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("  ")]
    pricing = ["pricing-viewed", "intent", "2", "2.00", "10", "20.00"]
    assert pricing + "1 over the limit, 1 by a machine".split() in rows
    assert ["blog-read", "content", "9", "8.79", "4", "35.18"] in rows
    assert ["cap", "content", "-5.18"] in rows
    assert ["page-viewed", "web", "12", "11.79", "1", "11.79", "1", "by", "a", "machine"] in rows
    assert "fit         ████████████████░░░░░░░░░░░░░░░░░░░░░░░░  40.00 of 100" in text
    assert "  deciding by pricing-viewed on 2026-03-01, holds until 2026-03-15" in text
    assert "sales       not ready after 12 touches\n  missing: fit 40 of 50: industry unknown\n" in text
    assert "engagement falls below 35 on 2026-0" in text
    assert "handoff     free: it is handed off by the next touch" in text


def test_nothing_is_known_yet() -> None:
    """Neither names nor scores nor an agreement."""
    standing = Standing(contact_id=ADA, as_of=NOON, state=ContactState(), terms=None, arming=None)

    text = on_screen(render_contact(msgspec.json.decode(msgspec.json.encode(show_contact(standing)))))

    assert "known as  nothing yet" in text
    assert "under no agreement" in text
    assert "  missing: no active agreement" in text


def test_what_a_stranger_wrote() -> None:
    """A name that would steer the terminal is shown, not obeyed."""
    text = on_screen(render_contact(shown(a_track(1, "x", account_domain="evil\x1b[2J.example"))))

    assert "evil\\x1b[2J.example" in text
    assert "\x1b" not in text


def test_a_history() -> None:
    """A column for each instant; a gap where no agreement was in force; and what happened when."""
    scores = [None, 0.0, 12.5, 50.0, 100.0, 3.0]
    point = {"fit": 80.0, "stage": "deciding"}
    history = {
        "contact": str(ADA),
        "since": "2026-02-01T12:00:00Z",
        "until": "2026-03-01T12:00:00Z",
        "points": [{"engagement": score, **point} for score in scores],
        "agreements": [{"version": 1, "since": "2026-02-02T12:00:00Z", "until": None}],
        "steps": [
            {"kind": "handoff", "at": "2026-02-20T12:00:00Z", "reason": "hand_raise"},
            {"kind": "recycled", "at": "2026-02-25T12:00:00Z", "reason": "bad_timing"},
        ],
    }

    lines = on_screen(render_history(history)).splitlines()

    assert lines[1:9] == [
        " 100     █",
        "         █",
        "         █",
        "         █",
        "  50    ██",
        "        ██",
        "        ██",
        "   0  ▁███▁",
    ]
    assert lines[10] == "lowest 0.0, highest 100.0, in the end 3.0"
    assert lines[-3:] == [
        "2026-02-02 12:00  agreement 1 in force",
        "2026-02-20 12:00  handed off (hand raise)",
        "2026-02-25 12:00  recycled (bad timing)",
    ]


def test_a_history_without_an_agreement() -> None:
    """There is nothing to draw, and that is said."""
    history = {"contact": str(ADA), "points": [{"engagement": None}], "agreements": [], "steps": []}

    assert "No agreement was in force." in on_screen(render_history(history))

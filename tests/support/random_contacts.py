"""Random contacts for tests: what one person may do within a year, seen by clocks that are fast or slow."""

import random
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from shared.events.touch import Alias, Touch
from tests.support.touches import NOON, TEXT, a_demo_request, a_profile, a_touch, a_track, changed

# The agreement, another one that only prices differently, and others that count differently.
VERSIONS = (
    TEXT,
    changed(("points: 10, per_day: 2", "points: 13.7, per_day: 2"), ("intent: {cap: 100}", "intent: {cap: 60.5}")),
    changed(("half_life: 30d", "half_life: 7d"), ("points: 1, per_day: 20", "points: -3, per_day: 1")),
    changed(('path: "/blog/*"', 'path: "/b*"'), ("engagement: 50", "engagement: 36.5"), ("below: 35", "below: 20")),
)

# Those that make a lead more often than those that rule one out.
_KINDS = (
    *("/pricing", "/pricing", "/pricing/x", "/compare/y", "/compare/y", "/blog/x", "/", "demo", "demo", "who", "who"),
    *("click", "click", "delivered", "unsubscribed", "bot"),
)


def touches_of(steps: list[tuple[str, int, int, int]]) -> list[Touch]:
    """Return a touch for each step: its kind, seconds before noon, seconds under way, and a number that varies it."""
    return [_touch(number, step) for number, step in enumerate(steps)]


def step_lists(*, most: int = 30) -> st.SearchStrategy[list[tuple[str, int, int, int]]]:
    """Return a strategy for the steps of one contact. Some arrive from the future: fewer seconds than none."""
    ago = st.one_of(st.integers(0, 400 * 86_400), st.integers(0, 9 * 86_400), st.integers(0, 86_400))
    under_way = st.one_of(st.just(0), st.integers(-300, 3_600), st.integers(0, 40 * 86_400))
    return st.lists(st.tuples(st.sampled_from(_KINDS), ago, under_way, st.integers(0, 3)), min_size=1, max_size=most)


def _touch(number: int, step: tuple[str, int, int, int]) -> Touch:
    kind, ago, under_way, variant = step
    at = NOON - timedelta(seconds=ago)
    given: dict[str, Any] = {"at": at, "received_at": at + timedelta(seconds=under_way)}
    match kind:
        case "click":
            properties = {"link_url": f"https://acme.example/{variant}", "email_id": str(variant % 2)}
            return a_track(number, "Email Link Clicked", properties=properties, **given)
        case "delivered":
            return a_track(number, "Email Delivered", properties={"email_id": str(variant % 2)}, **given)
        case "demo":
            return a_demo_request(number, **given)
        case "unsubscribed":
            return a_track(number, "Unsubscribed", opted_out=(None, False, None, True)[variant], **given)
        case "who":
            industry = ("Logistics", "Retail", "Logistics", "Manufacturing")[variant]
            domain = "rival.example" if variant == 3 and number % 5 == 0 else "acme.example"
            return a_profile(
                number,
                traits={"title": "Director of Logistics" if variant else "Clerk"},
                account_domain=domain,
                account_traits={"industry": industry},
                **given,
            )
        case "bot":
            return a_touch(number, path="/pricing", suspect="bot_user_agent", **given)
        case path:
            return a_touch(number, path=path, aliases=(Alias("user", "ada"),) if variant == 1 else (), **given)


def random_steps(dice: random.Random, count: int) -> list[tuple[str, int, int, int]]:
    """Return the steps of one contact, thrown by the dice."""
    return [
        (
            dice.choice(_KINDS),
            dice.choice([dice.randint(0, 400 * 86_400), dice.randint(0, 9 * 86_400), dice.randint(0, 86_400)]),
            dice.choice([0, dice.randint(-300, 3_600), dice.randint(0, 40 * 86_400)]),
            dice.randint(0, 3),
        )
        for _ in range(count)
    ]

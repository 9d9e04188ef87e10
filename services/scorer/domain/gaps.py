"""Gaps: what is missing until a contact is ready, as data and in the words of the agreement."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from shared.agreement.model import Check, Condition, Junction, Stage

GapKind = Literal["opted_out", "disqualified", "engagement", "fit", "touches", "stage"]

_PROFILE = ("account.", "contact.", "traits.")


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A trait that nobody told, and the fit rule that asks for it."""

    field: str  # such as account.industry
    rule: str
    points: float


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is missing."""

    what: GapKind
    words: str
    have: float | str | None = None  # of engagement, fit and touches a number; of a stage its name, None without one
    need: float | str | None = None
    rule: str = ""  # that disqualifies
    unknown: tuple[Unknown, ...] = ()  # of fit: what might close the gap if it were told


def opted_out() -> Gap:
    """Return that the contact asked to be left alone."""
    return Gap(what="opted_out", words="opted out")


def disqualified(rule: str) -> Gap:
    """Return that a fit rule rules the contact out."""
    return Gap(what="disqualified", words=f"disqualified by {rule}", rule=rule)


def engagement_below(score: float, level: float) -> Gap:
    """Return how far engagement is from the level."""
    return Gap(what="engagement", words=f"engagement {below(score, level)} of {level:g}", have=score, need=level)


def fit_below(score: float, level: float, unknown: tuple[Unknown, ...]) -> Gap:
    """Return how far fit is from the level, and what is not known of the contact that it asks for."""
    words = f"fit {below(score, level)} of {level:g}"
    if unknown:
        names = dict.fromkeys(trait.field.partition(".")[2] for trait in unknown)
        words += f": {', '.join(names)} unknown"
    return Gap(what="fit", words=words, have=score, need=level, unknown=unknown)


def touches_short(touches: int, needed: int) -> Gap:
    """Return how many touches are missing."""
    more = needed - touches
    words = f"{more} more {'touch' if more == 1 else 'touches'}"
    return Gap(what="touches", words=words, have=touches, need=needed)


def stage_short(reached: Stage | None, needed: Stage) -> Gap:
    """Return which stage is missing."""
    return Gap(what="stage", words=f"stage {reached or 'unknown'}, needs {needed}", have=reached, need=needed)


def traits_asked(when: tuple[Condition, ...]) -> Iterator[str]:
    """Yield the traits of contact and account that the conditions want to be told; not those that shall be missing."""
    for condition in when:
        if condition.field in {Junction.ALL, Junction.ANY}:
            for part in condition.of:
                yield from traits_asked(part)
        elif condition.field.startswith(_PROFILE):
            checks = [pattern for pattern in condition.any_of if isinstance(pattern, Check)]
            if not any(check.exists is False for check in checks):
                yield condition.field


def below(score: float, level: float) -> str:
    """Write a score that is below the level so that it does not look like the level: 49.97, not 50.0."""
    if score.is_integer():
        return f"{score:.0f}"
    for digits in (1, 2, 4, 9):
        written = f"{score:.{digits}f}"
        if float(written) < level:
            return written
    return repr(score)

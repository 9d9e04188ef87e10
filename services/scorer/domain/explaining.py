"""Explaining: where a contact stands, why, and how long that lasts if nothing more happens.

Nothing here decides. It shows the values that decisions are made from, taken from the same functions.
"""

from datetime import UTC, datetime
from math import fsum
from typing import assert_never

import msgspec

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.cooling import falls_below
from services.scorer.domain.engagement import group_sums
from services.scorer.domain.instants import from_micros, to_micros
from services.scorer.domain.readiness import Assessment
from services.scorer.domain.stage import evidence, reaches
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms, on_grid
from shared.agreement.model import Stage
from shared.events.explanation import Score

_LAST_INSTANT = to_micros(datetime.max.replace(tzinfo=UTC))


class GroupSum(msgspec.Struct, frozen=True, kw_only=True):
    """What a group's rules add up to, and what of it counts."""

    group: str
    cap: float
    sum: float
    counts: float
    cut: float  # what the cap takes away


class EvidenceShown(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for a stage: the newest touch of a rule, and until when."""

    stage: Stage
    rule: str
    at: datetime
    until: datetime | None  # None: beyond the calendar


class Fall(msgspec.Struct, frozen=True, kw_only=True):
    """When engagement falls below a level if nothing more happens."""

    what: str  # `ready` or `rearm`
    level: float
    below: bool  # it is below now
    at: datetime | None  # None when it is below now, or never falls there


class Cooling(msgspec.Struct, frozen=True, kw_only=True):
    """How the contact cools down if nothing more happens."""

    engagement: tuple[Fall, ...]
    ready_until: datetime | None  # of a contact for which the threshold holds: when it first does not any more


def sums_of_groups(engagement: Score, terms: Terms) -> tuple[GroupSum, ...]:
    """Return what the parts of engagement add up to in each group."""
    parts = engagement.parts
    shown = []
    for group, cap in terms.agreement.groups.items():
        total = fsum(part.value for part in parts if part.rule and part.group == group)
        cut = -fsum(part.value for part in parts if part.adjustment == "cap" and part.group == group)
        shown.append(GroupSum(group=group, cap=cap, sum=total, counts=total - cut, cut=cut))
    return tuple(shown)


def unmet_rules(state: ContactState, terms: Terms) -> list[str]:
    """Return the rules that would add to engagement and that no touch met."""
    return [rule.id for rule in terms.agreement.rules if rule.points > 0 and not _counted(state, rule.id)]


def evidence_shown(state: ContactState, terms: Terms, at: int) -> tuple[EvidenceShown, ...]:
    """Return what speaks for stages at the instant, the furthest first."""
    return tuple(
        EvidenceShown(stage=found.stage, rule=found.rule, at=from_micros(found.at), until=_instant(found.until))
        for found in evidence(state, terms, at)
    )


def cooling(state: ContactState, terms: Terms, at: int, assessment: Assessment) -> Cooling:
    """Return when engagement falls below the levels of the agreement, and how long the threshold holds."""
    sums = group_sums(state, terms, at)
    arming = state.arming.at(at)
    score = assessment.engagement.score
    rearm_level = arming.level if arming.falls else terms.rearm_below
    to_ready = _fall("ready", terms.agreement.ready.engagement, score, sums, terms, at)
    to_rearm = _fall("rearm", rearm_level, score, sums, terms, at)
    ready_until = None
    if assessment.ready and to_ready.at is not None:
        ready_until = min(to_ready.at, _stage_until(state, terms, at) or to_ready.at)
    return Cooling(engagement=(to_ready, to_rearm), ready_until=ready_until)


def words_of(arming: Arming) -> str:
    """Return what stands between the contact and its next handoff."""
    until = "" if arming.rearms_at is None else f" on {_day(arming.rearms_at)}"
    match arming.kind:
        case ArmingKind.ARMED:
            again = " again" if arming.handoff_id else ""
            return f"free: it is handed off{again} by the next touch with which it is ready, or when it asks for sales"
        case ArmingKind.HANDED:
            return (
                "with sales: no second handoff while this one is open; free again when sales gives it back, or once "
                f"engagement falls below {arming.level:g}{', if nothing more happens' + until if until else ''}"
            )
        case ArmingKind.CLOSED:
            return (
                "closed: asking for sales opens the next handoff; otherwise free again once engagement falls below "
                f"{arming.level:g}{', if nothing more happens' + until if until else ''}"
            )
        case ArmingKind.COOLING:
            return f"left alone after sales gave it back: free again{until}; asking for sales opens the next handoff"
        case _:
            assert_never(arming.kind)


def _counted(state: ContactState, rule_id: str) -> int:
    return kept.count if (kept := state.rules.get(rule_id)) else 0


def _fall(what: str, level: float, score: float, sums: list[float], terms: Terms, at: int) -> Fall:
    if score < on_grid(level):
        return Fall(what=what, level=level, below=True, at=None)
    after = falls_below(sums, terms.caps, level=level, half_life=terms.half_life)
    return Fall(what=what, level=level, below=False, at=None if after is None else _instant(at + after))


def _stage_until(state: ContactState, terms: Terms, at: int) -> datetime | None:
    """Return when the last evidence ends that the threshold needs; None when it needs none, or it holds for good."""
    needed = terms.agreement.ready.stage
    if needed is None:
        return None
    return _instant(max(found.until for found in evidence(state, terms, at) if reaches(found.stage, needed)))


def _instant(micros: int) -> datetime | None:
    return from_micros(micros) if micros <= _LAST_INSTANT else None


def _day(micros: int) -> str:
    instant = _instant(micros)
    return f"{instant:%Y-%m-%d}" if instant else "no day that a calendar has"

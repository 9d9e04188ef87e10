"""The agreement as values: what marketing and sales both call a lead."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

# What a condition compares with: text (`*` and `?` are wildcards, `>= 50` and `10..50` are ranges), a number, a flag.
Pattern = str | float | bool

Hours = Literal["business", "always"]  # when the response clock runs


class Stage(StrEnum):
    """Where a contact is on the buyer's journey, in the order of the journey."""

    FIRST_THOUGHT = "first_thought"
    PASSIVE_LOOKING = "passive_looking"
    ACTIVE_LOOKING = "active_looking"
    DECIDING = "deciding"


JOURNEY = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a `when`: the field must match any of the patterns."""

    field: str  # such as `name`, `properties.form`, `account.industry`
    any_of: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a touch is worth that meets all conditions."""

    id: str
    when: tuple[Condition, ...]
    group: str
    points: float
    per_day: int | None = None  # at most so many touches count on one UTC day
    stage: Stage | None = None  # of the journey that such a touch is evidence for
    hand_raise: bool = False  # the contact asked to talk to sales


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRule:
    """What it is worth that the contact's traits meet all conditions."""

    id: str
    when: tuple[Condition, ...]
    points: float = 0.0
    disqualify: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The threshold: all of it must hold."""

    engagement: float
    fit: float = 0.0
    touches: int = 0
    stage: Stage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearm:
    """When a contact that was handed off may be handed off again."""

    below: float  # engagement fell below this
    cool_down: timedelta  # after sales gave the contact back


@dataclass(frozen=True, slots=True, kw_only=True)
class RespondTimes:
    """How soon sales answers, and what happens when it does not."""

    hand_raise: timedelta
    standard: timedelta
    reassign_after: timedelta
    escalate_after: timedelta
    hours: Hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One version of the definition, complete and free of contradictions."""

    title: str
    half_life: timedelta
    groups: Mapping[str, float]  # cap of each group
    rules: tuple[Rule, ...]
    fit: tuple[FitRule, ...]
    stages: Mapping[Stage, timedelta]  # how long evidence for a stage holds
    ready: Ready
    rearm: Rearm
    respond: RespondTimes
    reject_reasons: tuple[str, ...]

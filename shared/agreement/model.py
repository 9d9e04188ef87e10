"""The agreement as values: what marketing and sales both call a lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.business_calendar import BusinessCalendar

# What a value is: text (`*` and `?` are wildcards, `>= 50` and `10..50` are ranges), a number, a flag.
Plain = str | float | bool

# What a value is held against; a duration is compared with seconds.
Bound = float | timedelta

# When the response clock runs, besides the names of calendars: while whoever has the handoff works, or round the clock.
BUSINESS, ALWAYS = "business", "always"


class Stage(StrEnum):
    """Where a contact is on the buyer's journey, in the order of the journey."""

    FIRST_THOUGHT = "first_thought"
    PASSIVE_LOOKING = "passive_looking"
    ACTIVE_LOOKING = "active_looking"
    DECIDING = "deciding"


JOURNEY = tuple(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a value is asked that is more than being one: everything given must hold."""

    exists: bool | None = None
    none_of: tuple[Plain, ...] = ()
    at_least: Bound | None = None
    above: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None
    since: datetime | None = None  # at this instant or later
    before: datetime | None = None
    in_last: timedelta | None = None  # within so long before the touch occurred
    in_next: timedelta | None = None  # within so long after it
    hours: str | None = None  # name of a calendar: in its working time
    calendar: BusinessCalendar | None = None  # of that name


# What a condition compares with.
Pattern = Plain | Check


class Junction(StrEnum):
    """How whole conditions are put together."""

    ALL = "all"
    ANY = "any"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a `when`: the field must match any of the patterns.

    A line of `all`, `any` or `not` has that for its field, and no patterns but whole `when`s; `not` has one of them.
    """

    field: str  # such as `name`, `properties.form`, `account.industry`; or a Junction
    any_of: tuple[Pattern, ...] = ()
    of: tuple[tuple["Condition", ...], ...] = ()


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
    hours: str  # BUSINESS, ALWAYS, or the name of a calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A part in a buying group, told by the contact's traits."""

    id: str
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReady:
    """The threshold of an account: all of it must hold."""

    engagement: float
    contacts: int = 1  # people who count
    within: timedelta | None = None  # in which so many people did something that is worth points; None: ever
    roles: tuple[str, ...] = ()  # each of them has somebody among these people


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """When what the people of one company do together makes a lead."""

    ready: AccountReady
    least: float  # engagement below which a person counts nothing
    cap: float  # of what one person adds
    roles: tuple[Role, ...]
    rearm_below: float  # an account that was handed off may be again after its engagement fell below this


@dataclass(frozen=True, slots=True, kw_only=True)
class Nurture:
    """Marketing is told about those who are not with sales."""

    every: timedelta  # a contact is told about no more often than this, unless sales gave it back


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
    calendars: Mapping[str, BusinessCalendar] = field(default_factory=dict)
    accounts: Accounts | None = None  # None: each contact is decided for itself alone
    nurture: Nurture | None = None  # None: nobody is told

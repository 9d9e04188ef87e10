"""The team: who can be given handoffs, when, in which pools, and which endpoints are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from services.router.domain.endpoint import Endpoint
from shared.agreement.model import Condition
from shared.business_calendar import BusinessCalendar


@dataclass(frozen=True, slots=True)
class TimeOff:
    """Days without work, the first and the last among them, in the zone of the rep's hours."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Rep:
    """A person who can be given handoffs. `capacity` is how many may be open at once."""

    name: str
    email: str
    capacity: int
    away: bool = False
    per_hour: int | None = None  # at most so many within any 60 minutes
    per_day: int | None = None  # at most so many within any 24 hours
    calendar: BusinessCalendar | None = None  # None: the hours of the pool, else of the team, else always
    off: tuple[TimeOff, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A rep's part in a pool: weight 2 gets twice what weight 1 gets."""

    rep: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Pool:
    """Reps who share handoffs. Who `manager` names is told when nobody answers."""

    name: str
    members: tuple[Member, ...]
    calendar: BusinessCalendar | None = None  # for members without hours of their own; None: those of the team
    manager: str | None = None


class Owner(StrEnum):
    """Whose handoff it is already."""

    ACCOUNT = "account"  # whoever `account.owner` names, else who last had one of the account that is open or won
    PREVIOUS = "previous"  # who last had one of the contact and did not reject it


class Unavailable(StrEnum):
    """What becomes of a handoff when nobody that the rule names can take it now."""

    NEXT = "next"  # the rules below are tried
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Hold:
    """Nobody gets it yet: for a while, or until somebody releases it or the team changes."""

    duration: timedelta | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where handoffs go whose contact and account meet all conditions: a pool, a rep, an owner, or nowhere yet.

    Exactly one of `pool`, `rep`, `owner` and `hold` is given.
    """

    when: tuple[Condition, ...] = ()
    pool: str | None = None
    rep: str | None = None
    owner: Owner | None = None
    hold: Hold | None = None
    unavailable: Unavailable = Unavailable.WAIT


@dataclass(frozen=True, slots=True)
class Team:
    """Everything that decides who gets a handoff and who is told. Empty until somebody sets it up."""

    version: int = 0
    reps: tuple[Rep, ...] = ()
    pools: tuple[Pool, ...] = ()
    rules: tuple[Rule, ...] = ()
    default_pool: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    calendar: BusinessCalendar | None = None  # None: always
    # What each pool owes each of its members; `turn` explains.
    owed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def rep(self, name: str) -> Rep | None:
        """Return the rep of that name."""
        return next((rep for rep in self.reps if rep.name == name), None)

    def rep_called(self, name: str) -> Rep | None:
        """Return the rep of that name or e-mail address, in whatever case."""
        wanted = name.strip().casefold()
        return next((rep for rep in self.reps if wanted in {rep.email.casefold(), rep.name.casefold()}), None)

    def pool(self, name: str) -> Pool | None:
        """Return the pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def pool_of(self, rep: str) -> Pool | None:
        """Return the first pool that the rep is in: theirs, when a rule names the rep and no pool."""
        return next((pool for pool in self.pools if any(member.rep == rep for member in pool.members)), None)

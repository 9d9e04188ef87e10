"""Where the rules send a handoff: which of them hold, and whom they name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from services.router.domain.team import Owner, Rule, Team
from shared.agreement.matching import Holds, Profile, compile_for_profile
from shared.events.handoff import ContactSnapshot


@dataclass(frozen=True, slots=True)
class Case:
    """A handoff as the decision sees it."""

    contact: ContactSnapshot
    arrived_at: datetime  # what holds it counts from then
    released: bool = False  # somebody ended what held it
    account_rep: str | None = None  # who last had a handoff of the account that is open or won
    previous_rep: str | None = None  # who last had one of the contact and did not reject it
    excluded: Mapping[str, str] = field(default_factory=dict)  # reps who must not get it, and why


def profile_of(contact: ContactSnapshot) -> Profile:
    """Return what the conditions of rules are asked about."""
    account = {**contact.account_traits, "domain": contact.account_domain or None}
    return Profile(contact.traits, account, contact.aliases)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its conditions ready to be asked. `number` counts from 0; None is the default pool."""

    number: int | None
    rule: Rule
    conditions: tuple[tuple[str, Holds[Profile]], ...]

    def unmet(self, profile: Profile) -> str | None:
        """Return the field of the first condition that does not hold, None when all do."""
        return next((name for name, holds in self.conditions if not holds(profile)), None)


def compile_rules(team: Team) -> tuple[CompiledRule, ...]:
    """Return the rules of a team in order, and at last its default pool, which takes everything."""
    rules = [
        CompiledRule(
            number, rule, tuple((condition.field, compile_for_profile((condition,))) for condition in rule.when)
        )
        for number, rule in enumerate(team.rules)
    ]
    return (*rules, CompiledRule(None, Rule(pool=team.default_pool), ()))


def owner_of(case: Case, owner: Owner, team: Team) -> str | None:
    """Return the rep who owns the account or the contact already; None when nobody of the team does."""
    match owner:
        case Owner.ACCOUNT:
            named = case.contact.account_traits.get("owner")
            if isinstance(named, str) and named.strip():
                rep = team.rep_called(named)
                return rep.name if rep else None
            return _still_there(case.account_rep, team)
        case Owner.PREVIOUS:
            return _still_there(case.previous_rep, team)
        case _:
            assert_never(owner)


def _still_there(rep: str | None, team: Team) -> str | None:
    return rep if rep is not None and team.rep(rep) is not None else None

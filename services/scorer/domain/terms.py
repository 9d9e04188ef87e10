"""Terms: an agreement made ready to count and price with."""

from math import frexp, ldexp

from services.scorer.domain.instants import micros_of
from shared.agreement.hashing import content_hash, counting_hash
from shared.agreement.matching import FitMatcher, TouchMatcher
from shared.agreement.model import JOURNEY, Accounts, Agreement, FitRule, Rule

# Values of parts are whole multiples of 2^-40, so that a double adds them without rounding, the parts add up to the
# score exactly, and 50 points are 50, not 49.99999999999999. Sums above 2^12 leave fewer bits for the fraction.
_FINEST = 40  # bits
_MANTISSA = 52  # bits of a double, less one


class Terms:
    """One version of the agreement, compiled. Durations are in microseconds.

    `upcoming` is the version that is going to follow and counts otherwise: what is counted is counted under both.
    """

    def __init__(self, version: int, agreement: Agreement, *, upcoming: "Terms | None" = None) -> None:
        self.version = version
        self.upcoming = upcoming
        self.agreement = agreement
        self.content = content_hash(agreement)
        self.counting = counting_hash(agreement)
        self.half_life = micros_of(agreement.half_life)
        self.matcher = TouchMatcher(agreement.rules)
        self.fit_matcher = FitMatcher(agreement.fit)
        self.rules: dict[str, Rule] = {rule.id: rule for rule in agreement.rules}
        names = list(agreement.groups)
        self.caps = tuple(agreement.groups[name] for name in names)
        self.largest_sum = sum(self.caps) + 100.0  # besides what the rules earn
        # Of each rule: points and the index of its group's cap.
        self.prices = {rule.id: (rule.points, names.index(rule.group)) for rule in agreement.rules}
        self.threshold = on_grid(agreement.ready.engagement)
        self.least_fit = on_grid(agreement.ready.fit)
        self.rearm_below = agreement.rearm.below
        self.cool_down = micros_of(agreement.rearm.cool_down)
        # Of each rule that is evidence: how far along the journey, and how long it holds.
        self.evidence = {
            rule.id: (JOURNEY.index(rule.stage), micros_of(agreement.stages[rule.stage]))
            for rule in agreement.rules
            if rule.stage is not None
        }
        self.accounts = AccountTerms(agreement.accounts) if agreement.accounts else None
        self.nurture_every = micros_of(agreement.nurture.every) if agreement.nurture else None
        self.lowering = frozenset(index for index, rule in enumerate(agreement.rules) if rule.points < 0)
        self.hand_raises = frozenset(index for index, rule in enumerate(agreement.rules) if rule.hand_raise)


class AccountTerms:
    """What the agreement says about accounts, compiled. Durations are in microseconds."""

    def __init__(self, accounts: Accounts) -> None:
        self.ready = accounts.ready
        self.threshold = on_grid(accounts.ready.engagement)
        self.within = None if accounts.ready.within is None else micros_of(accounts.ready.within)
        self.least = on_grid(accounts.least)
        self.cap = on_grid(accounts.cap)
        self.rearm_below = accounts.rearm_below
        # A role is told like a fit rule is met.
        self.roles = FitMatcher([FitRule(id=role.id, when=role.when) for role in accounts.roles])


def grid_for(magnitude: float) -> int:
    """Return the bits of fraction that numbers may have which add up to no more than the magnitude."""
    return min(_FINEST, _MANTISSA - frexp(magnitude)[1])


def on_grid(value: float, bits: int = _FINEST) -> float:
    """Return the nearest number with so many bits of fraction."""
    return ldexp(round(ldexp(value, bits)), -bits)

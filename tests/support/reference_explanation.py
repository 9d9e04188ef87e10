"""What a contact's explanation has to say, reckoned from the raw touches in plain code.

It shares no code with the scorer but the agreement's values: only the other plain code of `reference_model`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.agreement.model import JOURNEY, Agreement
from shared.events.touch import Touch
from tests.support.reference_model import (
    Past,
    engagement,
    fitting,
    is_out,
    matches,
    own_touches,
    remember,
    suspicious,
    value_of,
)


@dataclass
class Explained:
    """What is expected. Rules that nothing counted for are absent, or 0."""

    score: float
    values: dict[str, float]
    counts: dict[str, int]
    over: Counter[str]  # touches beyond `per_day`
    suspect: Counter[str]
    sums: dict[str, float]  # of groups
    cut: dict[str, float]  # by the caps of groups
    fit: float
    fit_values: dict[str, float]
    touches: int
    evidence: dict[str, tuple[datetime, datetime]]  # by rule: newest touch, and until when it holds
    stage: str | None
    missing: set[str]


@dataclass
class Known:
    """What is known of a contact at an instant."""

    past: Past  # without what is suspect
    everything: Past
    over: Counter[str]
    suspect: Counter[str]


def known(touches: Iterable[Touch], agreement: Agreement, at: datetime) -> Known:
    """Return what had been received by then, in any order and with repeats; what is suspect is told by all touches."""
    unique = {touch.id: touch for touch in touches}
    machines = suspicious(list(unique.values()))
    received = [touch for touch in unique.values() if touch.received_at <= at]
    found = Known(Past(), Past(received), Counter(), Counter())
    met: Counter[str] = Counter()
    for touch in received:
        rules = [
            rule.id for rule in agreement.rules if all(matches(value_of(touch, line.field), line) for line in rule.when)
        ]
        if touch.id in machines:
            found.suspect.update(rules)
        else:
            met.update(rules)
            remember(found.past, touch, agreement)
    for rule in met:
        found.over[rule] = met[rule] - len(found.past.counted[rule])
    return found


def explained(touches: Iterable[Touch], agreement: Agreement, at: datetime) -> Explained:
    """Return the explanation at the instant under the agreement."""
    now = known(touches, agreement, at)
    past, out = now.past, is_out(now.everything)
    values = {
        rule.id: rule.points * sum(float(2 ** (-(at - instant) / agreement.half_life)) for instant in instants)
        for rule in agreement.rules
        if (instants := past.counted.get(rule.id))
    }
    sums = {
        group: sum(values.get(rule.id, 0.0) for rule in agreement.rules if rule.group == group)
        for group in agreement.groups
    }
    cut = {group: max(0.0, sums[group] - cap) for group, cap in agreement.groups.items()}
    score = 0.0 if out else min(100.0, max(0.0, sum(sums.values()) - sum(cut.values())))
    met = fitting(now.everything, agreement)
    fit_values = {rule.id: rule.points for rule in met if not rule.disqualify}
    ruled_out = any(rule.disqualify for rule in met)
    fit = 0.0 if ruled_out else min(100.0, max(0.0, sum(fit_values.values())))
    evidence = {
        rule.id: (past.latest[rule.id], past.latest[rule.id] + agreement.stages[rule.stage])
        for rule in agreement.rules
        if rule.stage and rule.id in past.latest and past.latest[rule.id] + agreement.stages[rule.stage] >= at
    }
    reached = max(
        (JOURNEY.index(rule.stage) for rule in agreement.rules if rule.stage and rule.id in evidence), default=-1
    )
    ready = agreement.ready
    short = {
        "opted_out": out,
        "disqualified": ruled_out,
        "engagement": score < ready.engagement - 1e-9,
        "fit": fit < ready.fit,
        "touches": own_touches(past) < ready.touches,
        "stage": ready.stage is not None and reached < JOURNEY.index(ready.stage),
    }
    return Explained(
        score=score,
        values=values,
        counts={rule: len(instants) for rule, instants in past.counted.items()},
        over=now.over,
        suspect=now.suspect,
        sums=sums,
        cut=cut,
        fit=fit,
        fit_values=fit_values,
        touches=own_touches(past),
        evidence=evidence,
        stage=JOURNEY[reached] if reached >= 0 else None,
        missing={what for what, is_missing in short.items() if is_missing},
    )


def later(touches: Iterable[Touch], agreement: Agreement, at: datetime, after: timedelta) -> float:
    """Return what engagement will be so long after the instant if nothing more is received, without bounds."""
    return engagement(known(touches, agreement, at).past, agreement, at + after)

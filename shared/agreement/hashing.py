"""What two agreements have in common: the same content, or the same way of counting.

Both are SHA-256 of a canonical form, so comments, spacing and the order of keys change neither.
"""

import hashlib
from typing import Any

import msgspec

from shared.agreement.model import Agreement, Condition


def content_hash(agreement: Agreement) -> str:
    """Return what the two sides sign: it changes with anything that the agreement says."""
    return _digest(
        {
            "title": agreement.title,
            "half_life": agreement.half_life,
            "groups": agreement.groups,
            "rules": [
                {
                    "id": rule.id,
                    "when": _conditions(rule.when),
                    "group": rule.group,
                    "points": float(rule.points),
                    "per_day": rule.per_day,
                    "stage": rule.stage,
                    "hand_raise": rule.hand_raise,
                }
                for rule in agreement.rules
            ],
            "fit": [
                {
                    "id": rule.id,
                    "when": _conditions(rule.when),
                    "points": float(rule.points),
                    "disqualify": rule.disqualify,
                }
                for rule in agreement.fit
            ],
            "stages": agreement.stages,
            "ready": agreement.ready,
            "rearm": agreement.rearm,
            "respond": agreement.respond,
            "reject_reasons": agreement.reject_reasons,
        }
    )


def counting_hash(agreement: Agreement) -> str:
    """Return the part that stored counts depend on: half-life, and which touches count for which rule.

    Two agreements that share it differ only in prices: a contact counted under one is re-priced under the other
    without looking at its touches again.
    """
    return _digest(
        {
            "half_life": agreement.half_life,
            "rules": sorted(
                ([rule.id, _conditions(rule.when), rule.per_day] for rule in agreement.rules),
                key=lambda rule: str(rule[0]),
            ),
        }
    )


def _conditions(when: tuple[Condition, ...]) -> dict[str, Any]:
    return {condition.field: condition.any_of for condition in when}


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()

"""What two agreements have in common: the same content, or the same way of counting.

Both are SHA-256 of a canonical form, so comments, spacing and the order of keys change neither.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from shared.agreement.model import Accounts, Agreement, Check, Condition
from shared.agreement.when_reading import write_when
from shared.business_calendar import BusinessCalendar


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
                    "when": write_when(rule.when),
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
                    "when": write_when(rule.when),
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
            **_where_given(
                calendars=agreement.calendars,
                accounts=_accounts(agreement.accounts) if agreement.accounts else None,
                nurture=agreement.nurture,
            ),
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
                ([rule.id, write_when(rule.when), rule.per_day] for rule in agreement.rules),
                key=lambda rule: str(rule[0]),
            ),
            **_where_given(calendars=_calendars(when for rule in agreement.rules for when in rule.when)),
        }
    )


def _accounts(accounts: Accounts) -> dict[str, Any]:
    return {
        "ready": accounts.ready,
        "least": float(accounts.least),
        "cap": float(accounts.cap),
        "roles": [[role.id, write_when(role.when)] for role in accounts.roles],
        "rearm_below": float(accounts.rearm_below),
    }


def _where_given(**sections: Any) -> dict[str, Any]:
    """Return the sections that there are: what came into the format later leaves the hashes without it as they were."""
    return {name: section for name, section in sections.items() if section}


def _calendars(conditions: Iterable[Condition]) -> dict[str, BusinessCalendar]:
    """Return the calendars that the conditions ask for, by name."""
    found: dict[str, BusinessCalendar] = {}
    for condition in conditions:
        for pattern in condition.any_of:
            if isinstance(pattern, Check) and pattern.hours and pattern.calendar:
                found[pattern.hours] = pattern.calendar
        for when in condition.of:
            found |= _calendars(when)
    return found


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()

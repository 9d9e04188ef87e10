"""What is held about a contact as JSON: each fact with the touch that told it, and when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.scorer.domain.instants import from_micros
from services.scorer.domain.state import ContactState, Stamped
from services.scorer.domain.verdict import Judged
from services.scorer.store.handoffs import Kept
from services.scorer.store.simulated_leads import Found


def export_contact(
    contact_id: UUID,
    state: ContactState,
    *,
    handoffs: Sequence[Kept],
    simulated: Sequence[tuple[UUID, Found]],
    exported_at: datetime,
) -> dict[str, Any]:
    """Return everything but the touches."""
    arming = state.arming
    return {
        "id": contact_id,
        "merged": state.merged,  # ids under which the contact was known, too
        "exported_at": exported_at,
        "aliases": state.aliases,
        "traits": _told_each(state.told()),
        "account_domain": _told(state.domain),
        "accounts": {domain: _told_each(traits) for domain, traits in state.told_of_accounts().items()},
        "opted_out": _told(state.opted_out),
        "first_touch_at": _instant(state.first_at),
        "last_touch_at": _instant(state.last_at),
        "actions": state.touches,
        "first_campaign": _told(state.first_campaign),
        "last_campaign": _told(state.last_campaign),
        "rules": {
            rule: {"counted": kept.count, "last_at": from_micros(kept.last) if kept.count else None}
            for rule, kept in state.rules.items()
        },
        "decided": {
            "agreement": state.agreement or None,
            "arming": arming.kind,
            "handoff_id": arming.handoff_id,
            "reason": arming.reason,
            "handed_off_at": _instant(state.handed_at),
            "opt_out_told_at": _instant(state.withdrawn_at),
        },
        "handoffs": handoffs,
        "simulated": [_simulated(comparison_id, found) for comparison_id, found in simulated],
    }


def export_touch(judged: Judged) -> dict[str, Any]:
    """Return a touch in full, with the verdict on it if there is one."""
    exported: dict[str, Any] = msgspec.to_builtins(judged.touch)
    if judged.reason or judged.trusted is not None:
        exported["verdict"] = {
            "suspect": judged.reason,
            "trusted": judged.trusted,
            "by": judged.trusted_by,
            "at": judged.trusted_at,
        }
    return exported


def _simulated(comparison_id: UUID, found: Found) -> dict[str, Any]:
    """Return a lead that a simulation or a shadow found, which did nothing to the contact."""
    return {
        "found_by": comparison_id,
        "kind": found.kind,
        "active": found.why["active"],
        "draft": found.why["draft"],
        "made_at": found.made_at,
        "outcome": found.outcome,
        "outcome_reason": found.outcome_reason,
        "segment": found.segment,
    }


def _told_each(traits: dict[str, Stamped]) -> dict[str, Any]:
    return {key: _told(stamped) for key, stamped in traits.items()}


def _told(stamped: Stamped | None) -> dict[str, Any] | None:
    if stamped is None:
        return None
    return {"value": stamped.value, "at": from_micros(stamped.at), "touch_id": stamped.touch_id}


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)

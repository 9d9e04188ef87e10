"""What the API shows: contacts, touches and agreements as JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.briefing import summarize
from services.scorer.domain.instants import from_micros, to_micros
from services.scorer.domain.readiness import assess_now
from services.scorer.domain.state import ContactState, campaign_of
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from services.scorer.store.agreements import Version
from services.scorer.store.replays import Progress
from shared.events.explanation import Part, Score


def show_contact(contact_id: UUID, state: ContactState, terms: Terms | None, *, as_of: datetime) -> dict[str, Any]:
    """Return a contact with its scores at the instant. Without an agreement there is nothing to score by."""
    at = to_micros(as_of)
    account = {"id": state.account_id(), "domain": state.account_domain(), "traits": state.account()}
    arming = state.arming.at(at)
    shown: dict[str, Any] = {
        "id": contact_id,
        "aliases": state.aliases,
        "merged": state.merged,
        "account": account if account["domain"] or account["traits"] else None,
        "traits": state.profile(),
        "opted_out": state.is_opted_out,
        "first_touch_at": _instant(state.first_at),
        "last_touch_at": _instant(state.last_at),
        "first_campaign": campaign_of(state.first_campaign),
        "last_campaign": campaign_of(state.last_campaign),
        "arming": {
            "state": arming.kind,
            "handoff_id": arming.handoff_id,
            # While a handoff is open: when engagement will have fallen so far that the contact is armed again.
            "until": _instant(arming.rearms_at) if arming.kind is not ArmingKind.ARMED else None,
        },
    }
    if terms is None:
        nothing = _score(Score(0.0))
        scores = {"engagement": nothing, "fit": nothing, "touches": state.touches, "stage": None, "ready": False}
        return shown | scores | {"missing": ["no active agreement"], "agreement": None, "as_of": as_of}
    assessment = assess_now(state, terms, at)
    return shown | {
        "engagement": _score(assessment.engagement),
        "fit": _score(assessment.fit),
        "touches": assessment.touches,
        "stage": assessment.stage,
        "ready": assessment.ready,
        "missing": assessment.missing,
        "agreement": terms.version,
        "as_of": as_of,
    }


def show_touch(judged: Judged, terms: Terms | None) -> dict[str, Any]:
    """Return a touch with the rules of the agreement that it meets, and what speaks against it.

    `suspect` is null when nothing does and nobody decided anything; else `counts` tells what came of it.
    """
    touch = judged.touch
    suspect = None
    if judged.reason or judged.trusted is not None:
        suspect = {
            "reason": judged.reason or None,
            "counts": not judged.suspect,
            "overruled": judged.trusted is not None,
            "by": judged.trusted_by,
            "at": judged.trusted_at,
        }
    summary = summarize(touch, terms)
    return {
        "id": touch.id,
        "type": touch.type,
        "name": touch.name,
        "occurred_at": touch.occurred_at,
        "received_at": touch.received_at,
        "source": touch.source,
        "kind": touch.kind,
        "url": touch.url,
        "path": touch.path,
        "title": touch.title,
        "referrer": touch.referrer,
        "campaign": touch.campaign,
        "properties": touch.properties,
        "rules": summary.rules,
        "suspect": suspect,
    }


def show_version(version: Version) -> dict[str, Any]:
    """Return a version of the agreement; `hash` is what is signed."""
    return {
        "version": version.version,
        "hash": version.content_hash,
        "title": version.title,
        "status": version.status,
        "proposed_by": version.proposed_by,
        "proposed_at": version.proposed_at,
        "activated_at": version.activated_at,
        "signatures": [
            {"side": signature.side, "signed_by": signature.signed_by, "signed_at": signature.signed_at}
            for signature in version.signatures
        ],
        "text": version.text,
    }


def show_replay(progress: Progress | None) -> dict[str, Any] | None:
    """Return how far the counting before a version is in force is; null where its touches count as before."""
    if progress is None:
        return None
    return {
        "replaces": progress.replaces,
        "started_at": progress.started_at,
        "finished_at": progress.finished_at,
        "contacts": progress.contacts,
        "progress": round(progress.share, 4),
    }


def _score(score: Score) -> dict[str, Any]:
    return {"score": score.score, "parts": [_part(part) for part in score.parts]}


def _part(part: Part) -> dict[str, Any]:
    """Return a counted rule with all of its numbers, zeros too; of others only what there is."""
    shown: dict[str, Any] = msgspec.to_builtins(part)
    if part.rule and part.group:
        shown |= {"count": part.count, "decayed": part.decayed, "points": part.points}
    return shown


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)

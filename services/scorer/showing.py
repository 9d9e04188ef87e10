"""What the API shows: contacts, touches and agreements as JSON."""

from datetime import datetime
from typing import Any

import msgspec

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.briefing import summarize
from services.scorer.domain.explaining import cooling, evidence_shown, sums_of_groups, unmet_rules, words_of
from services.scorer.domain.fit import unknown_traits, unmet_traits
from services.scorer.domain.instants import from_micros, to_micros
from services.scorer.domain.readiness import assess, heeding_request
from services.scorer.domain.shown import shown, shown_parts
from services.scorer.domain.state import campaign_of
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from services.scorer.standing import Standing
from services.scorer.store.agreements import Version
from services.scorer.store.replays import Progress
from shared.events.explanation import Part, Score


def show_contact(standing: Standing) -> dict[str, Any]:
    """Return a contact with its scores at the instant. Without an agreement there is nothing to score by."""
    state = standing.state
    account = {"id": state.account_id(), "domain": state.account_domain(), "traits": state.account()}
    return {
        "id": standing.contact_id,
        "aliases": state.aliases,
        "merged": state.merged,
        "account": account if account["domain"] or account["traits"] else None,
        "traits": state.profile(),
        "opted_out": state.is_opted_out,
        "first_touch_at": _instant(state.first_at),
        "last_touch_at": _instant(state.last_at),
        "first_campaign": campaign_of(state.first_campaign),
        "last_campaign": campaign_of(state.last_campaign),
        "arming": _arming(standing.arming),
        **_scores(standing, to_micros(standing.as_of)),
        "as_of": standing.as_of,
    }


def _scores(standing: Standing, at: int) -> dict[str, Any]:
    state, terms = standing.state, standing.terms
    if terms is None:
        nothing = {"score": 0.0, "shown": shown(0.0), "parts": []}
        return {
            "engagement": nothing | {"groups": [], "unmet": []},
            "fit": nothing | {"unmet": [], "unknown": []},
            "touches": state.touches,
            "stage": None,
            "evidence": [],
            "ready": False,
            "missing": ["no active agreement"],
            "gaps": [],
            "cooling": None,
            "agreement": None,
        }
    by_threshold = assess(state, terms, at)
    assessment = heeding_request(by_threshold, standing.arming) if standing.arming else by_threshold
    ready = terms.agreement.ready
    engagement = _score(assessment.engagement, level=ready.engagement, opted_out=state.is_opted_out)
    fit = _score(assessment.fit, level=ready.fit)
    return {
        "engagement": engagement
        | {"groups": sums_of_groups(assessment.engagement, terms), "unmet": unmet_rules(state, terms)},
        "fit": fit | {"unmet": unmet_traits(state, terms), "unknown": unknown_traits(state, terms)},
        "touches": assessment.touches,
        "stage": assessment.stage,
        "evidence": evidence_shown(state, terms, at),
        "ready": assessment.ready,
        "missing": assessment.missing,
        "gaps": assessment.gaps,
        "cooling": cooling(state, terms, at, by_threshold),
        "agreement": terms.version,
    }


def _arming(arming: Arming | None) -> dict[str, Any]:
    if arming is None:
        return {
            "state": None,
            "handoff_id": None,
            "until": None,
            "words": "not known: it follows a handoff of an earlier release",
        }
    return {
        "state": arming.kind,
        "handoff_id": arming.handoff_id,
        # While a handoff is open: when engagement will have fallen so far that the contact is armed again.
        "until": _instant(arming.rearms_at) if arming.kind is not ArmingKind.ARMED else None,
        "words": words_of(arming),
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
            {
                "side": signature.side,
                "signed_by": signature.signed_by,
                "signed_at": signature.signed_at,
                "hash": signature.content_hash,
                "key": signature.key_fingerprint,
            }
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


def _score(score: Score, *, level: float, opted_out: bool = False) -> dict[str, Any]:
    digits = shown_parts([part.value for part in score.parts], score.score, level=level)
    parts = [
        _part(part, opted_out=opted_out) | {"shown": digit} for part, digit in zip(score.parts, digits, strict=True)
    ]
    return {"score": score.score, "shown": shown(score.score, level=level), "parts": parts}


def _part(part: Part, *, opted_out: bool) -> dict[str, Any]:
    """Return a counted rule with all of its numbers, zeros too; of others only what there is."""
    told: dict[str, Any] = msgspec.to_builtins(part)
    if part.rule and part.group:
        told |= {"count": part.count, "decayed": part.decayed, "points": part.points}
        told |= {"suspect": part.suspect, "over": part.over, "opted_out": part.count if opted_out else 0}
    return told


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)

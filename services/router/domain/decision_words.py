"""A decision in words: why this rep, and why not another. Rules count from 1, as people count them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

import msgspec

from services.router.domain.assignment import Candidate, Decision, Outcome, Tried
from services.router.domain.availability import Why
from services.router.domain.team import Owner


@dataclass(frozen=True, slots=True)
class RepAnswer:
    """Why a rep got a handoff, or why not."""

    rep: str
    got: bool
    words: str
    candidate: Candidate | None = None  # None: no rule that was tried names them


def read_decision(stored: Mapping[str, Any]) -> Decision:
    """Read a decision as it was stored, by this version or one before it."""
    return msgspec.convert(stored, Decision)


def explain(decision: Decision) -> list[str]:
    """Return what was tried, in order, and what came of it."""
    lines = []
    for tried in decision.tried:
        lines.append(_tried(tried))
        lines += [_candidate(candidate, decision) for candidate in tried.candidates]
    return lines + [_candidate(candidate, decision) for candidate in decision.candidates]


def explain_rep(decision: Decision, rep: str) -> RepAnswer:
    """Return why the rep got it, or why not."""
    seen = [candidate for candidate in _all_candidates(decision) if candidate.rep.casefold() == rep.casefold()]
    if seen:
        last = seen[-1]
        return RepAnswer(last.rep, got=last.why is Why.CHOSEN, words=_candidate(last, decision), candidate=last)
    return RepAnswer(rep, got=False, words=f"{rep} was not considered. {_destination(decision)}")


def _all_candidates(decision: Decision) -> Sequence[Candidate]:
    earlier = [candidate for tried in decision.tried for candidate in tried.candidates]
    return [*earlier, *decision.candidates]


def _destination(decision: Decision) -> str:
    last = decision.tried[-1] if decision.tried else None
    if last is not None:
        return _tried(last)
    return f"It went to the pool {decision.route.pool}."


def _tried(tried: Tried) -> str:
    rule = "The default" if tried.rule is None else f"Rule {tried.rule + 1}"
    match tried.outcome:
        case Outcome.UNMET:
            return f"{rule} does not hold: {tried.field} is something else."
        case Outcome.NO_OWNER:
            what = "had this contact before" if tried.owner is Owner.PREVIOUS else "owns the account"
            return f"{rule} does not hold: nobody of the team {what}."
        case Outcome.HOLD_ENDED:
            return f"{rule} held it, and holds it no longer."
        case Outcome.HELD:
            until = f"until {_instant(tried.until)}" if tried.until else "until somebody releases it"
            return f"{rule} holds it {until}{f': {tried.note}' if tried.note else ''}."
        case Outcome.UNAVAILABLE:
            return f"{rule} gives it to {_target(tried)}, but nobody there can take it now: the next rule was tried."
        case Outcome.WAITS:
            return f"{rule} gives it to {_target(tried)}, but nobody there can take it now: it waits."
        case Outcome.CHOSEN:
            return f"{rule} gives it to {_target(tried)}."
        case _:
            assert_never(tried.outcome)


def _target(tried: Tried) -> str:
    if tried.rep is None:
        return f"the pool {tried.pool}"
    match tried.owner:
        case Owner.ACCOUNT:
            return f"{tried.rep}, who owns the account"
        case Owner.PREVIOUS:
            return f"{tried.rep}, who had this contact before"
        case None:
            return tried.rep
        case _:
            assert_never(tried.owner)


def _candidate(candidate: Candidate, decision: Decision) -> str:
    rep, owed = candidate.rep, f"owed {candidate.owed_before:.2f} before, {candidate.owed_after:.2f} after"
    match candidate.why:
        case Why.CHOSEN if decision.route.rep is not None:
            return f"{rep} got it by name."
        case Why.CHOSEN:
            return f"{rep} got it: it was their turn ({owed})."
        case Why.NOT_THEIR_TURN:
            return f"{rep} could have taken it, but it was the turn of {decision.rep} ({owed})."
        case why:
            back = f"; next: {_instant(candidate.until)}" if candidate.until else ""
            return f"{rep} {_obstacle(why, candidate)}{back}."


def _obstacle(why: Why, candidate: Candidate) -> str:
    words = {
        Why.EXCLUDED: f"must not get it{f': {candidate.note}' if candidate.note else ''}",
        Why.AWAY: "is away",
        Why.TIME_OFF: "has time off",
        Why.HOLIDAY: "has a public holiday",
        Why.OFF_HOURS: "does not work at this hour",
        Why.FULL: f"is full: {candidate.open} of {candidate.capacity} handoffs are open",
        Why.DAILY_CAP: f"was given {candidate.day} within 24 hours, of {candidate.per_day} at most",
        Why.HOURLY_CAP: f"was given {candidate.hour} within the hour, of {candidate.per_hour} at most",
    }
    return words[why]


def _instant(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""

"""Readiness: whether the agreement's threshold holds, and what is missing in the words of the agreement."""

from dataclasses import dataclass

from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.engagement import engagement, group_sums, within_caps
from services.scorer.domain.fit import fit
from services.scorer.domain.stage import reaches, stage
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.agreement.model import Stage
from shared.events.explanation import Score

_ESTIMATE_ERROR = 1e-3  # far more than `within_caps` can be off


@dataclass(frozen=True, slots=True)
class Assessment:
    """A contact as the agreement sees it at one instant. Ready: nothing is missing."""

    engagement: Score
    fit: Score
    stage: Stage | None
    touches: int
    missing: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether the contact is sales-ready."""
        return not self.missing


def assess(state: ContactState, terms: Terms, at: int) -> Assessment:
    """Hold the contact against the threshold."""
    ready = terms.agreement.ready
    engaged = engagement(state, terms, at)
    fitting = fit(state, terms)
    reached = stage(state, terms, at)
    missing = []
    if state.is_opted_out:
        missing.append("opted out")
    missing += [f"disqualified by {rule_id}" for rule_id in fitting.disqualified_by]
    if engaged.score < terms.threshold:
        missing.append(f"engagement {below(engaged.score, ready.engagement)} of {ready.engagement:g}")
    if fitting.score.score < terms.least_fit:
        missing.append(f"fit {below(fitting.score.score, ready.fit)} of {ready.fit:g}")
    if state.touches < ready.touches:
        more = ready.touches - state.touches
        missing.append(f"{more} more {'touch' if more == 1 else 'touches'}")
    if ready.stage is not None and not reaches(reached, ready.stage):
        missing.append(f"stage {reached}, needs {ready.stage}" if reached else f"stage unknown, needs {ready.stage}")
    return Assessment(engaged, fitting.score, reached, state.touches, tuple(missing))


def assess_now(state: ContactState, terms: Terms, at: int) -> Assessment:
    """Like `assess`, for showing: asking for sales makes a contact ready for as long as that handoff is open."""
    assessment = assess(state, terms, at)
    arming = state.arming.at(at)
    asked = arming.kind is ArmingKind.HANDED and arming.reason == "hand_raise"
    if asked and not state.is_opted_out and not fit(state, terms).disqualified_by:
        return Assessment(assessment.engagement, assessment.fit, assessment.stage, assessment.touches, ())
    return assessment


def may_be_ready(state: ContactState, terms: Terms, at: int) -> bool:
    """Tell cheaply that `assess` need not be asked: False only when something is missing for sure."""
    ready = terms.agreement.ready
    return (  # the cheapest first
        state.touches >= ready.touches
        and not state.is_opted_out
        and _fit_score(state, terms) >= terms.least_fit
        and within_caps(group_sums(state, terms, at), terms) >= ready.engagement - _ESTIMATE_ERROR
        and reaches(stage(state, terms, at), ready.stage)
    )


def _fit_score(state: ContactState, terms: Terms) -> float:
    """Return the fit, reckoned once until what it depends on changes."""
    if state.fit is None:
        state.fit = fit(state, terms).score.score
    return state.fit


def below(score: float, level: float) -> str:
    """Write a score that is below the level so that it does not look like the level: 49.97, not 50.0."""
    for digits in (1, 2, 4, 9):
        written = f"{score:.{digits}f}"
        if float(written) < level:
            return written
    return repr(score)

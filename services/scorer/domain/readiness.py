"""Readiness: whether the agreement's threshold holds, and what is missing."""

from dataclasses import dataclass, replace

from services.scorer.domain import gaps
from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.engagement import engagement, group_sums, within_caps
from services.scorer.domain.fit import fit, unknown_traits
from services.scorer.domain.gaps import Gap
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
    gaps: tuple[Gap, ...]

    @property
    def ready(self) -> bool:
        """Whether the contact is sales-ready."""
        return not self.gaps

    @property
    def missing(self) -> tuple[str, ...]:
        """What is missing in words."""
        return tuple(gap.words for gap in self.gaps)


def assess(state: ContactState, terms: Terms, at: int) -> Assessment:
    """Hold the contact against the threshold."""
    ready = terms.agreement.ready
    engaged = engagement(state, terms, at)
    fitting = fit(state, terms)
    reached = stage(state, terms, at)
    found = []
    if state.is_opted_out:
        found.append(gaps.opted_out())
    found += [gaps.disqualified(rule_id) for rule_id in fitting.disqualified_by]
    if engaged.score < terms.threshold:
        found.append(gaps.engagement_below(engaged.score, ready.engagement))
    if fitting.score.score < terms.least_fit:
        found.append(gaps.fit_below(fitting.score.score, ready.fit, unknown_traits(state, terms)))
    if state.touches < ready.touches:
        found.append(gaps.touches_short(state.touches, ready.touches))
    if ready.stage is not None and not reaches(reached, ready.stage):
        found.append(gaps.stage_short(reached, ready.stage))
    return Assessment(engaged, fitting.score, reached, state.touches, tuple(found))


def heeding_request(assessment: Assessment, arming: Arming) -> Assessment:
    """Return the assessment for showing: asking for sales makes a contact ready for as long as that handoff is open."""
    asked = arming.kind is ArmingKind.HANDED and arming.reason == "hand_raise"
    if asked and not any(gap.what in {"opted_out", "disqualified"} for gap in assessment.gaps):
        return replace(assessment, gaps=())
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

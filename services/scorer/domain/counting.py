"""Counting: what a touch adds to what is known about its contact."""

from collections.abc import Iterable
from typing import Any

from services.scorer.domain.decay import DecayedCount
from services.scorer.domain.instants import DAY, Micros, to_micros
from services.scorer.domain.state import ContactState, Prepared, RuleCount, Stamped, Told, hashed
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.touch import Touch
from shared.events.vocabulary import is_own_doing


def happened_at(touch: Touch) -> Micros:
    """Return when the touch counts as having happened: from a clock that is fast, when it was received.

    What is yet to come would weigh more than one, and outlast every later word on the same trait.
    """
    return to_micros(min(touch.occurred_at, touch.received_at))


def learn(state: ContactState, touch: Touch, at: Micros) -> bool:
    """Take in what holds under any agreement: who the contact is, how often it acted. `at`: when it happened.

    Return whether the touch turned it from reachable to opted out.
    """
    if is_own_doing(touch):
        state.touches += 1
    if state.first_at is None or at < state.first_at:
        state.first_at = at
    if state.last_at is None or at > state.last_at:
        state.last_at = at
    if touch.campaign is not None:
        _learn_campaign(state, touch, at)
    return learn_identity(state, touch, at)


def learn_identity(state: ContactState, touch: Touch, at: Micros) -> bool:
    """Take in what even a suspect touch tells: who the contact is, and whether it wants to be contacted.

    Return whether the touch turned it from reachable to opted out.
    """
    for alias in touch.aliases:
        if alias not in state.aliases and not (state.parted and hashed(alias) in state.parted):
            state.aliases = sorted((*state.aliases, alias))
            state.fit = None
    if touch.traits:
        state.fit = None
        told = state.told()
        _keep_newest(told, touch.traits, at=at, touch=touch)
        state.tell(told)
    if touch.account_domain or touch.account_traits:
        state.fit = None
        _learn_account(state, touch, at)
    return touch.opted_out is not None and _heed(state, touch, at)


def count(state: ContactState, touch: Touch, at: Micros, *, terms: Terms) -> tuple[int, ...]:
    """Count the touch, which happened `at`, for every rule it meets, and return the indexes of these rules."""
    if terms.upcoming is not None and is_prepared(state, terms.upcoming):
        _count(_prepared(state), touch, at, terms.upcoming)
    return _count(state.rules, touch, at, terms)


def _count(counts: dict[str, RuleCount], touch: Touch, at: Micros, terms: Terms) -> tuple[int, ...]:
    met = terms.matcher.match(touch)
    if met:
        rules = terms.agreement.rules
        for index in met:
            rule = rules[index]
            kept = counts.get(rule.id)
            if kept is None:
                counts[rule.id] = kept = RuleCount(DecayedCount())
            kept.last = max(kept.last, at)
            if rule.per_day is None:
                kept.decayed.add(at, terms.half_life)
            else:
                # All of a day weigh as of its noon: so it does not matter which of them counted.
                day = at // DAY
                counted = kept.days.get(day, 0)
                if counted >= rule.per_day:
                    kept.over += 1
                    continue
                kept.days[day] = counted + 1
                kept.decayed.add(day * DAY + DAY // 2, terms.half_life)
            kept.count += 1
    return met


def note_suspect(state: ContactState, touch: Touch, *, terms: Terms) -> None:
    """Note for each rule the touch meets that it would have counted. It is worth nothing, and no evidence."""
    if terms.upcoming is not None and is_prepared(state, terms.upcoming):
        _note_suspect(_prepared(state), touch, terms.upcoming)
    _note_suspect(state.rules, touch, terms)


def _note_suspect(counts: dict[str, RuleCount], touch: Touch, terms: Terms) -> None:
    rules = terms.agreement.rules
    for index in terms.matcher.match(touch):
        kept = counts.get(rules[index].id)
        if kept is None:
            counts[rules[index].id] = kept = RuleCount(DecayedCount())
        kept.suspect += 1


def start_counting(state: ContactState, terms: Terms) -> None:
    """Forget what rules counted, to count all of the contact's touches under these terms, and under what follows."""
    state.rules = {}
    state.counting = terms.counting
    state.prepared = None if terms.upcoming is None else Prepared(terms.upcoming.version)


def prepare(state: ContactState, history: Iterable[Judged], upcoming: Terms) -> None:
    """Count all of the contact's touches so far under terms that are not in force yet, beside what is."""
    counts: dict[str, RuleCount] = {}
    for judged in history:
        if judged.suspect:
            _note_suspect(counts, judged.touch, upcoming)
        else:
            _count(counts, judged.touch, happened_at(judged.touch), upcoming)
    state.prepared = Prepared(upcoming.version, counts)


def is_prepared(state: ContactState, terms: Terms) -> bool:
    """Tell whether the counts under these terms are there, whole."""
    return state.prepared is not None and state.prepared.version == terms.version


def take_prepared(state: ContactState, terms: Terms) -> None:
    """Let the counts that were prepared under these terms be those that hold."""
    state.rules = _prepared(state)
    state.counting = terms.counting
    state.prepared = None


def _prepared(state: ContactState) -> dict[str, RuleCount]:
    assert state.prepared is not None, "asked only where the counts are prepared"
    return state.prepared.rules


def _learn_account(state: ContactState, touch: Touch, at: int) -> None:
    if touch.account_domain:
        said = Stamped(touch.account_domain, at, touch.id)
        if said.beats(state.domain):
            state.domain = said
    if touch.account_traits:
        accounts = state.told_of_accounts()
        _keep_newest(accounts.setdefault(touch.account_domain, {}), touch.account_traits, at=at, touch=touch)
        state.tell_of_accounts(accounts)


def _learn_campaign(state: ContactState, touch: Touch, at: int) -> None:
    said = Stamped(touch.campaign, at, touch.id)
    if state.first_campaign is None or not said.beats(state.first_campaign):
        state.first_campaign = said
    if said.beats(state.last_campaign):
        state.last_campaign = said


def _keep_newest(kept: Told, said: dict[str, Any], *, at: int, touch: Touch) -> None:
    for key, value in said.items():
        stamped = Stamped(value, at, touch.id)
        if stamped.beats(kept.get(key)):
            kept[key] = stamped


def _heed(state: ContactState, touch: Touch, at: int) -> bool:
    """Let the newest word on contacting win; said twice at one instant, the wish to be left alone does."""
    was_out = state.is_opted_out
    said = Stamped(touch.opted_out, at, touch.id)
    held = state.opted_out
    if held is None or (said.at, bool(said.value), said.touch_id) > (held.at, bool(held.value), held.touch_id):
        state.opted_out = said
    return state.is_opted_out and not was_out

"""The rules of a team, tried in order: pool, rep, owner, hold, and the words for all of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.router.domain.assignment import Decision, Outcome, decide
from services.router.domain.availability import Load, Roster, Why
from services.router.domain.decision_words import explain, explain_rep, read_decision
from services.router.domain.routing import Case
from services.router.domain.team import Hold, Member, Owner, Pool, Rep, Rule, Team, Unavailable
from shared.agreement.model import Condition
from tests.support.handoffs import DECIDED_AT, make_handoff

LARGE = (Condition(field="account.employees", any_of=(">= 500",)),)


def team(*rules: Rule, away: tuple[str, ...] = ()) -> Team:
    names = ("Ada", "Bo", "Cy")
    return Team(
        version=3,
        reps=tuple(
            Rep(name=name, email=f"{name.lower()}@harbour.example", capacity=2, away=name in away) for name in names
        ),
        pools=(Pool("everyone", (Member("Ada"), Member("Bo"))), Pool("large", (Member("Cy"),))),
        rules=rules,
        default_pool="everyone",
    )


def ask(
    of: Team, *, employees: int = 900, owner: str | None = None, full: tuple[str, ...] = (), **case: Any
) -> Decision:
    account = {"employees": employees, **({"owner": owner} if owner else {})}
    contact = make_handoff(account=account).contact
    now = case.pop("now", DECIDED_AT)
    roster = Roster(of, {name: Load(open=2) for name in full}, now=now)
    decided = decide(Case(contact=contact, arrived_at=DECIDED_AT, **case), roster, owed=of.owed)
    assert decided is not None
    return decided[0]


def test_a_named_rep_gets_it() -> None:
    """Whoever's turn it would be."""
    decision = ask(team(Rule(when=LARGE, rep="Bo", unavailable=Unavailable.NEXT)))

    assert (decision.rep, decision.route.pool, decision.route.rep) == ("Bo", "everyone", "Bo")


def test_a_named_rep_who_cannot() -> None:
    """The next rule is tried, or it waits for them, as the rule says; either way it goes on when they are free."""
    falls = ask(team(Rule(when=LARGE, rep="Cy", unavailable=Unavailable.NEXT)), full=("Cy",))
    waits = ask(team(Rule(when=LARGE, rep="Cy", unavailable=Unavailable.WAIT)), full=("Cy",))
    nobody = ask(team(Rule(when=LARGE, rep="Cy", unavailable=Unavailable.NEXT)), full=("Ada", "Bo", "Cy"))

    assert falls.rep == "Ada"
    assert [tried.outcome for tried in falls.tried] == [Outcome.UNAVAILABLE, Outcome.CHOSEN]
    assert (waits.rep, waits.waits_for) == (None, ("rep:Cy",))
    assert (nobody.rep, nobody.waits_for) == (None, ("rep:Cy", "pool:everyone"))


def test_a_pool_that_overflows() -> None:
    """A pool's rule may let the next rule take what its members cannot."""
    assert ask(team(Rule(when=LARGE, pool="large", unavailable=Unavailable.NEXT)), full=("Cy",)).rep == "Ada"
    assert ask(team(Rule(when=LARGE, pool="large")), full=("Cy",)).waits_for == ("pool:large",)


@pytest.mark.parametrize(
    ("owner", "account_rep", "got"),
    [
        ("CY@harbour.example ", None, "Cy"),
        ("bo", "Cy", "Bo"),  # the account's own word comes first
        (None, "Cy", "Cy"),
        ("Zoe", "Cy", "Ada"),  # owned by somebody outside the team: nobody takes it from them by this rule
        (None, None, "Ada"),
        (None, "Zoe", "Ada"),  # left the team
    ],
)
def test_the_owner_of_the_account(owner: str | None, account_rep: str | None, got: str) -> None:
    """Whom the account names, else who has another handoff of it; nobody: the next rule."""
    rule = Rule(owner=Owner.ACCOUNT, unavailable=Unavailable.NEXT)

    assert ask(team(rule), owner=owner, account_rep=account_rep).rep == got


def test_the_previous_owner() -> None:
    """Who had the contact before gets it again."""
    rule = Rule(owner=Owner.PREVIOUS, unavailable=Unavailable.NEXT)

    assert ask(team(rule), previous_rep="Cy").rep == "Cy"
    assert [tried.outcome for tried in ask(team(rule)).tried] == [Outcome.NO_OWNER, Outcome.CHOSEN]


def test_a_handoff_that_is_held() -> None:
    """For a while, and then the rules below; or until somebody releases it."""
    for_a_while = team(Rule(when=LARGE, hold=Hold(duration=timedelta(hours=2))))
    until_released = team(Rule(when=LARGE, hold=Hold(reason="legal review")))
    held = ask(for_a_while)

    assert (held.rep, held.route.pool, held.held_until) == (None, None, DECIDED_AT + timedelta(hours=2))
    assert ask(for_a_while, now=DECIDED_AT + timedelta(hours=2)).rep == "Ada"
    assert ask(until_released, now=DECIDED_AT + timedelta(days=900)).rep is None
    assert ask(until_released, released=True).rep == "Ada"
    assert explain(ask(until_released)) == ["Rule 1 holds it until somebody releases it: legal review."]


def test_reps_who_must_not_get_it() -> None:
    """Nobody is given again what they let lie; a rule that names them is passed, also when it would wait."""
    excluded = {"Cy": "had it already and did not answer", "Ada": "refused it"}
    decision = ask(team(Rule(when=LARGE, rep="Cy", unavailable=Unavailable.WAIT)), excluded=excluded)

    assert decision.rep == "Bo"
    assert decision.tried[0].outcome is Outcome.UNAVAILABLE
    assert explain_rep(decision, "ada").words == "Ada must not get it: refused it."
    assert ask(team(), excluded=dict.fromkeys(("Ada", "Bo"), "had it")).waits_for == ()
    assert ask(team(), excluded={"Ada": "had it"}, full=("Bo",)).waits_for == ("member:everyone:Bo",)


def test_a_name_does_not_take_a_turn() -> None:
    """Only what the pool shares out counts for its turns."""
    of = team(Rule(when=LARGE, rep="Bo", unavailable=Unavailable.NEXT))
    roster = Roster(of, {}, now=DECIDED_AT)
    decided = decide(
        Case(contact=make_handoff(account={"employees": 900}).contact, arrived_at=DECIDED_AT), roster, owed={}
    )

    assert decided is not None
    assert decided[1] is None


def test_true_is_not_one() -> None:
    """Two conditions that Python finds equal are two."""
    for pattern, value, holds in ((True, True, True), (1.0, 1, True), (True, 1, False), (1.0, True, False)):
        rule = Rule(when=(Condition(field="account.vip", any_of=(pattern,)),), pool="large")
        contact = make_handoff(account={"vip": value}).contact
        decided = decide(Case(contact=contact, arrived_at=DECIDED_AT), Roster(team(rule), {}, now=DECIDED_AT), owed={})

        assert decided is not None
        assert (decided[0].route.pool == "large") is holds


def test_why_me_and_why_not_me() -> None:
    """Each candidate has an answer in words; so has who was none."""
    decision = ask(team(Rule(when=LARGE, rep="Cy", unavailable=Unavailable.NEXT), away=("Bo",)), full=("Cy",))

    assert explain(decision) == [
        "Rule 1 gives it to Cy, but nobody there can take it now: the next rule was tried.",
        "Cy is full: 2 of 2 handoffs are open.",
        "The default gives it to the pool everyone.",
        "Ada got it: it was their turn (owed 0.00 before, 0.00 after).",
        "Bo is away.",
    ]
    assert explain_rep(decision, "Ada").got
    assert not explain_rep(decision, "Bo").got
    assert explain_rep(decision, "Zoe").words == ("Zoe was not considered. The default gives it to the pool everyone.")


@pytest.mark.parametrize("why", [why for why in Why if why not in {Why.CHOSEN, Why.NOT_THEIR_TURN}])
def test_every_obstacle_has_words(why: Why) -> None:
    """With the instant at which it ends, where time ends it."""
    decision = ask(team())
    candidate = msgspec.structs.replace(decision.candidates[1], why=why, until=DECIDED_AT)
    told = explain_rep(replace(decision, tried=(), candidates=(candidate,)), "Bo")

    assert told.words.startswith("Bo ")
    assert told.words.endswith("; next: 2026-03-02 10:30 UTC.")


def test_decisions_stored_before_rules_were() -> None:
    """They are read and explained as far as they tell."""
    turn = {"weight": 1, "capacity": 5, "owed_before": 0, "owed_after": 0.5}
    stored = {
        "route": {"pool": "growth", "rule": 1},
        "rep": "Ada",
        "team_version": 2,
        "candidates": [
            {"rep": "Ada", "why": "chosen", "open": 3, **turn},
            {"rep": "Bo", "why": "full", "open": 5, **turn},
        ],
    }
    decision = read_decision(stored)

    assert [explain_rep(decision, rep).got for rep in ("Ada", "Bo")] == [True, False]
    assert explain_rep(decision, "Cy").words == "Cy was not considered. It went to the pool growth."
    assert read_decision(msgspec.to_builtins(ask(team()))) == ask(team())

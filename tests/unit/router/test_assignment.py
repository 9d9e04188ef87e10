"""Who gets a handoff, and why the others do not."""

from collections.abc import Mapping

import pytest

from services.router.domain.assignment import Outcome, decide
from services.router.domain.availability import Load, Roster, Why
from services.router.domain.endpoint import Endpoint
from services.router.domain.queue import Plan, Waiting, plan_assignments
from services.router.domain.routing import Case
from services.router.domain.team import Member, Pool, Rep, Rule, Team
from shared.agreement.model import Condition
from shared.events.handoff import HandoffReady
from tests.support.handoffs import DECIDED_AT, make_handoff


def make_team(*, capacity: int = 5, away: bool = False) -> Team:
    return Team(
        version=7,
        reps=(
            Rep(name="Rita", email="rita@harbour.example", capacity=capacity, away=away),
            Rep(name="Sven", email="sven@harbour.example", capacity=capacity),
            Rep(name="Olga", email="olga@harbour.example", capacity=1),
        ),
        pools=(
            Pool(name="everyone", members=(Member("Rita"), Member("Sven"))),
            Pool(name="large", members=(Member("Olga"), Member("Rita"))),
        ),
        rules=(Rule(when=(Condition(field="account.employees", any_of=(">= 500",)),), pool="large"),),
        default_pool="everyone",
        endpoints=(
            Endpoint(name="crm", url="https://crm.example/"),
            Endpoint(name="olga", url="https://chat.example/", reps=("Olga",)),
            Endpoint(name="small", url="https://small.example/", pools=("everyone",)),
        ),
    )


def waiting(*handoffs: HandoffReady) -> list[Waiting]:
    return [
        Waiting(
            id=handoff.id,
            contact_id=handoff.contact.id,
            ready=handoff,
            arrived_at=handoff.decided_at,
            clock_from=handoff.decided_at,
            pool=None,
            team_version=None,
            assignments=0,
            steps=0,
            traceparent=None,
        )
        for handoff in handoffs
    ]


def roster(team: Team, open_handoffs: Mapping[str, int] | None = None) -> Roster:
    loads = {rep: Load(open=count) for rep, count in (open_handoffs or {}).items()}
    return Roster(team, loads, now=DECIDED_AT)


def plan(team: Team, handoffs: list[Waiting], *, open_handoffs: Mapping[str, int]) -> Plan:
    return plan_assignments(roster(team, open_handoffs), handoffs, public_url="https://t")


@pytest.mark.parametrize(
    ("employees", "pool", "rule"),
    [(499, "everyone", None), (500, "large", 0), ("1200", "large", 0), (None, "everyone", None)],
)
def test_the_pool(employees: object, pool: str, rule: int | None) -> None:
    """The first rule that holds picks the pool; where none does, it is the default."""
    case = Case(contact=make_handoff(account={"employees": employees}).contact, arrived_at=DECIDED_AT)
    decided = decide(case, roster(make_team()), owed={})

    assert decided is not None
    assert (decided[0].route.pool, decided[0].route.rule) == (pool, rule)
    assert [tried.outcome for tried in decided[0].tried] == [Outcome.UNMET, Outcome.CHOSEN][rule == 0 :]


def test_no_team() -> None:
    """Before anybody set up a team there is no pool."""
    case = Case(contact=make_handoff().contact, arrived_at=DECIDED_AT)

    assert decide(case, roster(Team()), owed={}) is None


def test_turns() -> None:
    """Equal members alternate, and the decision lists both with the reason."""
    planned = plan(make_team(), waiting(make_handoff(), make_handoff()), open_handoffs={})
    first, second = planned.assignments

    assert [first.rep, second.rep] == ["Rita", "Sven"]
    assert [(item.rep, item.why) for item in first.decision.candidates] == [
        ("Rita", Why.CHOSEN),
        ("Sven", Why.NOT_THEIR_TURN),
    ]
    assert first.decision.team_version == 7
    assert planned.owed["everyone"] == {"Rita": 0.0, "Sven": 0.0}


def test_somebody_away_and_somebody_full() -> None:
    """Who is away or full is listed with the reason, and nobody gets it."""
    planned = plan(make_team(away=True, capacity=2), waiting(make_handoff()), open_handoffs={"Sven": 2})
    (queued,) = planned.queued

    assert planned.assignments == ()
    assert queued.decision.rep is None
    assert [(item.why, item.open, item.capacity) for item in queued.decision.candidates] == [
        (Why.AWAY, 0, 2),
        (Why.FULL, 2, 2),
    ]


def test_capacity_within_one_plan() -> None:
    """What one handoff takes counts for the next, over all pools of a rep."""
    handoffs = [make_handoff(account={"employees": 900}) for _ in range(4)]
    planned = plan(make_team(capacity=2), waiting(*handoffs), open_handoffs={"Rita": 1})

    assert [item.rep for item in planned.assignments] == ["Olga", "Rita"]
    assert len(planned.queued) == 2


def test_endpoints_that_serve() -> None:
    """A message goes to every endpoint that serves the pool or the rep, or everybody."""
    planned = plan(make_team(), waiting(make_handoff(account={"employees": 900}), make_handoff()), open_handoffs={})

    assert [(item.rep, item.endpoints) for item in planned.assignments] == [
        ("Olga", ("crm", "olga")),
        ("Rita", ("crm", "small")),
    ]


def test_what_is_free() -> None:
    """A pool is free when one member is here and has room; so is a rep whom a rule may name."""
    free = ["pool:everyone", "member:everyone:Sven", "rep:Sven"]

    assert roster(make_team(), {"Olga": 1, "Rita": 5}).free() == free
    assert roster(make_team(away=True), {"Olga": 1}).free() == free
    assert roster(make_team(), {"Olga": 1, "Rita": 5, "Sven": 5}).free() == []

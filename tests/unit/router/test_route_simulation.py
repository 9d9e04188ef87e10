"""A draft of a team over past handoffs: the same decisions, on a clock that runs through the past."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.route_simulation import Held, Past, Start, simulate_routes
from services.router.domain.team import Hold, Member, Owner, Pool, Rep, Rule, Team, Unavailable
from shared.agreement.model import Condition
from shared.events.handoff import Respond
from tests.support.handoffs import DECIDED_AT, make_handoff

RESPOND = Respond(within_seconds=300, reassign_after_seconds=900, escalate_after_seconds=3600, hours="always")
END = DECIDED_AT + timedelta(days=2)


def team(*rules: Rule, names: tuple[str, ...] = ("Ada", "Bo"), **rep: Any) -> Team:
    return Team(
        reps=tuple(Rep(name=name, email=f"{name}@x.example", **{"capacity": 100, **rep}) for name in names),
        pools=(Pool("all", tuple(Member(name) for name in names)),),
        rules=rules,
        default_pool="all",
    )


def past(number: int, *, after: timedelta, busy: timedelta | None = None, rep: str | None = "Ada") -> Past:
    contact = make_handoff(contact_id=UUID(int=number + 1)).contact
    return Past(
        id=UUID(int=number + 1),
        contact=contact,
        arrived_at=DECIDED_AT + after,
        rank=1,
        respond=RESPOND,
        rep=rep,
        busy=busy,
    )


def test_who_would_have_got_what() -> None:
    """Turns go on from one to the next; what went to somebody else then is named."""
    result = simulate_routes(team(), [past(number, after=timedelta(minutes=number)) for number in range(4)], until=END)

    assert [(rep.rep, rep.got, rep.got_then) for rep in result.reps] == [("Ada", 2, 4), ("Bo", 2, 0)]
    assert (result.handoffs, result.assigned, result.changed, result.late) == (4, 4, 2, 0)
    assert [change["now"] for change in result.changes] == ["Bo", "Bo"]
    assert (result.pools, result.rules) == ({"all": 4}, {"default": 4})


def test_capacity_is_filled_as_long_as_it_was_then() -> None:
    """With room for one, the next waits until the first is answered: too late here; the third is never taken."""
    items = [
        past(0, after=timedelta(), busy=timedelta(hours=1)),
        past(1, after=timedelta(minutes=1)),
        past(2, after=timedelta(minutes=2)),
    ]
    result = simulate_routes(team(names=("Ada",), capacity=1), items, until=END)

    assert (result.assigned, result.waiting, result.waited, result.late) == (2, 1, 2, 2)
    assert [breach["assigned_at"] for breach in result.breaches] == [
        (DECIDED_AT + timedelta(hours=1)).isoformat(),
        None,
    ]
    assert result.reps[0].most_open == 1


def test_owners_and_holds() -> None:
    """Rules work as they do live: owners by what was given in the simulation, holds by the clock of the past."""
    rules = (
        Rule(when=(Condition(field="account.employees", any_of=(220.0,)),), hold=Hold(duration=timedelta(hours=3))),
        Rule(owner=Owner.ACCOUNT, unavailable=Unavailable.NEXT),
    )
    items = [past(number, after=timedelta(minutes=number)) for number in range(3)]
    result = simulate_routes(team(*rules), items, until=END)

    assert (result.rules, result.longest_wait_seconds) == ({"default": 1, "2": 2}, 10_800)
    assert [rep.got for rep in result.reps] == [3, 0]


@pytest.mark.parametrize("until", [DECIDED_AT - timedelta(days=1), DECIDED_AT])
def test_the_clock_stops(until: Any) -> None:
    """What came later is not looked at; with nothing to route, nothing is said."""
    result = simulate_routes(team(), [past(0, after=timedelta(seconds=1))], until=until)

    assert (result.handoffs, result.assigned) == (1, 0)
    assert simulate_routes(team(), [], until=until).assigned == 0


def test_what_was_open_before() -> None:
    """It fills its rep's capacity until it was answered then, and those of others leave their reps free."""
    before = [
        Held("Ada", UUID(int=900), None, DECIDED_AT + timedelta(minutes=30)),
        Held("Ada", UUID(int=901), None, None),
        Held("Cy, who left", UUID(int=902), None, DECIDED_AT + timedelta(days=1)),
    ]
    items = [past(number, after=timedelta(minutes=number)) for number in range(3)]
    result = simulate_routes(team(capacity=2), items, start=Start(held=before), until=END)
    empty = simulate_routes(team(capacity=2), items, until=END)

    assert [(rep.rep, rep.got, rep.most_open) for rep in result.reps] == [("Ada", 1, 2), ("Bo", 2, 2)]
    assert (result.open_before, result.longest_wait_seconds) == (3, 28 * 60.0)
    assert [(rep.rep, rep.got) for rep in empty.reps] == [("Ada", 2), ("Bo", 1)]


def test_what_was_given_before() -> None:
    """Caps look back over the start."""
    given = [("Ada", DECIDED_AT - timedelta(minutes=59)), ("Ada", DECIDED_AT - timedelta(minutes=20))]
    result = simulate_routes(
        team(names=("Ada",), per_hour=2), [past(0, after=timedelta(seconds=1))], start=Start(given=given), until=END
    )

    assert (result.assigned, result.waited) == (1, 1)
    assert timedelta(seconds=55) <= timedelta(seconds=result.longest_wait_seconds) <= timedelta(minutes=2)


def test_who_owned_it_before() -> None:
    """Rules about owners know who had the contact or the account when it begins."""
    contact = past(0, after=timedelta()).contact
    held = [Held("Bo", UUID(int=900), contact.account_id, None)]
    rules = (Rule(owner=Owner.ACCOUNT, unavailable=Unavailable.NEXT),)
    result = simulate_routes(team(*rules), [past(0, after=timedelta())], start=Start(held=held), until=END)

    assert result.rules == {"1": 1}
    assert [(rep.rep, rep.got) for rep in result.reps] == [("Ada", 0), ("Bo", 1)]


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 300)), max_size=40),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_caps_and_capacity_hold(steps: list[tuple[int, int]], capacity: int, per_hour: int, per_day: int) -> None:
    """Whatever came: nobody has more than they can, every handoff has an end, and it is the same each time."""
    at, items = timedelta(), []
    for number, (pause, busy) in enumerate(steps):
        at += timedelta(minutes=pause)
        items.append(past(number, after=at, busy=timedelta(minutes=busy)))
    draft = team(capacity=capacity, per_hour=per_hour, per_day=per_day)
    result = simulate_routes(draft, items, until=DECIDED_AT + timedelta(days=30))

    for rep in result.reps:
        assert rep.most_open <= capacity
        assert rep.most_within_hour <= per_hour
        assert rep.most_within_day <= per_day
    assert result.assigned + result.waiting == len(items)
    assert Counter({rep.rep: rep.got for rep in result.reps}).total() == result.assigned
    assert simulate_routes(draft, items, until=DECIDED_AT + timedelta(days=30)) == result

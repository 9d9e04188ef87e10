"""What changes between two teams, in words."""

from dataclasses import replace
from datetime import date, time

from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.domain.endpoint import Endpoint
from services.router.domain.team import Member, Owner, Pool, Rep, Rule, Team, TimeOff
from services.router.domain.team_diff import team_changes
from shared.agreement.model import Condition
from shared.business_calendar import BusinessCalendar, Shift

LARGE = Rule(when=(Condition(field="account.employees", any_of=(">= 500",)),), pool="growth")
TEAM = Team(
    version=4,
    reps=(
        Rep(name="Ada", email="ada@harbour.example", capacity=5),
        Rep(name="Bo", email="bo@harbour.example", capacity=5),
    ),
    pools=(Pool("growth", (Member("Ada"), Member("Bo"))),),
    rules=(LARGE,),
    default_pool="growth",
    endpoints=(Endpoint(name="crm", url="https://crm.example/"),),
    owed={"growth": {"Ada": 0.5, "Bo": -0.5}},
)
OFFICE = BusinessCalendar(zone="Europe/Berlin", week=(Shift(0, time(9), time()),))


def test_the_same_team() -> None:
    """Neither its version nor whose turn it is makes another team of it, nor a secret."""
    endpoint = Endpoint(name="crm", url="https://crm.example/", secret="whsec_x")

    assert team_changes(TEAM, replace(TEAM, version=9, owed={}, endpoints=(endpoint,))) == []


def test_everything_that_may_change() -> None:
    """Each change is one line that says what was and what is."""
    after = Team(
        reps=(
            Rep(
                name="Ada",
                email="ada@harbour.example",
                capacity=7,
                per_hour=5,
                off=(TimeOff(date(2026, 12, 21), date(2026, 12, 31)),),
            ),
            Rep(name="Cy", email="cy@harbour.example", capacity=5),
        ),
        pools=(Pool("growth", (Member("Ada", 2), Member("Cy")), manager="Cy"), Pool("small", (Member("Cy"),))),
        rules=(Rule(owner=Owner.ACCOUNT), LARGE),
        default_pool="small",
        endpoints=(Endpoint(name="crm", url="https://crm.example/v2"), Endpoint(name="chat", url="https://c.example/")),
        calendar=OFFICE,
    )

    assert team_changes(TEAM, after) == [
        "rep Ada: capacity 5 → 7",
        "rep Ada: per_hour none → 5",
        'rep Ada: time_off none → ["2026-12-21 to 2026-12-31"]',
        "rep Cy is new",
        "rep Bo leaves: what they have not answered goes to others",
        "pool growth: weight of Ada 1.0 → 2",
        "pool growth: Cy joins with weight 1",
        "pool growth: Bo leaves",
        "pool growth: manager none → Cy",
        "pool small is new",
        'rule 1 is new: {"owner":"account","unavailable":"wait"}',
        "default pool growth → small",
        'hours none → {"zone":"Europe/Berlin","week":{"mon":["09:00-24:00"]},"holidays":null,"closed":[]}',
        "endpoint crm: url https://crm.example/ → https://crm.example/v2",
        "endpoint chat is new",
    ]


names = st.lists(st.sampled_from(["Ada", "Bo", "Cy", "Di"]), unique=True, max_size=4)


@given(names, names, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_nothing_is_said_only_when_nothing_changes(
    before: list[str], after: list[str], capacity: int, capacity_after: int
) -> None:
    """Two teams differ exactly when there is a line."""

    def made(members: list[str], room: int) -> Team:
        return Team(reps=tuple(Rep(name=name, email=f"{name}@x.example", capacity=room) for name in sorted(members)))

    one, other = made(before, capacity), made(after, capacity_after)

    assert (team_changes(one, other) == []) is (one == other)

"""Promise 5 as a machine: whatever people do and whatever dies, a handoff has an owner or a queue that is watched."""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.router.domain.answer import needs_rep, steps_to
from services.router.domain.availability import Load, Roster
from services.router.domain.clock import ResponseClock
from services.router.domain.handoff import (
    MOST_OWNERS,
    OPEN,
    OWNED,
    QUEUED,
    State,
    Step,
    allows,
    is_final,
    owners_after,
    take,
)
from services.router.domain.queue import Waiting, plan_assignments
from services.router.domain.team import Member, Pool, Rep, Team
from services.router.errors import IllegalStep
from shared.business_calendar import BusinessCalendar, Shift
from shared.events.handoff import HandoffReady, Respond
from tests.support.handoffs import DECIDED_AT, make_handoff

NAMES = ("Ada", "Bo", "Cy")
OFFICE = BusinessCalendar(zone="Europe/Berlin", week=tuple(Shift(day, time(9), time(17)) for day in range(5)))
PROMISES = [
    Respond(within_seconds=300, reassign_after_seconds=900, escalate_after_seconds=3600, hours=hours)
    for hours in ("always", "business")
]


@dataclass(frozen=True)
class Lead:
    """A handoff as its row is."""

    ready: HandoffReady
    state: State = State.READY
    rep: str | None = None
    owners: tuple[str, ...] = ()
    came_at: datetime = DECIDED_AT
    given_at: datetime | None = None

    def clock(self, team: Team) -> ResponseClock:
        return ResponseClock.of(
            self.ready.respond,
            team,
            state=self.state,
            came_at=self.came_at,
            given_at=self.given_at,
            pool="everyone",
            rep=self.rep,
        )

    def after(self, step: Step, *, at: datetime, rep: str | None = None) -> "Lead":
        state = take(self.state, step)
        if state is self.state:
            return self
        if state in QUEUED:
            owners = owners_after(self.owners, self.rep)
            return replace(self, state=state, rep=None, given_at=None, owners=owners)
        if step in {Step.ASSIGN, Step.REASSIGN, Step.ESCALATE}:
            return replace(self, state=state, rep=rep, given_at=at)
        return replace(self, state=state, rep=rep or self.rep)


class World(RuleBasedStateMachine):
    """A team, its handoffs, and everything that happens to them. A step that dies is not taken at all."""

    def __init__(self) -> None:
        super().__init__()
        self.now = DECIDED_AT
        self.leads: dict[UUID, Lead] = {}
        self.here = set(NAMES)
        self.away: set[str] = set()
        self.capacity = 2
        self.manager: str | None = None

    @property
    def team(self) -> Team:
        names = [name for name in NAMES if name in self.here]
        return Team(
            version=1,
            reps=tuple(
                Rep(
                    name=name,
                    email=f"{name}@harbour.example",
                    capacity=self.capacity,
                    away=name in self.away,
                    calendar=OFFICE if name == "Ada" else None,
                )
                for name in (*names, "Mona")
            ),
            pools=(Pool("everyone", tuple(Member(name) for name in names or ["Mona"]), manager=self.manager),),
            default_pool="everyone",
        )

    @initialize(promise=st.sampled_from(PROMISES), count=st.integers(1, 4))
    def leads_come_in(self, promise: Respond, count: int) -> None:
        for _ in range(count):
            self.a_lead_comes_in(promise)
        self.the_queue_is_looked_at(dies=False)

    @rule(promise=st.sampled_from(PROMISES))
    def a_lead_comes_in(self, promise: Respond) -> None:
        ready = make_handoff(respond=promise, handoff_id=UUID(int=len(self.leads) + 1))
        self.leads[ready.id] = Lead(ready=ready, came_at=self.now)

    @rule(dies=st.booleans())
    def the_queue_is_looked_at(self, *, dies: bool) -> None:
        waiting = [
            Waiting(
                id=key,
                contact_id=lead.ready.contact.id,
                ready=lead.ready,
                arrived_at=lead.came_at,
                clock_from=lead.came_at,
                pool="everyone",
                team_version=1,
                assignments=len(lead.owners),
                steps=0,
                traceparent=None,
                state=lead.state,
                owners=lead.owners,
            )
            for key, lead in self.leads.items()
            if lead.state in QUEUED
        ]
        held = [lead.rep for lead in self.leads.values() if lead.state in OPEN and lead.rep]
        roster = Roster(self.team, {name: Load(held.count(name)) for name in held}, now=self.now)
        plan = plan_assignments(roster, waiting, public_url="https://tandem.example")
        for item in plan.assignments:
            assert item.rep not in item.handoff.owners
            given = self.leads[item.handoff.id].after(item.handoff.step, at=self.now, rep=item.rep)
            assert item.clock == given.clock(self.team)
            if not dies:
                self.leads[item.handoff.id] = given

    @rule(
        time=st.sampled_from([timedelta(minutes=25), timedelta(minutes=1), timedelta(hours=20), timedelta(days=3)]),
        looked_at=st.booleans(),
        shared_out=st.booleans(),
    )
    def time_passes(self, time: timedelta, *, looked_at: bool, shared_out: bool) -> None:
        self.now += time
        if looked_at:
            self.the_clock_is_looked_at(dies=False)
        if shared_out:
            self.the_queue_is_looked_at(dies=False)

    @rule(dies=st.booleans())
    def the_clock_is_looked_at(self, *, dies: bool) -> None:
        for key, lead in self.leads.items():
            clock = lead.clock(self.team)
            after = lead
            for step in clock.ring(self.now):
                after = after.after(step, at=self.now, rep=clock.manager)
            if after is not lead:
                assert clock.due_at is not None
                assert clock.due_at <= self.now
            if not dies:
                self.leads[key] = after

    @rule(data=st.data(), step=st.sampled_from([Step.ACCEPT, Step.REJECT, Step.QUALIFY, Step.WIN, Step.LOSE]))
    def sales_answers(self, data: st.DataObject, step: Step) -> None:
        if not self.leads:
            return
        key = data.draw(st.sampled_from(sorted(self.leads)))
        lead = self.leads[key]
        try:
            steps = steps_to(lead.state, step)
        except IllegalStep:
            return
        rep = "Mona" if needs_rep(lead.state, steps) else None
        for each in steps:
            lead = lead.after(each, at=self.now, rep=rep)
        self.leads[key] = lead

    @rule(name=st.sampled_from(NAMES))
    def somebody_is_away_or_back(self, name: str) -> None:
        self.away ^= {name}

    @rule(name=st.sampled_from(NAMES))
    def somebody_joins_or_leaves(self, name: str) -> None:
        self.here ^= {name}
        for key, lead in self.leads.items():
            if lead.state in allows(Step.RETURN) and lead.rep not in {*self.here, "Mona"}:
                self.leads[key] = lead.after(Step.RETURN, at=self.now)

    @rule(manager=st.sampled_from([None, "Mona"]))
    def a_manager_is_named(self, manager: str | None) -> None:
        self.manager = manager

    @rule(capacity=st.integers(1, 3))
    def capacity_changes(self, capacity: int) -> None:
        self.capacity = capacity

    @rule(data=st.data())
    def a_contact_opts_out(self, data: st.DataObject) -> None:
        if self.leads:
            key = data.draw(st.sampled_from(sorted(self.leads)))
            if self.leads[key].state in allows(Step.WITHDRAW):
                self.leads[key] = self.leads[key].after(Step.WITHDRAW, at=self.now)

    @invariant()
    def none_is_left_behind(self) -> None:
        present = {*self.here, "Mona"}
        for lead in self.leads.values():
            clock = lead.clock(self.team)
            if lead.state in OPEN:
                assert lead.rep in present
            elif lead.state in OWNED:
                assert lead.rep is not None
            elif lead.state in QUEUED:
                assert lead.rep is None
                assert (clock.due_at is None) == (self.manager is None)  # what nobody escalates is counted
            else:
                assert is_final(lead.state)
            if lead.state in {State.ASSIGNED, State.REASSIGNED}:
                assert clock.due_at is not None
            assert len(set(lead.owners)) == len(lead.owners) <= MOST_OWNERS


def test_no_lead_is_left_behind() -> None:
    """A rep of the team has it, or the queue does, under a clock and counted; until sales has given its answer."""
    run_state_machine_as_test(World, settings=settings(max_examples=300, stateful_step_count=30, deadline=None))


def test_who_had_it_last() -> None:
    """The last fifty are remembered, each once, in order."""
    owners: tuple[str, ...] = ()
    for number in [*range(60), 30]:
        owners = owners_after(owners, f"rep {number}")

    assert len(owners) == MOST_OWNERS
    assert owners[0] == "rep 10"
    assert owners[-2:] == ("rep 59", "rep 30")

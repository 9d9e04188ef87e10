"""What a draft of a team would have done with past handoffs: the same decisions, on a clock that runs through the past.

Each handoff comes in when it came in, and fills its rep's capacity for as long as it filled somebody's then; one that
was never answered stays open. The simulation begins with what reps had open then and were given in the day before, and
with no debts; what was in the queue then is left out.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.router.domain.assignment import Debts, Decision, decide
from services.router.domain.availability import DAY, HOUR, Given, Load, Roster
from services.router.domain.routing import Case, compile_rules
from services.router.domain.team import Team
from shared.business_calendar import NeverOpens
from shared.events.handoff import ContactSnapshot, Respond

MOST_LISTED = 100  # handoffs named one by one


@dataclass(frozen=True, slots=True)
class Past:
    """A handoff as it was. `busy` is how long it filled a capacity; None: it still does."""

    id: UUID
    contact: ContactSnapshot
    arrived_at: datetime
    rank: int
    respond: Respond
    rep: str | None  # who was given it first
    busy: timedelta | None


@dataclass(frozen=True, slots=True)
class Held:
    """A handoff that a rep had when the simulation begins. `until` when it filled a capacity; None: it still does."""

    rep: str
    contact_id: UUID
    account_id: UUID | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Start:
    """How things stood when the simulation begins: what was open, oldest first, and when reps were given something."""

    held: Sequence[Held] = ()
    given: Sequence[tuple[str, datetime]] = ()  # within the day before, oldest first


EMPTY = Start()


@dataclass(frozen=True, slots=True)
class Placed:
    """Who got a handoff in the simulation, and when; nobody when it still waits at the end."""

    past: Past
    decision: Decision
    at: datetime | None
    late: bool  # the time to answer had run out before anybody had it


@dataclass(frozen=True, slots=True)
class RepLoad:
    """What a rep would have had, and how many they had then."""

    rep: str
    got: int
    got_then: int
    most_open: int
    most_within_hour: int
    most_within_day: int
    late: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """What would have come of it."""

    handoffs: int
    open_before: int  # what reps had when it begins
    assigned: int
    waiting: int  # at the end
    waited: int  # at all
    longest_wait_seconds: float
    late: int
    changed: int  # another rep than then
    reps: tuple[RepLoad, ...]
    pools: dict[str, int]
    rules: dict[str, int]  # by number, from 1; `default` is the default pool
    changes: tuple[dict[str, str | None], ...]  # the first of them
    breaches: tuple[dict[str, str | None], ...]  # the first that came late, or to nobody


@dataclass(slots=True)
class _Desk:
    """What the reps have at one moment of the simulation."""

    open: Counter[str] = field(default_factory=Counter)
    given: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    most_open: Counter[str] = field(default_factory=Counter)
    most_hour: Counter[str] = field(default_factory=Counter)
    most_day: Counter[str] = field(default_factory=Counter)

    def loads(self, now: datetime) -> dict[str, Load]:
        for rep, instants in self.given.items():
            self.given[rep] = [at for at in instants if at > now - DAY]
        names = self.open.keys() | self.given.keys()
        return {rep: Load(self.open[rep], tuple(Given(at, 1) for at in self.given.get(rep, ()))) for rep in names}

    def begin(self, start: Start) -> None:
        for held in start.held:
            self.open[held.rep] += 1
        for rep, at in start.given:
            self.given[rep].append(at)
        self.most_open |= self.open

    def give(self, rep: str, now: datetime) -> None:
        self.open[rep] += 1
        self.given[rep].append(now)
        self.most_open[rep] = max(self.most_open[rep], self.open[rep])
        recent = self.given[rep]
        self.most_hour[rep] = max(self.most_hour[rep], sum(at > now - HOUR for at in recent))
        self.most_day[rep] = max(self.most_day[rep], sum(at > now - DAY for at in recent))


class _Replay:
    """Runs the clock from one event to the next: arrivals, answers, and instants at which somebody can again."""

    def __init__(self, team: Team, past: Sequence[Past], *, start: Start, until: datetime) -> None:
        self._team = team
        self._rules = compile_rules(team)
        self._until = until
        self._desk = _Desk()
        self._owed: dict[str, Debts] = {}
        self._waiting: dict[UUID, tuple[Past, Decision | None]] = {}
        self._of_account: dict[UUID, str] = {}
        self._of_contact: dict[UUID, str] = {}
        self._arrivals = {item.id: item for item in past}
        self._events: list[tuple[datetime, str, str]] = [(item.arrived_at, "arrives", str(item.id)) for item in past]
        self._planned: set[datetime] = set()
        self._desk.begin(start)
        for held in start.held:
            self._remember(held.rep, contact_id=held.contact_id, account_id=held.account_id)
            if held.until is not None:
                self._events.append((held.until, "answered", held.rep))
        heapq.heapify(self._events)

    @property
    def desk(self) -> _Desk:
        return self._desk

    def run(self) -> Iterator[Placed]:
        while self._events and self._events[0][0] <= self._until:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                _, kind, of = heapq.heappop(self._events)
                if kind == "arrives":
                    self._waiting[UUID(of)] = (self._arrivals[UUID(of)], None)
                elif kind == "answered":
                    self._desk.open[of] -= 1
            if self._waiting:
                yield from self._decide(now)
        for past, decision in self._waiting.values():
            if decision is not None:
                yield Placed(past, decision, None, late=_is_late(past, self._until, self._team))

    def _decide(self, now: datetime) -> Iterator[Placed]:
        roster = Roster(self._team, self._desk.loads(now), now=now, rules=self._rules)
        free = set(roster.free()) if any(decision for _, decision in self._waiting.values()) else set()
        order = sorted(self._waiting.values(), key=lambda item: (item[0].rank, item[0].arrived_at, item[0].id))
        for past, before in order:
            held_until = before.held_until if before else None
            if before and not free.intersection(before.waits_for) and (held_until is None or held_until > now):
                continue
            decided = decide(self._case(past), roster, owed=self._owed)
            if decided is None:
                continue
            decision, after = decided
            if decision.rep is None or decision.route.pool is None:
                self._waiting[past.id] = (past, decision)
                self._plan(decision.held_until)
                continue
            del self._waiting[past.id]
            if after is not None:
                self._owed[decision.route.pool] = after
            roster.give(decision.rep)
            self._give(past, decision.rep, now)
            yield Placed(past, decision, now, late=_is_late(past, now, self._team))
        if self._waiting:
            self._plan(roster.opens_at())

    def _case(self, past: Past) -> Case:
        account = past.contact.account_id
        return Case(
            contact=past.contact,
            arrived_at=past.arrived_at,
            account_rep=self._of_account.get(account) if account else None,
            previous_rep=self._of_contact.get(past.contact.id),
        )

    def _give(self, past: Past, rep: str, now: datetime) -> None:
        self._desk.give(rep, now)
        self._remember(rep, contact_id=past.contact.id, account_id=past.contact.account_id)
        if past.busy is not None:
            heapq.heappush(self._events, (now + past.busy, "answered", rep))

    def _remember(self, rep: str, *, contact_id: UUID, account_id: UUID | None) -> None:
        self._of_contact[contact_id] = rep
        if account_id:
            self._of_account[account_id] = rep

    def _plan(self, at: datetime | None) -> None:
        if at is not None and at not in self._planned:
            self._planned.add(at)
            heapq.heappush(self._events, (at, "opens", ""))


def simulate_routes(team: Team, past: Sequence[Past], *, start: Start = EMPTY, until: datetime) -> Simulation:
    """Route the past handoffs by the team, from how things stood at the start; the clock stops at `until`."""
    replay = _Replay(team, past, start=start, until=until)
    placed = list(replay.run())
    assigned = [item for item in placed if item.at is not None]
    changed = [item for item in assigned if item.decision.rep != item.past.rep]
    late = [item for item in placed if item.late]
    waits = [(item.at or until) - item.past.arrived_at for item in placed]
    return Simulation(
        handoffs=len(past),
        open_before=len(start.held),
        assigned=len(assigned),
        waiting=len(placed) - len(assigned),
        waited=sum(wait > timedelta() for wait in waits),
        longest_wait_seconds=max(waits, default=timedelta()).total_seconds(),
        late=len(late),
        changed=len(changed),
        reps=_loads(team, past, assigned, replay.desk),
        pools=dict(Counter(item.decision.route.pool or "" for item in assigned)),
        rules=dict(Counter(_rule_name(item.decision.route.rule) for item in assigned)),
        changes=tuple(_line(item) for item in changed[:MOST_LISTED]),
        breaches=tuple(_line(item) for item in late[:MOST_LISTED]),
    )


def _loads(team: Team, past: Sequence[Past], assigned: Sequence[Placed], desk: _Desk) -> tuple[RepLoad, ...]:
    got = Counter(item.decision.rep for item in assigned)
    late = Counter(item.decision.rep for item in assigned if item.late)
    then = Counter(item.rep for item in past if item.rep)
    return tuple(
        RepLoad(
            rep=name,
            got=got[name],
            got_then=then[name],
            most_open=desk.most_open[name],
            most_within_hour=desk.most_hour[name],
            most_within_day=desk.most_day[name],
            late=late[name],
        )
        for name in dict.fromkeys([*(rep.name for rep in team.reps), *sorted(then)])
    )


def _line(item: Placed) -> dict[str, str | None]:
    return {
        "handoff": str(item.past.id),
        "then": item.past.rep,
        "now": item.decision.rep,
        "rule": _rule_name(item.decision.route.rule),
        "arrived_at": item.past.arrived_at.isoformat(),
        "assigned_at": item.at.isoformat() if item.at else None,
    }


def _rule_name(number: int | None) -> str:
    return "default" if number is None else str(number + 1)


def _is_late(past: Past, at: datetime, team: Team) -> bool:
    within = timedelta(seconds=past.respond.within_seconds)
    calendar = (past.respond.calendar or team.calendar) if past.respond.hours == "business" else None
    try:
        due = calendar.after(past.arrived_at, within) if calendar else past.arrived_at + within
    except NeverOpens:
        return False
    return at > due

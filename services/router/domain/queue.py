"""Who gets the handoffs that wait: the whole queue decided at once, hand-raises first, then the oldest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from services.router.domain.answer_link import NO_LINKS, AnswerLinks
from services.router.domain.assignment import Debts, Decision, decide
from services.router.domain.availability import Roster
from services.router.domain.brief import Brief, Objection, write_brief
from services.router.domain.clock import ResponseClock
from services.router.domain.handoff import State, Step, take
from services.router.domain.routing import Case
from services.router.domain.team import Rep
from services.router.domain.webhook import LEAD_READY, REASSIGNED, Message, render_given
from shared.events.handoff import HandoffReady

Heard = Mapping[UUID, Sequence[Objection]]  # by account

HAD_IT = "had it before"  # why somebody does not get it again


@dataclass(frozen=True, slots=True)
class Waiting:
    """A handoff in the queue. `pool` was chosen under `team_version`; both are None until a team chose."""

    id: UUID
    contact_id: UUID
    ready: HandoffReady
    arrived_at: datetime
    clock_from: datetime | None
    pool: str | None
    team_version: int | None
    assignments: int
    steps: int
    traceparent: str | None
    state: State = State.READY  # or EXPIRED
    owners: tuple[str, ...] = ()  # who had it before, and does not get it again
    released: bool = False
    account_rep: str | None = None
    previous_rep: str | None = None
    brief: Brief | None = None  # without objections, where it was written already

    @property
    def step(self) -> Step:
        """The step that gives it to somebody."""
        return Step.REASSIGN if self.state is State.EXPIRED else Step.ASSIGN


@dataclass(frozen=True, slots=True)
class Assignment:
    """A handoff given to a rep, and what is sent about it to which endpoints."""

    handoff: Waiting
    rep: str
    pool: str
    decision: Decision
    message: Message
    endpoints: tuple[str, ...]
    clock: ResponseClock


@dataclass(frozen=True, slots=True)
class Queued:
    """A handoff that waits for somebody, or is held."""

    handoff: Waiting
    decision: Decision


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what the pools owe their members afterwards."""

    assignments: tuple[Assignment, ...]
    queued: tuple[Queued, ...]
    owed: Mapping[str, Debts]


class Owners:
    """Who has the accounts and contacts of a queue, also by what was given while it is decided."""

    def __init__(self) -> None:
        self._of_account: dict[UUID, str] = {}
        self._of_contact: dict[UUID, str] = {}

    def case(self, handoff: Waiting) -> Case:
        """Return the handoff as the decision sees it."""
        contact = handoff.ready.contact
        account_rep = self._of_account.get(contact.account_id) if contact.account_id else None
        return Case(
            contact=contact,
            arrived_at=handoff.arrived_at,
            released=handoff.released,
            account_rep=account_rep or handoff.account_rep,
            previous_rep=self._of_contact.get(contact.id) or handoff.previous_rep,
            excluded=dict.fromkeys(handoff.owners, HAD_IT),
        )

    def give(self, handoff: Waiting, rep: str) -> None:
        """Remember who got the handoff."""
        contact = handoff.ready.contact
        self._of_contact[contact.id] = rep
        if contact.account_id:
            self._of_account[contact.account_id] = rep


def plan_assignments(
    roster: Roster,
    waiting: Iterable[Waiting],
    *,
    public_url: str,
    links: AnswerLinks = NO_LINKS,
    heard: Heard = MappingProxyType({}),
) -> Plan:
    """Decide for each handoff in turn; what one gets counts for the next. `heard` are the objections of accounts."""
    owed: dict[str, Debts] = dict(roster.team.owed)
    owners = Owners()
    assignments: list[Assignment] = []
    queued: list[Queued] = []
    for handoff in waiting:
        decided = decide(owners.case(handoff), roster, owed=owed)
        if decided is None:
            continue
        decision, after = decided
        pool = decision.route.pool
        if decision.rep is None or pool is None:
            queued.append(Queued(handoff=handoff, decision=decision))
            continue
        if after is not None:
            owed[pool] = after
        roster.give(decision.rep)
        owners.give(handoff, decision.rep)
        assignments.append(
            _assign(
                roster,
                handoff,
                roster.rep(decision.rep),
                decision,
                pool=pool,
                public_url=public_url,
                links=links,
                heard=heard,
            )
        )
    return Plan(assignments=tuple(assignments), queued=tuple(queued), owed=owed)


def _assign(
    roster: Roster,
    handoff: Waiting,
    rep: Rep,
    decision: Decision,
    *,
    pool: str,
    public_url: str,
    links: AnswerLinks,
    heard: Heard,
) -> Assignment:
    account_id = handoff.ready.contact.account_id
    objections = heard.get(account_id, ()) if account_id else ()
    brief = None if objections else handoff.brief
    return Assignment(
        handoff=handoff,
        rep=rep.name,
        pool=pool,
        decision=decision,
        message=render_given(
            handoff.ready,
            kind=REASSIGNED if handoff.state is State.EXPIRED else LEAD_READY,
            rep=rep,
            pool=pool,
            brief=brief or write_brief(handoff.ready, heard=objections),
            assignment=handoff.assignments + 1,
            assigned_at=roster.now,
            previous=handoff.owners[-1] if handoff.owners else None,
            public_url=public_url,
            links=links,
        ),
        endpoints=tuple(
            endpoint.name for endpoint in roster.team.endpoints if endpoint.serves(pool=pool, rep=rep.name)
        ),
        clock=ResponseClock.of(
            handoff.ready.respond,
            roster.team,
            state=take(handoff.state, handoff.step),
            came_at=handoff.clock_from or roster.now,
            given_at=roster.now,
            pool=pool,
            rep=rep.name,
        ),
    )

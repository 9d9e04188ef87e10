"""What an account is worth, when it is ready, and when it may be handed off again."""

from datetime import timedelta
from math import fsum
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.account import assess_account, falls_below, heed
from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.deciding import take_touch
from services.scorer.domain.instants import DAY, to_micros
from services.scorer.domain.recounting import recount
from services.scorer.domain.rollup import Rollup, may_count, roll_up
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.touch import Touch
from tests.support.account_model import model_accounts
from tests.support.accounts_text import ACCOUNTS_TEXT, somebody, who
from tests.support.reference_model import people
from tests.support.touches import NOON, a_touch, a_track, agreement

TERMS = Terms(1, agreement(ACCOUNTS_TEXT))
ACCOUNTS = TERMS.accounts
assert ACCOUNTS is not None
AT = to_micros(NOON)
NAMES = ("dora", "carl", "eve", "finn")
HANDED = Arming(ArmingKind.HANDED, UUID(int=1), "account", 40.0)


def state_of(*touches: Touch) -> ContactState:
    """Return the state that touches make in this order."""
    state = ContactState(agreement=1, counting=TERMS.counting)
    for touch in touches:
        take_touch(touch.contact_id, state, touch, TERMS)
    return state


def rolled(*states: tuple[UUID, ContactState], at: int = AT) -> Rollup:
    """Return what these contacts come to together."""
    assert ACCOUNTS is not None
    return roll_up(states, TERMS, ACCOUNTS, at)


@st.composite
def lives(draw: st.DrawFn) -> list[Touch]:
    """Draw what four people of a few companies do, say and wish in three weeks, in any order, with repeats."""
    touches: list[Touch] = []
    for number in range(draw(st.integers(0, 40))):
        name = draw(st.sampled_from(NAMES))
        at = NOON - timedelta(hours=draw(st.integers(0, 500)), seconds=number)
        match draw(st.sampled_from(["/pricing", "/compare/x", "/", "who", "out", "in", "machine", "unsubscribed"])):
            case "who":
                domain = draw(st.sampled_from(["acme.example", "next.example", "rival.example"]))
                touches.append(
                    who(name, domain=domain, title=draw(st.sampled_from(["Clerk", "VP Sea", "Poet"])), at=at)
                )
            case "out" | "in" as wish:
                touches.append(
                    a_track(number, "Preferences", contact=somebody(name), at=at, opted_out=wish == "out")
                    if draw(st.booleans()) and draw(st.booleans())
                    else a_touch(number, contact=somebody(name), at=at)
                )
            case "machine":
                touches.append(a_touch(number, contact=somebody(name), path="/pricing", suspect="bot", at=at))
            case "unsubscribed":
                touches.append(a_track(number, "Unsubscribed", contact=somebody(name), at=at))
            case path:
                touches += [
                    a_touch(f"{number} {n}", contact=somebody(name), path=path, at=at)
                    for n in range(draw(st.integers(1, 3)))
                ]
    return draw(st.permutations(touches + touches[:3]))


@settings(deadline=None)
@given(touches=lives(), merged=st.lists(st.sampled_from(NAMES[1:]), unique=True, max_size=2))
def test_any_touches_in_any_order(touches: list[Touch], merged: list[str]) -> None:
    """The roll-up is what plain code makes of the raw touches, whoever was merged, and its parts add up exactly."""
    assert ACCOUNTS is not None
    owned = people(touches, [(somebody("dora"), somebody(name)) for name in merged])
    expected = model_accounts(owned, agreement(ACCOUNTS_TEXT), as_of=NOON)
    states = {}
    for contact_id, arrived in owned.items():
        unique = {touch.id: touch for touch in arrived}.values()
        one_by_one = state_of(*unique)
        states[contact_id] = recount(one_by_one, [Judged(touch) for touch in unique], TERMS) if merged else one_by_one

    for domain in ("acme.example", "next.example", "rival.example"):
        mine = [(contact_id, state) for contact_id, state in states.items() if state.account_domain() == domain]
        rollup = rolled(*mine)
        assert fsum(part.value for part in rollup.parts) == sum(person.adds for person in rollup.people)
        assert rollup.engagement == fsum(part.value for part in rollup.parts)
        if domain not in expected:
            assert not rollup.people
            continue
        model = expected[domain]
        assert {person.contact_id: person.adds for person in rollup.people} == pytest.approx(model.adds, abs=1e-9)
        assert {person.contact_id: set(person.roles) for person in rollup.people} == model.roles
        assert {person.contact_id for person in rollup.people if person.recent} == model.recent
        handed = any(person.with_sales or not person.can_be_handed_off for person in rollup.people)
        assert handed or assess_account(rollup, ACCOUNTS).ready == model.ready(agreement(ACCOUNTS_TEXT))


@settings(deadline=None)
@given(touches=lives(), later=st.integers(0, 400))
def test_whoever_counts_is_looked_at(touches: list[Touch], later: int) -> None:
    """Nobody counts at any later time, without doing anything more, of whom it was not said that they may."""
    assert ACCOUNTS is not None
    for contact_id, arrived in people(touches, []).items():
        state = state_of(*{touch.id: touch for touch in arrived}.values())
        if not may_count(state, TERMS, ACCOUNTS, AT) and state.domain is not None:
            assert not rolled((contact_id, state), at=AT + later * DAY // 4).people


def test_what_is_missing() -> None:
    """Each line says what would help."""
    assert ACCOUNTS is not None
    carl = state_of(who("carl"), a_touch(1, contact=somebody("carl"), path="/pricing", at=NOON - timedelta(days=8)))

    assert assess_account(rolled((somebody("carl"), carl)), ACCOUNTS).missing == (
        "engagement 9.1 of 60",
        "3 more people",
        "nobody who is decision_maker",
    )
    assert "nobody can be handed off" in assess_account(rolled(), ACCOUNTS).missing


def test_who_is_left_out() -> None:
    """It is told why somebody counts nothing."""
    views = [a_touch(number, path="/pricing") for number in range(2)]
    rollup = rolled(
        (UUID(int=1), state_of(*views, a_track(9, "No", opted_out=True))),
        (UUID(int=2), state_of(*views, who("x", domain="rival.example"))),
        (UUID(int=3), state_of(a_touch(8, path="/"))),
    )

    assert list(rollup.left_out.values()) == ["opted out", "disqualified by competitor", "engagement below 5"]
    assert rollup.engagement == 0


def test_when_an_account_falls() -> None:
    """Whoever falls below what counts takes the rest along; after the instant told it is below, and just before not."""
    assert ACCOUNTS is not None
    states = [
        (somebody(name), state_of(*(a_touch(f"{name}{n}", path="/pricing") for n in range(2)))) for name in NAMES[:3]
    ]
    rollup = rolled(*states)
    falls = falls_below(rollup.people, TERMS, ACCOUNTS, level=40, at=AT)
    assert falls is not None
    assert rolled(*states, at=falls).engagement < 40 <= rolled(*states, at=falls - 5 * 60_000_000).engagement
    assert falls_below(rollup.people, TERMS, ACCOUNTS, level=70, at=AT) == AT
    assert falls_below(rollup.people, TERMS, ACCOUNTS, level=0, at=AT) is None


@pytest.mark.parametrize(
    ("account", "contact", "after"),
    [
        (HANDED, HANDED, ArmingKind.HANDED),
        (HANDED, None, ArmingKind.CLOSED),  # erased
        (HANDED, HANDED.closed(), ArmingKind.CLOSED),
        (HANDED, HANDED.recycled(until=AT + 1), ArmingKind.COOLING),
        (HANDED, HANDED.recycled(until=AT), ArmingKind.ARMED),  # and the cool-down is over
        (HANDED, HANDED.falling(AT, level=9.0), ArmingKind.HANDED),  # the person fell, the account did not
        (HANDED, Arming(ArmingKind.CLOSED, UUID(int=2)), ArmingKind.HANDED),  # that is of another handoff
        (Arming(), None, ArmingKind.ARMED),
        (HANDED.recycled(until=AT + 1), HANDED.closed(), ArmingKind.COOLING),
    ],
)
def test_what_becomes_of_the_person(account: Arming, contact: Arming | None, after: ArmingKind) -> None:
    """What sales says about the one the account was handed off with holds for the account."""
    once = heed(account, contact, AT)

    assert once.kind is after
    assert heed(once, contact, AT) == once

"""What agreements would have decided about accounts, by the touches that are stored."""

from datetime import timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.account import AccountState, assess_account, chosen, engaged, take_stock
from services.scorer.domain.account_simulation import AccountReplay
from services.scorer.domain.deciding import Handoff, hand_off_for, take_feedback, take_touch
from services.scorer.domain.instants import to_micros
from services.scorer.domain.rollup import roll_up
from services.scorer.domain.simulation import Made, Replay
from services.scorer.domain.state import ContactState, account_id
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.touch import Touch
from tests.support.accounts_text import ACCOUNTS_TEXT, somebody, who
from tests.support.touches import NOON, a_demo_request, a_touch, a_track, agreement, changed

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
ACME = account_id("acme.example")
PEOPLE = ("ada", "ben", "cy")
_TWO = changed(
    ("engagement: 60, contacts: 3", "engagement: 25, contacts: 2"), ("below: 40}", "below: 15}"), text=ACCOUNTS_TEXT
)
TERMS = Terms(1, agreement(_TWO))

_Happened = list[tuple[str, str, float]]  # who, what, days after the one before
_RARE = ["demo", "out", "away", "back", "given back", "given back", "won", "won"]
_HAPPENED = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from([*["pricing"] * 16, *_RARE]),
        st.one_of(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.01, 1), st.floats(10, 50)),
    ),
    min_size=10,
    max_size=60,
)


def _touch(name: str, what: str, number: int, days: float) -> Touch:
    at = NOON + days * DAY
    match what:
        case "pricing":
            return a_touch(number, path="/pricing", contact=somebody(name), at=at)
        case "demo":
            return a_demo_request(number, contact=somebody(name), at=at)
        case "out":
            return a_track(number, "Unsubscribed", contact=somebody(name), at=at, opted_out=bool(number % 2))
        case _:
            domain = "acme.example" if what == "back" else "other.example"
            return who(name, title="VP Freight", domain=domain, at=at)


def _live(touches: list[Touch | Feedback]) -> tuple[list[Handoff], dict[UUID, list[Made]]]:
    """Decide as the scorer does, with a look at the account after each touch, however little came of it."""
    accounts = TERMS.accounts
    assert accounts is not None
    states = {somebody(name): ContactState(agreement=1, counting=TERMS.counting) for name in PEOPLE}
    account, decided, made = AccountState(), list[Handoff](), dict[UUID, list[Made]]()

    def note(contact_id: UUID, handoff: Handoff) -> None:
        decided.append(handoff)
        made.setdefault(contact_id, []).append(Made(handoff.id, handoff.decided_at))

    for happened in touches:
        if isinstance(happened, Feedback):
            state = states[happened.contact_id]
            if state.arming.handoff_id is None:
                continue
            told = Feedback(
                id=happened.id,
                handoff_id=state.arming.handoff_id,
                contact_id=happened.contact_id,
                kind=happened.kind,
                at=happened.at,
            )
            take_feedback(happened.contact_id, state, told, TERMS)
            last = made[happened.contact_id][-1]
            made[happened.contact_id][-1] = Made(last.id, last.decided_at, (*last.feedback, told))
            continue
        at = to_micros(happened.received_at)
        for decision in take_touch(happened.contact_id, states[happened.contact_id], happened, TERMS):
            if isinstance(decision, Handoff):
                note(happened.contact_id, decision)
        people = [(each, state) for each, state in states.items() if state.account_id() == ACME]
        rollup = roll_up(people, TERMS, accounts, at)
        handed = states[account.contact_id].arming if account.contact_id else None
        if take_stock(account, rollup, TERMS, accounts, handed=handed, at=at):
            person = chosen(rollup)
            assert person is not None
            assert assess_account(rollup, accounts).ready
            cause = f"account {ACME} {account.handoffs + 1} {at}"
            handoff = hand_off_for(engaged(ACME, rollup), person.contact_id, person.state, TERMS, at=at, cause=cause)
            account.arming = account.arming.handed_off(handoff.id, "account", level=accounts.rearm_below)
            account.contact_id = person.contact_id
            account.handoffs += 1
            take_stock(account, rollup, TERMS, accounts, handed=person.state.arming, at=at)
            note(person.contact_id, handoff)
    return decided, made


@given(_HAPPENED)
def test_the_active_agreement_over_what_really_happened(happened: _Happened) -> None:
    """What the scorer decided about an account and its people, touch by touch, is what the replay decides."""
    days = 0.0
    story: list[Touch | Feedback] = [_touch(name, "back", -1, 0) for name in PEOPLE]
    for number, (name, what, later) in enumerate(happened):
        days += later
        if what in {"given back", "won"}:
            kind = FeedbackKind.WON if what == "won" else FeedbackKind.RECYCLED
            story.append(
                Feedback(
                    id=uuid4(), handoff_id=uuid4(), contact_id=somebody(name), kind=kind, at=NOON + days * DAY - SECOND
                )
            )
        else:
            story.append(_touch(name, what, number, days))
    decided, made = _live(story)

    replays = {somebody(name): Replay(somebody(name), [TERMS], made.get(somebody(name), ())) for name in PEOPLE}
    histories: dict[UUID, list[Judged]] = {contact_id: [] for contact_id in replays}
    for each in story:
        if isinstance(each, Touch):
            histories[each.contact_id].append(Judged(each))
    for _ in AccountReplay(ACME, replays, [TERMS]).run(histories):
        pass

    sent = {one.id: (one.reason, one.at) for replay in replays.values() for one in replay.sent[0]}
    assert sent == {one.id: (one.reason, one.decided_at) for one in decided}


def test_sides_that_differ() -> None:
    """A handoff under one agreement tells what kept the other from it: less than its threshold, or sales has it."""
    later = Terms(0, agreement(changed(("engagement: 25, contacts: 2", "engagement: 25, contacts: 3"), text=_TWO)))
    replays = {somebody(name): Replay(somebody(name), [TERMS, later]) for name in PEOPLE}
    told = [Judged(_touch(name, "back", -1, 0)) for name in PEOPLE]
    views = [
        Judged(_touch(name, "pricing", n, 1 + n)) for n, name in enumerate(("ada", "ada", "ben", "ben", "cy", "cy"))
    ]
    histories: dict[UUID, list[Judged]] = {contact_id: [] for contact_id in replays}
    for judged in (*told, *views):
        histories[judged.touch.contact_id].append(judged)
    for _ in AccountReplay(ACME, replays, [TERMS, later]).run(histories):
        pass

    active = [one for replay in replays.values() for one in replay.sent[0]]
    draft = [one for replay in replays.values() for one in replay.sent[1]]
    assert [(one.reason, one.missing) for one in active] == [("account", ("1 more person",))]
    (second,) = draft
    assert (second.reason, second.at) == ("account", NOON + 5 * DAY)
    assert second.missing == ("one of them is with sales", f"with sales since {active[0].at:%Y-%m-%d}")


def _account_handoffs(views: list[Judged], made: dict[UUID, list[Made]]) -> list[float]:
    """Return on which days after noon the account is handed off."""
    replays = {somebody(name): Replay(somebody(name), [TERMS], made.get(somebody(name), ())) for name in PEOPLE}
    histories: dict[UUID, list[Judged]] = {contact_id: [] for contact_id in replays}
    for judged in (*(Judged(_touch(name, "back", -1, 0)) for name in PEOPLE), *views):
        histories[judged.touch.contact_id].append(judged)
    for _ in AccountReplay(ACME, replays, [TERMS]).run(histories):
        pass
    sent = (one for replay in replays.values() for one in replay.sent[0] if one.reason == "account")
    return sorted((one.at - NOON) / DAY for one in sent)


def test_an_account_that_sales_gave_back() -> None:
    """It is left alone for the cool-down, whoever of its people looks around meanwhile."""
    looks = [("cy", 1), ("cy", 1.1), ("ben", 2)]
    looks += [(name, day + part) for day in (40, 52) for name, part in (("ada", 0), ("ada", 0.1), ("ben", 1))]
    views = [Judged(_touch(name, "pricing", n, day)) for n, (name, day) in enumerate(looks)]
    first = NOON + 2 * DAY
    given_back = Feedback(
        id=uuid4(), handoff_id=uuid4(), contact_id=somebody("cy"), kind=FeedbackKind.RECYCLED, at=NOON + 20 * DAY
    )

    assert _account_handoffs(views, {}) == [2, 41], "it fell below 15 meanwhile"
    assert _account_handoffs(views, {somebody("cy"): [Made(given_back.handoff_id, first, (given_back,))]}) == [2, 53]

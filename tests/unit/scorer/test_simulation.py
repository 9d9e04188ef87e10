"""What agreements would have decided, by the touches that are stored."""

import random
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.deciding import Handoff, take_feedback, take_touch
from services.scorer.domain.leads import LeadKind, Window, find_leads, pair
from services.scorer.domain.segment import is_segment, segment_of
from services.scorer.domain.simulation import Made, Replay, Sent
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.domain.verdict import Judged
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.touch import Touch
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track, agreement, changed

TERMS = Terms(1, agreement())
DAY = timedelta(days=1)
STRICTER = Terms(0, agreement(changed(("engagement: 50, fit: 50", "engagement: 90, fit: 50"))))
LOOSER = Terms(0, agreement(changed(("engagement: 50, fit: 50, touches: 8", "engagement: 40, fit: 50, touches: 6"))))


def warm(at: datetime = NOON) -> list[Touch]:
    """Return what makes a contact that fits sales-ready with the last of it: 6 · 10 + 8."""
    return [
        a_profile("who", at=at - 4 * DAY),
        *(a_touch(f"{at}/{n}", path="/pricing", at=at - (3 - n // 2) * DAY + n * timedelta(hours=1)) for n in range(8)),
    ]


def replayed(touches: list[Touch], *terms: Terms, made: list[Made] | None = None) -> list[list[Sent]]:
    """Return what each of the agreements sends."""
    replay = Replay(ADA, terms, made or [])
    replay.run([Judged(touch) for touch in touches])
    return list(replay.sent)


def window(since: datetime = NOON - 30 * DAY, until: datetime = NOON + 30 * DAY) -> Window:
    """Return a window in which two handoffs are one lead up to 30 days apart."""
    return Window(since=since, until=until, apart=30 * DAY)


def sent(days: float, *, touch: UUID | None = None) -> Sent:
    """Return a handoff so many days after noon."""
    return Sent(
        id=touch or uuid4(),
        at=NOON + days * DAY,
        reason="threshold",
        engagement=50,
        fit=80,
        stage=None,
        touches=8,
        rules=(),
    )


_NAMES = ["page", "demo", "pricing", "compare", "click", "out", "in", "who"]


@given(st.lists(st.tuples(st.sampled_from(_NAMES), st.floats(0.01, 40), st.floats(0, 50)), max_size=40), st.randoms())
def test_the_active_agreement_over_what_really_happened(
    happened: list[tuple[str, float, float]], shuffle: random.Random
) -> None:
    """What the scorer decided touch by touch, with answers of sales in between, is what the replay decides."""
    state = ContactState(agreement=1, counting=TERMS.counting)
    at, touches, made = NOON, [], []
    decided: list[Handoff] = []
    for number, (name, gap, late) in enumerate(happened):
        at += gap * DAY / 4
        if name == "in" and decided:
            kind = FeedbackKind.RECYCLED if number % 2 else FeedbackKind.WON
            last = decided[-1]
            said = Feedback(id=uuid4(), handoff_id=last.id, contact_id=ADA, kind=kind, at=at)
            take_feedback(ADA, state, said, TERMS)
            made.append(Made(last.id, last.decided_at, (said,)))
            continue
        occurred = at - late * DAY / 10
        touch = _touch(name, number, occurred=occurred, received=at)
        touches.append(touch)
        decided += [each for each in take_touch(ADA, state, touch, TERMS) if isinstance(each, Handoff)]
    told = {each.id: Made(each.id, each.decided_at) for each in decided}
    for each in made:
        told[each.id] = Made(each.id, each.decided_at, (*told[each.id].feedback, *each.feedback))
    shuffle.shuffle(touches)

    (found,) = replayed(touches, TERMS, made=list(told.values()))

    assert [(each.id, each.reason) for each in found] == [(each.id, each.reason) for each in decided]


def _touch(name: str, number: int, *, occurred: datetime, received: datetime) -> Touch:
    match name:
        case "demo":
            return a_demo_request(number, at=occurred, received_at=received)
        case "click":
            return a_track(number, "Email Link Clicked", at=occurred, received_at=received)
        case "out" | "in":
            return a_track(number, "Consent", at=occurred, received_at=received, opted_out=name == "out")
        case "who":
            return a_profile(number, at=occurred, received_at=received)
        case _:
            return a_touch(number, path=f"/{name}", at=occurred, received_at=received)


def test_what_the_other_agreement_misses() -> None:
    """A handoff names the rules that earned most, and what kept the other agreement from it at that instant."""
    active, draft = replayed(warm(), TERMS, STRICTER)

    assert draft == []
    (lead,) = active
    assert lead.at == NOON + 7 * timedelta(hours=1)
    assert lead.rules[0].startswith("pricing-viewed ")
    (missing,) = lead.missing
    assert missing.startswith("engagement ")
    assert missing.endswith(" of 90")


def test_one_that_the_other_has_with_sales_already() -> None:
    """Who is with sales under the other agreement is not missing anything but the next crossing."""
    touches = warm()
    earlier, later = replayed(touches, LOOSER, TERMS)

    assert earlier[0].at < later[0].at
    assert later[0].missing == (f"with sales since {earlier[0].at:%Y-%m-%d}",)
    assert all("touches" in line or "engagement" in line for line in earlier[0].missing)


def test_what_sales_said_of_a_lead_of_another_day() -> None:
    """What was said of the real handoff holds for that which the draft would have made instead."""
    touches = [*warm(), *(a_touch(f"more{n}", path="/pricing", at=NOON + (12 + n) * DAY) for n in range(4))]
    (real,) = replayed(touches, TERMS)
    given_back = Feedback(
        id=uuid4(), handoff_id=real[0].id, contact_id=ADA, kind=FeedbackKind.RECYCLED, at=NOON + 10 * DAY
    )
    short = Terms(0, agreement(changed(("touches: 8", "touches: 7"), ("cool_down: 30d", "cool_down: 1d"))))

    (draft,) = replayed(touches, short, made=[Made(real[0].id, real[0].at, (given_back,))])

    assert len(draft) == 2
    assert draft[0].at < real[0].at
    assert draft[1].at == NOON + 12 * DAY


def test_verdicts_of_today() -> None:
    """A touch counts by the verdict that stands on it: suspect ones nothing, trusted ones all."""
    asked = a_demo_request(1)
    machine = a_demo_request(1, suspect="bot_user_agent")

    def handoffs(judged: Judged) -> int:
        replay = Replay(ADA, [TERMS])
        replay.run([judged])
        return len(replay.sent[0])

    assert handoffs(Judged(asked)) == 1
    assert handoffs(Judged(machine)) == 0
    assert handoffs(Judged(machine, trusted=True)) == 1
    assert handoffs(Judged(asked, found="many_links_at_once")) == 0
    assert handoffs(Judged(asked, trusted=False)) == 0


def test_leads_of_one_contact() -> None:
    """One touch is one lead, then the nearest; what is too far apart is lost here and gained there."""
    same = uuid4()
    active = [sent(0, touch=same), sent(10), sent(-80)]
    draft = [sent(0, touch=same), sent(14), sent(-20)]

    found = find_leads(active, draft, [], window())

    assert [(lead.kind, lead.active and lead.active.at, lead.draft and lead.draft.at) for lead in found] == [
        (LeadKind.GAINED, None, NOON - 20 * DAY),
        (LeadKind.BOTH, NOON, NOON),
        (LeadKind.BOTH, NOON + 10 * DAY, NOON + 14 * DAY),
    ]
    (earlier,) = find_leads([sent(-29)], [sent(-40)], [], window())
    assert earlier.kind is LeadKind.BOTH
    assert find_leads([sent(-31)], [sent(-40)], [], window()) == []
    assert find_leads([sent(30)], [], [], window()) == []


def test_leads_that_were_really_made() -> None:
    """A real handoff goes with the lead of its touch or the nearest, and stands alone where no agreement makes it."""
    same = uuid4()
    made = [
        Made(same, NOON, (_said(FeedbackKind.ACCEPTED, 1), _said(FeedbackKind.WON, 9))),
        Made(uuid4(), NOON + 20 * DAY, (_said(FeedbackKind.REJECTED, 21), _said(FeedbackKind.RECYCLED, 22))),
    ]

    (won,) = find_leads([sent(0, touch=same)], [sent(-3)], made[:1], window())
    assert won.made is made[0]
    assert made[0].outcome is FeedbackKind.WON
    both = find_leads([sent(1, touch=same)], [], made, window())
    assert [(lead.kind, lead.made) for lead in both] == [(LeadKind.LOST, made[0]), (LeadKind.NEITHER, made[1])]
    assert made[1].outcome is FeedbackKind.REJECTED
    assert made[1].rejected_because == "no_budget"
    assert Made(same, NOON).outcome is None


def _said(kind: FeedbackKind, days: float) -> Feedback:
    reason = "no_budget" if kind is FeedbackKind.REJECTED else ""
    return Feedback(id=uuid4(), handoff_id=uuid4(), contact_id=ADA, kind=kind, at=NOON + days * DAY, reason=reason)


@given(st.lists(st.integers(0, 60)), st.lists(st.integers(0, 60)), st.integers(0, 20))
def test_pairs(one: list[int], other: list[int], apart: int) -> None:
    """Each is in one pair at most, no pair is too far apart, and nothing is left over that could be one."""
    left = [(uuid4(), NOON + days * DAY) for days in one]
    right = [(uuid4(), NOON + days * DAY) for days in other]

    pairs = pair(left, right, apart=apart * DAY)

    lefts, rights = [each for each, _ in pairs], [each for _, each in pairs]
    assert len(set(lefts)) == len(set(rights)) == len(pairs)
    assert all(abs(one[a] - other[b]) <= apart for a, b in pairs)
    alone = [(a, b) for a in range(len(one)) for b in range(len(other)) if a not in lefts and b not in rights]
    assert all(abs(one[a] - other[b]) > apart for a, b in alone)


def test_segments() -> None:
    """A trait of the contact or its account, nested or with a dot in its name; nothing where it has none."""
    contact, account = {"title": "Head", "a.b": 1, "a": {"b": 2, "c": [True, 3]}}, {"domain": None, "size": 4.5}

    assert segment_of("contact.title", contact, account) == "Head"
    assert segment_of("contact.a.b", contact, account) == "1"
    assert segment_of("contact.a.c", contact, account) == "True"
    assert segment_of("account.size", contact, account) == "4.5"
    assert [segment_of(field, contact, account) for field in ("contact.a", "account.domain", "account.x.y")] == [""] * 3
    assert is_segment("account.industry")
    wrong = ("", "industry", "account.", "properties.form", "contact.a\0", "contact." + "x" * 99)
    assert not any(map(is_segment, wrong))

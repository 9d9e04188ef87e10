"""A draft decided over the stored history, beside the active agreement."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scorer.errors import SimulationLost
from services.scorer.simulation_worker import simulating_worker
from services.scorer.store import stretches, tables
from services.scorer.store.simulations import MOST_ATTEMPTS, Simulation
from shared.events.contact import ContactsMerged, encode_contact
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.topics import TopicName
from shared.events.touch import Touch
from shared.http.keys import Role
from shared.ids import contact_id
from tests.integration.scorer.conftest import Rig, open_rig
from tests.support.accounts_text import ACCOUNTS_TEXT, somebody
from tests.support.accounts_text import who as employed
from tests.support.touches import ADA, BEN, NOON, TEXT, a_demo_request, a_profile, a_touch, changed
from tests.support.waiting import until

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
EVE = contact_id("email", "eve@other.example")
LOOSER = changed(("engagement: 50, fit: 50, touches: 8", "engagement: 40, fit: 50, touches: 5"))
STRICTER = changed(("touches: 8", "touches: 30"))


def interested(contact: UUID, name: str, *, pages: int, at: datetime = NOON, **who: Any) -> list[Touch]:
    """Return a profile and pricing pages, two a day, the last of them at noon."""
    traits = {"title": "Director of Supply", "name": name, **who}
    return [
        a_profile(f"{name} who", at=at - 9 * DAY, contact=contact, traits=traits),
        *(
            a_touch(f"{name} {n}", path="/pricing", at=at - (n // 2) * DAY - (n % 2) * HOUR, contact=contact)
            for n in reversed(range(pages))
        ),
    ]


async def ask(rig: Rig, text: str | None = None, *, version: int | None = None, **query: Any) -> Any:
    """Ask for a simulation and return what was answered."""
    path = "/v1/agreements/simulate" if version is None else f"/v1/agreements/{version}/simulate"
    response = await rig.call("POST", path, content=text, params=query)
    assert response.status_code == 202, response.text
    return response.json()


async def claim(rig: Rig, owner: str = "test") -> Simulation | None:
    """Claim what is to be simulated."""
    async with rig.engine.begin() as connection:
        return await rig.simulations.claim(connection, owner, now=rig.now)


async def done(rig: Rig, text: str | None = None, *, version: int | None = None, **query: Any) -> Any:
    """Ask for a simulation, do it, and return it with its result."""
    asked = await ask(rig, text, version=version, **query)
    held = await claim(rig)
    assert held is not None
    assert str(held.id) == asked["id"]
    await rig.simulating.run(held)
    found = await rig.get(f"/v1/simulations/{asked['id']}")
    assert found["status"] == "done", found
    return found


async def leads(rig: Rig, found: Any, *kinds: str) -> list[Any]:
    """Return the leads of these kinds."""
    answer = await rig.get(f"/v1/simulations/{found['id']}/leads", kind=list(kinds))
    return list(answer["leads"])


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stretch be one contact."""
    monkeypatch.setattr(stretches, "STRETCH", 1)


async def test_leads_gained_and_lost(rig: Rig) -> None:
    """Who would be a lead and who not, with names and reasons, by week and segment, against the capacity."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8))
    await rig.give(*interested(BEN, "Ben", pages=5, at=NOON - 7 * DAY))
    await rig.give(a_profile("eve", contact=EVE, traits={"name": "Eve"}), a_demo_request("eve asks", contact=EVE))
    (ada, eve) = await rig.handoffs()
    assert {ada.contact.id, eve.contact.id} == {ADA, EVE}
    rig.now = NOON + HOUR
    draft = await rig.propose(changed(("hand_raise: true", "hand_raise: false"), text=LOOSER))

    found = await done(rig, version=draft["version"], since="30d", segment="account.industry", capacity=1)

    assert found["progress"] == 1
    assert (found["contacts"], found["touches"]) == (3, 17)
    assert found["draft"] == {"version": 2, "title": "What we both call a lead", "hash": draft["hash"]}
    result = found["result"]
    assert result["leads"] == {"active": 2, "draft": 2, "made": 2, "both": 1, "gained": 1, "lost": 1}
    assert [week for week in result["weeks"] if week["active"] or week["draft"]] == [
        {"week": "2026-02-16", "days": 7, "active": 0, "draft": 1, "made": 0},
        {"week": "2026-02-23", "days": 7, "active": 2, "draft": 1, "made": 2},
    ]
    assert sum(week["days"] for week in result["weeks"]) == 31
    assert result["weeks_over_capacity"] == {"active": 1, "draft": 0}
    assert result["per_week"] == {"active": 0.47, "draft": 0.47}
    (industry,) = result["segments"]
    assert (industry["value"], industry["gained"], industry["lost"]) == ("logistics", 1, 1)

    gained, lost = await leads(rig, found, "gained"), await leads(rig, found, "lost")
    assert [lead["contact"]["name"] for lead in (*gained, *lost)] == ["Ben", "Eve"]
    assert gained[0]["draft"]["rules"] == ["pricing-viewed 49.1", "page-viewed 4.9"]
    assert gained[0]["draft"]["missing"] == ["3 more touches"]
    assert lost[0]["active"]["reason"] == "hand_raise"
    assert lost[0]["active"]["missing"][0] == "no rule takes this touch for asking for sales"
    assert len(await leads(rig, found, "both", "gained")) == 2


async def work(rig: Rig, *steps: tuple[str, float], pages: int = 2) -> None:
    """Have people look at prices so many days after noon, and accounts looked at after each touch."""
    for name, days in steps:
        at = NOON + days * DAY
        for number in range(pages):
            view = a_touch(f"{name} {days} {number}", path="/pricing", contact=somebody(name), at=at + number * HOUR)
            rig.now = view.received_at
            await rig.give(view)
            await rig.decide_accounts()


async def employ(rig: Rig, *names: str, domain: str = "acme.example") -> None:
    """Have it told that people work for a company, as those who decide."""
    for name in names:
        await rig.give(employed(name, title="VP Freight", domain=domain))


async def test_leads_of_accounts(rig: Rig) -> None:
    """The active agreement makes those that were really made, and each says what kept the other from it."""
    await rig.activate(ACCOUNTS_TEXT)
    await employ(rig, "dora", "carl", "eve")
    await employ(rig, "hal", "ida", "jon", "kim", domain="other.example")
    await work(rig, ("dora", 0), ("hal", 0.5), ("carl", 1), ("ida", 1.5), ("eve", 2), ("jon", 3), ("dora", 4))
    await work(rig, ("dora", 45), ("carl", 46), ("eve", 47))  # it fell below 40 meanwhile
    made = {handoff.id: handoff for handoff in await rig.handoffs()}
    assert [handoff.reason for handoff in made.values()] == ["account"] * 3
    rig.now += HOUR
    same = await done(rig, ACCOUNTS_TEXT, since="90d")
    without = await done(rig, TEXT, since="90d")
    four = await done(
        rig, changed(("contacts: 3, within: 7d", "contacts: 4, within: 7d"), text=ACCOUNTS_TEXT), since="90d"
    )

    assert same["result"]["leads"] == {"active": 3, "draft": 3, "made": 3, "both": 3, "gained": 0, "lost": 0}
    counted = {"active": 3, "draft": 3, "made": 3}
    assert same["result"]["accounts"] == {"simulated": True, "agreed_by": ["active", "draft"], **counted}
    for lead in await leads(rig, same, "both"):
        real = made[UUID(lead["active"]["id"])]
        assert (lead["contact"]["id"], lead["active"]["at"]) == (str(real.contact.id), lead["made_at"])
        assert real.account is not None
        assert lead["active"]["account"] == lead["draft"]["account"] == real.account.engagement

    assert without["result"]["accounts"] == {"simulated": True, "agreed_by": ["active"], **counted, "draft": 0}
    lost = await leads(rig, without, "lost")
    assert [lead["active"]["missing"] for lead in lost] == [["no threshold for accounts"]] * 3
    assert [lead["active"]["missing"] for lead in await leads(rig, four, "lost")] == [["1 more person"]] * 3


async def test_no_leads_of_accounts(rig: Rig) -> None:
    """Where neither agreement has a threshold for them, nothing is told of them; a draft that has one gains them."""
    await rig.activate()
    await employ(rig, "dora", "carl", "eve")
    await work(rig, ("dora", 0), ("carl", 1), ("eve", 2))
    rig.now += HOUR
    neither = await done(rig, STRICTER, since="30d")
    gaining = await done(rig, ACCOUNTS_TEXT, since="30d")

    assert neither["result"]["accounts"] is None
    counted = {"active": 0, "draft": 1, "made": 0}
    assert gaining["result"]["accounts"] == {"simulated": True, "agreed_by": ["draft"], **counted}
    (lead,) = await leads(rig, gaining, "gained")
    assert (lead["draft"]["reason"], lead["draft"]["missing"]) == ("account", ["no threshold for accounts"])
    assert lead["contact"]["account"] == "acme.example"


async def test_outcomes(rig: Rig) -> None:
    """Of the handoffs that sales won, lost and rejected it is told how many the draft would have sent."""
    await rig.activate()
    for contact, name, industry in ((ADA, "Ada", "logistics"), (BEN, "Ben", "banking"), (EVE, "Eve", "banking")):
        await rig.give(
            *interested(contact, name, pages=8, title="VP Sales"),
            a_profile(
                f"{name} at", at=NOON - 8 * DAY, contact=contact, traits={}, account_traits={"industry": industry}
            ),
            a_demo_request(f"{name} asks", at=NOON + HOUR, contact=contact),
        )
    handoffs = {handoff.contact.id: handoff for handoff in await rig.handoffs()}
    steps = [
        (ADA, FeedbackKind.WON, ""),
        (BEN, FeedbackKind.REJECTED, "not_a_fit"),
        (BEN, FeedbackKind.RECYCLED, ""),
        (EVE, FeedbackKind.LOST, ""),
    ]
    for contact, kind, reason in steps:
        answer = Feedback(
            id=uuid4(), handoff_id=handoffs[contact].id, contact_id=contact, kind=kind, at=NOON + DAY, reason=reason
        )
        await rig.tell(answer)
        await rig.tell(answer)
    rig.now = NOON + 2 * DAY

    draft = changed(("hand_raise: true", "hand_raise: false"), ("fit: 50", "fit: 80"))
    found = await done(rig, draft, since="30d", segment="account.industry")

    assert found["result"]["outcomes"] == [
        {"outcome": "won", "made": 1, "active": 1, "draft": 1},
        {"outcome": "lost", "made": 1, "active": 1, "draft": 0},
        {"outcome": "rejected", "made": 1, "active": 1, "draft": 0},
    ]
    by_industry = {each["value"]: each for each in found["result"]["segments"]}
    assert (by_industry["logistics"]["won"], by_industry["logistics"]["won_of_draft"]) == (1, 1)
    assert by_industry["banking"]["won"] == 0
    rejected = [lead for lead in await leads(rig, found, "lost") if lead["outcome"] == "rejected"]
    assert [(lead["contact"]["name"], lead["outcome_reason"]) for lead in rejected] == [("Ben", "not_a_fit")]
    assert await rig.count(tables.answer) == 4


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["/pricing", "/compare/x", "demo"]), st.integers(1, 40))))
async def test_the_active_agreement_over_real_traffic(rig: Rig, happened: list[tuple[int, str, int]]) -> None:
    """A simulation of the agreement that was active all along finds the handoffs that were really made."""
    run = uuid4().hex
    if await rig.count(tables.agreement) == 0:
        await rig.activate()
    people = [contact_id("user", f"{run} {number}") for number in range(3)]
    at = rig.now
    touches = [a_profile(f"{run} {person}", at=at, contact=person) for person in people]
    for number, (who, path, hours) in enumerate(happened * 3):
        at += hours * HOUR
        make = a_demo_request if path == "demo" else a_touch
        fields = {} if path == "demo" else {"path": path}
        touches.append(make(f"{run} {number}", at=at, contact=people[who], **fields))
    for touch in touches:
        await rig.give(touch)
    rig.now = at + HOUR

    found = await done(rig, TEXT.replace("fit: 50, touches", "fit: 51, touches"), since="3650d")

    made = sorted((h.contact.id, h.decided_at) for h in await rig.handoffs() if h.contact.id in people)
    shown = await every_lead(rig, found)
    told = [(UUID(lead["contact"]["id"]), datetime.fromisoformat(lead["active"]["at"])) for lead in shown]
    assert sorted(each for each in told if each[0] in people) == made
    assert not any(lead["kind"] == "neither" for lead in shown)
    assert all(lead["made_at"] == lead["active"]["at"] for lead in shown)


async def every_lead(rig: Rig, found: Any) -> list[Any]:
    """Return all leads, page by page."""
    shown: list[Any] = []
    query: dict[str, Any] = {"kind": ["both", "lost", "gained", "neither"], "limit": 7}
    while True:
        page = await rig.get(f"/v1/simulations/{found['id']}/leads", **query)
        shown += page["leads"]
        if page["next"] is None:
            return shown
        query["cursor"] = page["next"]


async def test_earlier_touches(rig: Rig) -> None:
    """What was earned before the window counts for what is left of it; leads of before are not shown."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8, at=NOON - 20 * DAY))
    await rig.give(*interested(BEN, "Ben", pages=7, at=NOON - 20 * DAY), a_touch("ben", contact=BEN, path="/compare/x"))
    await rig.give(a_touch("ada", contact=ADA))
    rig.now = NOON + HOUR

    found = await done(rig, STRICTER, since="10d")

    (ben,) = await leads(rig, found, "lost", "both")
    assert ben["contact"]["name"] == "Ben"
    assert ben["active"]["missing"] == ["22 more touches"]


async def test_without_an_active_agreement(rig: Rig) -> None:
    """The first draft of all is compared with nothing: each lead is gained."""
    await rig.give(*interested(ADA, "Ada", pages=8))
    rig.now = NOON + HOUR

    found = await done(rig, TEXT, since="30d")

    assert found["active"] is None
    assert found["result"]["leads"] == {"active": 0, "draft": 1, "made": 0, "both": 0, "gained": 1, "lost": 0}


@pytest.mark.usefixtures("short_stretches")
async def test_a_crash_in_the_middle(rig: Rig, database_url: str) -> None:
    """Another process goes on behind the last step as soon as the lease ran out; nothing is found twice."""
    await rig.activate()
    people = [(contact_id("user", f"{number}"), f"P{number}") for number in range(4)]
    for contact, name in people:
        await rig.give(*interested(contact, name, pages=8))
    rig.now = NOON + HOUR
    asked = await ask(rig, STRICTER, since="30d")
    held = await claim(rig, "first")
    assert held is not None
    assert await claim(rig, "second") is None, "the lease holds"

    async with rig.engine.begin() as holding:  # whoever holds the last contact keeps the simulation from its end
        await rig.contacts.lock(holding, [max(contact for contact, _ in people)])
        running = asyncio.create_task(rig.simulating.run(held))
        await until(lambda: _has_begun(rig, asked))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    async with rig.engine.begin() as connection:
        await rig.simulations.release(connection, held)
    async with open_rig(database_url, now=rig.now) as other:
        taken = await claim(other, "second")
        assert taken is not None
        assert taken.cursor is not None
        await other.simulating.run(taken)
        with pytest.raises(SimulationLost):
            await rig.simulating.run(held)

    found = await rig.get(f"/v1/simulations/{asked['id']}")
    assert found["status"] == "done"
    assert found["contacts"] == len(people)
    assert found["result"]["leads"]["lost"] == len(people)


async def _has_begun(rig: Rig, asked: Any) -> bool:
    return bool((await rig.get(f"/v1/simulations/{asked['id']}"))["contacts"])


@pytest.mark.usefixtures("short_stretches")
async def test_two_processes_at_one_simulation(rig: Rig, database_url: str) -> None:
    """Of two that both believe to be at it only one gets on, and all is found once."""
    await rig.activate()
    for number in range(5):
        await rig.give(*interested(contact_id("user", f"{number}"), f"P{number}", pages=8))
    rig.now = NOON + HOUR
    asked = await ask(rig, STRICTER, since="30d")
    held = await claim(rig)
    assert held is not None

    async with open_rig(database_url, now=rig.now) as other:
        ended = await asyncio.gather(rig.simulating.run(held), other.simulating.run(held), return_exceptions=True)

    assert sorted(map(type, ended), key=str) == sorted([type(None), SimulationLost], key=str)
    assert (await rig.get(f"/v1/simulations/{asked['id']}"))["result"]["leads"]["lost"] == 5


async def test_one_at_a_time(rig: Rig) -> None:
    """Simulations wait for each other in their order; who is cancelled while it runs gets no further."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8))
    rig.now = NOON + HOUR
    first = await ask(rig, STRICTER, since="30d")
    rig.now += timedelta(seconds=1)
    second = await ask(rig, LOOSER, since="30d")
    held = await claim(rig)
    assert held is not None
    assert str(held.id) == first["id"]
    assert await claim(rig) is None

    response = await rig.call("POST", f"/v1/simulations/{first['id']}/cancel")
    assert response.json()["status"] == "cancelled"
    with pytest.raises(SimulationLost):
        await rig.simulating.run(held)
    assert (await rig.get(f"/v1/simulations/{first['id']}"))["result"] is None
    held = await claim(rig)
    assert held is not None
    await rig.simulating.run(held)
    response = await rig.call("POST", f"/v1/simulations/{second['id']}/cancel")
    assert response.json()["status"] == "done"
    listed = await rig.get("/v1/simulations", limit=1)
    assert [each["id"] for each in listed["simulations"]] == [second["id"]]
    listed = await rig.get("/v1/simulations", limit=1, cursor=listed["next"])
    assert [each["id"] for each in listed["simulations"]] == [first["id"]]
    assert await claim(rig) is None


async def test_a_step_that_takes_longer_than_the_lease(rig: Rig) -> None:
    """Who is at it keeps it, and hears when it was cancelled meanwhile."""
    await rig.activate()
    asked = await ask(rig, STRICTER, since="30d")
    held = await claim(rig)
    assert held is not None
    assert held.lease_until is not None
    async with rig.engine.begin() as connection:
        await rig.simulations.stay(connection, held)
        again = await rig.simulations.held(connection, held.id, owner="test")
    assert again.lease_until is not None
    assert again.lease_until > held.lease_until
    await rig.call("POST", f"/v1/simulations/{asked['id']}/cancel")
    async with rig.engine.begin() as connection:
        with pytest.raises(SimulationLost):
            await rig.simulations.stay(connection, held)


async def test_one_that_breaks_every_process(rig: Rig) -> None:
    """What never gets on is given up with a reason, and those behind it get their turn."""
    asked = await ask(rig, STRICTER)
    rig.now += timedelta(seconds=1)
    await ask(rig, LOOSER)
    for number in range(MOST_ATTEMPTS):
        held = await claim(rig, f"process {number}")
        assert held is not None
        assert str(held.id) == asked["id"]
        async with rig.engine.begin() as connection:
            await rig.simulations.release(connection, held)

    assert await claim(rig) is None
    found = await rig.get(f"/v1/simulations/{asked['id']}")
    assert found["status"] == "failed"
    assert "5 times" in found["problem"]
    held = await claim(rig)
    assert held is not None
    assert str(held.id) != asked["id"]


async def test_who_is_erased(rig: Rig) -> None:
    """Nothing of an erased contact is left in any result, nor of what sales said; its leads count no more."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8))
    await rig.give(*interested(BEN, "Ben", pages=8))
    (ada, _) = await rig.handoffs()
    await rig.tell(
        Feedback(id=uuid4(), handoff_id=ada.id, contact_id=ADA, kind=FeedbackKind.WON, at=NOON + timedelta(minutes=1))
    )
    rig.now = NOON + HOUR
    found = await done(rig, STRICTER, since="30d")
    assert found["result"]["leads"]["lost"] == 2
    assert await rig.count(tables.answer) == 1

    assert (await rig.call("DELETE", f"/v1/contacts/{ADA}", role=Role.ADMIN)).status_code == 202

    (ben,) = await leads(rig, found, "lost", "both", "gained", "neither")
    assert ben["contact"]["name"] == "Ben"
    found = await rig.get(f"/v1/simulations/{found['id']}")
    assert found["result"]["leads"]["lost"] == 1
    assert found["result"]["outcomes"] == [{"outcome": "open", "made": 1, "active": 1, "draft": 0}]
    assert await rig.count(tables.answer) == 0
    assert await rig.count(tables.handoff) == 1


async def test_who_is_erased_while_it_is_found(rig: Rig) -> None:
    """A contact that is erased between the reading of its touches and the keeping of its lead leaves no lead."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8))
    rig.now = NOON + HOUR
    asked = await ask(rig, STRICTER, since="30d")
    held = await claim(rig)
    assert held is not None

    async with _holding(rig, ADA) as erase:
        running = asyncio.create_task(rig.simulating.run(held))
        await until(lambda: _is_waiting(rig))
        await erase()
    await running

    assert await rig.count(tables.simulated_lead) == 0
    assert (await rig.get(f"/v1/simulations/{asked['id']}"))["result"]["leads"]["lost"] == 0


@asynccontextmanager
async def _holding(rig: Rig, contact: UUID) -> AsyncIterator[Any]:
    """Hold the contact as an erasure does, and erase it when told."""
    async with rig.engine.begin() as connection:
        await rig.contacts.lock(connection, [contact])

        async def erase() -> None:
            await rig.erasures.remove(connection, [contact])

        yield erase


async def _is_waiting(rig: Rig) -> bool:
    async with rig.engine.connect() as connection:
        waiting = await connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(waiting.scalar())


async def test_who_was_merged(rig: Rig) -> None:
    """A merged contact's handoffs and leads are those of the survivor, with what sales said of them."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8))
    await rig.give(a_touch("ben", contact=BEN, at=NOON - DAY))
    rig.now = NOON + HOUR
    before = await done(rig, STRICTER, since="30d")
    (handoff,) = await rig.handoffs()
    merge = ContactsMerged(id=uuid4(), survivor=BEN, other=ADA, aliases=(), at=NOON + HOUR)
    await rig.give_records(encode_contact(merge), topic=TopicName.CONTACTS)
    await rig.tell(
        Feedback(id=uuid4(), handoff_id=handoff.id, contact_id=ADA, kind=FeedbackKind.WON, at=NOON + 2 * HOUR)
    )
    rig.now = NOON + 3 * HOUR

    (lead,) = await leads(rig, before, "lost")
    assert lead["contact"]["id"] == str(BEN)
    after = await done(rig, STRICTER, since="30d")
    (lead,) = await leads(rig, after, "lost")
    assert (lead["contact"]["id"], lead["contact"]["name"], lead["outcome"]) == (str(BEN), "Ada", "won")


async def test_bad_drafts(rig: Rig) -> None:
    """A text that is no agreement is refused with every mistake and its line; so is what makes no sense to ask."""
    wrong = changed(("half_life: 30d", "half_life: soon"), ("points: 50", "points: many"))
    response = await rig.call("POST", "/v1/agreements/simulate", content=wrong)
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_agreement"
    assert [error["line"] for error in response.json()["errors"]] == [4, 7]
    assert (await rig.call("POST", "/v1/agreements/9/simulate")).status_code == 404
    for query in (
        {"since": "yesterday"},
        {"since": "1m"},
        {"since": "9999999999999999d"},
        {"segment": "industry"},
        {"capacity": "-1"},
    ):
        response = await rig.call("POST", "/v1/agreements/simulate", content=TEXT, params=query)
        assert response.status_code == 422, query
    assert (await rig.call("GET", f"/v1/simulations/{uuid4()}")).status_code == 404
    assert (await rig.call("POST", f"/v1/simulations/{uuid4()}/cancel")).status_code == 404
    for _ in range(20):
        await ask(rig, TEXT)
    response = await rig.call("POST", "/v1/agreements/simulate", content=TEXT)
    assert (response.status_code, response.json()["code"]) == (409, "simulations_waiting")


async def test_who_may_simulate(rig: Rig) -> None:
    """Marketing, sales and admins do; reps, sources and strangers do not."""
    asked = await ask(rig, TEXT)
    calls = [
        ("POST", "/v1/agreements/simulate"),
        ("POST", "/v1/agreements/1/simulate"),
        ("GET", "/v1/simulations"),
        ("GET", f"/v1/simulations/{asked['id']}"),
        ("GET", f"/v1/simulations/{asked['id']}/leads"),
        ("POST", f"/v1/simulations/{asked['id']}/cancel"),
    ]
    for method, path in calls:
        for role in (Role.REP, Role.SOURCE):
            assert (await rig.call(method, path, role=role)).status_code == 403
        assert (await rig.call(method, path, role=None)).status_code == 401
    for role in (Role.SALES, Role.ADMIN):
        assert (await rig.call("POST", "/v1/agreements/simulate", role=role, content=TEXT)).status_code == 202


async def test_in_a_process_of_its_own(rig: Rig, database_url: str) -> None:
    """The worker has it done by a process, which ends with the worker; another worker leaves it alone."""
    await rig.activate()
    await rig.give(*interested(ADA, "Ada", pages=8))
    rig.now = NOON + HOUR
    stopping = asyncio.Event()
    workers = [asyncio.create_task(_worker(rig, database_url, owner)(stopping)) for owner in ("one process", "another")]
    asked = await ask(rig, STRICTER, since="30d")

    async def is_done() -> bool:
        return bool((await rig.get(f"/v1/simulations/{asked['id']}"))["status"] == "done")

    await until(is_done, seconds=60)
    stopping.set()
    await asyncio.gather(*workers)
    assert (await rig.get(f"/v1/simulations/{asked['id']}"))["result"]["leads"]["lost"] == 1


def _worker(rig: Rig, database_url: str, owner: str) -> Any:
    return simulating_worker(
        rig.engine,
        simulations=rig.simulations,
        shadowing=rig.shadowing,
        database_url=database_url,
        owner=owner,
        clock=lambda: rig.now,
        every=timedelta(milliseconds=100),
        wake=asyncio.Event(),
    )

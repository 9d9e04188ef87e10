"""Accounts on a real database: what people of one company do together, decided once."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.store import tables
from shared.events.contact import ContactsMerged, ContactsUnmerged, encode_contact
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import ContactOptedOut
from shared.events.touch import Touch
from shared.http.keys import Role
from shared.ids import derived_id
from tests.integration.scorer.conftest import Rig, open_rig
from tests.support.account_model import model_accounts
from tests.support.accounts_text import ACCOUNTS_TEXT, somebody, who
from tests.support.reference_model import people
from tests.support.touches import NOON, TEXT, a_touch, a_track, agreement, changed

DAY = timedelta(days=1)


def looks(name: str, *, times: int = 2, at: Any = NOON) -> list[Touch]:
    """Return views of prices: 11 points each."""
    return [a_touch(f"{name} {at} {number}", contact=somebody(name), path="/pricing", at=at) for number in range(times)]


async def three_people(rig: Rig, *, at: Any = NOON) -> None:
    """Let three people of one company, one of them a director, come to 66 together."""
    await rig.give(who("dora", title="Director of Freight", at=at), *looks("dora", at=at), number=0)
    await rig.give(who("carl", at=at), *looks("carl", at=at), number=1)
    await rig.give(who("eve", at=at), *looks("eve", at=at), number=2)


async def answer(rig: Rig, handoff: Any, *, at: Any, kind: FeedbackKind = FeedbackKind.RECYCLED) -> None:
    """Have sales say something about a handoff."""
    await rig.tell(
        Feedback(
            id=derived_id("feedback", handoff.id, kind),
            handoff_id=handoff.id,
            contact_id=handoff.contact.id,
            kind=kind,
            at=at,
        )
    )


async def test_three_people_of_one_company(rig: Rig) -> None:
    """None of them is ready, but the account is: one handoff, with the most engaged of them and who the others are."""
    await rig.activate(ACCOUNTS_TEXT)
    await rig.give(who("dora", title="Director of Freight"), *looks("dora"), a_touch("x", contact=somebody("dora")))
    await rig.give(who("carl"), *looks("carl"), number=1)
    await rig.decide_accounts()
    assert await rig.handoffs() == []
    shown = await rig.get("/v1/accounts/acme.example")
    assert shown["missing"] == ["engagement 45 of 60", "1 more person"]

    await rig.give(who("eve"), *looks("eve"), number=2)
    await rig.decide_accounts()
    await rig.give(*looks("eve", times=3), number=2)
    await rig.decide_accounts()

    (handoff,) = await rig.handoffs()
    assert (handoff.reason, handoff.contact.id) == ("account", somebody("dora"))
    assert handoff.account is not None
    assert handoff.account.engagement == 67
    assert (handoff.account.people[0].contact_id, handoff.account.people[0].adds) == (somebody("dora"), 23)
    assert {person.contact_id: person.roles for person in handoff.account.people} == {
        somebody("dora"): ("decision_maker",),
        somebody("carl"): ("user",),
        somebody("eve"): ("user",),
    }
    assert (await rig.get(f"/v1/contacts/{somebody('dora')}"))["arming"]["state"] == "handed"
    assert (await rig.get("/v1/accounts/acme.example"))["arming"]["contact"] == str(somebody("dora"))


async def test_what_is_shown(rig: Rig) -> None:
    """The parts add up to the score to the last bit, with what the cap takes away; lists are ordered by score."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    await rig.give(*looks("dora", at=NOON - DAY, times=2), *looks("dora", at=NOON - 9 * DAY))
    await rig.give(who("zoe", domain="zeta.example"), *looks("zoe"))
    await rig.decide_accounts()

    shown = await rig.get("/v1/accounts/ACME.example")
    by_id = await rig.get(f"/v1/accounts/{shown['id']}")
    page = await rig.get("/v1/accounts", limit=1)
    rest = await rig.get("/v1/accounts", limit=1, cursor=page["next"])
    one = await rig.get("/v1/accounts", domain="acme.example")

    assert by_id == shown
    assert sum(part["value"] for part in shown["engagement"]["parts"]) == shown["engagement"]["score"] == 74
    assert [part["adjustment"] for part in shown["engagement"]["parts"] if "adjustment" in part] == ["cap"]
    assert [account["domain"] for account in page["accounts"]] == ["acme.example"]
    assert [account["domain"] for account in rest["accounts"]] == ["zeta.example"]
    assert rest["next"] is None
    assert one["accounts"] == [shown]
    assert (await rig.call("GET", "/v1/accounts/nobody.example")).status_code == 404
    assert (await rig.call("GET", "/v1/accounts", params={"cursor": "?"})).status_code == 422


async def test_an_agreement_without_accounts(rig: Rig) -> None:
    """Nothing is kept and nothing decided, and who asks is told why; agreed later, all contacts are looked at."""
    await rig.activate(TEXT)
    await three_people(rig)
    await rig.decide_accounts()
    refused = await rig.call("GET", "/v1/accounts/acme.example")
    assert (refused.status_code, refused.json()["code"]) == (404, "accounts_not_agreed")
    assert await rig.count(tables.account_due) == await rig.count(tables.account_contact) == 0

    rig.now = NOON + timedelta(hours=1)
    await rig.activate(ACCOUNTS_TEXT)
    await rig.decide_accounts()
    assert await rig.handoffs() == []
    await rig.sweep()
    await rig.decide_accounts()

    (handoff,) = await rig.handoffs()
    assert handoff.decided_at == NOON + timedelta(hours=1)


async def test_another_version_changes_accounts(rig: Rig) -> None:
    """A lower threshold hands off once all people are decided under it, and not before."""
    await rig.activate(changed(("engagement: 60, contacts", "engagement: 90, contacts"), text=ACCOUNTS_TEXT))
    await three_people(rig)
    await rig.decide_accounts()
    assert await rig.handoffs() == []

    await rig.activate(ACCOUNTS_TEXT)
    await rig.sweeper.apply_agreement(limit=1)
    await rig.decide_accounts()
    assert await rig.handoffs() == []
    await rig.sweep()
    await rig.decide_accounts()

    assert len(await rig.handoffs()) == 1


async def test_somebody_who_is_with_sales(rig: Rig) -> None:
    """Whose own handoff is open speaks for the account: it is not doubled."""
    await rig.activate(ACCOUNTS_TEXT)
    await rig.give(a_track("demo", "Form Submitted", contact=somebody("eve"), properties={"form": "demo"}))
    await three_people(rig)
    await rig.decide_accounts()

    assert [handoff.reason for handoff in await rig.handoffs()] == ["hand_raise"]
    assert (await rig.get("/v1/accounts/acme.example"))["missing"] == ["one of them is with sales"]


async def test_given_back(rig: Rig) -> None:
    """The account cools down with the person; after that it is handed off once more, for the same threshold."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    await rig.decide_accounts()
    (first,) = await rig.handoffs()

    await answer(rig, first, at=NOON + DAY)
    await rig.decide_accounts()
    assert (await rig.get("/v1/accounts/acme.example"))["arming"]["state"] == "cooling"
    await three_people(rig, at=NOON + 20 * DAY)
    await rig.decide_accounts()
    assert len(await rig.handoffs()) == 1

    await three_people(rig, at=NOON + 32 * DAY)
    await rig.decide_accounts()
    assert [handoff.reason for handoff in await rig.handoffs()] == ["account", "account"]


async def test_falling_and_rising(rig: Rig) -> None:
    """Below the re-arm level the account is armed again, told by the sweeper or by the next touch, and crosses anew."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    await rig.decide_accounts()
    until = (await rig.get("/v1/accounts/acme.example"))["arming"]["until"]
    assert until.startswith("2026-03-23")  # 66 falls below 40 after 30 days · log2(66 / 40) = 21.7

    rig.now = NOON + 22 * DAY
    assert await rig.decider.arm_cooled(limit=10) == 1
    assert await rig.decider.arm_cooled(limit=10) == 0
    assert (await rig.get("/v1/accounts/acme.example"))["arming"]["state"] == "armed"
    await answer(rig, (await rig.handoffs())[0], at=NOON + 22 * DAY, kind=FeedbackKind.LOST)
    await three_people(rig, at=NOON + 40 * DAY)
    await rig.decide_accounts()

    assert len(await rig.handoffs()) == 2


async def test_an_opt_out(rig: Rig) -> None:
    """Who opted out counts nothing and is not handed off, also when it is heard of while the account is decided."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    lock = rig.contacts.lock

    async def opting_out(connection: AsyncConnection, ids: Any) -> Any:
        rig.contacts.lock = lock  # type: ignore[method-assign]  # this once
        await rig.give(a_track("out", "Unsubscribed", contact=somebody("dora"), opted_out=True, at=NOON), number=3)
        return await lock(connection, ids)

    rig.contacts.lock = opting_out  # type: ignore[method-assign]  # the touch comes between look and hold
    await rig.decide_accounts()

    assert await rig.handoffs() == []
    shown = await rig.get("/v1/accounts/acme.example")
    assert somebody("dora") not in {person["id"] for person in shown["people"]}
    assert shown["engagement"]["score"] == 44


async def test_an_opt_out_after_the_handoff(rig: Rig) -> None:
    """The router is told later than of the handoff, whatever the contact's own touches say; the account is closed."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    await rig.give(*looks("eve", at=NOON + DAY))
    await rig.decide_accounts()
    (handoff,) = await rig.handoffs()
    chosen = handoff.contact.id

    await rig.give(a_track("out", "Unsubscribed", contact=chosen, opted_out=True, at=NOON + timedelta(hours=1)))
    await rig.decide_accounts()

    out = (await rig.messages())[-1]
    assert isinstance(out, ContactOptedOut)
    assert out.at >= handoff.decided_at
    assert (await rig.get("/v1/accounts/acme.example"))["arming"]["state"] in {"closed", "armed"}
    assert len(await rig.handoffs()) == 1


async def test_erasure(rig: Rig) -> None:
    """Who was erased counts nowhere, and of an account without people nothing remains."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    for name in ("dora", "carl", "eve"):
        assert (await rig.call("DELETE", f"/v1/contacts/{somebody(name)}", role=Role.ADMIN)).status_code == 202
        await rig.decide_accounts()

    for table in (tables.account, tables.account_contact, tables.account_due):
        assert await rig.count(table) == 0
    assert await rig.handoffs() == []


async def test_a_merge_and_its_undoing(rig: Rig) -> None:
    """Two contacts that are one person count once and share one cap; parted again, each counts."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    merge = derived_id("merge")
    told: dict[str, Any] = {"id": merge, "survivor": somebody("carl"), "other": somebody("eve"), "aliases": ()}
    await rig.give_records(encode_contact(ContactsMerged(**told, at=NOON)), topic="contacts")
    await rig.decide_accounts()

    shown = await rig.get("/v1/accounts/acme.example")
    assert await rig.handoffs() == []
    assert {person["id"]: person["adds"] for person in shown["people"]} == {
        str(somebody("dora")): 22,
        str(somebody("carl")): 24,  # prices count twice a day, for both of them together
    }
    await rig.give_records(encode_contact(ContactsUnmerged(**told, at=NOON + timedelta(hours=1))), topic="contacts")
    await rig.decide_accounts()

    assert len((await rig.get("/v1/accounts/acme.example"))["people"]) == 3
    assert len(await rig.handoffs()) == 1


async def test_another_company(rig: Rig) -> None:
    """Who works elsewhere now takes what they did along, whichever of it arrives first."""
    await rig.activate(ACCOUNTS_TEXT)
    await three_people(rig)
    await rig.give(who("eve", domain="next.example", at=NOON + DAY))
    await rig.give(who("eve", domain="older.example", at=NOON - DAY))
    await rig.decide_accounts()

    assert await rig.handoffs() == []
    old, new = [await rig.get(f"/v1/accounts/{domain}.example") for domain in ("acme", "next")]
    assert (len(old["people"]), len(new["people"])) == (2, 1)
    assert (await rig.call("GET", "/v1/accounts/older.example")).status_code == 404


async def test_two_processes(rig: Rig, database_url: str) -> None:
    """While two write and both decide, nobody waits in a circle and each account is handed off once."""
    await rig.activate(ACCOUNTS_TEXT)
    companies = [f"c{number}.example" for number in range(6)]
    async with open_rig(database_url) as other:
        done = asyncio.Event()

        async def deciding(process: Rig) -> None:
            while not done.is_set():
                await process.decider.decide(limit=4)

        async def writing(process: Rig, names: list[str], number: int) -> None:
            for domain in companies:
                for name in names:
                    person = f"{name}@{domain}"
                    title = "VP Freight" if name == "a" else "Clerk"
                    await process.give(who(person, domain=domain, title=title), *looks(person), number=number)

        deciders = [asyncio.create_task(deciding(process)) for process in (rig, other)]
        await asyncio.gather(writing(rig, ["a", "b"], 1), writing(other, ["c", "d"], 2))
        done.set()
        await asyncio.gather(*deciders)
        await rig.decide_accounts()

    made = [handoff.contact.account_domain for handoff in await rig.handoffs()]
    assert sorted(made) == companies
    assert await rig.count(tables.account_due) == 0


async def test_who_writes_waits_for_nobody_who_decides(rig: Rig, database_url: str) -> None:
    """While an account is held, touches of its people are scored, and what they did is looked at later."""
    await rig.activate(ACCOUNTS_TEXT)
    await rig.give(who("dora", title="VP Freight"), *looks("dora", times=1))
    await rig.decide_accounts()
    await rig.give(*looks("dora"))
    reading = rig.accounts.people

    async def meanwhile(connection: AsyncConnection, accounts: Any) -> Any:
        rig.accounts.people = reading  # type: ignore[method-assign]  # this once
        found = await reading(connection, accounts)
        async with asyncio.timeout(5), open_rig(database_url) as other:
            await other.give(who("carl"), *looks("carl"), *looks("dora", at=NOON + DAY), number=5)
            await other.decide_accounts()  # the account is held: left alone
        return found

    rig.accounts.people = meanwhile  # type: ignore[method-assign]  # in the middle of the look
    assert await rig.decider.decide(limit=10) == 1
    assert await rig.count(tables.account_due) == 1
    await rig.decide_accounts()

    assert len((await rig.get("/v1/accounts/acme.example"))["people"]) == 2


def drawn(dice: random.Random) -> list[Touch]:
    """Return what six people of three companies do in five days."""
    names = ["p0", "p1", "p2", "p3", "p4", "p5"]
    touches: list[Touch] = []
    for number in range(60):
        name = dice.choice(names)
        at = NOON - timedelta(minutes=dice.randrange(5 * 1440), seconds=number)
        match dice.choice(["/pricing", "/pricing", "/compare/x", "/", "who", "out", "machine"]):
            case "who":
                domain = dice.choice(["acme.example", "acme.example", "next.example", "rival.example"])
                touches.append(who(name, domain=domain, title=dice.choice(["Clerk", "VP Sea", "Director"]), at=at))
            case "out" if dice.random() < 0.3:
                touches.append(a_track(number, "Left", contact=somebody(name), at=at, opted_out=dice.random() < 0.5))
            case "machine":
                touches.append(a_touch(number, contact=somebody(name), path="/pricing", suspect="bot", at=at))
            case path:
                touches.append(a_touch(number, contact=somebody(name), path=path, at=at))
    return touches


@pytest.mark.parametrize("seed", range(4))
async def test_any_lives(rig: Rig, seed: int) -> None:
    """Each account is what plain code makes of the raw touches, and one that is ready was handed off.

    The touches fall into any batches, with looks, a merge and a new version of the agreement in between.
    """
    dice = random.Random(seed)
    text = changed(("cap: 30}\n  roles", "cap: 25}\n  roles"), text=ACCOUNTS_TEXT)
    await rig.activate(text)
    touches = drawn(dice)
    merge: dict[str, Any] = {"id": derived_id("m"), "survivor": somebody("p0"), "other": somebody("p1"), "aliases": ()}
    is_undone = dice.random() < 0.5
    steps: list[Any] = [*touches, *dice.sample(touches, 8)]
    dice.shuffle(steps)
    given = 0
    merge_at, switch_at = sorted(dice.sample(range(10, 60), 2))
    while given < len(steps):
        size = dice.choice([1, 2, 5, 9])
        await rig.give(*steps[given : given + size], number=dice.randrange(3))
        if given <= merge_at < given + size:
            await rig.give_records(encode_contact(ContactsMerged(**merge, at=NOON)), topic="contacts")
        if given <= switch_at < given + size:
            rig.now = NOON - DAY
            await rig.activate(ACCOUNTS_TEXT)
            if dice.random() < 0.5:
                await rig.sweeper.apply_agreement(limit=2)
        if dice.random() < 0.5:
            await rig.decider.decide(limit=dice.choice([1, 10]))
        given += size
    if is_undone:
        await rig.give_records(encode_contact(ContactsUnmerged(**merge, at=NOON)), topic="contacts")
    await rig.sweep()
    await rig.decide_accounts()

    merges = [] if is_undone else [(somebody("p0"), somebody("p1"))]
    expected = model_accounts(people(touches, merges), agreement(ACCOUNTS_TEXT), as_of=NOON)
    rig.now = NOON
    page = (await rig.get("/v1/accounts", limit=200))["accounts"]
    shown = {account["domain"]: account for account in page}
    scores = {domain: shown[domain]["engagement"]["score"] for domain in shown if shown[domain]["people"]}
    assert scores == pytest.approx({domain: model.engagement for domain, model in expected.items()}, rel=1e-9)
    handed = {handoff.contact.account_domain for handoff in await rig.handoffs()}
    for domain, model in expected.items():
        assert {UUID(person["id"]): person["adds"] for person in shown[domain]["people"]} == pytest.approx(model.adds)
        busy = any(person["arming"] != "armed" for person in shown[domain]["people"])
        assert domain in handed or busy or not model.ready(agreement(ACCOUNTS_TEXT))

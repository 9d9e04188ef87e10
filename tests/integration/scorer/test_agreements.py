"""From a proposal to an agreement that decides: only with both signatures, at one instant."""

import asyncio
from datetime import timedelta

import pytest

from services.scorer.store import tables
from shared.http.keys import Role
from shared.ids import contact_id
from tests.integration.scorer.conftest import Rig, comparable, open_rig
from tests.support.touches import ADA, NOON, TEXT, a_demo_request, a_profile, a_touch, changed

OTHER = changed(("points: 10,", "points: 12,"))


async def test_from_proposal_to_active(rig: Rig) -> None:
    """One proposes, both sign, and the second signature makes it active."""
    draft = await rig.propose()
    assert draft["version"] == 1
    assert draft["status"] == "draft"
    assert draft["proposed_by"] == "marketing person"
    assert draft["text"] == TEXT
    assert (await rig.call("GET", "/v1/agreements/active")).status_code == 404

    signed = await rig.sign(draft, Role.SALES)
    assert signed["status"] == "draft"
    rig.now += timedelta(hours=1)
    signed = await rig.sign(draft, Role.MARKETING)

    assert signed["status"] == "active"
    assert signed["activated_at"] == "2026-03-01T13:00:00Z"
    assert [(each["side"], each["signed_by"]) for each in signed["signatures"]] == [
        ("sales", "sales person"),
        ("marketing", "marketing person"),
    ]
    assert await rig.get("/v1/agreements/active") == signed
    assert await rig.get("/v1/agreements/1") == signed


async def test_one_side_cannot_do_it_alone(rig: Rig) -> None:
    """Signing twice is signing once, and no other role signs for the other side."""
    draft = await rig.propose()
    await rig.sign(draft, Role.MARKETING)
    await rig.sign(draft, Role.MARKETING)

    for role in (Role.ADMIN, Role.REP, Role.SOURCE):
        response = await rig.call("POST", "/v1/agreements/1/signatures", role=role, json={"hash": draft["hash"]})
        assert response.status_code == 403
    assert (await rig.call("POST", "/v1/agreements/1/signatures", role=None, json={})).status_code == 401
    assert (await rig.get("/v1/agreements/1"))["status"] == "draft"
    assert len((await rig.get("/v1/agreements/1"))["signatures"]) == 1


async def test_signing_another_text(rig: Rig) -> None:
    """Who signs has to name the hash of what the version says."""
    await rig.propose()
    other = await rig.propose(OTHER)

    response = await rig.call("POST", "/v1/agreements/1/signatures", json={"hash": other["hash"]})
    assert response.status_code == 409
    assert response.json()["code"] == "hash_mismatch"
    for body in ({}, {"hash": 1}, {"hash": "x", "also": 1}):
        response = await rig.call("POST", "/v1/agreements/1/signatures", json=body)
        assert response.status_code == 422
        assert response.json()["code"] == "invalid_signature"
    response = await rig.call("POST", "/v1/agreements/7/signatures", json={"hash": other["hash"]})
    assert response.status_code == 404


async def test_the_same_content_again(rig: Rig) -> None:
    """Comments and spacing make no new version; any change of meaning does."""
    first = await rig.call("POST", "/v1/agreements", content=TEXT)
    again = await rig.call("POST", "/v1/agreements", content="# the same\n" + TEXT, role=Role.SALES)
    other = await rig.call("POST", "/v1/agreements", content=OTHER, role=Role.ADMIN)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
    assert again.json()["version"] == 1
    assert other.json()["version"] == 2
    listed = await rig.get("/v1/agreements", limit=1)
    assert [each["version"] for each in listed["agreements"]] == [2]
    listed = await rig.get("/v1/agreements", limit=1, cursor=listed["next"])
    assert [each["version"] for each in listed["agreements"]] == [1]
    assert listed["next"] is None


async def test_a_text_with_mistakes(rig: Rig) -> None:
    """All mistakes are answered at once, each with its place; nothing is kept."""
    text = changed(("half_life: 30d", "half_life: soon"), ("cap: 40", "cap: -1"))

    response = await rig.call("POST", "/v1/agreements", content=text)

    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "invalid_agreement"
    assert problem["errors"] == [
        {
            "line": 4,
            "column": 12,
            "key": "half_life",
            "message": "expected a duration such as 15m, 4h or 30d, not 'soon'",
        },
        {"line": 5, "column": 43, "key": "groups.web.cap", "message": "expected a number from 0 up, not -1"},
    ]
    assert await rig.count(tables.agreement) == 0
    assert (await rig.call("POST", "/v1/agreements", content=b"\xff")).status_code == 422
    assert (await rig.call("POST", "/v1/agreements", content=b"#" * 300_000)).status_code == 413


async def test_who_may_propose_and_read(rig: Rig) -> None:
    """Sources send events and nothing else; reps read."""
    for role in (Role.REP, Role.SOURCE):
        assert (await rig.call("POST", "/v1/agreements", role=role, content=TEXT)).status_code == 403
    await rig.activate()
    for path in ("/v1/agreements", "/v1/agreements/1", "/v1/agreements/active", "/v1/contacts"):
        for role in (Role.MARKETING, Role.SALES, Role.REP, Role.ADMIN):
            assert (await rig.call("GET", path, role=role)).status_code == 200
        assert (await rig.call("GET", path, role=Role.SOURCE)).status_code == 403
        assert (await rig.call("GET", path, role=None)).status_code == 401


async def test_back_to_an_earlier_agreement(rig: Rig) -> None:
    """What was replaced cannot be signed any more; proposed again it is a new version that both sign again."""
    first = await rig.propose()
    await rig.activate()
    assert await rig.activate(OTHER) == 2
    response = await rig.call("POST", "/v1/agreements/1/signatures", json={"hash": first["hash"]})
    assert response.status_code == 409
    assert response.json()["code"] == "agreement_superseded"

    assert await rig.activate() == 3

    statuses = {each["version"]: each["status"] for each in (await rig.get("/v1/agreements"))["agreements"]}
    assert statuses == {1: "superseded", 2: "superseded", 3: "active"}


async def test_both_sign_at_once(rig: Rig, database_url: str) -> None:
    """Whoever comes second activates, even if both come second."""
    async with open_rig(database_url) as other:
        for number in range(5):
            draft = await rig.propose(changed(("points: 10,", f"points: {20 + number},")))
            await asyncio.gather(rig.sign(draft, Role.MARKETING), other.sign(draft, Role.SALES))
            assert (await rig.get("/v1/agreements/active"))["version"] == draft["version"]


async def test_other_prices_apply_to_everybody(rig: Rig) -> None:
    """Without looking at touches again, each contact is decided once, as of the activation."""
    await rig.activate()
    people = [contact_id("user", f"p{number}") for number in range(120)]
    for contact in people:
        touches = [a_touch(f"{contact}{n}", path="/pricing", contact=contact) for n in range(8)]
        await rig.give(a_profile(f"who{contact}", contact=contact), *touches)
    assert await rig.handoffs() == []

    rig.now = NOON + timedelta(hours=1)
    version = await rig.activate(changed(("points: 10,", "points: 25,")))
    swept = await rig.sweep()

    handoffs = await rig.handoffs()
    assert swept == 120
    assert {handoff.contact.id for handoff in handoffs} == set(people)
    assert len(handoffs) == 120
    assert {handoff.agreement for handoff in handoffs} == {version}
    assert {handoff.decided_at for handoff in handoffs} == {rig.now}
    assert {handoff.reason for handoff in handoffs} == {"threshold"}


async def test_two_processes_apply_an_agreement(rig: Rig, database_url: str) -> None:
    """They share the contacts; none is decided twice."""
    await rig.activate()
    for number in range(150):
        contact = contact_id("user", f"p{number}")
        touches = [a_touch(f"{contact}{n}", path="/pricing", contact=contact) for n in range(8)]
        await rig.give(a_profile(f"who{contact}", contact=contact), *touches)
    await rig.activate(changed(("points: 10,", "points: 25,")))

    async with open_rig(database_url) as other:

        async def sweep(scorer: Rig) -> int:
            swept = 0
            while done := await scorer.sweeper.apply_agreement(limit=10):
                swept += done
            return swept

        swept = await asyncio.gather(sweep(rig), sweep(other))
        rest = await rig.sweep()

    assert sum(swept) + rest == 150
    assert len(await rig.handoffs()) == 150


async def test_touches_that_come_before_the_sweep(rig: Rig) -> None:
    """A contact is decided under the new agreement first, then the touch is counted: as if swept at once."""
    await rig.activate()
    touches = [a_touch(n, path="/pricing") for n in range(8)]
    await rig.give(a_profile("who"), *touches)
    rig.now = NOON + timedelta(hours=1)
    await rig.activate(changed(("points: 10,", "points: 25,")))

    await rig.give(a_touch("later", at=NOON + timedelta(hours=2)))

    (handoff,) = await rig.handoffs()
    assert handoff.decided_at == rig.now
    assert await rig.sweep() == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("half_life: 30d", "half_life: 10d"),
        ("/pricing*", "/blog/*"),
        ("points: 10, per_day: 2", "points: 10, per_day: 1"),
    ],
)
async def test_another_way_of_counting(rig: Rig, database_url: str, old: str, new: str) -> None:
    """Counted again from the history, contacts are what they would be had the agreement always been this one."""
    touches = [
        a_profile("who"),
        *(
            a_touch(n, path=path, at=NOON - timedelta(days=n))
            for n, path in enumerate(["/pricing", "/blog/x", "/"] * 4)
        ),
    ]
    await rig.activate()
    await rig.give(*touches[:9])
    await rig.activate(changed((old, new)))
    await rig.give(*touches[9:11])  # counted again on the way
    await rig.sweep()
    await rig.give(*touches[11:])

    counted = await rig.get(f"/v1/contacts/{ADA}")
    async with open_rig(database_url) as again:
        async with again.engine.begin() as connection:
            for table in (tables.touch, tables.contact, tables.position):
                await connection.execute(table.delete())
        await again.give(*touches)
        fresh = await again.get(f"/v1/contacts/{ADA}")

    assert counted["engagement"]["score"] == pytest.approx(fresh["engagement"]["score"], rel=1e-9)
    assert [part["count"] for part in counted["engagement"]["parts"]] == [
        part["count"] for part in fresh["engagement"]["parts"]
    ]


async def test_an_agreement_applied_again(rig: Rig) -> None:
    """What is applied already stays as it is."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))
    before = comparable(await rig.state(ADA))

    assert await rig.sweep() == 0

    assert comparable(await rig.state(ADA)) == before

"""What was proposed and signed stays: the log tells all of it, nobody signs for others, nothing is changed later."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.scorer.store import tables
from shared.http.keys import Role, fingerprint
from tests.integration.scorer.conftest import KEYS, Rig
from tests.support.touches import TEXT, changed

OTHER = changed(("points: 10,", "points: 15,"), ("title: What we both call", "title: What we now call"))
EVERYBODY = (*Role, None)


async def call_everything(rig: Rig, roles: tuple[Role | None, ...], *, draft: Any) -> int:
    """Call every path that changes something with every key, in each form that may mean the draft."""
    bodies: tuple[dict[str, Any], ...] = (
        {"json": {"hash": draft["hash"]}},
        {"json": {"hash": draft["hash"], "side": "sales"}},
        {"json": {"status": "active"}},
        {"content": TEXT},
        {"content": OTHER},
    )
    called = 0
    for path, method in sorted(
        {(path, method) for path, item in rig.app.openapi()["paths"].items() for method in item}
    ):
        if method == "get":
            continue
        concrete = path.replace("{version}", str(draft["version"])).replace("{contact_id}", str(draft["contact"]))
        for role in roles:
            for body in bodies:
                response = await rig.call(method.upper(), concrete.replace("{", "").replace("}", ""), role=role, **body)
                assert response.status_code != 500
                called += 1
    return called


@pytest.mark.parametrize("side", [Role.MARKETING, Role.SALES])
async def test_every_route_with_every_key_but_the_other_sides(rig: Rig, side: Role) -> None:
    """No path puts an agreement in force with one signature, and nobody signs for the other side, an admin least."""
    other = Role.SALES if side is Role.MARKETING else Role.MARKETING
    draft = await rig.propose() | {"contact": "00000000-0000-0000-0000-000000000001"}

    called = await call_everything(rig, tuple(role for role in EVERYBODY if role is not other), draft=draft)

    assert called > 100
    listed = (await rig.get("/v1/agreements"))["agreements"]
    assert {version["status"] for version in listed} == {"draft"}
    signatures = [signature for version in listed for signature in version["signatures"]]
    assert {signature["side"] for signature in signatures} == {str(side)}
    assert {signature["signed_by"] for signature in signatures} == {f"{side} person"}
    assert {signature["key"] for signature in signatures} == {fingerprint(KEYS[side])}

    signed = await rig.sign(draft, other)
    assert signed["status"] == "active"


async def test_who_cannot_sign(rig: Rig) -> None:
    """Neither an admin nor a rep nor a source signs, for either side."""
    draft = await rig.propose() | {"contact": "00000000-0000-0000-0000-000000000001"}

    await call_everything(rig, (Role.ADMIN, Role.REP, Role.SOURCE, None), draft=draft)

    assert await rig.count(tables.signature) == 0


async def test_what_a_signature_names(rig: Rig) -> None:
    """The person, the key of the role, the content and the time; and not the key itself."""
    draft = await rig.propose()
    signed = await rig.sign(draft, Role.SALES)

    assert signed["signatures"] == [
        {
            "side": "sales",
            "signed_by": "sales person",
            "signed_at": "2026-03-01T12:00:00Z",
            "hash": draft["hash"],
            "key": fingerprint(KEYS[Role.SALES]),
        }
    ]
    assert KEYS[Role.SALES] not in str(signed)


async def test_an_edit_needs_both_again(rig: Rig) -> None:
    """Signatures are for what was read: any edit is a version that nobody has signed."""
    await rig.sign(await rig.propose(), Role.MARKETING)
    edited = await rig.propose(OTHER)
    assert edited["signatures"] == []

    signed = await rig.sign(edited, Role.SALES)

    assert signed["status"] == "draft"
    assert (await rig.call("GET", "/v1/agreements/active")).status_code == 404


async def test_a_key_that_changes_sides(rig: Rig) -> None:
    """A key that signed for one side and was given to the other does not make an agreement alone."""
    draft = await rig.propose()
    async with rig.engine.begin() as connection:
        signed = {"version": 1, "side": "marketing", "signed_by": "x", "signed_at": rig.now}
        signed |= {"content_hash": draft["hash"], "key_fingerprint": fingerprint(KEYS[Role.SALES])}
        await connection.execute(tables.signature.insert().values(signed))

    response = await rig.call("POST", "/v1/agreements/1/signatures", role=Role.SALES, json={"hash": draft["hash"]})

    assert response.status_code == 409
    assert response.json()["code"] == "same_key"
    assert (await rig.get("/v1/agreements/1"))["status"] == "draft"


FORBIDDEN = """
UPDATE scorer.signature SET signed_by = 'somebody else'
DELETE FROM scorer.signature
TRUNCATE scorer.signature
UPDATE scorer.agreement SET text = 'something else' WHERE version = 1
UPDATE scorer.agreement SET content_hash = 'x' WHERE version = 1
UPDATE scorer.agreement SET proposed_by = 'x' WHERE version = 1
DELETE FROM scorer.agreement WHERE version = 3
TRUNCATE scorer.agreement CASCADE
UPDATE scorer.agreement SET status = 'active' WHERE version = 2
UPDATE scorer.agreement SET status = 'activating' WHERE version = 2
INSERT INTO scorer.agreement SELECT 9, 'x', title, text, 'active', proposed_by, proposed_at FROM scorer.agreement
"""


async def test_the_database_refuses_it_too(rig: Rig) -> None:
    """Nobody who has the database's password rewrites what was signed, or puts in force what was not, by accident."""
    first = await rig.propose()
    await rig.sign(first, Role.MARKETING)
    await rig.sign(await rig.propose(OTHER), Role.MARKETING)
    await rig.propose(changed(("points: 10,", "points: 20,")))
    async with rig.engine.begin() as connection:  # for something else than the version says: it counts nothing
        signed = {"version": 2, "side": "sales", "signed_by": "x", "signed_at": rig.now, "content_hash": "y"}
        await connection.execute(tables.signature.insert().values(signed))
    before = (await rig.get("/v1/agreements"))["agreements"]

    for statement in FORBIDDEN.strip().splitlines():
        async with rig.engine.connect() as connection:
            with pytest.raises(DBAPIError, match=r"kept|begins as a draft|not signed by both"):
                await connection.execute(text(statement))

    assert (await rig.get("/v1/agreements"))["agreements"] == before


async def test_the_log(rig: Rig) -> None:
    """Everything that was done is told with who, when and to what; page by page, the newest first."""
    first = await rig.propose()
    rig.now += timedelta(hours=1)
    await rig.sign(first, Role.MARKETING)
    rig.now += timedelta(hours=1)
    await rig.sign(first, Role.SALES)
    rig.now += timedelta(hours=1)
    second = await rig.propose(OTHER, role=Role.ADMIN)
    await rig.sign(second, Role.SALES)
    rig.now += timedelta(hours=1)
    await rig.sign(second, Role.MARKETING)

    told: list[Any] = []
    cursor = None
    while True:
        page = await rig.get("/v1/agreements/log", limit=3, **({"cursor": cursor} if cursor else {}))
        told += page["log"]
        if (cursor := page["next"]) is None:
            break

    assert [(entry["number"], entry["at"][11:13], entry["version"], entry["step"], entry["by"]) for entry in told] == [
        (9, "16", 2, "activated", None),
        (8, "16", 2, "signed", "marketing person"),
        (7, "16", 1, "superseded", None),
        (6, "15", 2, "signed", "sales person"),
        (5, "15", 2, "proposed", "admin person"),
        (4, "14", 1, "activated", None),
        (3, "14", 1, "signed", "sales person"),
        (2, "13", 1, "signed", "marketing person"),
        (1, "12", 1, "proposed", "marketing person"),
    ]
    assert told[1]["key"] == fingerprint(KEYS[Role.MARKETING])
    assert told[1]["side"] == "marketing"
    assert told[1]["hash"] == second["hash"]
    assert told[-1]["title"] == "What we both call a lead"


async def test_differences_in_words(rig: Rig) -> None:
    """Two versions, or a version and a text, are compared in words; nothing is kept of the text."""
    await rig.propose()
    await rig.propose(OTHER)
    differences = {
        "changes": [
            {
                "key": "title",
                "before": "What we both call a lead",
                "after": "What we now call a lead",
                "words": "title: What we both call a lead → What we now call a lead",
            },
            {
                "key": "rules.pricing-viewed.points",
                "before": "10",
                "after": "15",
                "words": "pricing-viewed: 10 → 15 points",
            },
        ],
        "counts_again": False,
    }

    assert await rig.get("/v1/agreements/1/diff/2") == {"from": 1, "to": 2, **differences}
    sent = await rig.call("POST", "/v1/agreements/1/diff", role=Role.REP, content=OTHER)
    assert sent.json() == {"from": 1, "to": None, **differences}
    assert (await rig.get("/v1/agreements/2/diff/2"))["changes"] == []
    assert (await rig.call("GET", "/v1/agreements/1/diff/7")).status_code == 404
    assert (await rig.call("POST", "/v1/agreements/1/diff", content="x: 1")).json()["code"] == "invalid_agreement"
    for path in ("/v1/agreements/1/diff/2", "/v1/agreements/log"):
        assert (await rig.call("GET", path, role=Role.SOURCE)).status_code == 403
    assert await rig.count(tables.agreement) == 2


async def test_the_schema_needs_no_key(rig: Rig) -> None:
    """An editor fetches it without one."""
    response = await rig.call("GET", "/v1/agreements/schema", role=None)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/schema+json"
    assert response.json()["title"] == "Tandem agreement"


async def test_both_sides_race_with_edits(rig: Rig) -> None:
    """However signing and proposing interleave, what is in force has both signatures for just its content."""
    drafts = [await rig.propose(changed(("points: 10,", f"points: {20 + number},"))) for number in range(6)]

    signing = [
        rig.call("POST", f"/v1/agreements/{draft['version']}/signatures", role=role, json={"hash": draft["hash"]})
        for draft in drafts
        for role in (Role.MARKETING, Role.SALES)
    ]
    answers = await asyncio.gather(*signing)

    assert {answer.status_code for answer in answers} <= {201, 409}
    for version in (await rig.get("/v1/agreements"))["agreements"]:
        sides = {signature["side"] for signature in version["signatures"] if signature["hash"] == version["hash"]}
        assert version["status"] == "draft" or sides == {"marketing", "sales"}

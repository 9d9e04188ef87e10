"""Somebody who was erased signs up again."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.events.touch import Touch
from shared.ids import contact_id
from tests.integration.ingest.installed import ADMIN_KEY, MARKETING_KEY, SALES_KEY, WEB_KEY, Ingest
from tests.integration.ingest.test_erasing import ADA, PERSONAL, given_ada, identified
from tests.support.full_scan import rows_that_hold
from tests.support.waiting import until

MARKETING = {"Authorization": f"Bearer {MARKETING_KEY}"}


async def readmit(ingest: Ingest, *names: str, headers: dict[str, str] = MARKETING) -> httpx.Response:
    """Ask for the person of these names."""
    return await ingest.client.post("/v1/readmissions", json={"names": list(names)}, headers=headers)


async def told(ingest: Ingest) -> None:
    """Have the outbox relayed."""
    stopping = asyncio.Event()
    relaying = asyncio.create_task(ingest.service.workers["outbox"](stopping))

    async def empty() -> bool:
        return await rows_that_hold(ingest.engine, ["ingest"], [], tables=["outbox"]) == []

    await until(empty, what="all is told")
    stopping.set()
    await relaying


async def understood(ingest: Ingest, *events: dict[str, Any]) -> list[Touch]:
    """Post the events one by one, and return the touches that came of them and of what the outbox told."""
    before = {touch.id for touch in await ingest.touches()}
    for event in events:
        await ingest.post("/v1/batch", {"batch": [event]})
        await ingest.understand()
    return [touch for touch in await ingest.understand() if touch.id not in before]


async def test_a_person_who_signs_up_again(ingest: Ingest) -> None:
    """By any of the old names it is one new contact, known to all services before it does anything."""
    await given_ada(ingest)
    await ingest.erase(ADA)
    answer = (await readmit(ingest, "Ada@Acme.example")).json()
    await told(ingest)
    (known,) = await understood(ingest)
    page = {"type": "page", "anonymousId": "browser-of-ada", "messageId": "later"}
    signed_up, seen = await understood(ingest, identified("again"), page)

    assert answer["names"] == 3
    assert answer["by"] == "Mia"
    assert {str(touch.contact_id) for touch in (known, signed_up, seen)} == {answer["contact_id"]}
    assert known.source == "tandem"
    assert known.traits == {"email": "ada@acme.example"}
    assert known.contact_id != ADA


async def test_what_was_erased_first_of_all(ingest: Ingest) -> None:
    """The id of the old contact stays erased: the browser counts again once it comes with a readmitted name."""
    await given_ada(ingest)
    await ingest.erase(ADA)
    answer = (await readmit(ingest, "user-ada")).json()
    alone = {"type": "page", "anonymousId": "browser-of-ada"}
    both = {"type": "page", "anonymousId": "browser-of-ada", "userId": "user-ada"}
    pages = [{**page, "messageId": f"page-{number}"} for number, page in enumerate([alone, both, alone])]
    touches = await understood(ingest, *pages)

    assert [str(touch.contact_id) for touch in touches] == [answer["contact_id"]] * 2


async def test_erased_again(ingest: Ingest) -> None:
    """Nothing of the person is kept but what tells nothing, and it can come back once more."""
    await given_ada(ingest)
    await ingest.erase(ADA)
    first = (await readmit(ingest, "ada@acme.example", "user-ada")).json()
    await told(ingest)
    await ingest.understand()
    await ingest.erase(UUID(first["contact_id"]))
    assert await rows_that_hold(ingest.engine, ["ingest"], PERSONAL) == []

    assert await understood(ingest, identified("dropped")) == []
    second = (await readmit(ingest, "ada@acme.example")).json()
    assert second["contact_id"] not in {str(ADA), first["contact_id"]}
    listed = await ingest.client.get("/v1/readmissions", headers=MARKETING)
    mine = await ingest.client.get("/v1/readmissions", params={"contact": first["contact_id"]}, headers=MARKETING)
    assert [one["id"] for one in listed.json()["readmissions"]] == [second["id"], first["id"]]
    assert [one["id"] for one in mine.json()["readmissions"]] == [first["id"]]


async def test_somebody_else_who_was_erased(ingest: Ingest) -> None:
    """Stays so."""
    await given_ada(ingest)
    await ingest.erase(ADA)
    await ingest.erase(contact_id("user", "user-ben"))
    await readmit(ingest, "ada@acme.example")

    assert await understood(ingest, {"type": "page", "userId": "user-ben", "messageId": "b2"}) == []


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["ben@firm.example"], 404),
        (["nobody@x.example"], 404),
        (["ada@acme.example", "user-ben"], 404),
        (["user-ada", "user-cleo"], 409),
        (["null"], 422),
        (["user\0ada"], 422),
        ([""], 422),
        ([], 422),
        (["x" * 300], 422),
    ],
)
async def test_names_that_cannot_be_readmitted(ingest: Ingest, names: list[str], status: int) -> None:
    """They are refused with a reason, and nothing changes."""
    await given_ada(ingest)
    cleo = {"type": "page", "userId": "user-cleo", "messageId": "c1"}
    await ingest.post("/v1/batch", {"batch": [cleo]})
    await ingest.understand()
    await ingest.erase(ADA)
    await ingest.erase(contact_id("user", "user-cleo"))
    answer = await readmit(ingest, *names)

    assert answer.status_code == status, answer.text
    assert await understood(ingest, identified("later")) == []


async def test_readmitting_twice(two_ingests: tuple[Ingest, Ingest]) -> None:
    """Two people who do it at once make one contact; the second is told that there is nothing to do."""
    one, two = two_ingests
    await given_ada(one)
    await one.erase(ADA)
    answers = await asyncio.gather(*[readmit(each, "ada@acme.example") for each in (one, two)])

    assert sorted(answer.status_code for answer in answers) == [201, 404]


@pytest.mark.parametrize("key", [WEB_KEY, SALES_KEY, ""])
async def test_who_may_readmit(ingest: Ingest, key: str) -> None:
    """Who may erase, and nobody else."""
    headers: dict[str, Any] = {"Authorization": f"Bearer {key}"} if key else {}
    refused = await readmit(ingest, "ada@acme.example", headers=headers)
    allowed = await readmit(ingest, "ada@acme.example", headers={"Authorization": f"Bearer {ADMIN_KEY}"})

    assert refused.status_code in {401, 403}
    assert allowed.json()["code"] == "not_erased"

"""Erasing a contact in ingest: its aliases are forgotten, and known again without being kept."""

import asyncio
from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, decide, wanted
from shared.clock import utc_now
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.ids import contact_id
from shared.log.records import Record
from tests.integration.ingest.identities import aliases_on
from tests.integration.ingest.installed import SALES_KEY, Ingest
from tests.integration.ingest.test_rejected import keep
from tests.support.full_scan import rows_that_hold
from tests.support.waiting import until

ADA = contact_id("anonymous", "browser-of-ada")
PERSONAL = ("ada@acme.example", "user-ada", "browser-of-ada")


def identified(message: str, **fields: Any) -> dict[str, Any]:
    """Return an identify call that tells all three names of Ada."""
    names = {"anonymousId": "browser-of-ada", "userId": "user-ada", "traits": {"email": "Ada@Acme.example"}}
    return {"type": "identify", "messageId": message, **names, **fields}


async def given_ada(ingest: Ingest) -> None:
    """Have Ada known by a browser, a user id and an address, and Ben by an address."""
    page = {"type": "page", "anonymousId": "browser-of-ada", "messageId": "1"}
    ben = {"type": "identify", "userId": "user-ben", "messageId": "b1", "traits": {"email": "ben@firm.example"}}
    await ingest.post("/v1/batch", {"batch": [page, identified("2"), ben]})
    await ingest.understand()


@pytest.mark.parametrize(
    "names",
    [
        {"anonymousId": "browser-of-ada"},
        {"userId": "user-ada"},
        {"context": {"traits": {"email": "ADA@acme.example"}}},
        {"anonymousId": "a-new-browser", "context": {"traits": {"email": "ada@acme.example"}}},
        {"userId": "user-ben", "context": {"traits": {"email": "ada@acme.example"}}},
    ],
)
async def test_a_later_event_of_an_erased_person(ingest: Ingest, names: dict[str, Any]) -> None:
    """By any of its aliases, alone or among others, it is dropped and counted, and no neighbour with it."""
    await given_ada(ingest)
    await ingest.erase(ADA)
    before = len(await ingest.touches())
    later = {"type": "track", "event": "Form Submitted", "messageId": "3", **names}
    bens = {"type": "page", "userId": "user-ben", "messageId": "b2"}
    await ingest.post("/v1/batch", {"batch": [later, bens]})
    touches = (await ingest.understand())[before:]

    assert [touch.contact_id for touch in touches] == [contact_id("user", "user-ben")]
    assert ingest.metrics.registry.get_sample_value("tandem_erased_dropped_total", {"service": "ingest"}) == 1
    assert await rows_that_hold(ingest.engine, ["ingest"], PERSONAL) == []


async def test_nothing_of_the_person_is_kept(ingest: Ingest) -> None:
    """Neither aliases nor what showed two contacts to be one; and doing it again changes nothing."""
    await given_ada(ingest)
    both = {"type": "track", "event": "x", "messageId": "m", "userId": "user-ben", "anonymousId": "browser-of-ada"}
    await ingest.post("/v1/batch", {"batch": [both]})
    await ingest.understand()
    await ingest.erase(ADA)
    await ingest.erase(ADA)

    assert await rows_that_hold(ingest.engine, ["ingest"], PERSONAL) == []
    assert await rows_that_hold(ingest.engine, ["ingest"], ["user-ben"]) != []


async def test_a_replay_from_the_beginning(ingest: Ingest) -> None:
    """What the log still holds of the person does not bring it back."""
    await given_ada(ingest)
    before = len(await ingest.touches())
    await ingest.erase(ADA)
    async with ingest.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE ingest.position SET next_offset = 0")
    await ingest.erase(ADA)
    again = (await ingest.understand())[before:]

    assert {touch.contact_id for touch in again} == {contact_id("user", "user-ben")}
    assert await rows_that_hold(ingest.engine, ["ingest"], PERSONAL) == []


async def test_a_decision_that_was_made_before_the_erasure(ingest: Ingest) -> None:
    """It is not written down: neither a new alias of the erased contact, nor one of its own under another contact."""
    await given_ada(ingest)
    aliases = aliases_on(ingest.engine, ingest.log)
    for names in (
        Names(user="user-ada", anonymous="second-browser"),
        Names(anonymous="another-browser", email="ada@acme.example"),
    ):
        known = await aliases.load(wanted([names]))
        unknown = wanted([names]) - known.contacts.keys()
        decision = decide([names], known, caps=Caps())
        await ingest.erase(ADA)
        saving = await aliases.save(decision, received_at=[utc_now()], now=utc_now(), unknown=unknown)

        assert not saving
        assert saving.met
        assert await rows_that_hold(ingest.engine, ["ingest"], [*PERSONAL, "second-browser"]) == []


async def test_erasures_beside_events(two_ingests: tuple[Ingest, Ingest]) -> None:
    """Whoever comes first, an address that was erased is not there afterwards."""
    one, two = two_ingests
    for turn in range(8):
        first = {"type": "page", "anonymousId": f"browser-{turn}", "messageId": f"{turn}-1"}
        await one.post("/v1/batch", {"batch": [first]})
        await one.understand()
        signs_up = {
            "type": "identify",
            "anonymousId": f"browser-{turn}",
            "messageId": f"{turn}-2",
            "traits": {"email": f"person-{turn}@x.example"},
        }
        await one.post("/v1/batch", {"batch": [signs_up]})
        await asyncio.gather(one.understand(), two.erase(contact_id("anonymous", f"browser-{turn}")))

    assert await rows_that_hold(one.engine, ["ingest"], ["person-", "browser-"]) == []


async def test_a_record_that_is_none(ingest: Ingest) -> None:
    """It is kept with the reason, and the erasure behind it is done."""
    await given_ada(ingest)
    await ingest.log.append(TopicName.CONTACTS, [Record(value=b"{}", key=str(ADA).encode())])
    await ingest.erase(ADA)

    assert [kept.reason for kept in await ingest.rejected()] == ["unprocessable"]
    assert await rows_that_hold(ingest.engine, ["ingest"], PERSONAL) == []


async def test_what_was_set_aside(ingest: Ingest) -> None:
    """Rejections that name the person go; those of others stay."""
    await given_ada(ingest)
    unusable = [
        {"type": "nothing", "userId": "user-ada"},
        {"type": "nothing", "properties": {"to": "ADA@acme.example"}},
        {"type": "nothing", "userId": "user-adam"},
    ]
    await ingest.post("/v1/batch", {"batch": unusable})
    await ingest.understand()
    stopping = asyncio.Event()
    keeping = asyncio.create_task(ingest.service.workers["keeping"](stopping))

    async def kept() -> bool:
        return len(await rows_that_hold(ingest.engine, ["ingest"], [], tables=["rejection"])) == 3

    await until(kept, what="the rejections are kept")
    stopping.set()
    await keeping
    await ingest.erase(ADA)

    assert await rows_that_hold(ingest.engine, ["ingest"], [], tables=["rejection"]) == ["ingest.rejection: "]
    assert await rows_that_hold(ingest.engine, ["ingest"], ["user-adam"]) == ["ingest.rejection: user-adam"]


async def test_what_is_set_aside_afterwards(ingest: Ingest) -> None:
    """A rejection that names the person is dropped and counted, by whichever name; those of others are kept."""
    await given_ada(ingest)
    await ingest.erase(ADA)
    unusable = [
        {"type": "nothing", "userId": "user-ada"},
        {"type": "nothing", "properties": {"to": "Ada <ADA@acme.example>"}},
        {"type": "nothing", "properties": {"contact": str(ADA)}},
        {"type": "nothing", "userId": "user-adam"},
    ]
    await ingest.post("/v1/batch", {"batch": unusable})
    await ingest.understand()
    await keep(ingest)

    assert await rows_that_hold(ingest.engine, ["ingest"], [], tables=["rejection"]) == ["ingest.rejection: "]
    assert await rows_that_hold(ingest.engine, ["ingest"], ["user-adam"]) == ["ingest.rejection: user-adam"]
    assert ingest.metrics.registry.get_sample_value("tandem_erased_dropped_total", {"service": "ingest"}) == 3


async def test_rejections_beside_erasures(two_ingests: tuple[Ingest, Ingest]) -> None:
    """Whoever comes first, what names the erased person is not kept."""
    one, two = two_ingests
    for turn in range(6):
        page = {"type": "page", "anonymousId": f"browser-{turn}", "messageId": f"{turn}"}
        await one.post("/v1/batch", {"batch": [page, {"type": "nothing", "anonymousId": f"browser-{turn}"}]})
        await one.understand()
        await asyncio.gather(keep(one), two.erase(contact_id("anonymous", f"browser-{turn}")))

    assert await rows_that_hold(one.engine, ["ingest"], ["browser-"]) == []


async def test_the_names_of_a_contact(ingest: Ingest) -> None:
    """People may ask which names lead to a contact; nobody else may."""
    await given_ada(ingest)
    answer = await ingest.client.get(f"/v1/contacts/{ADA}/aliases", headers={"Authorization": f"Bearer {SALES_KEY}"})
    refused = await ingest.client.get(f"/v1/contacts/{ADA}/aliases")

    named = [Alias(alias["kind"], alias["value"]) for alias in answer.json()["aliases"]]
    assert named == [
        Alias("anonymous", "browser-of-ada"),
        Alias("email", "ada@acme.example"),
        Alias("user", "user-ada"),
    ]
    assert refused.status_code == 401

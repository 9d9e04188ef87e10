"""Promise 8 from the outside: who is erased is gone everywhere, and stays gone."""

import json

import msgspec
import pytest

from services.client import ClientError, TandemClient
from services.receiver import WebhookReceiver
from shared.postgres.engine import open_engine
from tests.e2e.conftest import Install, apply_team, run, sign_agreement
from tests.support.full_scan import rows_that_hold
from tests.support.processes import TandemProcess
from tests.support.waiting import until

WORDS = ("ada.lovelace@engines.example", "Ada Lovelace", "browser-of-ada", "user-ada", "We need an engine")
SCHEMAS = ["ingest", "scorer", "router"]


def calls(number: int) -> bytes:
    """Return what Ada does: she is recognised, looks at prices and asks for a demo."""
    who = {"anonymousId": "browser-of-ada", "userId": "user-ada"}
    traits = {"email": "Ada.Lovelace@engines.example", "name": "Ada Lovelace"}
    form = {"form": "demo", "message": "We need an engine"}
    batch = [
        {"type": "identify", **who, "traits": traits},
        {"type": "page", **who, "name": "Pricing", "properties": {"path": "/pricing"}},
        {"type": "track", **who, "event": "Form Submitted", "properties": form},
    ]
    return msgspec.json.encode({"batch": [{**call, "messageId": f"{number}-{call['type']}"} for call in batch]})


@pytest.mark.timeout(300)
async def test_a_contact_with_an_open_handoff(install: Install, receiver: WebhookReceiver) -> None:
    """After a SIGKILL amid it no table holds a word of hers, and her endpoint was told; readmitted, she is new."""
    settings = {**install.settings, "TANDEM_DELIVERY_LEASE": "4s", "TANDEM_DELIVERY_DEADLINE": "2s"}
    tandem = TandemProcess("up", settings=settings, log=install.directory / "tandem.log")
    tandem.start()
    try:
        await tandem.ready()
        await sign_agreement(tandem.url, install.keys)
        await apply_team(tandem.url, install.keys, receiver)
        source = TandemClient(tandem.url)
        await source.post_events("/v1/batch", calls(1), key=install.keys["source"])
        await until(lambda: told(receiver, "lead.sales_ready"), seconds=60, what="the lead arrives")
        contact = receiver.receipts[0].payload["data"]["contact"]["id"]
        export = await run("contact", "export", contact, install=install, url=tandem.url)
        assert all(word in export for word in WORDS)
        assert {"ingest", "scorer", "handoffs"} == json.loads(export).keys()

        answer = await run("contact", "erase", contact, "--yes", install=install, url=tandem.url)
        tandem.kill()
        assert "touches are gone" in answer
        tandem.start()
        await tandem.ready()
        async with open_engine(install.settings["TANDEM_DATABASE_URL"], name="scan") as engine:

            async def gone() -> bool:
                return await rows_that_hold(engine, SCHEMAS, WORDS) == []

            await until(gone, seconds=60, what="every table is rid of her")
            await until(lambda: told(receiver, "contact.erased"), seconds=60, what="the endpoint is told")
            await source.post_events("/v1/batch", calls(2), key=install.keys["source"])
            ben = {"type": "page", "userId": "ben", "messageId": "ben"}
            await source.post_events("/v1/batch", msgspec.json.encode({"batch": [ben]}), key=install.keys["source"])
            api = TandemClient(tandem.url, install.keys["marketing"])

            async def ben_is_there() -> bool:
                return len((await api.get("/v1/contacts"))["contacts"]) == 1

            await until(ben_is_there, seconds=60, what="what came after her is counted")
            assert await rows_that_hold(engine, SCHEMAS, WORDS) == []
        with pytest.raises(ClientError, match="404"):
            await api.get(f"/v1/contacts/{contact}")

        answer = await run("contact", "readmit", WORDS[0], WORDS[3], "--yes", install=install, url=tandem.url)
        assert "is the new contact" in answer
        await source.post_events("/v1/batch", calls(3), key=install.keys["source"])

        async def she_is_back() -> bool:
            return any(found["touches"] == 2 for found in (await api.get("/v1/contacts", email=WORDS[0]))["contacts"])

        await until(she_is_back, seconds=60, what="what she does from now on counts")
        export = json.loads(await run("contact", "export", _new(answer), install=install, url=tandem.url))
        assert _new(answer) != contact
        assert len(export["ingest"]["readmissions"]) == 1
        assert {touch["source"] for touch in export["scorer"]["touches"]} == {"tandem", "source"}
    finally:
        await tandem.stop()

    erased = [receipt.payload for receipt in receiver.receipts if receipt.payload["type"] == "contact.erased"]
    assert {payload["data"]["contact"]["id"] for payload in erased} == {contact}
    assert receiver.refused == 0


async def test_an_export_of_a_contact_that_others_were_merged_into(install: Install, receiver: WebhookReceiver) -> None:
    """It holds the names and handoffs of each of them, and the merge itself."""
    tandem = TandemProcess("up", settings=install.settings, log=install.directory / "tandem.log")
    tandem.start()
    try:
        await tandem.ready()
        await sign_agreement(tandem.url, install.keys)
        await apply_team(tandem.url, install.keys, receiver)
        source = TandemClient(tandem.url)

        async def send(message_id: str, kind: str, **fields: object) -> None:
            call = {"type": kind, "messageId": message_id, **fields}
            await source.post_events("/v1/batch", msgspec.json.encode({"batch": [call]}), key=install.keys["source"])

        form = {"event": "Form Submitted", "properties": {"form": "demo", "email": "ada@engines.example"}}
        await send("m1", "track", anonymousId="browser-of-ada", **form)
        other = {"event": "Form Submitted", "properties": {"form": "demo"}}
        traits = {"email": "ada.lovelace@engines.example"}
        await send("m2", "track", userId="user-ada", context={"traits": traits}, **other)

        async def both() -> bool:
            return [receipt.payload["type"] for receipt in receiver.receipts].count("lead.sales_ready") == 2

        await until(both, seconds=60, what="two leads arrive")
        await send("m3", "identify", userId="user-ada", traits={"email": "ada@engines.example"})
        api = TandemClient(tandem.url, install.keys["marketing"])

        async def merged() -> bool:
            found = (await api.get("/v1/contacts"))["contacts"]
            return bool([len(contact["merged"]) for contact in found] == [1])

        await until(merged, seconds=60, what="the two are one contact")
        (contact,) = (await api.get("/v1/contacts"))["contacts"]
        export = json.loads(await run("contact", "export", contact["id"], install=install, url=tandem.url))
    finally:
        await tandem.stop()

    assert {handoff["contact"]["id"] for handoff in export["handoffs"]} == {contact["id"], *contact["merged"]}
    names = {alias["value"] for alias in export["ingest"]["aliases"]}
    assert names == {"browser-of-ada", "user-ada", "ada@engines.example", "ada.lovelace@engines.example"}
    assert [merge["other"] for merge in export["ingest"]["merges"]] == contact["merged"]
    assert len(export["scorer"]["touches"]) == 3


def _new(answer: str) -> str:
    """Return the id that the command tells."""
    return answer.partition("new contact ")[2].partition(";")[0]


async def told(receiver: WebhookReceiver, kind: str) -> bool:
    """Tell whether a message of the kind has arrived."""
    return any(receipt.payload["type"] == kind for receipt in receiver.receipts)

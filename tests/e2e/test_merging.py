"""One person under three names, from the outside: joined by an event, and parted again by hand."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.client import TandemClient
from tests.e2e.conftest import Install, run, sign_agreement
from tests.support.processes import running_tandem
from tests.support.waiting import until

AT = datetime.now(UTC) - timedelta(hours=1)
AS_OF = (AT + timedelta(days=1)).isoformat()
EMAIL, MAILED = "ada@engines.example", "ada.lovelace@engines.example"


def call(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    """Return a call, a minute later than the one before."""
    return {
        "type": kind,
        "messageId": f"m-{number}",
        "timestamp": (AT + timedelta(minutes=number)).isoformat(),
        **fields,
    }


def page(number: int, path: str, **who: Any) -> dict[str, Any]:
    """Return a page view."""
    return call(number, "page", name=path, properties={"path": path}, **who)


async def test_joined_and_parted(install: Install) -> None:
    """The score is the sum while they are one; undone, both have exactly what they had, and stay apart."""
    async with running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as tandem:
        await sign_agreement(tandem.url, install.keys)
        async with TandemClient(tandem.url, install.keys["marketing"]) as api:

            async def send(*calls: dict[str, Any]) -> None:
                body = msgspec.json.encode({"batch": calls})
                await api.post_events("/v1/batch", body, key=install.keys["source"])

            async def contacts(count: int, touches: int) -> dict[str, Any]:
                """Return the contacts by their address or user id, once there are so many with so many touches."""
                found: list[Any] = []

                async def there() -> bool:
                    found[:] = (await api.get("/v1/contacts", as_of=AS_OF))["contacts"]
                    return len(found) == count and sum(contact["touches"] for contact in found) == touches

                await until(there, seconds=30, what=lambda: f"{count} contacts, {touches} touches: {found}")
                for contact in found:
                    assert (
                        sum(part["value"] for part in contact["engagement"]["parts"]) == contact["engagement"]["score"]
                    )
                return {alias["value"]: contact for contact in found for alias in contact["aliases"]}

            form = call(3, "track", event="Form Submitted", properties={"form": "guide", "email": EMAIL})
            await send(page(1, "/pricing", anonymousId="a"), page(2, "/compare/x", anonymousId="a"))
            await send({**form, "anonymousId": "a"})
            await contacts(1, 3)
            clicks = [
                call(number, "track", event="Email Link Clicked", properties={"link_url": "https://x.example/"})
                for number in (10, 20, 30)
            ]
            mailed = {"userId": "ada", "context": {"traits": {"email": MAILED}}}
            await send(*({**click, **mailed} for click in clicks))
            await send(page(31, "/pricing", userId="ada"))
            before = await contacts(2, 7)
            assert before["a"]["id"] == before[EMAIL]["id"] != before[MAILED]["id"] == before["ada"]["id"]

            await send(call(40, "identify", userId="ada", traits={"email": EMAIL}))
            joined = await contacts(1, 7)
            one = joined["ada"]
            assert joined.keys() == {"a", EMAIL, MAILED, "ada"}
            assert one["id"] == before["a"]["id"]
            assert one["merged"] == [before["ada"]["id"]]
            assert {part["rule"]: part["count"] for part in one["engagement"]["parts"] if "rule" in part} == {
                "pricing-viewed": 2,
                "comparison-read": 1,
                "guide-downloaded": 1,
                "page-viewed": 3,
                "email-clicked": 3,
            }
            both = before["a"]["engagement"]["score"] + before["ada"]["engagement"]["score"]
            assert abs(one["engagement"]["score"] - both) < 1e-9
            assert (await api.get(f"/v1/contacts/{before['ada']['id']}"))["id"] == one["id"]

            listed = await run("contact", "merges", one["id"], install=install, url=tandem.url)
            assert "user ada" in listed
            assert EMAIL in listed
            merge = re.match(r"[0-9a-f-]{36}", listed)
            assert merge
            undone = await run("contact", "unmerge", merge[0], install=install, url=tandem.url)
            assert "a contact of its own again" in undone

            after = await contacts(2, 7)
            for name in before:
                assert after[name]["id"] == before[name]["id"]
                for said in ("engagement", "fit", "aliases", "stage", "touches", "missing", "merged"):
                    assert after[name][said] == before[name][said], said

            await send(call(41, "identify", userId="ada", anonymousId="a", traits={"email": EMAIL}))
            await send(page(42, "/", anonymousId="a"), page(43, "/", userId="ada"))
            apart = await contacts(2, 9)
            assert {name: contact["id"] for name, contact in apart.items()} == {
                name: contact["id"] for name, contact in before.items()
            }
            assert [apart[name]["touches"] for name in ("a", "ada")] == [4, 5]
            again = await run("contact", "merges", one["id"], install=install, url=tandem.url)
            assert len(again.splitlines()) == 1
            assert "undone by marketing" in again

"""Sources in the database, by their API and as the processes of ingest see them."""

import asyncio
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from shared.events.topics import TopicName
from shared.log.postgres import open_postgres_log
from shared.log.protocol import EventLog
from shared.log.records import Topic
from shared.postgres.engine import open_engine
from shared.postgres.migrate import migrate
from shared.secrets import SecretBox, SecretsError
from tests.integration.ingest.installed import ADMIN_KEY, MARKETING_KEY, SALES_KEY, WEB_KEY, Ingest, open_test_ingest
from tests.support.postgres import running_postgres
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

PAGE = {"type": "page", "userId": "u", "messageId": "m"}
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


async def add(ingest: Ingest, name: str, **more: Any) -> str:
    """Add a source; return its key."""
    answer = await ingest.client.post("/v1/sources", json={"name": name, "kind": "web", **more}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


async def send(ingest: Ingest, key: str, events: int = 1) -> tuple[int, str]:
    """Send a batch under the key; return status and code."""
    answer = await ingest.client.post("/v1/batch", json={"batch": [PAGE] * events, "writeKey": key})
    return answer.status_code, answer.json().get("code", "")


async def test_a_source_is_added(ingest: Ingest) -> None:
    """Its key works at once in the process that added it; it is shown once, and only its hash is stored."""
    key = await add(ingest, "shop", rate=500, requires_consent="marketing")
    shown = await ingest.client.get("/v1/sources/shop", headers=ADMIN)
    async with ingest.engine.connect() as connection:
        stored = str(
            (await connection.execute(text("SELECT source, source_key FROM ingest.source, ingest.source_key"))).all()
        )

    assert await send(ingest, key) == (200, "")
    assert key not in shown.text
    assert key not in stored
    assert {"name": "shop", "rate": 500.0, "origin": "database"}.items() <= shown.json().items()
    (record,) = await read_topic(ingest.log, TopicName.EVENTS_WEB)
    assert record.header("tandem-source") == b"shop"
    assert record.header("tandem-consent") == b"marketing"


async def test_the_other_process_learns_of_changes(two_ingests: tuple[Ingest, Ingest]) -> None:
    """A key added, rotated away or disabled in one process is that in the other a moment later."""
    one, two = two_ingests
    key = await add(one, "shop")

    async def accepted() -> bool:
        return await send(two, key) == (200, "")

    async def unknown() -> bool:
        return await send(two, key) == (401, "unauthorized")

    await until(accepted, seconds=5)
    rotated = await one.client.post("/v1/sources/shop/rotate", json={"overlap": "1h"}, headers=ADMIN)
    assert await send(one, rotated.json()["key"]) == (200, "")
    assert await send(one, key) == (200, "")
    await one.client.post("/v1/sources/shop/rotate", json={"overlap": "0s"}, headers=ADMIN)
    assert await send(one, key) == (401, "unauthorized")
    await until(unknown, seconds=5)


async def test_a_disabled_source(two_ingests: tuple[Ingest, Ingest]) -> None:
    """403 with code and message, in each process; enabled again it goes on with the same key."""
    one, two = two_ingests
    key = await add(one, "shop")
    disabled = await one.client.post("/v1/sources/shop/disable", headers=ADMIN)

    assert disabled.json()["disabled_at"]
    assert await send(one, key) == (403, "source_disabled")

    async def refused() -> bool:
        return await send(two, key) == (403, "source_disabled")

    async def accepted() -> bool:
        return await send(two, key) == (200, "")

    await until(refused, seconds=5)
    await one.client.post("/v1/sources/shop/enable", headers=ADMIN)
    await until(accepted, seconds=5)


async def test_who_may_do_what(ingest: Ingest) -> None:
    """Admins do everything, marketing reads, nobody else; not even a source about itself."""
    new = {"name": "shop", "kind": "web"}
    for key, read, write in ((ADMIN_KEY, 200, 201), (MARKETING_KEY, 200, 403), (SALES_KEY, 403, 403), ("x", 401, 401)):
        headers = {"Authorization": f"Bearer {key}"}
        assert (await ingest.client.get("/v1/sources", headers=headers)).status_code == read
        assert (await ingest.client.post("/v1/sources", json=new, headers=headers)).status_code == write
    headers = {"Authorization": f"Bearer {WEB_KEY}"}
    assert (await ingest.client.get("/v1/sources/website", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        b"{",
        b"[]",
        b'{"name": "shop"}',
        b'{"name": "a b", "kind": "web"}',
        b'{"name": "shop\\n", "kind": "web"}',
        b'{"name": "shop", "kind": "post"}',
        b'{"name": "shop", "kind": "web", "rate": 0}',
        b'{"name": "shop", "kind": "web", "rat": 5}',
        b'{"name": "shop", "kind": "web", "daily_quota": 1e400}',
        b'{"name": "shop", "kind": "web", "mapping": "\\u0000"}',
        b'{"name": "shop", "kind": "web", "requires_consent": "\xff"}',
    ],
)
async def test_what_cannot_be_a_source(ingest: Ingest, wrong: bytes) -> None:
    """422 with a sentence that says what is wrong; nothing is added."""
    answer = await ingest.client.post("/v1/sources", content=wrong, headers=ADMIN)
    listed = await ingest.client.get("/v1/sources", headers=ADMIN)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
    assert {source["name"] for source in listed.json()["sources"]} == {"website", "mailer"}


async def test_names_that_are_taken_or_missing(ingest: Ingest) -> None:
    """Each is told apart: one that is there, one that the keys file has, one that is nowhere."""
    await add(ingest, "shop")
    post = ingest.client.post

    again = await post("/v1/sources", json={"name": "shop", "kind": "web"}, headers=ADMIN)
    filed = await post("/v1/sources", json={"name": "website", "kind": "web"}, headers=ADMIN)
    turned = await post("/v1/sources/website/rotate", headers=ADMIN)
    missing = await ingest.client.patch("/v1/sources/nowhere", json={"rate": 5}, headers=ADMIN)
    strange = await ingest.client.get("/v1/sources/%00", headers=ADMIN)
    too_long = await post("/v1/sources/shop/rotate", json={"overlap": "91d"}, headers=ADMIN)
    no_time = await post("/v1/sources/shop/rotate", json={"overlap": "soon"}, headers=ADMIN)

    assert [answer.json()["code"] for answer in (again, filed, turned, missing, strange, too_long, no_time)] == [
        "source_exists",
        "source_in_file",
        "source_in_file",
        "source_missing",
        "source_missing",
        "invalid_request",
        "invalid_request",
    ]


async def test_a_source_is_changed(ingest: Ingest) -> None:
    """What is named changes, null resets, the rest stays."""
    await add(ingest, "shop", rate=5, burst=50, provider="sendgrid")
    answer = await ingest.client.patch("/v1/sources/shop", json={"rate": None, "daily_quota": 9}, headers=ADMIN)
    shown = answer.json()

    assert (shown["rate"], shown["burst"], shown["daily_quota"], shown["provider"]) == (None, 50, 9, "sendgrid")


async def test_all_sources_a_page_at_a_time(ingest: Ingest) -> None:
    """By name, those of the file among them."""
    for name in ("a", "n", "z"):
        await add(ingest, name)
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await ingest.client.get("/v1/sources", params={"limit": 2, "cursor": cursor}, headers=ADMIN)).json()
        names += [source["name"] for source in page["sources"]]
        cursor = page["next"]

    assert names == ["a", "mailer", "n", "website", "z"]


async def test_secrets(ingest: Ingest) -> None:
    """They are stored encrypted and never shown."""
    await add(ingest, "mail", secrets=["hush-hush"])
    shown = await ingest.client.get("/v1/sources/mail", headers=ADMIN)
    async with ingest.engine.connect() as connection:
        sealed = await connection.scalar(text("SELECT secrets[1] FROM ingest.source"))

    assert "hush" not in shown.text
    assert shown.json()["secrets"] == 1
    assert sealed.startswith("gAAAA")


async def test_the_secret_key_is_replaced(database_url: str, log: EventLog) -> None:
    """With both keys what is stored is encrypted anew; then the new one alone opens it, and the old one nothing."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    hook = "/v1/hooks/generic/fair"
    signed = {"X-Webhook-Secret": "hush-hush"}
    async with open_engine(database_url, name="test") as engine:

        async def sealed() -> list[str]:
            async with engine.connect() as connection:
                return list(await connection.scalar(text("SELECT secrets FROM ingest.source WHERE name = 'fair'")))

        async def only_the_new_opens() -> bool:
            try:
                return [SecretBox(new).open(secret) for secret in await sealed()] == ["hush-hush", "older"]
            except SecretsError:
                return False

        async with open_test_ingest(engine, log, secret_keys=old) as ingest:
            mapping = "{email: mail, constants: {name: Signed Up}}"
            await add(ingest, "fair", provider="generic", secrets=["hush-hush", "older"], mapping=mapping)
            before = await sealed()
        async with open_test_ingest(engine, log, secret_keys=new) as too_early:
            refused = await too_early.client.post(hook, json={"mail": "ada@acme.example"}, headers=signed)
            assert (refused.status_code, refused.json()["code"]) == (503, "secret_unreadable")
            assert await sealed() == before
        async with open_test_ingest(engine, log, secret_keys=f"{new},{old}") as both:
            assert (await both.client.post(hook, json={"mail": "ada@acme.example"}, headers=signed)).status_code == 200
            await until(only_the_new_opens, what="the secrets encrypted with the new key")
        async with open_test_ingest(engine, log, secret_keys=new) as ingest:
            taken = await ingest.client.post(hook, json={"mail": "ada@acme.example"}, headers=signed)
            wrong = await ingest.client.post(hook, json={}, headers={"X-Webhook-Secret": "hush"})

    assert (taken.status_code, wrong.status_code) == (200, 401)


async def test_use_of_long_ago(ingest: Ingest) -> None:
    """It is forgotten after 400 days, however much there is; what is younger stays."""
    count = "SELECT count(*) FROM ingest.source_usage"
    async with ingest.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO ingest.source_usage (day, source, events)"
                " SELECT (now() AT TIME ZONE 'UTC')::date - age, 'shop-' || number, 1"
                " FROM unnest(ARRAY[0, 399, 402, 500]) AS age, generate_series(1, 700) AS number"
            )
        )
    stopping = asyncio.Event()
    working = asyncio.create_task(ingest.service.workers["usage"](stopping))

    async def forgotten() -> bool:
        async with ingest.engine.connect() as connection:
            return bool(await connection.scalar(text(count)) == 1400)

    try:
        await until(forgotten, what="only the two younger days are left")
    finally:
        stopping.set()
        await working


async def test_the_database_goes_away() -> None:
    """Known keys go on working on a log that is elsewhere; the API says 503; changes are learnt once it is back."""
    async with running_postgres() as server, running_postgres() as elsewhere:
        for each in (server, elsewhere):
            await each.create_database("log")
            await migrate(each.url("log"))
        async with (
            open_postgres_log(elsewhere.url("log"), name="test") as log,
            open_engine(server.url("log"), name="test") as engine,
            open_test_ingest(engine, log) as ingest,
        ):
            await log.create_topics([Topic(name, partitions=2, retention_hours=1) for name in TopicName])
            key = await add(ingest, "shop", daily_quota=10)
            await server.kill()
            assert await send(ingest, key, 4) == (200, "")
            assert await send(ingest, WEB_KEY) == (200, "")
            assert await send(ingest, "wk_somebody_else_0123") == (401, "unauthorized")
            assert await send(ingest, key, 7) == (429, "quota_exceeded")
            listed = await ingest.client.get("/v1/sources", headers=ADMIN)
            assert (listed.status_code, listed.json()["code"]) == (503, "database_unavailable")
            async with open_test_ingest(engine, log, wait=False) as fresh:
                assert await send(fresh, key) == (503, "sources_unknown")
                assert await send(fresh, WEB_KEY) == (200, "")
            await server.start()

            async def added_up() -> bool:
                async with engine.connect() as connection:
                    query = text("SELECT sum(events) FROM ingest.source_usage WHERE source = 'shop'")
                    return bool(await connection.scalar(query) == 4)

            await until(added_up, seconds=15)

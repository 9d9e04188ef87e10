"""Webhooks of providers from the outside: sources made by the command line; what they send becomes points."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet
from sqlalchemy import text

from services.client import TandemClient
from shared.postgres.engine import open_engine
from tests.e2e.conftest import Install, sign_agreement
from tests.e2e.test_command_line import tandem
from tests.integration.ingest.test_hooks import PUBLIC_KEY, SECRET, mailgun, sendgrid
from tests.support.processes import running_tandem
from tests.support.waiting import until

ADA = "ada@acme.example"

Command = Callable[..., Awaitable[tuple[int, str]]]


def commands(install: Install, url: str) -> Command:
    """Return what runs a command of an admin, and gives its exit code and all that it printed."""

    async def run(*arguments: str) -> tuple[int, str]:
        where = {"TANDEM_URL": url, "TANDEM_KEY": install.keys["admin"]}
        done = await asyncio.to_thread(tandem, *arguments, **where)
        return done.returncode, done.stdout + done.stderr

    return run


async def contact_with(url: str, install: Install, *, touches: int) -> dict[str, Any]:
    """Return Ada once she has so many touches."""
    async with TandemClient(url, install.keys["marketing"]) as api:
        found: list[dict[str, Any]] = []

        async def counted() -> bool:
            found[:] = (await api.get("/v1/contacts", email=ADA))["contacts"]
            return bool(found) and found[0]["touches"] >= touches

        await until(counted, seconds=30, what=lambda: f"{touches} touches in {found}")
        return found[0]


def with_secrets(install: Install) -> dict[str, str]:
    return {**install.settings, "TANDEM_SECRET_KEY": Fernet.generate_key().decode()}


async def rejected_of(source: str, run: Command) -> list[dict[str, Any]]:
    """Return what was rejected of the source, once something was."""
    found: list[dict[str, Any]] = []

    async def listed() -> bool:
        code, printed = await run("rejected", "list", "--source", source, "--json")
        assert code == 0, printed
        found[:] = json.loads(printed)
        return bool(found)

    await until(listed, seconds=60, what="something is rejected")
    return found


async def test_a_signed_batch_and_a_poisoned_one(install: Install) -> None:
    """What SendGrid signs becomes touches and points, once; what it did not sign is refused; its secret is encrypted.

    What nobody can read is answered 200 and kept, one item of SendGrid's batch or the whole of what Mailgun sent.
    """
    log = install.directory / "tandem.log"
    async with running_tandem("up", settings=with_secrets(install), log=log) as running:
        await sign_agreement(running.url, install.keys)
        run = commands(install, running.url)
        for provider, secret in (("sendgrid", PUBLIC_KEY), ("mailgun", SECRET)):
            file = install.directory / f"{provider}.secret"
            file.write_text(f"{secret}\n")
            options = ("--kind", "campaign", "--provider", provider, "--secret-file", str(file))
            code, printed = await run("source", "add", f"{provider}-mails", *options)
            assert code == 0, printed
            assert secret not in printed
        async with (
            open_engine(install.settings["TANDEM_DATABASE_URL"], name="look") as engine,
            engine.connect() as connection,
        ):
            stored = str((await connection.execute(text("SELECT * FROM ingest.source"))).all())
        now = int(time.time())
        events: list[Any] = [
            {"email": ADA, "event": event, "timestamp": now - ago, "sg_event_id": event, "url": "https://acme.example/"}
            for event, ago in (("delivered", 3_600), ("open", 1_800), ("click", 900))
        ]
        body, signature = sendgrid("", json.dumps([*events, 5]).encode() + b"\r\n")
        poison, _ = mailgun("", b'{"event-data": 5}')
        path = "/v1/hooks/sendgrid/sendgrid-mails"
        async with httpx.AsyncClient(base_url=running.url, trust_env=False) as http:
            forged = await http.post(path, content=body.replace(b"ada@", b"eve@"), headers=signature)
            twice = [await http.post(path, content=body, headers=signature) for _ in range(2)]
            poisoned = await http.post("/v1/hooks/mailgun/mailgun-mails", content=poison)
        contact = await contact_with(running.url, install, touches=2)  # a delivery is none of hers
        (item, *_) = await rejected_of("sendgrid-mails", run)  # one for each time it was sent
        (whole,) = await rejected_of("mailgun-mails", run)
        async with TandemClient(running.url, install.keys["marketing"]) as api:
            everybody = (await api.get("/v1/contacts"))["contacts"]

    assert PUBLIC_KEY not in stored
    assert SECRET not in stored
    assert (forged.status_code, forged.json()["code"]) == (401, "not_verified")
    assert [answer.status_code for answer in twice] == [200, 200]
    assert poisoned.status_code == 200
    assert contact["touches"] == 2
    assert all(part["count"] == 1 for part in contact["engagement"]["parts"])
    assert [part["rule"] for part in contact["engagement"]["parts"] if part["value"]] == ["email-clicked"]
    assert contact["engagement"]["score"] > 0
    assert len(everybody) == 1
    assert item["item"] == 3
    assert whole["bytes"] == len(poison)


WRONG = "{email: person.mial, message_id: id, properties: {form: form}, constants: {name: Form Submitted}}"


async def test_a_mapping_that_was_wrong(install: Install, tmp_path: Path) -> None:
    """It is tried on a sample, mended, and what it made nothing of counts once, however often it is replayed."""
    wrong, right, sample = tmp_path / "wrong.yaml", tmp_path / "right.yaml", tmp_path / "body.json"
    wrong.write_text(WRONG)
    right.write_text(WRONG.replace("mial", "mail"))
    body = {"id": "1", "form": "demo", "person": {"mail": ADA}}
    sample.write_text(json.dumps(body))
    log = install.directory / "tandem.log"
    async with running_tandem("up", settings=with_secrets(install), log=log) as running:
        await sign_agreement(running.url, install.keys)
        run = commands(install, running.url)
        tried, complaint = await run("source", "test-mapping", str(wrong), "--sample", str(sample))
        options = ("--kind", "campaign", "--provider", "generic", "--mapping", str(wrong))
        added, printed = await run("source", "add", "fair", *options)
        assert added == 0, printed
        key = printed.split()[-1]
        async with httpx.AsyncClient(base_url=running.url, params={"key": key}, trust_env=False) as http:
            first = await http.post("/v1/hooks/generic/fair", json=body)
            (rejection,) = await rejected_of("fair", run)
            mended, shown = await run("source", "test-mapping", str(right), "--sample", str(sample))
            assert (await run("source", "set", "fair", "--mapping", str(right)))[0] == 0
            replayed = [await run("rejected", "replay", rejection["id"]) for _ in range(2)]
            await contact_with(running.url, install, touches=1)
            again = await http.post("/v1/hooks/generic/fair", json=body)
            another = await http.post("/v1/hooks/generic/fair", json={**body, "id": "2"})
        contact = await contact_with(running.url, install, touches=2)

    assert tried == 1
    assert "no_identifier" in complaint
    assert mended == 0
    assert ADA in shown
    assert [answer.status_code for answer in (first, again, another)] == [200, 200, 200]
    assert rejection["reason"] == "no_identifier"
    assert [code for code, _ in replayed] == [0, 0]
    assert contact["touches"] == 2

"""What earlier releases stored, under the code of today: it is migrated, read, and gone on with."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from services.scorer.domain.arming import ArmingKind
from shared.events.handoff import HandoffReady
from shared.events.touch import Touch
from shared.ids import contact_id
from shared.postgres.engine import open_engine
from shared.postgres.migrate import migrate, pending
from tests.integration.router.running import run_router
from tests.integration.scorer.conftest import open_rig
from tests.support.reference_model import expected, final
from tests.support.touches import ADA, BEN, NOON, TEXT, a_demo_request, a_profile, a_touch, a_track, agreement, changed

DATA = Path(__file__).parents[1] / "data"
RELEASES = sorted(DATA.glob("release_*.json"))
ON_THE_WAY, OPTED_OUT = contact_id("user", "cai"), contact_id("user", "dot")
EVE, FAY = contact_id("anonymous", "eve"), contact_id("user", "fay")
DAY = timedelta(days=1)
IN_FORCE = changed(("points: 8,", "points: 9,"))


def told(contact: str) -> list[Touch]:
    """Return what the contacts of the stored data did, as it was given to those releases."""
    return {
        "ada": [
            a_profile("who", at=NOON - 20 * DAY),
            *(a_touch(f"a{n}", path="/pricing", at=NOON - n * DAY) for n in reversed(range(9))),
        ],
        "ben": [a_demo_request("b", at=NOON - 2 * DAY, contact=BEN)],
        "cai": [
            a_touch(f"c{n}", path=path, at=NOON - n * DAY, contact=ON_THE_WAY)
            for n, path in enumerate(["/pricing", "/blog/x", "/compare/y"])
        ],
        "eve": [
            *(a_touch(f"e{n}", path="/pricing", at=NOON - n * DAY, contact=FAY) for n in range(3)),
            a_touch("f", contact=FAY),
        ],
    }[contact]


@pytest_asyncio.fixture(params=RELEASES, ids=lambda path: path.stem)
async def old_database(request: pytest.FixtureRequest, empty_database_url: str) -> str:
    """A database as a release left it, migrated."""
    stored = json.loads(request.param.read_text())
    await migrate(empty_database_url, until=stored["revision"])
    async with open_engine(empty_database_url, name="test", pool_size=1) as engine, engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # rows in any order
        await connection.execute(text("DELETE FROM router.team"))
        for table, rows in stored["tables"].items():
            columns = ", ".join(f'"{column}"' for column in rows[0])
            await connection.execute(
                text(
                    f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
                    f" SELECT {columns} FROM json_populate_recordset(NULL::{table}, :rows)"
                ),
                {"rows": json.dumps(rows)},
            )
        await connection.execute(
            text("SELECT setval(pg_get_serial_sequence('scorer.outbox', 'ordinal'), max(ordinal)) FROM scorer.outbox")
        )
    assert await migrate(empty_database_url)
    assert await pending(empty_database_url) == []
    return empty_database_url


async def test_scoring_goes_on(old_database: str) -> None:
    """Scores are those of plain code over old and new touches; repeats are known; armings hold."""
    async with open_rig(old_database) as rig:
        before = len(await rig.handoffs())
        await rig.give(*told("ada"), *told("ben"), *told("cai"))
        more = [a_touch(f"more{n}", path="/pricing", contact=ON_THE_WAY, at=NOON + n * DAY) for n in range(6)]
        who = a_profile("cai", contact=ON_THE_WAY, at=NOON)
        await rig.give(who, *more)

        did = {ADA: told("ada"), BEN: told("ben"), ON_THE_WAY: [*told("cai"), who, *more]}
        for contact, touches in did.items():
            shown = await rig.get(f"/v1/contacts/{contact}", as_of=NOON.isoformat())
            wanted = final(touches, agreement(IN_FORCE), as_of=NOON)
            assert shown["engagement"]["score"] == pytest.approx(wanted.score, rel=1e-9)
            assert shown["touches"] == wanted.touches
        assert (await rig.get(f"/v1/contacts/{OPTED_OUT}"))["opted_out"]
        assert (await rig.state(ADA)).arming.kind is ArmingKind.HANDED
        assert (await rig.state(BEN)).arming.kind is ArmingKind.COOLING
        _, crossed = expected({"cai": did[ON_THE_WAY]}, agreement(IN_FORCE), as_of=NOON)
        assert [each.contact.id for each in (await rig.handoffs())[before:]] == [ON_THE_WAY] * len(crossed)
        assert crossed


@pytest.mark.parametrize("new", [("points: 10,", "points: 12,"), ("half_life: 30d", "half_life: 10d")])
async def test_another_agreement_follows(old_database: str, new: tuple[str, str]) -> None:
    """What was stored is counted and priced under it, and the earlier versions can still be read."""
    async with open_rig(old_database) as rig:
        version = await rig.activate(changed(new))
        await rig.sweep()

        shown = await rig.get(f"/v1/contacts/{ADA}", as_of=NOON.isoformat())
        assert shown["agreement"] == version
        wanted = final(told("ada"), agreement(changed(new)), as_of=NOON).score
        assert shown["engagement"]["score"] == pytest.approx(wanted, rel=1e-9)
        listed = {each["version"]: each for each in (await rig.get("/v1/agreements"))["agreements"]}
        assert [listed[number]["status"] for number in (1, 2, version)] == ["superseded", "superseded", "active"]
        assert listed[1]["text"] == TEXT
        assert len(listed[2]["signatures"]) == 2


async def test_contacts_that_were_merged(old_database: str) -> None:
    """They stay one, if the release knew of merges."""
    async with open_rig(old_database) as rig:
        if (await rig.call("GET", f"/v1/contacts/{EVE}")).status_code == 404:
            await rig.give(a_track("first", "Email Opened", contact=EVE))
            assert (await rig.state(EVE)).touches == 1
            return
        shown = await rig.get(f"/v1/contacts/{EVE}", as_of=NOON.isoformat())
        assert shown["id"] == str(FAY)
        wanted = final(told("eve"), agreement(IN_FORCE), as_of=NOON)
        assert shown["engagement"]["score"] == pytest.approx(wanted.score, rel=1e-9)


async def test_handoffs_go_on(old_database: str) -> None:
    """Those that were made are shown and answered, and what the scorer had decided can be told once more."""
    async with open_rig(old_database) as rig:
        ready = {each.contact.id: each for each in await rig.messages() if isinstance(each, HandoffReady)}
    async with run_router(old_database, workers=("handoffs",)) as router:
        listed: Any = (await router.call("GET", "/v1/handoffs"))["handoffs"]
        states = {each["id"]: each["state"] for each in listed}
        assert states == {str(ready[ADA].id): "assigned", str(ready[BEN].id): "accepted"}
        await router.hand_over(*ready.values())
        for handoff, step in ((ready[ADA], "accept"), (ready[BEN], "qualify")):
            await router.call("POST", f"/v1/handoffs/{handoff.id}/{step}")

        for handoff, state in ((ready[ADA], "accepted"), (ready[BEN], "qualified")):
            await router.wait_for_state(handoff.id, state)
        assert len((await router.call("GET", "/v1/handoffs"))["handoffs"]) == 2

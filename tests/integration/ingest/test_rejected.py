"""What was set aside: looked through over HTTP, and replayed so that it counts once."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.replaying import Replaying
from services.ingest.store.rejections import RejectionStore
from services.ingest.store.replays import ReplayStore
from services.ingest.store.tables import position
from services.ingest.worker import KEEPING_GROUP, TOPICS
from shared.clock import utc_now
from shared.events.rejected import Place, decode_rejected, encode_rejected, reject
from shared.events.topics import TopicName
from shared.log.errors import LogUnavailable
from shared.log.protocol import EventLog
from shared.log.records import Partition, Record
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics
from tests.integration.ingest.installed import ADMIN_KEY, MARKETING_KEY, SALES_KEY, Ingest, open_test_ingest
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
MARKETING = {"Authorization": f"Bearer {MARKETING_KEY}"}


async def keep(ingest: Ingest) -> None:
    """Run the worker that keeps rejections until it has read all of them."""

    async def kept() -> bool:
        topic = TopicName.EVENTS_REJECTED
        parts = [Partition(topic, number) for number in range(await ingest.log.partition_count(topic))]
        stored = await Positions(ingest.engine, position, owner="test").read(KEEPING_GROUP, parts)
        return all([stored.get(part, 0) == (await ingest.log.bounds(part))[1] for part in parts])

    async with running(ingest, "keeping"):
        await until(kept, what="all rejections are kept")


@asynccontextmanager
async def running(ingest: Ingest, name: str) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    working = asyncio.create_task(ingest.service.workers[name](stopping))
    try:
        yield
    finally:
        stopping.set()
        await working


async def listed(ingest: Ingest, **query: Any) -> list[dict[str, Any]]:
    """Return all pages of the list, newest first."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {**query, **({"cursor": cursor} if cursor else {})}
        answer = await ingest.client.get("/v1/rejected", params=params, headers=MARKETING)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["rejected"]
        cursor = page["next"]
        if cursor is None:
            return found


async def replay(ingest: Ingest, **wanted: Any) -> dict[str, Any]:
    """Replay and wait until it is done."""
    answer = await ingest.post("/v1/rejected/replay", wanted, headers=ADMIN)
    assert answer.status_code == 202, answer.text
    async with running(ingest, "replaying"):
        return await finished(ingest, answer.json()["id"])


async def finished(ingest: Ingest, identity: str) -> dict[str, Any]:
    async def done() -> bool:
        answer = await ingest.client.get(f"/v1/rejected/replays/{identity}", headers=MARKETING)
        return answer.json()["finished_at"] is not None

    await until(done, what="the replay is finished")
    return dict((await ingest.client.get(f"/v1/rejected/replays/{identity}", headers=MARKETING)).json())


BAD = [{"type": "track", "event": "Nobody", "messageId": f"bad-{number}"} for number in range(5)]
GOOD = {"type": "page", "userId": "good", "messageId": "good"}


async def test_looking_through_what_was_rejected(ingest: Ingest) -> None:
    """Each has its reason, place and bytes; filters and pages find them all, once each."""
    await ingest.post("/v1/batch", {"batch": [*BAD, GOOD, {"type": "what"}]})
    await ingest.post("/v1/events", b'{"specversion": "1.0", "data": "\\u0000\\u001b[31m"}')
    await ingest.understand()
    await keep(ingest)
    everything = await listed(ingest)
    in_pages = await listed(ingest, limit=2)
    nobody = await listed(ingest, reason=["no_identifier", "none such"], source="website", topic="events.web")

    assert len(everything) == 7
    assert in_pages == everything
    assert {row["item"] for row in nobody} == {0, 1, 2, 3, 4}
    assert all(row["waiting"] and row["replayable"] and row["seen"] == 1 for row in everything)
    assert await listed(ingest, source="nobody") == []
    assert await listed(ingest, waiting=False) == []
    assert await listed(ingest, since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(await listed(ingest, until=datetime.now(UTC) + timedelta(hours=1))) == 7
    answer = await ingest.client.get(f"/v1/rejected/{nobody[-1]['id']}", headers=MARKETING)
    shown = answer.json()
    assert json.loads(shown["original"]["text"]) in BAD
    assert shown["headers"]["tandem-intake"] == "segment.batch"
    assert shown["message"].startswith("Send ")


async def test_what_may_not_be_asked(ingest: Ingest) -> None:
    """Whoever asks for what cannot be is told so; nothing is a 500."""
    sales = {"Authorization": f"Bearer {SALES_KEY}"}
    get, post = ingest.client.get, ingest.post
    unknown = "00000000-0000-0000-0000-000000000000"

    assert (await get("/v1/rejected")).status_code == 401
    assert (await get("/v1/rejected", headers=sales)).status_code == 403
    assert (await post("/v1/rejected/replay", {"all": True}, headers=MARKETING)).status_code == 403
    assert (await post("/v1/rejected/replay", {}, headers=ADMIN)).status_code == 422
    assert (await post("/v1/rejected/replay", {"waiting": True}, headers=ADMIN)).status_code == 422
    assert (await post("/v1/rejected/replay", {"al": True}, headers=ADMIN)).status_code == 422
    assert (await post("/v1/rejected/replay", b"\xff", headers=ADMIN)).status_code == 422
    assert (await post("/v1/rejected/replay", {"source": "\0"}, headers=ADMIN)).status_code == 422
    assert (await post("/v1/rejected/replay", {"since": "2026-01-01T00:00:00"}, headers=ADMIN)).status_code == 422
    assert (await get("/v1/rejected?source=%00", headers=ADMIN)).status_code == 422
    assert (await get("/v1/rejected?since=2026-01-01T00:00:00", headers=ADMIN)).status_code == 422
    assert (await get("/v1/rejected?cursor=x", headers=ADMIN)).status_code == 422
    assert (await get("/v1/rejected?limit=1000", headers=ADMIN)).status_code == 422
    assert (await get("/v1/rejected/x", headers=ADMIN)).status_code == 422
    assert (await get(f"/v1/rejected/{unknown}", headers=ADMIN)).status_code == 404
    assert (await get(f"/v1/rejected/replays/{unknown}", headers=ADMIN)).status_code == 404


class Defective:
    """A log that fails on some touches, as a release with a defect would."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        if topic == TopicName.TOUCHES and any(b"cursed" in record.value for record in records):
            raise ValueError("the defect")
        await self._log.append(topic, records)


async def test_a_defect_is_mended(ingest: Ingest) -> None:
    """What a defect set aside counts once when it is replayed, twice even: as what it would have been at first."""
    batch = [
        {"type": "track", "event": "Form Submitted", "userId": "cursed", "timestamp": "2026-03-01T10:00:00Z"},
        {"type": "track", "event": "Form Submitted", "userId": "cursed", "messageId": "m"},
        {"type": "page", "userId": "bystander"},
    ]
    shared = {"context": {"campaign": {"name": "spring"}}, "sentAt": "2026-03-01T10:00:10Z"}
    await ingest.post("/v1/batch", {"batch": batch, **shared})
    await ingest.post("/v1/page", {"userId": "healthy"})
    async with open_test_ingest(ingest.engine, Defective(ingest.log)) as defective:
        await defective.understand()
    await keep(ingest)
    (aside,) = await listed(ingest, reason="unprocessable")
    before = await ingest.touches()

    first = await replay(ingest, reason=["unprocessable"])
    await ingest.understand()
    await replay(ingest, ids=[aside["id"]])
    touches = await ingest.understand()

    assert (first["total"], first["replayed"], first["skipped"], first["requested_by"]) == (1, 1, 0, "Ada")
    assert len(before) == 1
    assert len(touches) == 1 + 3 + 3
    assert len({touch.id for touch in touches}) == 4
    assert {touch.campaign.name for touch in touches if touch.campaign} == {"spring"}
    assert {touch.received_at.isoformat() for touch in touches[:-1] if touch.type == "track"} == {
        datetime.fromisoformat(aside["received_at"]).isoformat()
    }
    (after,) = await listed(ingest)
    assert (after["waiting"], after["replays"], after["replayed_by"], after["seen"]) == (False, 2, "Ada", 1)
    assert await listed(ingest, waiting=True) == []


async def test_what_fails_again(ingest: Ingest) -> None:
    """It is the rejection that it was, seen once more; a repeat of an old one wakes nothing."""
    await ingest.post("/v1/batch", {"batch": [{"type": "what"}, GOOD]})
    await ingest.understand()
    await keep(ingest)
    (once,) = await listed(ingest)
    for _ in range(2):
        await replay(ingest, all=True)
        await ingest.understand()
        await keep(ingest)
    (thrice,) = await listed(ingest)
    rejected = await ingest.rejected()
    await replay(ingest, all=True)
    await ingest.log.append(TopicName.EVENTS_REJECTED, [Record(encode_rejected(rejected[0]))])
    await keep(ingest)
    (repeated,) = await listed(ingest)

    assert {one.id for one in rejected} == {rejected[0].id}
    assert (thrice["id"], thrice["seen"], thrice["replays"], thrice["waiting"]) == (once["id"], 3, 2, True)
    assert (thrice["item"], thrice["first_seen"]) == (0, once["first_seen"])
    assert (repeated["seen"], repeated["replays"], repeated["waiting"]) == (3, 3, False)


async def test_a_dry_run(ingest: Ingest) -> None:
    """It says how many there are, and does nothing."""
    await ingest.post("/v1/batch", {"batch": BAD})
    await ingest.understand()
    await keep(ingest)
    answer = await ingest.post("/v1/rejected/replay", {"reason": ["no_identifier"], "dry_run": True}, headers=ADMIN)

    assert (answer.status_code, answer.json()) == (200, {"dry_run": True, "total": 5})
    assert {row["replays"] for row in await listed(ingest)} == {0}


class Forgetful:
    """A log whose acknowledgement of some appends is lost, as when the process is killed behind them."""

    def __init__(self, ingest: Ingest, *, lose: int) -> None:
        self._log = ingest.log
        self._lose = lose
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        await self._log.append(topic, records)
        self.appends += 1
        if self.appends <= self._lose:
            raise LogUnavailable("killed")


def replaying(
    ingest: Ingest, *, log: Any = None, per_second: int = 2, now: Any = utc_now, keep_for: int = 30
) -> Replaying:
    return Replaying(
        ingest.engine,
        log=log or ingest.log,
        rejections=RejectionStore(ingest.engine),
        replays=ReplayStore(ingest.engine),
        topics=TOPICS,
        per_second=2,
        keep=timedelta(days=30),
        metrics=Metrics(),
        clock=now,
    )


async def test_killed_in_the_middle_of_a_replay(ingest: Ingest) -> None:
    """Whoever goes on repeats at most a slice, which counts once; the rate is kept over all processes."""
    pages = [{"type": "page", "userId": f"u{number}", "timestamp": "?"} for number in range(5)]
    await ingest.post("/v1/batch", {"batch": pages})
    await ingest.understand()
    await keep(ingest)
    await ingest.post("/v1/rejected/replay", {"all": True}, headers=ADMIN)
    start = datetime.now(UTC)
    moments = iter([start + timedelta(seconds=second) for second in (0, 0, 0, 0.5, 1, 2, 3)])
    log = Forgetful(ingest, lose=1)
    killed, other = (replaying(ingest, log=log, now=lambda: next(moments)) for _ in range(2))
    with pytest.raises(LogUnavailable):
        await killed.step()
    pauses = [await other.step(), await killed.step(), await other.step(), await killed.step()]
    pauses += [await other.step(), await killed.step()]
    await ingest.understand()
    await keep(ingest)

    assert [pause.total_seconds() for pause in pauses] == [1, 1, 0.5, 1, 0.5, 0]
    assert log.appends == 4
    rows = await listed(ingest)
    assert len(rows) == 5
    assert {(row["seen"], row["replays"], row["waiting"]) for row in rows} == {(2, 1, True)}


async def test_two_processes_replay(two_ingests: tuple[Ingest, Ingest]) -> None:
    """Each rejection is replayed once."""
    one, two = two_ingests
    await one.post("/v1/batch", {"batch": BAD * 100})
    await one.understand()
    await keep(one)
    answer = await one.post("/v1/rejected/replay", {"all": True}, headers=ADMIN)
    async with running(one, "replaying"), running(two, "replaying"):
        done = await finished(two, answer.json()["id"])

    assert (done["total"], done["replayed"]) == (500, 500)
    assert len(await read_topic(one.log, TopicName.EVENTS_WEB)) == 501


async def test_rejections_of_other_services(ingest: Ingest) -> None:
    """They go back to their own partition of their own topic; what cannot go anywhere is left and counted."""
    at = datetime.now(UTC)
    touch = reject(
        Place("touches", 2, 17, 1),
        reason="malformed_touch",
        message="m\0",
        at=at,
        original=b'{"id": 5}',
        headers=[("traceparent", "x")],
        frame=(b"[", b"]"),
    )
    stranger = reject(Place("secrets", 0, 0), reason="r", message="m", at=at, original=b"x", headers=[])
    beyond = reject(Place("touches", 999, 0), reason="r", message="m", at=at, original=b"x", headers=[])
    odd = reject(Place("touches", 777, 0), reason="r", message="m", at=at, original=b"x", headers=[])
    huge = reject(Place("events.web", 0, 0), reason="r", message="m", at=at, original=b"x" * 3_000_000, headers=[])
    await ingest.log.append(
        TopicName.EVENTS_REJECTED,
        [
            *(Record(encode_rejected(one)) for one in (touch, stranger, beyond, huge)),
            Record(b"nonsense \xff"),
            Record(b'{"id": "' + b"0" * 50_000),
            Record(encode_rejected(odd).replace(b'"partition":777', b'"partition":99999999999')),
        ],
    )
    await keep(ingest)
    done = await replay(ingest, all=True)
    (record,) = await read_topic(ingest.log, TopicName.TOUCHES)

    assert (done["total"], done["replayed"], done["skipped"]) == (7, 1, 6)
    assert (record.partition.number, record.value) == (2, b'[{"id": 5}]')
    assert dict(record.headers) == {"traceparent": b"x", "tandem-place": b"touches/2/17/1", "tandem-replay": b"1"}
    unreadable = await listed(ingest, reason="unreadable")
    assert [row["topic"] for row in unreadable] == ["events.rejected"] * 3


async def test_rejections_are_forgotten(ingest: Ingest) -> None:
    """What was last seen longer ago than the setting says is swept, and nothing else."""
    await ingest.post("/v1/batch", {"batch": BAD})
    await ingest.understand()
    await keep(ingest)
    await replay(ingest, all=True)
    young = replaying(ingest, now=lambda: utc_now() + timedelta(days=29))
    old = replaying(ingest, now=lambda: utc_now() + timedelta(days=31))

    async def sweep(sweeper: Replaying) -> None:
        stopping = asyncio.Event()
        working = asyncio.create_task(sweeper.sweep(stopping))
        await asyncio.sleep(0)
        stopping.set()
        await working

    await sweep(young)
    assert len(await listed(ingest)) == 5
    await sweep(old)
    assert await listed(ingest) == []


async def test_the_id_of_a_rejection_is_that_of_its_place(ingest: Ingest) -> None:
    """Whoever reads the topic finds the row that the API shows."""
    await ingest.post("/v1/batch", {"batch": [{"type": "what"}]})
    await ingest.understand()
    await keep(ingest)
    (record,) = await read_topic(ingest.log, TopicName.EVENTS_REJECTED)
    (row,) = await listed(ingest)

    assert (
        str(decode_rejected(record.value).id) == row["id"] == str(decode_rejected(record.value).place().rejection_id())
    )

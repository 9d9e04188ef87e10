"""The service as a process runs it: from the log to the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from services.scorer.app import open_scorer
from services.scorer.settings import ScorerSettings
from shared.events.handoff import HandoffReady, decode_handoff
from shared.events.topics import TopicName
from shared.events.touch import encode_touches
from shared.http.app import create_app
from shared.log.records import Record, Topic
from shared.platform import Platform, open_platform
from shared.service import Service
from tests.support.topic_reader import read_topic
from tests.support.touches import ADA, TEXT, a_demo_request, a_profile
from tests.support.waiting import until

KEYS = "[{role: marketing, name: Mia, key: marketing-0123456789}, {role: sales, name: Sam, key: sales-0123456789}]"


@asynccontextmanager
async def running(database_url: str, keys: Path) -> AsyncIterator[tuple[Service, Platform, httpx.AsyncClient]]:
    """Run the service with all of its workers."""
    keys.write_text(KEYS)
    settings = ScorerSettings(database_url=SecretStr(database_url), keys_file=keys)
    async with open_platform(settings, name="scorer-test") as platform:
        await platform.log.create_topics([Topic(name, 3, 24) for name in TopicName])
        async with open_scorer(settings, platform) as service:
            app = create_app([service], metrics=platform.metrics, draining=lambda: False)
            stopping = asyncio.Event()
            workers = [asyncio.create_task(worker(stopping)) for worker in service.workers.values()]
            try:
                async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://scorer") as http:
                    yield service, platform, http
            finally:
                stopping.set()
                await asyncio.gather(*workers)


async def test_from_touch_to_handoff(database_url: str, tmp_path: Path) -> None:
    """Touches on the log become a handoff on the log; what was there before the agreement is decided when it is."""
    now = datetime.now(UTC)
    async with running(database_url, tmp_path / "keys.yaml") as (service, platform, http):

        async def ready() -> bool:
            return not await service.readiness()

        await until(ready, what="readiness")
        touches = [a_profile("who", at=now)] + [a_demo_request(n, at=now) for n in range(8)]
        key = str(ADA).encode()
        await platform.log.append(TopicName.TOUCHES, [Record(encode_touches(touches), key=key)])

        async def counted() -> bool:
            return bool((await http.get(f"/v1/contacts/{ADA}", headers=bearer("marketing"))).status_code == 200)

        await until(counted, what="the touches counted")
        text = TEXT.replace(", stage: active_looking}", "}")
        draft = (await http.post("/v1/agreements", content=text, headers=bearer("marketing"))).json()
        for side in ("marketing", "sales"):
            path = f"/v1/agreements/{draft['version']}/signatures"
            await http.post(path, json={"hash": draft["hash"]}, headers=bearer(side))

        async def handed_off() -> bool:
            return bool(await handoffs(platform))

        await until(handed_off, what="a handoff on the log", poll=timedelta(milliseconds=100))
        (handoff,) = await handoffs(platform)
        assert handoff.reason == "threshold"
        assert handoff.agreement == 1
        metrics = (await http.get("/metrics")).text
        assert "tandem_touches_counted_total 9.0" in metrics
        assert service.liveness() == ()


async def handoffs(platform: Platform) -> list[HandoffReady]:
    """Return the handoffs on the log."""
    messages = [decode_handoff(record.value) for record in await read_topic(platform.log, TopicName.HANDOFFS)]
    return [message for message in messages if isinstance(message, HandoffReady)]


def bearer(side: str) -> dict[str, str]:
    """Return the header that names the key of a side."""
    return {"Authorization": f"Bearer {side}-0123456789"}

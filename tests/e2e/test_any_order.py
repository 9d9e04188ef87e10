"""Promise 3: order does not matter, and promise 2: nor does how often a touch comes."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.client import TandemClient
from tests.e2e.conftest import Install, sign_agreement
from tests.support.processes import running_tandem
from tests.support.waiting import until

TOUCHES = 2_000
ORDERS = 20
BATCH = 250


def month(dice: random.Random, *, end: datetime) -> list[dict[str, Any]]:
    """Return the touches of the time before, without saying whose they are."""
    paths = ["/", "/pricing", "/pricing/compare", "/blog/late-trucks", "/customers/baltic", "/guide"]
    touches = []
    for number in range(TOUCHES):
        when = (end - timedelta(seconds=dice.randrange(86400 * 60))).isoformat()
        if dice.random() < 0.7:
            path = dice.choice(paths)
            touch = {"type": "page", "name": path, "properties": {"path": path}}
        else:
            touch = {"type": "track", "event": dice.choice(["Email Link Clicked", "Email Opened", "Form Submitted"])}
            touch["properties"] = {"form": "guide"}
        touches.append({**touch, "timestamp": when, "messageId": f"m-{number}"})
    return touches


async def test_the_same_touches_in_twenty_orders(install_on_each_log: Install) -> None:
    """Twenty contacts get the same touches, each in another order and many twice, and have one score to 1e-9."""
    install = install_on_each_log
    dice = random.Random(3)
    # Not the instant of the collection: tests before this one may take longer than what is added below.
    now = datetime.now(UTC)
    touches = month(dice, end=now)
    async with running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as tandem:
        await sign_agreement(tandem.url, install.keys)
        async with TandemClient(tandem.url, install.keys["marketing"]) as api:
            for order in range(ORDERS):
                who = {"userId": f"person-{order}", "context": {"traits": {"email": f"person-{order}@acme.example"}}}
                shuffled = touches + dice.sample(touches, 300)
                dice.shuffle(shuffled)
                mine = [{**touch, **who, "messageId": f"{order}-{touch['messageId']}"} for touch in shuffled]
                for first in range(0, len(mine), BATCH):
                    body = msgspec.json.encode({"batch": mine[first : first + BATCH]})
                    await api.post_events("/v1/batch", body, key=install.keys["source"])

            async def contacts() -> list[dict[str, Any]]:
                at = (now + timedelta(minutes=5)).isoformat()
                found = []
                for order in range(ORDERS):
                    page = await api.get("/v1/contacts", email=f"person-{order}@acme.example", as_of=at)
                    found += page["contacts"]
                return found

            async def counted() -> bool:
                found = await contacts()
                return len(found) == ORDERS and all(contact["touches"] >= TOUCHES for contact in found)

            await until(counted, seconds=60, what=lambda: f"all counted\n{tandem.log_text()}")
            found = await contacts()

    assert {contact["touches"] for contact in found} == {TOUCHES}
    assert {contact["stage"] for contact in found} == {found[0]["stage"]}
    first = found[0]["engagement"]
    assert first["score"] > 10
    for contact in found[1:]:
        assert contact["engagement"]["score"] == pytest.approx(first["score"], rel=1e-9)
        for part, other in zip(first["parts"], contact["engagement"]["parts"], strict=True):
            assert other["value"] == pytest.approx(part["value"], rel=1e-9)

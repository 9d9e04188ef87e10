"""Accepted requests as they lie on `events.web`: page views of a company's visitors."""

import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from shared.log.records import Record

BATCH = 100  # events a request
PAGES = ("/", "/pricing", "/blog/late-trucks", "/customers/baltic", "/guide", "/jobs")


def requests_about(events: int, *, contacts: int) -> list[Record]:
    """Return requests with this many events in all; half of them are about a few of the contacts (Pareto)."""
    dice = random.Random(1)

    def anyone() -> int:
        return min(int(dice.paretovariate(0.6)), contacts - 1) if dice.random() < 0.5 else dice.randrange(contacts)

    return [request_about([anyone() for _ in range(BATCH)]) for _ in range(events // BATCH)]


def request_about(contacts: Iterable[int]) -> Record:
    """Return an accepted request with one page view of each contact."""
    now = datetime.now(UTC)
    batch = []
    for contact in contacts:
        path = random.choice(PAGES)
        occurred = now - timedelta(seconds=random.randrange(86400 * 20))
        batch.append(
            {
                "type": "page",
                "messageId": str(uuid.uuid4()),
                "anonymousId": f"visitor-{contact}",
                "timestamp": occurred.isoformat(),
                "name": path,
                "properties": {"path": path, "url": f"https://www.harbour.example{path}", "title": path},
            }
        )
    headers = {
        "tandem-source": "source",
        "tandem-kind": "web",
        "tandem-intake": "segment.batch",
        "tandem-received-at": now.isoformat(),
    }
    return Record(msgspec.json.encode({"batch": batch}), headers=tuple((k, v.encode()) for k, v in headers.items()))

"""Stretches of the history: the touches of contacts whose ids follow each other, some thousand touches at a time.

Ids of contacts are hashes, so a stretch is a fair sample, and how far an id is along all ids tells how much is done.
Each is a statement of its own: a snapshot kept for minutes would keep PostgreSQL from cleaning up behind the scorer.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.verdict import Judged
from shared.events.touch import Touch

STRETCH = 4000  # touches; more of a contact that has more, since it is replayed as a whole
FIRST = UUID(int=0)
LAST = UUID(int=(1 << 128) - 1)

# By the primary key's index alone.
_END = "SELECT contact_id FROM scorer.touch WHERE contact_id > $1 ORDER BY contact_id OFFSET $2 LIMIT 1"
# Contacts that nothing happened to are left out here: their touches are neither sent nor read.
_TOUCHES = """
    WITH kept AS MATERIALIZED (
        SELECT contact_id, payload, suspect, trusted, received_at FROM scorer.touch
        WHERE contact_id > $1 AND contact_id <= $2 AND received_at < $4
    )
    SELECT contact_id, payload, suspect, trusted FROM kept
    WHERE contact_id IN (
        SELECT contact_id FROM kept WHERE received_at >= $3
        UNION ALL
        SELECT contact_id FROM scorer.handoff
        WHERE contact_id > $1 AND contact_id <= $2 AND decided_at >= $3 AND decided_at < $4
    )
"""
_decode = msgspec.json.Decoder(Touch).decode


@dataclass(frozen=True, slots=True)
class Stretch:
    """The touches of some contacts, in any order, and the id up to which the stretch goes."""

    end: UUID
    touches: dict[UUID, list[Judged]]

    @property
    def is_last(self) -> bool:
        """Whether no touch comes after it."""
        return self.end == LAST

    def size(self) -> int:
        """Return how many touches it holds."""
        return sum(map(len, self.touches.values()))


async def read_stretch(
    connection: AsyncConnection, *, after: UUID, touched_since: datetime, until: datetime
) -> Stretch:
    """Return the touches received until then of the next contacts to which anything happened since."""
    end = (await connection.exec_driver_sql(_END, (after, STRETCH))).scalar() or LAST
    touches: dict[UUID, list[Judged]] = {}
    rows: Any = await connection.exec_driver_sql(_TOUCHES, (after, end, touched_since, until))
    for contact_id, payload, suspect, trusted in rows:
        touches.setdefault(contact_id, []).append(Judged(_decode(payload), suspect or "", trusted))
    return Stretch(end, touches)

"""Stretches of the history: the touches of contacts whose ids follow each other, some thousand touches at a time.

Ids of contacts are hashes, so a stretch is a fair sample, and how far an id is along all ids tells how much is done.
Where accounts are replayed, their people come together, with the one whose id is the smallest.
Each is a statement of its own: a snapshot kept for minutes would keep PostgreSQL from cleaning up behind the scorer.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.verdict import Judged
from shared.events.touch import Touch

STRETCH = 4000  # touches; more of a contact that has more, since it is replayed as a whole
STRETCH_CONTACTS = 250  # where accounts come whole; more with those that belong to them
FIRST = UUID(int=0)
LAST = UUID(int=(1 << 128) - 1)

# One pass through the rows: their order is random on the disk, so each costs a page, and counting them first would cost
# it twice. The last contact is read whole. Contacts that nothing happened to are left out here: their touches are
# neither sent nor read.
_TOUCHES = """
    WITH first AS MATERIALIZED (
        SELECT contact_id, payload, suspect, trusted, received_at FROM scorer.touch
        WHERE contact_id > $1 ORDER BY contact_id LIMIT $2
    ), reached AS MATERIALIZED (
        SELECT contact_id FROM first ORDER BY contact_id DESC LIMIT 1
    ), kept AS MATERIALIZED (
        SELECT * FROM (
            SELECT * FROM first WHERE contact_id < (TABLE reached)
            UNION ALL
            SELECT contact_id, payload, suspect, trusted, received_at FROM scorer.touch
            WHERE contact_id = (TABLE reached)
        ) AS whole
        WHERE received_at < $4
    )
    SELECT reached.contact_id, (SELECT count(*) FROM first) < $2, asked.*
    FROM reached LEFT JOIN (
        SELECT contact_id, payload, suspect, trusted FROM kept
        WHERE contact_id IN (
            SELECT contact_id FROM kept WHERE received_at >= $3
            UNION ALL
            SELECT contact_id FROM scorer.handoff
            WHERE contact_id > $1 AND contact_id <= (TABLE reached) AND decided_at >= $3 AND decided_at < $4
        )
    ) AS asked ON true
"""
_TOUCHES_OF_ACCOUNTS = """
    WITH next AS MATERIALIZED (
        SELECT id, account_id FROM scorer.contact WHERE id > $1 ORDER BY id LIMIT $2
    ), reached AS MATERIALIZED (
        SELECT id FROM next ORDER BY id DESC LIMIT 1
    ), member AS MATERIALIZED (
        SELECT id AS contact_id, account_id FROM next WHERE account_id IS NULL
        UNION ALL
        SELECT other.id, next.account_id
        FROM next JOIN scorer.contact AS other ON other.account_id = next.account_id
        WHERE NOT EXISTS (
            SELECT FROM scorer.contact AS first WHERE first.account_id = next.account_id AND first.id < next.id
        )
    ), kept AS MATERIALIZED (
        SELECT contact_id, account_id, payload, suspect, trusted, received_at
        FROM member JOIN scorer.touch USING (contact_id) WHERE received_at < $4
    ), active AS MATERIALIZED (
        SELECT coalesce(account_id, contact_id) AS id FROM kept WHERE received_at >= $3
        UNION
        SELECT coalesce(account_id, contact_id) FROM scorer.handoff JOIN member USING (contact_id)
        WHERE decided_at >= $3 AND decided_at < $4
    )
    SELECT (TABLE reached), (SELECT count(*) FROM next) < $2, asked.*
    FROM (VALUES (1)) AS always LEFT JOIN (
        SELECT contact_id, account_id, payload, suspect, trusted FROM kept
        WHERE coalesce(account_id, contact_id) IN (TABLE active)
    ) AS asked ON true
"""
_decode = msgspec.json.Decoder(Touch).decode


@dataclass(frozen=True, slots=True)
class Stretch:
    """The touches of some contacts, in any order, and the id up to which the stretch goes.

    `accounts` has the contacts by account, where accounts come whole.
    """

    end: UUID
    touches: dict[UUID, list[Judged]]
    accounts: dict[UUID, set[UUID]] = field(default_factory=dict)

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
    rows: Any = await connection.exec_driver_sql(_TOUCHES, (after, STRETCH, touched_since, until))
    end = LAST
    touches: dict[UUID, list[Judged]] = {}
    for reached, is_last, contact_id, payload, suspect, trusted in rows:
        end = LAST if is_last else reached
        if contact_id is not None:
            touches.setdefault(contact_id, []).append(Judged(_decode(payload), suspect or "", trusted))
    return Stretch(end, touches)


async def read_accounts_stretch(
    connection: AsyncConnection, *, after: UUID, touched_since: datetime, until: datetime
) -> Stretch:
    """Return the same of the next contacts and of whole accounts, if anything happened to any of an account's people.

    An account comes with the first of its people, in the order of ids.
    """
    rows: Any = await connection.exec_driver_sql(_TOUCHES_OF_ACCOUNTS, (after, STRETCH_CONTACTS, touched_since, until))
    end = LAST
    touches: dict[UUID, list[Judged]] = {}
    accounts: dict[UUID, set[UUID]] = {}
    for reached, is_last, contact_id, account_id, payload, suspect, trusted in rows:
        end = LAST if is_last else reached
        if contact_id is not None:
            touches.setdefault(contact_id, []).append(Judged(_decode(payload), suspect or "", trusted))
            if account_id is not None:
                accounts.setdefault(account_id, set()).add(contact_id)
    return Stretch(end, touches, accounts)

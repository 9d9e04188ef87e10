"""Claims: deliveries that are due, leased to the process that sends them.

Claims are per endpoint, so that a slow or disabled endpoint with a long backlog costs the others nothing, and
deliveries due later cost a claim nothing.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Integer, Text, Uuid, bindparam, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.allowance import Limits, allowance, paid_at
from services.router.store import tables

_delivery = tables.delivery.c
_Instant = DateTime(timezone=True)

# Those that a claim must not raid together with another: their limits hold for all processes at once. Two claims at the
# same time never have the same one; who comes second leaves it to the first.
_HELD = text(
    """
    SELECT name, rate, rate_at, concurrency, open_until IS NOT NULL AS probing FROM router.endpoint
    WHERE (rate IS NOT NULL OR concurrency IS NOT NULL OR open_until IS NOT NULL)
      AND enabled AND NOT removed AND disabled_at IS NULL
      AND (paused_until IS NULL OR paused_until <= :now) AND (open_until IS NULL OR open_until <= :now)
      AND (:only IS NULL OR name = ANY(:only))
    FOR NO KEY UPDATE SKIP LOCKED
    """
).bindparams(bindparam("now", type_=_Instant), bindparam("only", type_=ARRAY(Text)))

_SENDING = (
    select(_delivery.endpoint, func.count().label("sending"))
    .where(
        _delivery.state == literal_column("'sending'"),  # in the text, as the partial index has it
        _delivery.endpoint == func.any(bindparam("names", type_=ARRAY(Text))),
    )
    .group_by(_delivery.endpoint)
)

CLAIM = text(
    """
    WITH open AS (
        SELECT e.name, e.revision, e.ordered, e.failures > 0 OR e.open_until IS NOT NULL AS failing,
               least(coalesce(b.slots, :each), :total) AS slots,
               CASE WHEN e.ordered THEN '-infinity' ELSE coalesce(b.floor, '-infinity') END AS floor
        FROM router.endpoint e LEFT JOIN unnest(:names, :slots, :floors) AS b(name, slots, floor) ON b.name = e.name
        WHERE e.enabled AND NOT e.removed AND e.disabled_at IS NULL
          AND (e.paused_until IS NULL OR e.paused_until <= :now)
          AND (e.rate IS NULL AND e.concurrency IS NULL AND e.open_until IS NULL OR e.name = ANY(:held))
          AND coalesce(b.slots, :each) > 0
          AND (:only IS NULL OR e.name = ANY(:only))
        ORDER BY random()
    ), due AS (
        SELECT d.id, open.revision, open.failing, open.ordered
        FROM open CROSS JOIN LATERAL (
            SELECT id FROM router.delivery waiting
            WHERE endpoint = open.name AND state = 'pending' AND due_at <= :now AND due_at >= open.floor
              AND (NOT open.ordered OR NOT EXISTS (
                SELECT FROM router.delivery earlier
                WHERE earlier.contact_id = waiting.contact_id AND earlier.endpoint = waiting.endpoint
                  AND earlier.state IN ('pending', 'sending')
                  AND (earlier.created_at, earlier.id) < (waiting.created_at, waiting.id)))
            ORDER BY due_at, id LIMIT open.slots FOR UPDATE SKIP LOCKED
        ) d
        LIMIT :total
    ), claimed AS (
        UPDATE router.delivery d SET state = 'sending', lease_id = :lease_id, lease_until = :lease_until
        FROM due WHERE d.id = due.id
        RETURNING d.id, d.message_id, d.endpoint, due.revision, due.failing, due.ordered, d.body, d.traceparent,
                  d.failures, d.attempts, d.created_at, coalesce(d.released_at, d.created_at) AS since, d.due_at,
                  d.handoff_id, d.contact_id
    )
    SELECT ARRAY(
        SELECT name FROM router.endpoint
        WHERE (rate IS NOT NULL OR concurrency IS NOT NULL OR open_until IS NOT NULL)
          AND (:only IS NULL OR name = ANY(:only))
    ) AS limited, claimed.*
    FROM (VALUES (1)) AS always LEFT JOIN claimed ON true
    """
).bindparams(
    bindparam("names", type_=ARRAY(Text)),
    bindparam("slots", type_=ARRAY(Integer)),
    bindparam("floors", type_=ARRAY(_Instant)),
    bindparam("held", type_=ARRAY(Text)),
    bindparam("only", type_=ARRAY(Text)),
    bindparam("each", type_=Integer),
    bindparam("total", type_=Integer),
    bindparam("now", type_=_Instant),
    bindparam("lease_until", type_=_Instant),
    bindparam("lease_id", type_=Uuid),
)

_SPEND = text("UPDATE router.endpoint SET rate_at = :rate_at, open_until = :open_until WHERE name = :name").bindparams(
    bindparam("rate_at", type_=_Instant), bindparam("open_until", type_=_Instant)
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery under our lease, and where it goes."""

    id: UUID
    lease_id: UUID
    message_id: str
    endpoint: str
    revision: int  # of the endpoint
    failing: bool  # the endpoint has failed since its last success
    probe: bool  # the only one that goes to an endpoint whose breaker is open
    body: bytes
    traceparent: str | None
    failures: int
    attempts: int
    created_at: datetime
    since: datetime  # when it was made or last replayed
    due_at: datetime
    handoff_id: UUID | None
    contact_id: UUID | None


@dataclass(frozen=True, slots=True)
class Room:
    """How much a process takes of an endpoint."""

    slots: int
    floor: datetime | None = None  # nothing that was due before; None: look at everything


@dataclass(frozen=True, slots=True)
class _Lease:
    id: UUID
    until: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What was claimed, and at which endpoints more may be due than was.

    `again`: others were left out, and are claimed by the same claim made once more.
    """

    deliveries: list[Claimed]
    short: frozenset[str]
    again: bool = False


class ClaimStore:
    """SQL about claims."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Whether an endpoint has a limit that all processes share; while none has, a claim is one statement, which
        # needs no transaction around it.
        self._limits = True
        self._at_once = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def claim(
        self,
        *,
        only: Collection[str] | None = None,
        rooms: Mapping[str, Room],
        each: int,
        total: int,
        lease_id: UUID,
        lease_until: datetime,
        now: datetime,
    ) -> Claims:
        """Lease what is due at `only` these endpoints: at most `total`, and of one at most its room.

        An endpoint without a room may have `each`.
        """
        names = None if only is None else list(only)
        lease = _Lease(lease_id, lease_until, now)
        if not self._limits:
            async with self._at_once.connect() as connection:
                claims, limited = await self._claim(connection, lease, names, rooms, {}, each=each, total=total)
            self._limits = bool(limited)
            return replace(claims, again=bool(limited))
        async with self._engine.begin() as connection:
            held = await self._held(connection, names, now=now)
            claims, limited = await self._claim(connection, lease, names, rooms, held, each=each, total=total)
        self._limits = bool(limited) or names is not None
        return claims

    async def _claim(
        self,
        connection: AsyncConnection,
        lease: _Lease,
        names: list[str] | None,
        rooms: Mapping[str, Room],
        held: Mapping[str, Limits],
        *,
        each: int,
        total: int,
    ) -> tuple[Claims, list[str]]:
        """Lease what is due, and return with it the names of those with limits that all processes share."""
        allowed = {name: allowance(limits, now=lease.now) for name, limits in held.items()}
        slots = {name: room.slots for name, room in rooms.items()}
        slots |= {name: min(slots.get(name, each), most) for name, most in allowed.items()}
        floors = [rooms[name].floor if name in rooms else None for name in slots]
        found = await connection.execute(
            CLAIM,
            {
                "names": list(slots),
                "slots": list(slots.values()),
                "floors": floors,
                "held": list(held),
                "only": names,
                "each": each,
                "total": total,
                "now": lease.now,
                "lease_id": lease.id,
                "lease_until": lease.until,
            },
        )
        rows = found.all()
        claimed = [
            Claimed(
                id=row.id,
                lease_id=lease.id,
                message_id=row.message_id,
                endpoint=row.endpoint,
                revision=row.revision,
                failing=row.failing,
                probe=row.endpoint in held and held[row.endpoint].probing,
                body=row.body,
                traceparent=row.traceparent,
                failures=row.failures,
                attempts=row.attempts,
                created_at=row.created_at,
                since=row.since,
                due_at=row.due_at,
                handoff_id=row.handoff_id,
                contact_id=row.contact_id,
            )
            for row in rows
            if row.id is not None
        ]
        given = Counter(delivery.endpoint for delivery in claimed)
        for name, limits in held.items():
            if given[name] and (limits.probing or limits.rate is not None):
                await connection.execute(
                    _SPEND,
                    {
                        "name": name,
                        "rate_at": paid_at(limits, given=given[name], now=lease.now),
                        # Whoever looks may die: then somebody else looks when its lease is over.
                        "open_until": lease.until if limits.probing else None,
                    },
                )
        # Where the order of a contact is kept, others of the contact wait for those that were claimed.
        ordered = {row.endpoint for row in rows if row.ordered}
        full = {name for name, count in given.items() if count >= slots.get(name, each)}
        none = {name for name in held if not slots[name]}
        return Claims(claimed, frozenset(ordered | full | none)), list(rows[0].limited)

    async def _held(self, connection: AsyncConnection, only: list[str] | None, *, now: datetime) -> dict[str, Limits]:
        """Lock the endpoints whose limits all processes share, as far as nobody else has, and return the limits."""
        rows = (await connection.execute(_HELD, {"now": now, "only": only})).all()
        crowded = [row.name for row in rows if row.concurrency is not None]
        sending: dict[str, int] = {}
        if crowded:
            # A statement of its own: it sees what was claimed before the locks were ours.
            sending = {row.endpoint: row.sending for row in await connection.execute(_SENDING, {"names": crowded})}
        return {
            row.name: Limits(
                rate=row.rate,
                rate_at=row.rate_at,
                concurrency=row.concurrency,
                sending=sending.get(row.name, 0),
                probing=row.probing,
            )
            for row in rows
        }

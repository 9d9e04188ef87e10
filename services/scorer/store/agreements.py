"""Agreements: every version that was proposed, who signed it, and which one is active.

What decides holds a shared lock on "which one is active" until its transaction ends; activation takes it alone. So
activation is an instant: every decision falls wholly before or wholly after it, and `activated_at` says when.

A version that counts otherwise than the active one is `activating` first: it is active when all is counted under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.domain.terms import Terms
from services.scorer.errors import AgreementClosed, AgreementMissing, HashMismatch, SameKey
from services.scorer.store.replays import ReplayStore
from services.scorer.store.tables import agreement, signature
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.clock import Clock
from shared.ids import derived_id

Side = Literal["marketing", "sales"]
Status = Literal["draft", "activating", "active", "superseded"]

_ACTIVE_LOCK = derived_id("scorer.agreement.active").int & 0x7FFF_FFFF_FFFF_FFFF

_TAKE = select(func.pg_advisory_xact_lock(_ACTIVE_LOCK))

# Built once: every batch begins with them.
_HOLD = select(func.pg_advisory_xact_lock_shared(_ACTIVE_LOCK))
_IN_FORCE = agreement.c.status.in_(["active", "activating"])
_ACTIVE = select(agreement.c.version, agreement.c.status, agreement.c.activated_at).where(_IN_FORCE)
_UPCOMING = select(agreement.c.version).where(agreement.c.status == "activating")
_ACTIVATIONS = (
    select(agreement.c.activated_at, agreement.c.version, agreement.c.title)
    .where(agreement.c.activated_at.is_not(None))
    .order_by(agreement.c.activated_at, agreement.c.version)
)
_PROPOSE_LOCK = derived_id("scorer.agreement.propose").int & 0x7FFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One side's consent to one version: who, with which key, to what, and when."""

    side: Side
    signed_by: str
    signed_at: datetime
    content_hash: str
    key_fingerprint: str | None  # None: signed before fingerprints were kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the agreement, as it was proposed, and how far it came."""

    version: int
    content_hash: str
    title: str
    text: str
    status: Status
    proposed_by: str
    proposed_at: datetime
    activated_at: datetime | None
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Active:
    """The agreement that decisions are made under, and since when."""

    terms: Terms
    since: datetime


class Activation(NamedTuple):
    """A version that came into force at an instant, and stayed so until the next did."""

    since: datetime
    version: int
    title: str


class AgreementStore:
    """The rows of `scorer.agreement` and `scorer.signature`."""

    def __init__(self) -> None:
        self._replays = ReplayStore()
        # By version and the upcoming one. A version never changes, so what was compiled stays right.
        self._terms: dict[tuple[int, int | None], Terms] = {}

    async def hold_active(self, connection: AsyncConnection) -> Active | None:
        """Return the active agreement, which stays active until the transaction ends."""
        await connection.execute(_HOLD)
        return await self.active(connection)

    async def active(self, connection: AsyncConnection) -> Active | None:
        """Return the agreement that is active now."""
        rows = {row.status: row for row in await connection.execute(_ACTIVE)}
        row, upcoming = rows.get("active"), rows.get("activating")
        if row is None:
            return None
        terms = await self.terms(connection, row.version, upcoming=upcoming.version if upcoming else None)
        return Active(terms, row.activated_at)

    async def activations(self, connection: AsyncConnection) -> list[Activation]:
        """Return which versions came into force when, in that order."""
        rows = await connection.execute(_ACTIVATIONS)
        return [Activation(row.activated_at, row.version, row.title) for row in rows]

    async def upcoming(self, engine: AsyncEngine) -> int | None:
        """Return the version that is about to be in force."""
        async with engine.connect() as connection:
            return await connection.scalar(_UPCOMING)

    async def active_version(self, connection: AsyncConnection) -> int | None:
        """Return the number of the active agreement."""
        return await connection.scalar(select(agreement.c.version).where(agreement.c.status == "active"))

    async def terms(self, connection: AsyncConnection, version: int, *, upcoming: int | None = None) -> Terms:
        """Return the compiled agreement of a version, with the one that is going to follow. Raises AgreementMissing."""
        terms = self._terms.get((version, upcoming))
        if terms is None:
            written = await connection.scalar(select(agreement.c.text).where(agreement.c.version == version))
            if written is None:
                raise AgreementMissing(f"There is no agreement {version}.")
            parsed = parse_agreement(written)
            if not isinstance(parsed, Agreement):
                raise AgreementMissing(
                    f"Agreement {version} was accepted by another release of Tandem and this one cannot read it: "
                    f"{parsed[0]}. Propose and sign a corrected text under the release that reads it."
                )
            following = None if upcoming is None else await self.terms(connection, upcoming)
            self._terms[version, upcoming] = terms = Terms(version, parsed, upcoming=following)
        return terms

    async def propose(
        self,
        connection: AsyncConnection,
        proposed: Agreement,
        *,
        content_hash: str,
        text: str,
        by: str,
        now: datetime,
    ) -> tuple[Version, bool]:
        """Keep the text as a draft, and return it and whether it is new. The same content again is the same version."""
        await connection.execute(select(func.pg_advisory_xact_lock(_PROPOSE_LOCK)))
        same = select(agreement.c.version).where(
            agreement.c.content_hash == content_hash, agreement.c.status != "superseded"
        )
        version = await connection.scalar(same)
        is_new = version is None
        if version is None:
            version = 1 + (await connection.scalar(select(func.coalesce(func.max(agreement.c.version), 0))) or 0)
            await connection.execute(
                insert(agreement).values(
                    version=version,
                    content_hash=content_hash,
                    title=proposed.title,
                    text=text,
                    status="draft",
                    proposed_by=by,
                    proposed_at=now,
                )
            )
        return await self.read(connection, version), is_new

    async def sign(
        self,
        connection: AsyncConnection,
        version: int,
        *,
        content_hash: str,
        side: Side,
        by: str,
        key_fingerprint: str,
        clock: Clock,
    ) -> Version:
        """Sign for one side; the second side's signature activates the version in place of the active one.

        If touches have to be counted anew for it, it is `activating` until that is done, in place of another that is.
        Signing twice is signing once. Raises AgreementMissing, HashMismatch, AgreementClosed, SameKey.
        """
        row = (
            await connection.execute(select(agreement).where(agreement.c.version == version).with_for_update())
        ).one_or_none()
        if row is None:
            raise AgreementMissing(f"There is no agreement {version}.")
        if content_hash != row.content_hash:
            raise HashMismatch(
                f"Agreement {version} has the hash {row.content_hash}. Read that version again and sign its hash, "
                "or propose the text that you meant."
            )
        if row.status == "superseded":
            raise AgreementClosed(f"Agreement {version} was replaced by another. Propose its text again to sign it.")
        others = select(signature.c.side).where(
            signature.c.version == version,
            signature.c.side != side,
            signature.c.key_fingerprint == key_fingerprint,
        )
        if other := await connection.scalar(others):
            raise SameKey(f"This key signed agreement {version} for {other}. Let {side} sign with a key of its own.")
        await connection.execute(
            insert(signature)
            .values(
                version=version,
                side=side,
                signed_by=by,
                signed_at=clock(),
                content_hash=content_hash,
                key_fingerprint=key_fingerprint,
            )
            .on_conflict_do_nothing()
        )
        sides = await connection.scalar(
            select(func.count())
            .select_from(signature)
            .where(signature.c.version == version, signature.c.content_hash == row.content_hash)
        )
        if row.status == "draft" and sides == 2:
            await self._agree(connection, version, clock)
        return await self.read(connection, version)

    async def _agree(self, connection: AsyncConnection, version: int, clock: Clock) -> None:
        await connection.execute(_TAKE)
        before = await self.active(connection)
        await connection.execute(
            update(agreement).where(agreement.c.status == "activating").values(status="superseded")
        )
        agreed = await self.terms(connection, version)
        if before is None or before.terms.counting == agreed.counting:
            await self._activate(connection, version, clock)
            return
        await connection.execute(update(agreement).where(agreement.c.version == version).values(status="activating"))
        await self._replays.begin(connection, version, replaces=before.terms.version, at=clock())

    async def put_in_force(self, connection: AsyncConnection, version: int, *, clock: Clock) -> bool:
        """Activate a version for which all is counted; tell whether it still is to be.

        It is not when another was signed meanwhile, here or by a release that knows of no replays.
        """
        await connection.execute(_TAKE)
        before = await self.active(connection)
        upcoming = before.terms.upcoming if before else None
        if before is None or upcoming is None or upcoming.version != version:
            return False
        if before.terms.version != await self._replays.replaced_by(connection, version):
            await connection.execute(
                update(agreement).where(agreement.c.version == version).values(status="superseded")
            )
            return False
        await self._activate(connection, version, clock)
        await self._replays.finish(connection, version, at=clock())
        return True

    async def _activate(self, connection: AsyncConnection, version: int, clock: Clock) -> None:
        await connection.execute(update(agreement).where(agreement.c.status == "active").values(status="superseded"))
        # The instant is read under the lock: whatever was decided before is committed.
        await connection.execute(
            update(agreement).where(agreement.c.version == version).values(status="active", activated_at=clock())
        )

    async def read(self, connection: AsyncConnection, version: int) -> Version:
        """Return a version with its signatures. Raises AgreementMissing."""
        row = (await connection.execute(select(agreement).where(agreement.c.version == version))).one_or_none()
        if row is None:
            raise AgreementMissing(f"There is no agreement {version}.")
        return (await self._with_signatures(connection, [row]))[0]

    async def read_active(self, connection: AsyncConnection) -> Version:
        """Return the active version with its signatures. Raises AgreementMissing."""
        row = (await connection.execute(select(agreement).where(agreement.c.status == "active"))).one_or_none()
        if row is None:
            raise AgreementMissing("No agreement is active. Propose one, and let marketing and sales sign it.")
        return (await self._with_signatures(connection, [row]))[0]

    async def page(self, connection: AsyncConnection, *, before: int | None, limit: int) -> list[Version]:
        """Return versions, newest first."""
        statement = select(agreement).order_by(agreement.c.version.desc()).limit(limit)
        if before is not None:
            statement = statement.where(agreement.c.version < before)
        return await self._with_signatures(connection, (await connection.execute(statement)).all())

    async def _with_signatures(
        self, connection: AsyncConnection, rows: Sequence[Row[tuple[object, ...]]]
    ) -> list[Version]:
        versions = [row.version for row in rows]
        signed: dict[int, list[Signature]] = {}
        for row in await connection.execute(
            select(signature).where(signature.c.version.in_(versions)).order_by(signature.c.signed_at, signature.c.side)
        ):
            kept = {name: value for name, value in row._mapping.items() if name != "version"}  # noqa: SLF001  # its public name for a mapping
            signed.setdefault(row.version, []).append(Signature(**kept))
        return [Version(**row._mapping, signatures=tuple(signed.get(row.version, ()))) for row in rows]  # noqa: SLF001  # its public name for a mapping

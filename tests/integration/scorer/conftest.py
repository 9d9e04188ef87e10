"""The scorer on a real database, driven by hand: records in, rows and messages out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send

from services.scorer.accounts import AccountDecider
from services.scorer.api import create_router
from services.scorer.domain.state import ContactState, encode_state
from services.scorer.domain.suspicion import Limits
from services.scorer.erasing import Eraser
from services.scorer.handlers import Scorer
from services.scorer.holding import Holding
from services.scorer.judging import Judging
from services.scorer.merging import Merging
from services.scorer.overruling import Overruling
from services.scorer.replaying import Replaying
from services.scorer.roster import Roster
from services.scorer.shadowing import Shadowing
from services.scorer.simulating import Simulating
from services.scorer.store import tables
from services.scorer.store.accounts import AccountStore
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.erasures import ErasureStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.merges import MergeStore
from services.scorer.store.replays import ReplayStore
from services.scorer.store.shadows import ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import SimulationStore
from services.scorer.store.touches import TouchStore
from services.scorer.sweeper import Sweeper
from services.scorer.telling import Telling
from shared.events.contact import ContactErased, decode_contact
from shared.events.feedback import Feedback, encode_feedback
from shared.events.handoff import ContactOptedOut, HandoffReady, decode_handoff
from shared.events.nurture import ContactNurture, decode_nurture
from shared.events.rejected import Rejected, decode_rejected
from shared.events.topics import TopicName
from shared.events.touch import Touch, encode_touches
from shared.http.app import create_app
from shared.http.keys import KeyEntry, KeyRing, Role
from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.log.records import Batch, Headers, Partition, StoredRecord
from shared.postgres.engine import open_engine
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.service import Service
from shared.telemetry.metrics import Metrics
from tests.support.touches import NOON, TEXT

KEYS = {role: f"{role}-key-0123456789" for role in Role}


class Rig:
    """One process of the scorer. `now` is what its clock says."""

    def __init__(self, engine: AsyncEngine, log: EventLog, *, now: datetime = NOON) -> None:
        self.engine = engine
        self.now = now
        self.metrics = Metrics()
        self.positions = Positions(engine, tables.position, owner="test")
        self.outbox = Outbox(engine, tables.outbox, log)
        self.contacts, self.touches, self.agreements = ContactStore(), TouchStore(), AgreementStore()
        self.handoff_store = HandoffStore()
        self.erasures = ErasureStore(self.handoff_store)
        self.accounts = AccountStore()
        roster = Roster(self.accounts)
        judging = Judging(self.touches, Limits())
        holding = Holding(engine, self.contacts)
        telling = Telling(self.touches, self.handoff_store, self.outbox, self.metrics)
        self.eraser = Eraser(
            holding=holding,
            contacts=self.contacts,
            erasures=self.erasures,
            roster=roster,
            outbox=self.outbox,
            metrics=self.metrics,
            clock=lambda: self.now,
            engine=engine,
        )
        self.scorer = Scorer(
            engine,
            positions=self.positions,
            holding=holding,
            judging=judging,
            merging=Merging(self.contacts, self.touches, MergeStore(), self.handoff_store, judging),
            telling=telling,
            roster=roster,
            contacts=self.contacts,
            touches=self.touches,
            erasures=self.erasures,
            handoffs=self.handoff_store,
            eraser=self.eraser,
            agreements=self.agreements,
            metrics=self.metrics,
            clock=lambda: self.now,
        )
        self.sweeper = Sweeper(
            engine,
            telling=telling,
            roster=roster,
            contacts=self.contacts,
            touches=self.touches,
            agreements=self.agreements,
            clock=lambda: self.now,
        )
        self.replaying = Replaying(
            engine,
            agreements=self.agreements,
            contacts=self.contacts,
            touches=self.touches,
            replays=ReplayStore(),
            metrics=self.metrics,
            clock=lambda: self.now,
            on_activation=lambda: None,
        )
        self._overruling = Overruling(
            engine,
            holding=holding,
            telling=telling,
            roster=roster,
            contacts=self.contacts,
            touches=self.touches,
            agreements=self.agreements,
            clock=lambda: self.now,
        )
        self.decider = AccountDecider(
            engine,
            accounts=self.accounts,
            contacts=self.contacts,
            agreements=self.agreements,
            telling=telling,
            metrics=self.metrics,
            clock=lambda: self.now,
        )
        self.simulations, self.simulated_leads, self.shadows = SimulationStore(), SimulatedLeadStore(), ShadowStore()
        self.shadowing = Shadowing(
            engine,
            shadows=self.shadows,
            simulations=self.simulations,
            agreements=self.agreements,
            clock=lambda: self.now,
        )
        self.simulating = Simulating(
            engine,
            simulations=self.simulations,
            leads=self.simulated_leads,
            shadows=self.shadows,
            handoffs=self.handoff_store,
            agreements=self.agreements,
            clock=lambda: self.now,
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self._serve), base_url="http://scorer")
        self._claims: dict[Partition, tuple[int, int]] = {}

    @cached_property
    def app(self) -> FastAPI:
        """The API of the process; most processes of the tests that end them are never asked anything."""
        keys = KeyRing(
            KeyEntry(role=role, name=f"{role} person", key=key, kind="web" if role is Role.SOURCE else None)
            for role, key in KEYS.items()
        )
        router = create_router(
            self.engine,
            scorer=self.scorer,
            eraser=self.eraser,
            overruling=self._overruling,
            contacts=self.contacts,
            touches=self.touches,
            agreements=self.agreements,
            accounts=self.accounts,
            handoffs=self.handoff_store,
            keys=keys,
            clock=lambda: self.now,
            on_activation=lambda: None,
            simulations=self.simulations,
            simulated_leads=self.simulated_leads,
            shadows=self.shadows,
            shadowing=self.shadowing,
            on_simulation=lambda: None,
        )

        async def ready() -> tuple[str, ...]:
            return ()

        return create_app(
            [Service(name="scorer", router=router, workers={}, readiness=ready)],
            metrics=self.metrics,
            draining=lambda: False,
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    async def call(
        self, method: str, path: str, *, role: Role | None = Role.MARKETING, **request: Any
    ) -> httpx.Response:
        """Call the API with the key of a role."""
        headers = {"Authorization": f"Bearer {KEYS[role]}"} if role else {}
        return await self.http.request(method, path, headers=headers, **request)

    async def get(self, path: str, **query: Any) -> Any:
        """Return what is at the path."""
        response = await self.call("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def propose(self, text: str = TEXT, *, role: Role = Role.MARKETING) -> Any:
        """Propose an agreement."""
        response = await self.call("POST", "/v1/agreements", role=role, content=text)
        assert response.status_code in {200, 201}, response.text
        return response.json()

    async def sign(self, draft: Any, role: Role) -> Any:
        """Sign a version for the side of the role."""
        path = f"/v1/agreements/{draft['version']}/signatures"
        response = await self.call("POST", path, role=role, json={"hash": draft["hash"]})
        assert response.status_code == 201, response.text
        return response.json()

    async def activate(self, text: str = TEXT) -> int:
        """Propose an agreement, sign it for both sides, wait until it is in force; return its version."""
        version = await self.agree(text)
        await self.replay()
        assert (await self.get("/v1/agreements/active"))["version"] == version
        return version

    async def agree(self, text: str = TEXT) -> int:
        """Propose an agreement and sign it for both sides; return its version, which may have to be counted first."""
        draft = await self.propose(text)
        await self.sign(draft, Role.MARKETING)
        return int((await self.sign(draft, Role.SALES))["version"])

    async def replay_counts(self) -> None:
        """Count all that has to be counted, and stop before the agreement is in force."""
        async with self.engine.connect() as connection:
            version = await self.agreements.upcoming(self.engine)
            assert version is not None
            while not await ReplayStore().is_done(connection, version):
                await self.replaying.go_on(limit=50)

    async def replay(self) -> None:
        """Count what has to be counted before the agreement that both sides signed is in force."""
        while await self.replaying.go_on(limit=50):
            pass

    async def batch(
        self, *values: bytes, topic: str = TopicName.TOUCHES, number: int = 0, headers: Headers = ()
    ) -> Batch:
        """Return records that stand next in a partition, claimed if they have to be."""
        partition = Partition(topic, number)
        if partition not in self._claims:
            claim = await self.positions.claim("scorer", partition, 0, 1 << 40)
            self._claims[partition] = (claim.epoch, claim.position)
        epoch, position = self._claims[partition]
        return Batch(
            group="scorer",
            partition=partition,
            epoch=epoch,
            position=position,
            next_position=position + len(values),
            records=tuple(
                StoredRecord(partition, position + index, None, value, headers, datetime.now(UTC))
                for index, value in enumerate(values)
            ),
        )

    def passed(self, batch: Batch) -> None:
        """Note that the batch was handled."""
        self._claims[batch.partition] = (batch.epoch, batch.next_position)

    async def give(self, *touches: Touch, number: int = 0) -> None:
        """Have the scorer handle one record with these touches."""
        await self.give_records(encode_touches(list(touches)), number=number)

    async def give_records(
        self, *values: bytes, topic: str = TopicName.TOUCHES, number: int = 0, headers: Headers = ()
    ) -> None:
        """Have the scorer handle the records."""
        batch = await self.batch(*values, topic=topic, number=number, headers=headers)
        await self.scorer.handle([batch])
        self.passed(batch)

    async def tell(self, feedback: Feedback) -> None:
        """Have the scorer handle feedback."""
        await self.give_records(encode_feedback(feedback), topic=TopicName.FEEDBACK)

    async def sweep(self) -> int:
        """Apply the active agreement to all contacts; return how many it was applied to."""
        swept = 0
        while done := await self.sweeper.apply_agreement(limit=50):
            swept += done
        return swept

    async def decide_accounts(self) -> None:
        """Look at accounts until none is due."""
        while await self.decider.decide(limit=50):
            pass

    async def messages(self) -> list[HandoffReady | ContactOptedOut]:
        """Return what waits for the router, in order."""
        return [decode_handoff(row.value) for row in await self._waiting(TopicName.HANDOFFS)]

    async def handoffs(self) -> list[HandoffReady]:
        """Return the handoffs that wait for the router."""
        return [message for message in await self.messages() if isinstance(message, HandoffReady)]

    async def nurtures(self) -> list[ContactNurture]:
        """Return what waits for marketing."""
        return [decode_nurture(row.value) for row in await self._waiting(TopicName.NURTURE)]

    async def erasures_told(self) -> list[ContactErased]:
        """Return the erasures that wait for the other services."""
        told = [decode_contact(row.value) for row in await self._waiting(TopicName.CONTACTS)]
        return [message for message in told if isinstance(message, ContactErased)]

    async def rejected(self) -> list[Rejected]:
        """Return what was set aside."""
        return [decode_rejected(row.value) for row in await self._waiting(TopicName.EVENTS_REJECTED)]

    async def traces(self) -> list[str | None]:
        """Return the trace of each message for the router."""
        return [row.traceparent for row in await self._waiting(TopicName.HANDOFFS)]

    async def state(self, contact_id: UUID) -> ContactState:
        """Return the stored state of a contact."""
        async with self.engine.connect() as connection:
            state = await self.contacts.read(connection, contact_id)
        assert state is not None
        return state

    async def count(self, table: Any) -> int:
        """Return how many rows a table has."""
        async with self.engine.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(table)) or 0

    async def _waiting(self, topic: str) -> Sequence[Any]:
        outbox = tables.outbox
        async with self.engine.connect() as connection:
            statement = select(outbox).where(outbox.c.topic == topic).order_by(outbox.c.ordinal)
            return (await connection.execute(statement)).all()


@asynccontextmanager
async def open_rig(database_url: str, *, now: datetime = NOON) -> AsyncIterator[Rig]:
    """Open a scorer on the database."""
    async with (
        open_engine(database_url, name="scorer-test", pool_size=4) as engine,
        open_log(
            kafka_bootstrap=None, database_url=database_url, name="scorer-test", append_timeout=timedelta(seconds=5)
        ) as log,
    ):
        rig = Rig(engine, log, now=now)
        try:
            yield rig
        finally:
            await rig.http.aclose()


@pytest_asyncio.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    """One scorer on a database of its own."""
    async with open_rig(database_url) as opened:
        yield opened


def comparable(state: ContactState) -> Any:
    """Return a state as plain values, to compare."""
    return msgspec.msgpack.decode(encode_state(state))

"""Touches in PostgreSQL: each is kept once, in batches of any size."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.domain.accepting import Published
from services.scorer.errors import TouchesRepeated
from services.scorer.store.touches import TouchKey, TouchStore
from shared.events.touch import Touch, TouchType, encode_touch
from shared.ids import contact_id, touch_id
from shared.postgres.engine import open_engine
from tests.support.waiting import until


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Give connections to a fresh, migrated database."""
    async with open_engine(database_url, name="test") as opened:
        yield opened


_WAITING = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
MARCH = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)


def _touches(count: int, *, first: int = 0) -> dict[UUID, list[Published]]:
    made: dict[UUID, list[Published]] = {}
    for number in range(first, first + count):
        touch = Touch(
            id=touch_id("website", str(number)),
            contact_id=contact_id("user", str(number % 7)),
            source="website",
            kind="web",
            type=TouchType.PAGE,
            name=f"Seite {number} \N{SNOWMAN}",
            occurred_at=MARCH - timedelta(days=number * 10),
            received_at=MARCH,
        )
        made.setdefault(touch.contact_id, []).append(Published.of(touch, msgspec.Raw(encode_touch(touch))))
    return made


def _keys(given: dict[UUID, list[Published]]) -> set[TouchKey]:
    return {(contact.int, each.touch.id.int) for contact, those in given.items() for each in those}


async def _add(store: TouchStore, engine: AsyncEngine, given: dict[UUID, list[Published]]) -> set[TouchKey]:
    """Add the touches as the scorer does: once more if there were repeats that nobody expected."""
    try:
        async with engine.begin() as connection:
            return await store.add(connection, given)
    except TouchesRepeated:
        async with engine.begin() as connection:
            return await store.add(connection, given)


@pytest.mark.parametrize("count", [1, 499, 500, 2_000])
async def test_a_batch_of_any_size_is_kept_whole(engine: AsyncEngine, count: int) -> None:
    """What is read back is what was given, whichever way the batch went in; the instants are exact."""
    store, given = TouchStore(), _touches(count)

    async with engine.begin() as connection:
        assert await store.add(connection, given) == set()
    async with engine.connect() as connection:
        kept = await store.of_contacts(connection, given)

    found = {(contact, judged.touch.id): judged.touch for contact, those in kept.items() for judged in those}
    assert found == {(contact, each.touch.id): each.touch for contact, those in given.items() for each in those}


@pytest.mark.parametrize(("first", "second"), list(product([10, 1_000], repeat=2)))
async def test_a_touch_comes_again_in_another_batch(engine: AsyncEngine, first: int, second: int) -> None:
    """The repeats are told, and only they, whether they came in large batches or small ones."""
    store = TouchStore()
    async with engine.begin() as connection:
        await store.add(connection, _touches(first))

    assert await _add(store, engine, _touches(second)) == _keys(_touches(min(first, second)))


async def test_a_large_batch_holds_a_repeat_that_nobody_expected(engine: AsyncEngine) -> None:
    """It is void as a whole, and goes through when it is tried again: repeats are looked for then."""
    store = TouchStore()
    async with engine.begin() as connection:
        await store.add(connection, _touches(600))

    with pytest.raises(TouchesRepeated):
        async with engine.begin() as connection:
            await store.add(connection, _touches(700))
    async with engine.begin() as connection:
        assert await store.add(connection, _touches(700)) == _keys(_touches(600))

    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM scorer.touch")) == 700


async def test_repeats_go_on(engine: AsyncEngine) -> None:
    """While some come, no large batch is void; when none have come for ten, nobody looks for them any more."""
    store = TouchStore()
    await _add(store, engine, _touches(600))
    assert await _add(store, engine, _touches(600)) == _keys(_touches(600))

    async with engine.begin() as connection:
        for first in (599, 1_198, 1_797):  # the last of those before
            assert await store.add(connection, _touches(600, first=first)) == _keys(_touches(1, first=first))
        for number in range(10, 20):
            assert await store.add(connection, _touches(500, first=number * 500)) == set()
    with pytest.raises(TouchesRepeated):
        async with engine.begin() as connection:
            await store.add(connection, _touches(600))


async def test_a_large_batch_is_rolled_back(engine: AsyncEngine) -> None:
    """Nothing of it is left, on the same connection too: the next batch is taken as new."""
    store, given = TouchStore(), _touches(600)
    async with engine.connect() as connection:
        async with connection.begin() as transaction:
            await store.add(connection, given)
            await transaction.rollback()
        async with connection.begin():
            assert await store.add(connection, given) == set()


async def test_another_adds_one_of_them_at_the_same_time(engine: AsyncEngine) -> None:
    """A large batch waits for whoever adds one of its touches; is that kept, the batch is to be tried again whole."""
    store, given = TouchStore(), _touches(600)
    contact, those = list(given.items())[3]
    one = {contact: [those[40]]}

    async def add_all() -> set[TouchKey]:
        async with engine.begin() as connection:
            return await store.add(connection, given)

    async def waits() -> bool:
        async with engine.connect() as connection:
            return bool(await connection.scalar(text(_WAITING)))

    async with engine.begin() as connection:
        await store.add(connection, one)
        adding = asyncio.create_task(add_all())
        await until(waits, what="the batch waits for the touch")
    with pytest.raises(TouchesRepeated):
        await adding

    assert await add_all() == _keys(one)

"""Positions: what keeps a record from being applied twice."""

import asyncio

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.log.errors import PositionLost, PositionOutside
from shared.log.records import Batch, Claim, Partition
from shared.postgres.engine import open_engine, passes
from shared.postgres.positions import Positions
from tests.support.cutting import cut_at_commit
from tests.support.reading import handled, position
from tests.support.trial import engine, positions
from tests.support.waiting import until

__all__ = ["engine", "positions"]

GROUP = "group"
PARTITION = Partition("topic", 3)


def batch(claim: Claim, next_position: int, partition: Partition = PARTITION) -> Batch:
    return Batch(GROUP, partition, claim.epoch, claim.position, next_position, records=())


async def work(connection: AsyncConnection, offset: int) -> None:
    await connection.execute(
        insert(handled), {"consumer_group": GROUP, "partition": 3, "offset": offset, "member": "one"}
    )


async def handled_offsets(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return list(await connection.scalars(select(handled.c.offset).order_by(handled.c.offset)))


async def somebody_waits_for_a_lock(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        waiting = (
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(await connection.scalar(text(waiting)))


async def test_a_partition_never_claimed_starts_at_the_earliest_record(positions: Positions) -> None:
    """Nothing that the log still holds is skipped."""
    assert await positions.claim(GROUP, PARTITION, 7, 20) == Claim(epoch=1, position=7)


async def test_a_second_claim_keeps_the_position_and_gets_a_new_epoch(positions: Positions) -> None:
    """The heir goes on where the committed work ends."""
    claim = await positions.claim(GROUP, PARTITION, 0, 20)
    async with positions.transaction([batch(claim, 5)]):
        pass

    assert await positions.claim(GROUP, PARTITION, 0, 20) == Claim(epoch=2, position=5)


async def test_a_batch_moves_its_position_once(positions: Positions, engine: AsyncEngine) -> None:
    """The same batch again is void, with everything done in its transaction."""
    claim = await positions.claim(GROUP, PARTITION, 0, 20)
    for _ in range(2):
        try:
            async with positions.transaction([batch(claim, 5)]) as connection:
                await work(connection, 0)
        except PositionLost as lost:
            assert lost.partitions == (PARTITION,)  # noqa: PT017

    assert await handled_offsets(engine) == [0]


async def test_an_older_epoch_cannot_advance(positions: Positions) -> None:
    """A member whose partition was claimed by another is shut out, even if it comes first."""
    zombie = await positions.claim(GROUP, PARTITION, 0, 20)
    heir = await positions.claim(GROUP, PARTITION, 0, 20)
    with pytest.raises(PositionLost):
        async with positions.transaction([batch(zombie, 5)]):
            pass
    async with positions.transaction([batch(heir, 5)]):
        pass

    assert await positions.read(GROUP, [PARTITION]) == {PARTITION: 5}


async def test_one_lost_partition_voids_the_whole_transaction(positions: Positions) -> None:
    """Batches that were handled together stand or fall together."""
    other = Partition("topic", 4)
    claims = [await positions.claim(GROUP, partition, 0, 20) for partition in (PARTITION, other)]
    await positions.claim(GROUP, other, 0, 20)
    with pytest.raises(PositionLost, match="topic/4"):
        async with positions.transaction([batch(claims[0], 5), batch(claims[1], 6, other)]):
            pass

    assert await positions.read(GROUP, [PARTITION, other]) == {PARTITION: 0, other: 0}


@pytest.mark.parametrize("commits", [True, False])
async def test_a_claim_waits_for_open_work(positions: Positions, engine: AsyncEngine, commits: bool) -> None:  # noqa: FBT001
    """What a cut-off member has begun ends before its heir begins, one way or the other."""
    claim = await positions.claim(GROUP, PARTITION, 0, 20)
    async with engine.connect() as zombie:
        await positions.advance(zombie, [batch(claim, 5)])
        claiming = asyncio.create_task(positions.claim(GROUP, PARTITION, 0, 20))
        await until(lambda: somebody_waits_for_a_lock(engine))
        assert not claiming.done()
        await (zombie.commit() if commits else zombie.rollback())

        assert await claiming == Claim(epoch=2, position=5 if commits else 0)


async def test_an_unknown_outcome_is_settled_by_the_next_claim(
    positions: Positions, engine: AsyncEngine, database_url: str
) -> None:
    """A commit whose answer is lost counts once: the claim tells whether the work has to be done again."""
    claim = await positions.claim(GROUP, PARTITION, 0, 20)
    async with cut_at_commit(database_url) as way, open_engine(way, name="cut") as cut:
        with pytest.raises(Exception) as failure:  # noqa: PT011
            async with Positions(cut, position, owner="cut").transaction([batch(claim, 1)]) as connection:
                await work(connection, 0)
    assert passes(failure.value)

    again = await positions.claim(GROUP, PARTITION, 0, 20)
    for offset in range(again.position, 2):
        async with positions.transaction([batch(Claim(again.epoch, offset), offset + 1)]) as connection:
            await work(connection, offset)
    assert await handled_offsets(engine) == [0, 1]


@pytest.mark.parametrize(("earliest", "end"), [(6, 20), (0, 4)], ids=["forgotten", "never held"])
async def test_a_position_outside_the_log_is_refused(positions: Positions, earliest: int, end: int) -> None:
    """Nothing is skipped in silence, and the position stays for a person to look at."""
    claim = await positions.claim(GROUP, PARTITION, 0, 20)
    async with positions.transaction([batch(claim, 5)]):
        pass

    with pytest.raises(PositionOutside, match=f"offsets {earliest} to {end}, but the stored position is 5"):
        await positions.claim(GROUP, PARTITION, earliest, end)
    assert await positions.claim(GROUP, PARTITION, 5, 5) == Claim(epoch=2, position=5)


async def test_groups_and_topics_keep_their_own_positions(positions: Positions) -> None:
    """A position belongs to one group and one partition."""
    for number, (group, partition) in enumerate([("a", PARTITION), ("b", PARTITION), ("a", Partition("other", 3))]):
        await positions.claim(group, partition, number, 20)

    assert await positions.read("a", [PARTITION, Partition("other", 3), Partition("none", 0)]) == {
        PARTITION: 0,
        Partition("other", 3): 2,
    }
    assert await positions.read("b", [PARTITION]) == {PARTITION: 1}

"""A record that breaks the handler is kept, and the partition moves past it."""

from sqlalchemy import text

from services.router.setting_aside import SettingAside
from services.router.store import tables
from shared.clock import utc_now
from shared.events.rejected import decode_rejected
from shared.log.records import Batch, Partition, StoredRecord
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from tests.integration.router.conftest import StartRouter

PARTITION = Partition("handoffs", 0)


async def test_a_record_that_breaks_the_handler(start_router: StartRouter) -> None:
    """The record is kept with the error, in the transaction that moves the position."""
    async with start_router(workers=[]) as router:
        engine, log = router.platform.engine, router.platform.log
        positions = Positions(engine, tables.position, owner="test")
        aside = SettingAside(positions=positions, outbox=Outbox(engine, tables.outbox, log), clock=utc_now)
        claim = await positions.claim("router", PARTITION, 0, 1)
        record = StoredRecord(
            partition=PARTITION, offset=0, key=b"k", value=b"bad", headers=(("a", b"\xff"),), appended_at=utc_now()
        )
        batch = Batch(
            group="router", partition=PARTITION, epoch=claim.epoch, position=0, next_position=1, records=(record,)
        )
        await aside.set_aside(batch, RuntimeError("it broke"))
        async with engine.connect() as connection:
            kept = decode_rejected(bytes(await connection.scalar(text("SELECT value FROM router.outbox")) or b""))
        moved = await positions.read("router", [PARTITION])

    assert (kept.original, kept.reason, kept.message) == (b"bad", "handler_failed", "RuntimeError: it broke")
    assert moved == {PARTITION: 1}

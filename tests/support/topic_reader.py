"""Reading a topic from its beginning to where it ends now."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from shared.log.protocol import EventLog
from shared.log.records import Claim, Partition, StoredRecord


async def read_topic(log: EventLog, topic: str) -> Sequence[StoredRecord]:
    """Return all records of the topic: each partition's in order, one partition after the other."""
    partitions = [Partition(topic, number) for number in range(await log.partition_count(topic))]
    missing = {partition: end for partition in partitions if (end := (await log.bounds(partition))[1]) > 0}

    async def from_the_beginning(_group: str, _partition: Partition, earliest: int, _end: int) -> Claim:
        return Claim(epoch=1, position=earliest)

    records: list[StoredRecord] = []
    async with log.consume(f"reader-{uuid.uuid4()}", [topic], from_the_beginning) as consumer:
        while missing:
            for batch in await consumer.fetch(max_records=5000, timeout=timedelta(milliseconds=200)):
                records += batch.records
                if batch.next_position >= missing.get(batch.partition, 0):
                    missing.pop(batch.partition, None)
    return sorted(records, key=lambda record: (record.partition, record.offset))

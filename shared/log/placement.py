"""Where a record goes, and how large it may be: the same on both backends."""

from collections.abc import Sequence

from aiokafka.partitioner import murmur2

from shared.log.errors import RecordTooLarge
from shared.log.records import Record

MAX_RECORD_BYTES = 4 << 20  # value, key and headers together


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: murmur2, made positive, modulo the count, as Kafka's Java producer does."""
    return int(murmur2(key) & 0x7FFF_FFFF) % partitions


def place(records: Sequence[Record], *, partitions: int, anywhere: int) -> list[int]:
    """Return the partition of each record; those that name neither a partition nor a key go `anywhere`, together."""
    numbers = []
    for record in records:
        if record.partition is not None:
            if not 0 <= record.partition < partitions:
                raise ValueError(f"there is no partition {record.partition}; the topic has {partitions}")
            numbers.append(record.partition)
        elif record.key is not None:
            numbers.append(partition_of(record.key, partitions))
        else:
            numbers.append(anywhere)
    return numbers


def record_bytes(record: Record) -> int:
    """Return what counts towards the limits."""
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.value) + len(record.key or b"") + headers


def check_sizes(topic: str, records: Sequence[Record]) -> int:
    """Return the bytes of all records. Raises RecordTooLarge."""
    total = 0
    for record in records:
        size = record_bytes(record)
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"A record for {topic} has {size} bytes; the log takes {MAX_RECORD_BYTES}.")
        total += size
    return total

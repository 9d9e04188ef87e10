"""Where a record goes, and how large it may be: the same on both backends."""

import struct
from collections.abc import Sequence

from shared.log.errors import RecordTooLarge
from shared.log.records import Record

MAX_RECORD_BYTES = 4 << 20  # value, key and headers together

_SEED = 0x9747_B28C
_FACTOR = 0x5BD1_E995
_WORD = 0xFFFF_FFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: murmur2, made positive, modulo the count, as Kafka's Java producer does."""
    return (murmur2(key) & 0x7FFF_FFFF) % partitions


def murmur2(data: bytes) -> int:
    """Hash as Kafka's clients do; half the time of aiokafka's, whose result it is tested against."""
    hashed = _SEED ^ len(data)
    for (word,) in struct.iter_unpack("<I", data[: len(data) & ~3]):
        mixed = (word * _FACTOR) & _WORD
        mixed ^= mixed >> 24
        hashed = ((hashed * _FACTOR) & _WORD) ^ ((mixed * _FACTOR) & _WORD)
    if rest := data[len(data) & ~3 :]:
        hashed ^= int.from_bytes(rest, "little")
        hashed = (hashed * _FACTOR) & _WORD
    hashed ^= hashed >> 13
    hashed = (hashed * _FACTOR) & _WORD
    return hashed ^ (hashed >> 15)


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

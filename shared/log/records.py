"""The values that go into the log and come out of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """One ordered part of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic to create."""

    name: str
    partitions: int
    retention_hours: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record to append.

    `partition` wins over `key`; without either the log picks a partition.
    Records with one key land in one partition: murmur2 of the key, as Kafka's Java producer does.
    """

    value: bytes
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record read back. Offsets grow within a partition.

    `appended_at` is the log's clock; on Kafka topics of others it may be what the producer says.
    """

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers
    appended_at: datetime
    is_null: bool = False  # it has no value at all, which `value` shows as an empty one

    def header(self, name: str) -> bytes | None:
        """Return the first header of that name."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to move a position: valid until somebody else claims the same partition."""

    epoch: int
    position: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, and the step of the position that processing them makes.

    `position` is the offset that was to be read next; `next_position` is that after the last record.
    """

    group: str
    partition: Partition
    epoch: int
    position: int
    next_position: int
    records: tuple[StoredRecord, ...]

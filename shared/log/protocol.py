"""The log as the services see it. Two backends keep this contract: `kafka` and `postgres`.

`tests/contract/` runs one suite against both; what the docstrings here promise is what it checks.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from shared.log.records import Batch, Claim, Partition, Record, Topic

FETCH_BYTES = 16 << 20  # of values in one fetch, unless the consumer wants less

# Claims (group, partition); `earliest` and `end` are the offsets that the log holds now.
# A partition that was never claimed starts at `earliest`. Raises PositionOutside.
ClaimPosition = Callable[[str, Partition, int, int], Awaitable[Claim]]


class Consumer(Protocol):
    """One member of a group, reading its share of the partitions.

    A partition is read only after its position was claimed, from that position on, without a gap or a repeat,
    until `rewind` or until the group gives it to another member. Offsets that hold no record for a reader, such as the
    marks of transactions, are passed over; a batch may consist of nothing else, and then has no records.
    """

    async def fetch(self, *, max_records: int, max_bytes: int = FETCH_BYTES, timeout: timedelta) -> list[Batch]:
        """Return what is there, at most one batch a partition, or [] after `timeout`.

        Waits for the first record only. Holds a bounded amount of memory however far behind it is: the values of a
        fetch end about at `max_bytes`; a record that is larger comes alone.
        Raises TopicMissing. Servers that are away cost time, not errors: [] is returned until they are back.
        """

    def rewind(self, partition: Partition) -> None:
        """Forget the partition's claim and read it again from its stored position, if it is still ours."""

    async def mirror(self, batches: Sequence[Batch]) -> None:
        """Publish committed positions where operators look for lag. Best effort; never read back as truth."""

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions that were claimed and are being read."""

    def absent(self) -> frozenset[str]:
        """Return the optional topics that are not there."""

    def stalled(self) -> tuple[str, ...]:
        """Return a line for each partition that stands still until somebody acts."""


class EventLog(Protocol):
    """An append-only log of records in topics and partitions."""

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing. An existing topic stays as it is. Raises LogUnavailable."""

    async def partition_count(self, topic: str) -> int:
        """Return the number of partitions. Raises TopicMissing, LogUnavailable."""

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the earliest offset held and the one that the next record will get."""

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        """Store the records durably, in order within each partition.

        Returns when the log has acknowledged all of them. Raises within the backend's append timeout: LogUnavailable
        (unknown: each record is stored whole or not at all), RecordTooLarge, TopicMissing.
        """

    def consume(
        self, group: str, topics: Sequence[str], claim: ClaimPosition, *, optional: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Consumer]:
        """Join the group. Leaving the context leaves the group at once, so that others take over.

        An `optional` topic, which belongs to somebody else, is read as soon as it is there; nothing here creates it.
        """

    async def reachable(self) -> bool:
        """Tell within two seconds whether an append could succeed now."""

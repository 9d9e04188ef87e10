"""Records as Kafka's client gives them: those that it cannot give, and when they were appended."""

from datetime import UTC, datetime
from typing import Any

from aiokafka.structs import ConsumerRecord, TopicPartition

from shared.events.rejected import UNREADABLE_HEADER

LATEST_MS = 253_402_300_799_000  # the last second that a datetime can hold


def unreadable(where: TopicPartition, offset: int, error: UnicodeDecodeError) -> ConsumerRecord[Any, Any]:
    """Return an empty record that stands for one whose headers cannot be read, with the reason."""
    reason = f"The name of a header is not UTF-8: {error.object[:200]!r}."
    return ConsumerRecord(
        topic=where.topic,
        partition=where.partition,
        offset=offset,
        timestamp=int(datetime.now(UTC).timestamp() * 1000),
        timestamp_type=0,
        key=None,
        value=b"",
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=0,
        headers=((UNREADABLE_HEADER, reason.encode()),),
    )


def instant(milliseconds: int) -> datetime:
    """Return the instant of a record. A producer may state anything, where the topic lets it."""
    return datetime.fromtimestamp(min(max(milliseconds, 0), LATEST_MS) / 1000, UTC)

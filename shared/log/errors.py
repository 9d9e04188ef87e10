"""What can go wrong with the log. The type tells the fate.

LogError
├── LogUnavailable    retry: the server is away or slow; what was sent may or may not be stored
├── RecordTooLarge    reject: the server will never take this record
├── TopicMissing      crash: somebody has to create the topic
├── PositionLost      drop the partition: another consumer owns it now
└── PositionOutside   stop the partition: the log no longer holds, or never held, the position
"""

from collections.abc import Iterable

from shared.explained import ExplainedError
from shared.log.records import Partition


class LogError(ExplainedError):
    """Base of everything that the log raises."""


class LogUnavailable(LogError):
    """Raised within the time limit of the call. Append again under the same ids."""


class RecordTooLarge(LogError):
    """Raised before anything of the append was stored."""


class TopicMissing(LogError):
    """Raised with the name of the topic and the command that creates it."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"Topic {topic!r} does not exist. Run `tandem topics create`.")
        self.topic = topic


class PositionLost(LogError):
    """Raised when a position was moved or claimed by somebody else; the transaction is void."""

    def __init__(self, partitions: Iterable[Partition]) -> None:
        self.partitions = tuple(partitions)
        super().__init__(f"Another consumer owns {', '.join(map(str, self.partitions))}.")


class PositionOutside(LogError):
    """Raised when a stored position lies outside what the log holds: retention passed it, or the topic is another."""

    def __init__(self, partition: Partition, *, position: int, earliest: int, end: int) -> None:
        super().__init__(
            f"{partition} holds offsets {earliest} to {end}, but the stored position is {position}. "
            "Restore the topic, or move the position by hand after deciding what may be skipped."
        )
        self.partition = partition
        self.position = position

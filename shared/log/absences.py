"""Topics of others that a group would read and that are not there: told once, however many members look."""

from collections.abc import Collection, Iterable
from datetime import timedelta

import structlog

LOOK_EVERY = timedelta(seconds=5)  # after which a topic that came, or went, is noticed


class Absences:
    """What the members of one process know of it, by group."""

    def __init__(self) -> None:
        self._absent: dict[str, frozenset[str]] = {}
        self._logger = structlog.get_logger()

    def note(self, group: str, wanted: Iterable[str], there: Collection[str]) -> None:
        """Take over what a member has found just now."""
        before = self.of(group)
        absent = frozenset(wanted) - frozenset(there)
        for topic in sorted(absent - before):
            self._logger.warning("topic.absent", group=group, topic=topic, reason="it is read as soon as it is there")
        for topic in sorted(before - absent):
            self._logger.info("topic.appeared", group=group, topic=topic)
        self._absent[group] = absent

    def of(self, group: str) -> frozenset[str]:
        """Return the topics of the group that are not there."""
        return self._absent.get(group, frozenset())

"""Which rejections somebody asks for."""

from datetime import datetime
from uuid import UUID

import msgspec


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every condition that is given has to hold; without any, all rejections are meant."""

    ids: tuple[UUID, ...] = ()
    reasons: tuple[str, ...] = ()
    source: str | None = None
    topic: str | None = None
    since: datetime | None = None  # of the first time that it was rejected
    until: datetime | None = None
    waiting: bool | None = None  # not replayed yet, or rejected again since

    def texts(self) -> tuple[str, ...]:
        """Return every text in it."""
        return tuple(filter(None, (*self.reasons, self.source, self.topic)))

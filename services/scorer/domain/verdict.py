"""Verdicts: whether a touch counts, and why not."""

from datetime import datetime
from typing import NamedTuple

from shared.events.touch import Touch

DISTRUSTED = "distrusted"  # nothing spoke against the touch but a person


class Judged(NamedTuple):
    """A touch with what speaks against it, and what a person said about that.

    A suspect touch counts nothing; who the contact is and whether it wants to be contacted is heeded all the same.
    """

    touch: Touch
    found: str = ""  # why the touches beside it make it suspect; what the touch itself tells is in `touch.suspect`
    trusted: bool | None = None  # what a person decided; None: nobody did
    trusted_by: str | None = None
    trusted_at: datetime | None = None

    @property
    def reason(self) -> str:
        """Return what speaks against the touch, overruled or not."""
        return self.touch.suspect or self.found or (DISTRUSTED if self.trusted is False else "")

    @property
    def suspect(self) -> str:
        """Return why the touch does not count; "" when it does."""
        return "" if self.trusted else self.reason

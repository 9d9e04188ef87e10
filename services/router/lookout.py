"""Where the next claim looks: at endpoints that something may be due for, and now and then at every one.

To look at an endpoint costs the database some microseconds, and there may be hundreds. Whoever makes a delivery names
its endpoint, and an attempt that ends leaves room at its own, which matters where a claim left something for want of
room. What nobody names (a retry whose time has come, a pause that is over, an attempt that ended elsewhere) is found by
looking everywhere.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

EVERYWHERE = timedelta(milliseconds=500)  # how often at every endpoint
WHOLE = timedelta(seconds=2)  # how often, of these, at all that is due, however old


@dataclass(frozen=True, slots=True)
class Look:
    """What a claim looks at."""

    names: frozenset[str] | None  # None: every endpoint
    whole: bool = False  # nothing is too old


class Lookout:
    """What the claims of this process still have to look at. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._short: set[str] = set()  # where the last claim may have left something
        self._everywhere = True
        self._last_everywhere = 0.0
        self._last_whole = float("-inf")

    def name(self, endpoints: Iterable[str]) -> None:
        """Look at these next."""
        self._named.update(endpoints)

    def ended(self, endpoints: Iterable[str]) -> None:
        """Look next where attempts ended, if something may be left there."""
        self._named.update(self._short.intersection(endpoints))

    def took(self, look: Look, *, short: Collection[str], busy: Collection[str]) -> None:
        """Remember where something may be left: where there was no room for all, and where it was not known.

        While attempts are under way at an endpoint, what waits for their ends is not seen.
        """
        seen = self._short if look.names is None else self._short & look.names
        self._short -= seen.difference(busy)
        self._short.update(short)

    @property
    def waiting(self) -> bool:
        """Whether anything was named since the last look."""
        return self._everywhere or bool(self._named)

    def name_all(self) -> None:
        """Look everywhere next."""
        self._everywhere = True

    def next(self, *, at: float) -> Look | None:
        """Return where to look now, if anywhere; it counts as done unless `again` is called with it."""
        whole = at - self._last_whole >= WHOLE.total_seconds()
        everywhere = whole or self._everywhere or at - self._last_everywhere >= EVERYWHERE.total_seconds()
        if not (everywhere or self._named):
            return None
        look = Look(None if everywhere else frozenset(self._named), whole)
        self._named.clear()
        self._everywhere = False
        if everywhere:
            self._last_everywhere = at
        if whole:
            self._last_whole = at
        return look

    def again(self, look: Look) -> None:
        """Look there once more: the claim failed, or took all it could and may have left something."""
        if look.names is None:
            self.name_all()
        else:
            self.name(look.names)

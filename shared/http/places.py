"""How many connections a process holds, and who makes room when there are no more places.

A new connection takes the place of the one that has waited the longest without asking for anything. Requests under way
are never cut off for another. A sixteenth of the places is for no work: while the others are all at work, what comes is
answered with a refusal, and probes as ever.
"""

from typing import Protocol

from shared.telemetry.metrics import Metrics


class Held(Protocol):
    """A connection as far as its place is concerned."""

    def give_way(self) -> None:
        """Close, for another takes the place."""


class Places:
    """The places of one process."""

    def __init__(self, most: int, *, metrics: Metrics) -> None:
        self.most = most
        self._most_at_work = most - max(1, most // 16)
        self._held = 0
        self._waiting: dict[Held, None] = {}  # without a request, the longest first
        self._metrics = metrics
        metrics.connections.set_function(lambda: self._held)

    def enter(self, connection: Held) -> None:
        """Take a place. Where there is none left, whoever has waited the longest gives way, perhaps the newcomer."""
        self._held += 1
        self._waiting[connection] = None
        if self._held <= self.most:
            return
        longest = next(iter(self._waiting))
        del self._waiting[longest]
        self._metrics.connections_cut.labels("no_place" if longest is connection else "idle").inc()
        longest.give_way()

    def leave(self, connection: Held) -> None:
        """Give the place back."""
        self._held -= 1
        self._waiting.pop(connection, None)

    def begin(self, connection: Held) -> bool:
        """Note that a request came; tell whether it may be worked on."""
        self._waiting.pop(connection, None)
        return self._held - len(self._waiting) <= self._most_at_work

    def end(self, connection: Held) -> None:
        """Note that the connection waits for its next request."""
        self._waiting[connection] = None

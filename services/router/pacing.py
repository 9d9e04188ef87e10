"""How much of this process an endpoint may take: little while nothing is known, more with each success.

* An endpoint begins with a few attempts at once, gets one more for each success, and is back at one after a failure.
* An attempt that takes long no longer counts against the process: receivers that hang hold sockets, not the others.
"""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from services.router.domain.breaker import Sign
from services.router.lookout import Look
from services.router.store.claims import Claimed, Room

FIRST = 4  # attempts at once to an endpoint about which nothing is known
SLOW = 0.5  # seconds after which an attempt takes nobody's place
SLOW_LANES = 4  # times `total`: the most attempts under way, slow ones included
FLOOR_LAG = timedelta(seconds=5)  # what became due earlier than this before the last claim is found by a full look

_MINUTE = 60.0
_FEW = 20  # attempts in a minute about which a share says nothing
_MOST = 0.7  # share of failures that is a storm


class Pacing:
    """What is under way in this process, and how much more may be."""

    def __init__(self, *, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._first = min(FIRST, each)
        self._windows: dict[str, int] = {}
        self._running: dict[UUID, tuple[str, float]] = {}  # in the order in which they began
        self._floors: dict[str, datetime] = {}
        self._recent: dict[str, deque[tuple[float, bool]]] = {}

    def began(self, delivery: Claimed, *, at: float) -> None:
        """Count an attempt that begins."""
        self._running[delivery.id] = (delivery.endpoint, at)

    def ended(self, delivery: Claimed, sign: Sign, *, at: float) -> None:
        """Count an attempt that ended."""
        with suppress(KeyError):
            del self._running[delivery.id]
        if sign is Sign.NEITHER:
            return
        well = sign is Sign.WELL
        window = self._windows.get(delivery.endpoint, self._first)
        self._windows[delivery.endpoint] = min(self._each, window + 1) if well else 1
        recent = self._recent.get(delivery.endpoint)
        if recent is None and not well:
            recent = self._recent[delivery.endpoint] = deque(maxlen=1000)
        if recent is not None:  # endpoints that never failed are not counted
            recent.append((at, well))
            while recent and recent[0][0] < at - _MINUTE:
                recent.popleft()

    def mostly_failing(self, endpoint: str) -> bool:
        """Tell whether most of the last minute's attempts failed."""
        recent = self._recent.get(endpoint, ())
        failed = sum(not well for _, well in recent)
        return len(recent) >= _FEW and failed >= _MOST * len(recent)

    def took(self, claimed: list[Claimed]) -> None:
        """Remember where the work that is due began, so that the next claim need not look before it."""
        oldest: dict[str, datetime] = {}
        for delivery in claimed:
            oldest[delivery.endpoint] = min(delivery.due_at, oldest.get(delivery.endpoint, delivery.due_at))
        for endpoint, due_at in oldest.items():
            self._floors[endpoint] = due_at - FLOOR_LAG

    def free(self, *, at: float) -> int:
        """Return how many more attempts may begin."""
        slow = sum(1 for _ in self._slow(at))
        running = len(self._running)
        return min(self._total - (running - slow), SLOW_LANES * self._total - running)

    @property
    def first(self) -> int:
        """How many an endpoint may have that is not in `rooms`."""
        return self._first

    def rooms(self, look: Look) -> dict[str, Room]:
        """Return how many more attempts each endpoint may have, and, unless the look is whole, from where to look."""
        busy = Counter(endpoint for endpoint, _ in self._running.values())
        known = {*busy, *self._windows, *self._floors} if look.names is None else look.names
        return {
            endpoint: Room(
                slots=max(0, self._windows.get(endpoint, self._first) - busy[endpoint]),
                floor=None if look.whole else self._floors.get(endpoint),
            )
            for endpoint in known
        }

    def busy(self) -> set[str]:
        """Return the endpoints at which attempts are under way."""
        return {endpoint for endpoint, _ in self._running.values()}

    def _slow(self, at: float) -> Iterator[UUID]:
        for delivery, (_, began) in self._running.items():
            if at - began < SLOW:
                return
            yield delivery

"""Claims: the partitions that a consumer may read, each from the position that it claimed.

A partition is taken when the group gives it to us, claimed in the background however long that takes, read while it has
a standing, and dropped when the group takes it away. Safety never rests on this: a standing that somebody else's claim
has voided loses its compare-and-swap in `shared.postgres.positions`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from shared.log.errors import LogUnavailable, PositionOutside
from shared.log.protocol import ClaimPosition
from shared.log.records import Partition
from shared.postgres.engine import passes

FIRST_PAUSE = timedelta(milliseconds=200)
LONGEST_PAUSE = timedelta(seconds=5)
STALLED_PAUSE = timedelta(seconds=10)  # somebody may have moved the position by hand
CONCURRENT_CLAIMS = 4  # of the service's connections

# Of each partition the earliest offset held and the next one to be given.
Bounds = Callable[[Collection[Partition]], Awaitable[Mapping[Partition, tuple[int, int]]]]


@dataclass(slots=True, eq=False)
class Standing:
    """A claimed partition: `position` is the offset to read next."""

    epoch: int
    position: int


@dataclass(slots=True, eq=False)
class _Tenure:
    """A partition from the moment that it was taken until it is dropped."""

    standing: Standing | None = None
    stalled: str | None = None
    claimed_at: int | None = None
    rewinds: int = 0  # in a row, without progress between them
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Claims:
    """Claims what is taken; tells `ready` when a partition may be read."""

    def __init__(
        self, group: str, *, claim: ClaimPosition, bounds: Bounds, ready: Callable[[Partition, Standing], None]
    ) -> None:
        self._group = group
        self._claim = claim
        self._bounds = bounds
        self._ready = ready
        self._tenures: dict[Partition, _Tenure] = {}
        self._turns = asyncio.Semaphore(CONCURRENT_CLAIMS)
        self._asked: set[Partition] = set()
        self._asking: asyncio.Task[Mapping[Partition, tuple[int, int]]] | None = None
        self._begun: set[asyncio.Task[Mapping[Partition, tuple[int, int]]]] = set()
        self._logger = structlog.get_logger().bind(group=group)

    def take(self, partitions: Iterable[Partition]) -> None:
        """Begin to claim partitions that the group has given us."""
        for partition in partitions:
            self.drop([partition])
            self._tenures[partition] = tenure = _Tenure()
            self._begin(partition, tenure, after=timedelta())

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions that the group has taken away."""
        for partition in partitions:
            tenure = self._tenures.pop(partition, None)
            if tenure and tenure.task:
                tenure.task.cancel()

    def drop_all(self) -> None:
        """Forget every partition."""
        self.drop(list(self._tenures))

    def rewind(self, partition: Partition) -> None:
        """Claim again, later each time that no progress was made since the last."""
        tenure = self._tenures.get(partition)
        if tenure and tenure.standing:
            tenure.standing = None
            pause = FIRST_PAUSE * 2 ** min(tenure.rewinds, 8)
            tenure.rewinds += 1
            self._begin(partition, tenure, after=min(pause, LONGEST_PAUSE))

    def standing(self, partition: Partition) -> Standing | None:
        """Return the standing of a partition that may be read now."""
        tenure = self._tenures.get(partition)
        return tenure.standing if tenure else None

    def standings(self) -> dict[Partition, Standing]:
        """Return all partitions that may be read now."""
        return {partition: tenure.standing for partition, tenure in self._tenures.items() if tenure.standing}

    def stalled(self) -> tuple[str, ...]:
        """Return a line for each partition that cannot be claimed until somebody acts."""
        return tuple(tenure.stalled for tenure in self._tenures.values() if tenure.stalled)

    async def close(self) -> None:
        """Give up what is being claimed."""
        tasks = [tenure.task for tenure in self._tenures.values() if tenure.task]
        self.drop_all()
        for asking in self._begun:
            asking.cancel()
        await asyncio.gather(*tasks, *self._begun, return_exceptions=True)

    def _begin(self, partition: Partition, tenure: _Tenure, *, after: timedelta) -> None:
        tenure.task = asyncio.create_task(self._keep_claiming(partition, tenure, after))

    async def _keep_claiming(self, partition: Partition, tenure: _Tenure, pause: timedelta) -> None:
        retry = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause.total_seconds())
            try:
                earliest, end = await self._bounds_of(partition)
                async with self._turns:
                    claim = await self._claim(self._group, partition, earliest, end)
            except PositionOutside as error:
                self._stall(partition, tenure, str(error))
                pause = STALLED_PAUSE
            except Exception as error:
                if isinstance(error, LogUnavailable) or passes(error):
                    self._logger.warning("claim.waits", partition=str(partition), reason=repr(error))
                else:
                    self._logger.exception("claim.failed", partition=str(partition))
                    tenure.stalled = f"{partition} cannot be claimed: {error!r}"
                pause = retry
                retry = min(retry * 2, LONGEST_PAUSE)
            else:
                break
        if self._tenures.get(partition) is tenure:
            if claim.position != tenure.claimed_at:
                tenure.rewinds = 0
            tenure.claimed_at = claim.position
            tenure.stalled = None
            tenure.standing = Standing(claim.epoch, claim.position)
            self._ready(partition, tenure.standing)

    async def _bounds_of(self, partition: Partition) -> tuple[int, int]:
        """Ask about all partitions taken together at once: Kafka answers one request of a connection at a time."""
        self._asked.add(partition)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._begun.add(self._asking)
            self._asking.add_done_callback(self._begun.discard)
        return (await asyncio.shield(self._asking))[partition]

    async def _ask(self) -> Mapping[Partition, tuple[int, int]]:
        asked, self._asked, self._asking = self._asked, set(), None
        return await self._bounds(asked)

    def _stall(self, partition: Partition, tenure: _Tenure, reason: str) -> None:
        if tenure.stalled != reason:
            self._logger.error("partition.stalled", partition=str(partition), reason=reason)
        tenure.stalled = reason

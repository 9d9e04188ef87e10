"""Setting aside a record that breaks its handler, whichever topic it came from."""

from services.router.reading import reject
from shared.clock import Clock
from shared.log.records import Batch
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions


class SettingAside:
    """Keeps what breaks a handler, with the reason."""

    def __init__(self, *, positions: Positions, outbox: Outbox, clock: Clock) -> None:
        self._positions = positions
        self._outbox = outbox
        self._clock = clock

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep the records of the batch, and move past them. Raises PositionLost."""
        now = self._clock()
        rejected = [
            reject(record, reason="handler_failed", message=f"{type(error).__name__}: {error}", now=now)
            for record in batch.records
        ]
        async with self._positions.transaction([batch]) as connection:
            await self._outbox.put(connection, rejected)
        self._outbox.announce()

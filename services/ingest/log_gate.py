"""The way to the log: open while it takes records, and for one request at a time while it does not."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from services.ingest.domain.log_health import AFTER, Health, Seen
from shared.log.errors import LogError, LogUnavailable


class LogAway(LogUnavailable):
    """Raised at once, without asking the log: another request is finding out whether it is back."""


class LogGate:
    """Lets appends pass, and learns from what becomes of them."""

    def __init__(self) -> None:
        self.health = Health.UP
        self._logger = structlog.get_logger()

    def check(self) -> None:
        """Raise LogAway when an append would be refused now."""
        if self.health is Health.TRIED:
            raise LogAway("The log is away; one request at a time tries whether it is back.")

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Hold the block that appends. Raises LogAway."""
        self.check()
        trial = self.health is Health.AWAY
        if trial:
            self._see(Seen.TRIAL_BEGUN)
        failed = Seen.TRIAL_FAILED if trial else Seen.FAILED
        try:
            yield
        except LogUnavailable:
            self._see(failed)
            raise
        except LogError:
            self._see(Seen.STORED)  # the log has answered, if not as its caller likes
            raise
        except BaseException:
            if trial:  # it ended without an answer: the next one tries
                self._see(Seen.TRIAL_FAILED)
            raise
        self._see(Seen.STORED)

    def _see(self, seen: Seen) -> None:
        before, self.health = self.health, AFTER[self.health, seen]
        if before is Health.UP and self.health is Health.AWAY:
            self._logger.warning("log.away")
        elif before is not Health.UP and self.health is Health.UP:
            self._logger.info("log.back")

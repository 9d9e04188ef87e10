"""How much this process holds at once: what does not fit is refused before it is read, so memory stays bounded."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from shared.http.problems import ProblemError

RETRY_AFTER = timedelta(seconds=2)


class Holding:
    """What one request holds of the process's memory until it is answered."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self._bytes = 0
        self.limit = 0  # bytes that its body may have
        self.of_protocol = False  # the protocol set that limit, and no source can change it

    def grow(self, size_bytes: int) -> None:
        """Hold so many bytes more. Raises a 503 problem when they do not fit."""
        if self._admission.bytes_held + size_bytes > self._admission.max_bytes:
            raise _overloaded()
        self._admission.bytes_held += size_bytes
        self._bytes += size_bytes

    def expect(self, size_bytes: int) -> None:
        """Raise a 503 problem when so many bytes more would not fit; holds nothing, for they may never come."""
        if self._admission.bytes_held + size_bytes > self._admission.max_bytes:
            raise _overloaded()

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Wait for the log as one of a bounded number. Raises a 503 problem when there are too many."""
        self._admission.check()
        self._admission.requests_storing += 1
        try:
            yield
        finally:
            self._admission.requests_storing -= 1

    def release(self) -> None:
        """Give everything back."""
        self._admission.bytes_held -= self._bytes
        self._bytes = 0


class Admission:
    """Counts what all requests hold. A slow sender holds what it has sent so far, and no place in the queue."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests_storing = 0
        self.bytes_held = 0

    @contextmanager
    def entered(self) -> Iterator[Holding]:
        """Let a request in. Raises a 503 problem when the process is full."""
        self.check()
        holding = Holding(self)
        try:
            yield holding
        finally:
            holding.release()

    def check(self) -> None:
        """Raise a 503 problem when the process is full."""
        if self.requests_storing >= self.max_requests or self.bytes_held >= self.max_bytes:
            raise _overloaded()


def _overloaded() -> ProblemError:
    return ProblemError(
        503,
        "overloaded",
        "More is under way than this process takes at once. Send the events again.",
        headers={"Retry-After": str(int(RETRY_AFTER.total_seconds()))},
    )

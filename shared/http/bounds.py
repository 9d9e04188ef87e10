"""What a server bears of its clients."""

import resource
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

_OTHER_FILES = 256  # the database, the log, what Python itself has open


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections, and how long each may take."""

    connections: int = 1_000
    backlog: int = 2_048  # connections that the kernel keeps until they are accepted
    keep_alive: timedelta = timedelta(seconds=75)
    head: timedelta = timedelta(seconds=10)
    body: timedelta = timedelta(seconds=17)

    def within_open_files(self) -> Self:
        """Have the kernel allow as many files as the connections need; where it does not, bear fewer connections."""
        needed = self.connections + _OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = resource.RLIM_INFINITY
        most = needed if hard == unlimited else min(needed, hard)
        if soft != unlimited and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return replace(self, connections=max(16, min(self.connections, most - _OTHER_FILES)))

"""How long the phases of an attempt took."""

from dataclasses import dataclass, field
from time import perf_counter


@dataclass(slots=True)
class Timings:
    """Milliseconds by phase: `dns`, `connect`, `tls`, `first_byte`, `total`. A kept connection has no first three."""

    started: float = field(default_factory=perf_counter)
    phases: dict[str, float] = field(default_factory=dict)

    def note(self, phase: str, since: float) -> None:
        """Write down that a phase which began then has ended now."""
        self.phases[phase] = round((perf_counter() - since) * 1000, 3)

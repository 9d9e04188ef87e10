"""What processes cost: CPU seconds and peak memory, read from /proc, so Linux only."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds so far and the peak of resident memory."""

    cpu_seconds: float
    peak_megabytes: float

    def since(self, earlier: "Cost") -> "Cost":
        """Return the CPU spent since then; memory stays the peak."""
        return Cost(self.cpu_seconds - earlier.cpu_seconds, self.peak_megabytes)


def cost_of(pid: int) -> Cost:
    """Return the cost of a process and of its children, those that have ended included."""
    cpu = 0.0
    peak = 0.0
    for member in (pid, *_descendants(pid)):
        try:
            stat = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{member}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        cpu += sum(int(ticks) for ticks in stat[11:15]) / _TICKS_PER_SECOND
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        peak = max(peak, int(lines.get("VmHWM", "0 kB").split()[0]) / 1024)
    return Cost(cpu, peak)


def resident_megabytes(pid: int) -> float:
    """Return how much memory a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def children_running(program: str) -> list[int]:
    """Return our own children whose command line names the program."""
    mine = []
    for pid in _descendants(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if program in Path(f"/proc/{pid}/cmdline").read_text():
                mine.append(pid)
    return mine


def _descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found: list[int] = []
    queue = [pid]
    while queue:
        parent = queue.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        found += children
        queue += children
    return found

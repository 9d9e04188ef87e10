"""The machine that a benchmark ran on."""

import platform
from pathlib import Path
from time import perf_counter


def machine() -> str:
    """Return its processors, its Python and how fast that is just now, in a line.

    How an interpreter was built matters as much as its version: without profile-guided optimisation it may take half as
    long again for everything.
    """
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.processor()
    loop = min(_loop() for _ in range(200))
    python = f"Python {platform.python_version()} ({platform.python_compiler()})"
    return f"{len(models)} x {model}, {python}, sum of i*i for i < 3000 in {loop * 1e6:.0f} µs"


def _loop() -> float:
    started = perf_counter()
    sum(number * number for number in range(3000))
    return perf_counter() - started

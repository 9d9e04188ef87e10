"""The machine that a benchmark ran on."""

import platform
from pathlib import Path


def machine() -> str:
    """Return its processors and its Python in a line."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.processor()
    return f"{len(models)} x {model}, Python {platform.python_version()}"

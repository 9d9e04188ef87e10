"""Files made once and kept: only their owner may read them, and whoever comes second finds the first one's."""

import os
from collections.abc import Callable
from pathlib import Path


def keep_once(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds; if there is none yet, make it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
    return path.read_text()

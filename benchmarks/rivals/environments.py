"""Virtual environments for the rivals, each of its own, made once."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# What the scorer's counting imports.
_OURS = (
    "msgspec",
    "pyyaml",
    "holidays",
    "tzdata",
    "asyncpg",
    "sqlalchemy[asyncio]",
)


@dataclass(frozen=True, slots=True)
class Rival:
    """A stream processor to compare with."""

    name: str
    packages: tuple[str, ...]
    module: str
    keeps_history: bool = False  # if asked to


RIVALS = {
    rival.name: rival
    for rival in (
        Rival("faust", ("faust-streaming==0.15.3", "cramjam"), "benchmarks.rivals.faust_job"),
        Rival("quix", ("quixstreams==3.28.1", "psycopg[binary]==3.3.9"), "benchmarks.rivals.quix_job", True),
    )
}


def python_of(rival: Rival, directory: Path) -> Path:
    """Return the interpreter of the rival's environment; fetch what it needs from PyPI when it is not there yet."""
    home = directory / rival.name
    python = home / "bin" / "python"
    if not (home / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *_OURS, *rival.packages], check=True)
        (home / ".ready").touch()
    return python

"""What a check says, and how a check runs another program."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """A check and what it found wrong; nothing found is a pass."""

    name: str
    problems: list[str]

    def __str__(self) -> str:
        lines = [f"{'FAIL' if self.problems else 'ok  '} {self.name}"]
        lines += [f"     {line}" for problem in self.problems for line in problem.strip().splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Output:
    code: int
    out: str
    err: str

    def problems(self) -> list[str]:
        """What the program said, when it failed."""
        return [self.out + self.err or f"exit code {self.code}"] if self.code else []


def run(program: Path | str, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Output:
    """Run a program to its end; one that cannot be started counts as failed."""
    try:
        done = subprocess.run(
            [str(program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=None if environment is None else dict(environment),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Output(127, "", str(error))
    return Output(done.returncode, done.stdout, done.stderr)


def tool(name: str) -> str:
    """Find a program that the dependency group `deploy` installs beside this Python."""
    beside = Path(sys.executable).parent / name
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(name) or name

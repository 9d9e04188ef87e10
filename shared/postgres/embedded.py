"""A PostgreSQL server of our own, with all it has in one directory.

cluster/      PostgreSQL's directory; it exists only once it is complete
password      of the superuser `tandem`; the server listens on loopback and asks everyone for it
lock          held while a Tandem uses the directory
postgres.log  what the server says
programs-*/   a copy of PostgreSQL's programs, only where its account cannot enter their folder
"""

import asyncio
import fcntl
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType, TracebackType
from typing import IO, Self

from shared.explained import ExplainedError
from shared.postgres.programs import ProgramError, Programs

_USER = "tandem"
_DATABASE = "tandem"
_START_SECONDS = 120.0  # recovery after a crash replays the log since the last checkpoint
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02


class EmbeddedPostgresError(ExplainedError):
    """The server cannot be had; the message is one line that says why."""


class EmbeddedPostgres:
    """A server that lives as long as the event loop that started it, and no longer than the process.

    It runs in a session of its own, so a Ctrl-C in the terminal reaches it only through `stop`. The directory is new,
    empty, or one that an earlier server left.
    """

    def __init__(
        self,
        data_directory: Path,
        *,
        max_connections: int = 100,
        port: int | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._directory = data_directory.expanduser().resolve()
        self._cluster = self._directory / "cluster"
        self._log = self._directory / "postgres.log"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "log_checkpoints": "off",
            "max_connections": str(max_connections),
            "unix_socket_directories": "",
            **settings,
        }
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database `tandem`, with the password in it."""
        return self.database_url(_DATABASE)

    def database_url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database; it stays the same from the first start on."""
        if self._port is None:
            raise EmbeddedPostgresError("PostgreSQL has not been started yet")
        password = (self._directory / "password").read_text()
        return f"postgresql+asyncpg://{_USER}:{password}@127.0.0.1:{self._port}/{database}"

    async def start(self) -> None:
        """Start the server and wait until it answers; the first time, create its cluster."""
        starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server: open transactions roll back, what is committed is kept."""
        await asyncio.to_thread(self._end, signal.SIGINT)

    async def kill(self) -> None:
        """Kill the server with SIGKILL; the next start recovers."""
        await asyncio.to_thread(self._end, signal.SIGKILL)

    def _start(self) -> None:
        if self._process is not None:
            return
        try:
            programs = Programs(self._directory)
            self._take_directory(programs)
            if not self._cluster.exists():
                self._create_cluster(programs)
            self._end_orphan()
            self._launch(programs)
        except (OSError, ProgramError) as error:
            raise EmbeddedPostgresError(str(error)) from error
        finally:
            if self._process is None:
                self._release_directory()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._release_directory()

    def _take_directory(self, programs: Programs) -> None:
        lock = self._directory / "lock"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not lock.exists() and any(self._directory.iterdir()):
            raise EmbeddedPostgresError(f"{self._directory} is neither empty nor a directory of Tandem's PostgreSQL")
        if barrier := programs.barrier():
            raise EmbeddedPostgresError(
                f"PostgreSQL does not run as root, and other accounts may not enter {barrier}: "
                f"choose another place than {self._directory}, or start Tandem as an ordinary user"
            )
        self._lock = lock.open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EmbeddedPostgresError(f"{self._directory} is in use: another Tandem is running on it") from error
        for path in (self._directory, lock):
            programs.give(path)

    def _release_directory(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None

    def _create_cluster(self, programs: Programs) -> None:
        for remains in self._directory.glob("cluster.*"):  # of an initdb that was cut off
            shutil.rmtree(remains, ignore_errors=True)
        password = self._directory / "password"
        if not password.exists():
            new = password.with_suffix(".new")
            new.touch(mode=0o600)
            new.write_text(secrets.token_urlsafe(24))
            programs.give(new)
            new.rename(password)
        cluster = Path(mkdtemp(prefix="cluster.", dir=self._directory))
        programs.give(cluster)
        programs.run(
            "initdb",
            f"--pgdata={cluster}",
            f"--username={_USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        )
        programs.run("postgres", "--single", "-D", str(cluster), "template1", typed=f"CREATE DATABASE {_DATABASE}\n")
        cluster.rename(self._cluster)

    def _end_orphan(self) -> None:
        """End a server that outlived its Tandem, or clear the trace of one that did not."""
        trace = self._cluster / "postmaster.pid"
        if not trace.exists():
            return
        line = trace.read_text().partition("\n")[0]  # empty if the machine lost power at the wrong moment
        pid = int(line) if line.isdigit() else 0
        if self._is_ours(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._is_ours(pid):
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(f"process {pid}, an earlier server on {self._directory}, does not end")
                time.sleep(_POLL_SECONDS)
        trace.unlink(missing_ok=True)  # a stranger that has the number now would keep PostgreSQL from starting

    def _is_ours(self, pid: int) -> bool:
        try:
            if Path("/proc/self").exists():
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            else:
                command = subprocess.run(
                    ["/bin/ps", "-o", "args=", "-p", str(pid)], capture_output=True, check=False
                ).stdout
        except OSError:
            return False
        return os.fsencode(self._cluster) in command

    def _launch(self, programs: Programs) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            port = self._port or free_port()
            start_of_log = self._log.stat().st_size if self._log.exists() else 0
            settings = [f"--{name}={value}" for name, value in self._settings.items()]
            process = programs.start("postgres", "-D", str(self._cluster), f"--port={port}", *settings, log=self._log)
            if self._becomes_ready(process, deadline):
                self._process, self._port = process, port
                return
            said = self._log.read_bytes()[start_of_log:].decode(errors="replace")
            # The children of a killed server hold its memory for a moment; a port that was free may be taken by now.
            passing = "still in use" in said or ("already in use" in said and self._port is None)
            if not passing or time.monotonic() > deadline:
                fatal = [line for line in said.splitlines() if "FATAL" in line] or said.splitlines()[-1:]
                raise EmbeddedPostgresError(f"PostgreSQL did not start: {' '.join(fatal)} (log: {self._log})")
            time.sleep(_POLL_SECONDS)

    def _becomes_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        trace = self._cluster / "postmaster.pid"
        while process.poll() is None:
            # Line 1 is the process, line 8 its state.
            lines: list[str] = []
            with suppress(FileNotFoundError):
                lines = trace.read_text().splitlines()
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                return False
            time.sleep(_POLL_SECONDS)
        return False


def free_port() -> int:
    """Return a port of loopback that nobody listens on.

    It lies below the range from which systems take the ports of outgoing connections: one of those, taken while the
    server is away, would keep the server from coming back.
    """
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

"""Tandem as a real process: started by its command, told to stop by signals, watched over HTTP."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from shared.leash import leashed
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
TANDEM = Path(sys.executable).with_name("tandem")


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without any setting of Tandem but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    return {**inherited, **settings}


class TandemProcess:
    """One `tandem` command on a port of its own. What it logs goes to a file."""

    def __init__(self, *arguments: str, settings: Mapping[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._arguments = arguments
        self._settings = {**settings, "TANDEM_PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running command."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the command, which ends with us at the latest; returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                leashed(str(TANDEM), *self._arguments),
                env=clean_environment(self._settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self, *, seconds: float = 120) -> None:
        """Return when `/readyz` answers 200; raise AssertionError with the log when the process ends first."""

        async def is_ready() -> bool:
            assert self._process is not None
            code = self._process.poll()
            assert code is None, f"`tandem {' '.join(self._arguments)}` ended with {code}:\n{self.log_text()}"
            with contextlib.suppress(httpx.TransportError):
                async with httpx.AsyncClient(trust_env=False) as client:
                    return (await client.get(f"{self.url}/readyz", timeout=5)).status_code == 200
            return False

        await until(is_ready, seconds=seconds, what=lambda: f"ready\n{self.log_text()}")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._signal(signal.SIGKILL)

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 40) -> int:
        """Ask it to end and return its exit code; kill it when it takes longer."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return await asyncio.to_thread(self._process.wait, seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"did not end within {seconds} s\n{self.log_text()}") from None

    async def ended(self, *, seconds: float = 60) -> int:
        """Return the exit code once the command has ended by itself."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, seconds)

    def log_text(self) -> str:
        """Return the last of what it logged."""
        return self.log.read_text(errors="replace")[-6000:]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()


@asynccontextmanager
async def running_tandem(*arguments: str, settings: Mapping[str, str], log: Path) -> AsyncIterator[TandemProcess]:
    """Run a command until the block ends; yields when it is ready."""
    process = TandemProcess(*arguments, settings=settings, log=log)
    process.start()
    try:
        await process.ready()
        yield process
    finally:
        await process.stop()


async def create_topics(settings: Mapping[str, str], directory: Path) -> None:
    """Create the topics of an install."""
    process = TandemProcess("topics", "create", settings=settings, log=directory / "topics.log")
    process.start()
    assert await process.ended() == 0, process.log_text()

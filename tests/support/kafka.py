"""The Kafka of a test session: our own broker, or the one that TANDEM_TEST_KAFKA_BOOTSTRAP names."""

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from shared.events.topics import TopicName
from shared.leash import leashed
from shared.postgres.embedded import free_port
from tests.support.waiting import until

EXTERNAL_BOOTSTRAP = "TANDEM_TEST_KAFKA_BOOTSTRAP"

_SCRIPT = Path(__file__).parents[2] / "deploy" / "kafka-local" / "kafka.sh"
_STARTED = b"Kafka Server started"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02
_UNAVAILABLE = 69


class KafkaUnavailable(RuntimeError):
    """No broker can be had here; the message is one line that says what is missing."""


class KafkaNode:
    """One JVM of the cluster."""

    def __init__(self, directory: Path, number: int) -> None:
        self._command = [str(_SCRIPT), "run", str(directory), str(number)]
        self._log = directory / str(number) / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._start_of_log = 0

    def launch(self) -> None:
        """Start the JVM without waiting for it; it ends with this process, however that ends."""
        if self._process is not None:
            return
        self._start_of_log = self._log.stat().st_size
        with self._log.open("ab") as log:
            # Its own session: a Ctrl-C ends the tests first, and they end the broker.
            self._process = subprocess.Popen(leashed(*self._command), stdout=log, stderr=log, start_new_session=True)
        atexit.register(self.kill)

    async def started(self) -> None:
        """Wait until the node serves clients."""
        deadline = time.monotonic() + _START_SECONDS
        while _STARTED not in (said := self._log.read_bytes()[self._start_of_log :]):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start:\n{said[-2000:].decode(errors='replace')}")
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """End the JVM in good order; after a time, or where too few nodes are left for that, with SIGKILL."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, _STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the JVM with SIGKILL."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        atexit.unregister(self.kill)

    def signal(self, number: signal.Signals) -> None:
        """Send the JVM a signal."""
        if self._process is None:
            raise RuntimeError("this node of Kafka is down")
        self._process.send_signal(number)


class KafkaServer:
    """A cluster, whose nodes 1, 2, ... tests may take down; a test that does skips where the cluster is not ours."""

    def __init__(self, bootstrap: str, nodes: list[KafkaNode]) -> None:
        self.bootstrap = bootstrap
        self._nodes = nodes

    async def start(self, node: int = 1) -> None:
        """Start a node that is down and wait until it serves; a killed one waits out its old session, 4 seconds."""
        self._own(node).launch()
        await self._own(node).started()

    async def stop(self, node: int = 1) -> None:
        """Stop a node in good order."""
        await self._own(node).stop()

    def kill(self, node: int = 1) -> None:
        """Kill a node with SIGKILL."""
        self._own(node).kill()

    def pause(self, node: int = 1) -> None:
        """Freeze a node with SIGSTOP: its connections stay open and nothing answers."""
        self._own(node).signal(signal.SIGSTOP)

    def resume(self, node: int = 1) -> None:
        """Let a frozen node go on."""
        self._own(node).signal(signal.SIGCONT)

    def _own(self, node: int) -> KafkaNode:
        if not self._nodes:
            pytest.skip(f"the broker that {EXTERNAL_BOOTSTRAP} names is not ours to take down")
        return self._nodes[node - 1]


@asynccontextmanager
async def running_kafka(nodes: int = 1, *, configure: Callable[[str], str] | None = None) -> AsyncIterator[KafkaServer]:
    """Run a cluster in a temporary directory, or reach the one that the environment names.

    `configure` changes the properties of each node; what is named cannot be changed, so then the cluster is our own.
    """
    if (bootstrap := os.environ.get(EXTERNAL_BOOTSTRAP)) and configure is None:
        yield KafkaServer(bootstrap, [])
        return
    directory = Path(mkdtemp(prefix="tandem-kafka-"))
    clients = _free_ports(nodes, besides=[])
    ports = list(zip(clients, _free_ports(nodes, besides=clients), strict=True))
    cluster = [KafkaNode(directory, number) for number in range(1, nodes + 1)]
    try:
        await _format(directory, ports)
        if configure:
            for properties in directory.glob("*/server.properties"):
                properties.write_text(configure(properties.read_text()))
        for node in cluster:
            node.launch()
        for node in cluster:
            await node.started()
        yield KafkaServer(",".join(f"127.0.0.1:{client}" for client, _ in ports), cluster)
    finally:
        for node in cluster:
            node.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _free_ports(count: int, besides: list[int]) -> list[int]:
    ports: list[int] = []
    while len(ports) < count:
        if (port := free_port()) not in [*ports, *besides]:
            ports.append(port)
    return ports


@asynccontextmanager
async def kafka_or_skip(*, configure: Callable[[str], str] | None = None) -> AsyncIterator[KafkaServer]:
    """Run a broker; where none can be had, skip the test with the reason, or fail it in CI."""
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(running_kafka(configure=configure))
        except KafkaUnavailable as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        yield server


@asynccontextmanager
async def empty_kafka() -> AsyncIterator[KafkaServer]:
    """Run a broker without any of Tandem's topics, whose names are fixed; of one that was named, delete them."""
    async with kafka_or_skip() as server:
        admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
        await admin.start()
        try:
            old = sorted(set(await admin.list_topics()) & set(TopicName))
            if old:
                await admin.delete_topics(old)

            async def gone() -> bool:
                return not set(await admin.list_topics()) & set(TopicName)

            await until(gone, what="the old topics deleted")
        finally:
            await admin.close()
        yield server


async def kafka_tool(*arguments: str) -> None:
    """Run one of Kafka's own tools, as `kafka.admin.ConfigCommand`."""
    command = [str(_SCRIPT), "tool", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace"))


async def _format(directory: Path, ports: list[tuple[int, int]]) -> None:
    """Fetch the jars if they are missing and write the directory of every node."""
    command = [str(_SCRIPT), "format", str(directory), *(f"{client}:{controller}" for client, controller in ports)]
    try:
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    except OSError as error:
        raise KafkaUnavailable(f"cannot run {_SCRIPT.name}: {error}; or name a broker: {EXTERNAL_BOOTSTRAP}") from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == _UNAVAILABLE:
        raise KafkaUnavailable(f"{said.splitlines()[-1]}; or name a broker: {EXTERNAL_BOOTSTRAP}=host:port")
    if done.returncode:
        raise RuntimeError(f"Kafka's storage could not be formatted:\n{said}")

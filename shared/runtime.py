"""Running services: one HTTP server and the workers, until a signal or a failure, then a bounded drain.

On SIGTERM or SIGINT: `/readyz` answers 503, workers finish what they hold, open requests are answered, resources
close, exit 0. What is not finished within the drain timeout is cancelled; its transactions roll back, and the next
start does it again. A worker that fails ends the process with exit code 1: the supervisor restarts it, and nothing
half-done is left behind.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import structlog
import uvicorn

from shared.explained import ExplainedError
from shared.http.app import create_app
from shared.http.bounds import Bounds
from shared.http.patience import PatientConfig
from shared.service import Service
from shared.telemetry.metrics import Metrics

DEFAULT_BOUNDS = Bounds()
UNTAKEN = timedelta(seconds=60)


class WorkerFailed(ExplainedError):
    """Raised with the name of the worker whose failure ended the run."""


class HttpServer(uvicorn.Server):
    """A uvicorn server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int, *, untaken: timedelta = UNTAKEN) -> socket.socket:
    """Bind the port now, so that a port in use is told before anything starts. Raises OSError.

    A client that takes nothing of its answer for so long is let go, where the system can do that.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(untaken.total_seconds() * 1000))
    sock.bind((host, port))
    return sock


async def run(
    services: Sequence[Service],
    *,
    sock: socket.socket,
    metrics: Metrics,
    drain_timeout: timedelta,
    bounds: Bounds = DEFAULT_BOUNDS,
    stopping: asyncio.Event | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve and work until a signal, or until `stopping` is set. Raises WorkerFailed.

    `on_ready` is called once with the base URL when the server accepts requests and the workers run.
    """
    stopping = stopping or asyncio.Event()
    logger = structlog.get_logger()
    _calm_collector()
    app = create_app(services, metrics=metrics, draining=stopping.is_set)
    borne = bounds.within_open_files()
    if borne != bounds:
        logger.warning("connections.fewer", wanted=bounds.connections, borne=borne.connections, reason="open files")
    config = PatientConfig(
        app,
        bounds=borne,
        metrics=metrics,
        timeout_graceful_shutdown=max(1, int(drain_timeout.total_seconds())),
    )
    server = HttpServer(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # not the main thread: the caller stops us
            loop.add_signal_handler(number, stopping.set)

    tasks = {
        asyncio.create_task(worker(stopping), name=f"{service.name}.{name}")
        for service in services
        for name, worker in service.workers.items()
    }
    serving = asyncio.create_task(server.serve([sock]), name="http")
    stop = asyncio.create_task(stopping.wait(), name="stopping")
    try:
        if on_ready:
            while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
            host, port = sock.getsockname()[:2]
            on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        logger.info("service.started", services=[service.name for service in services], port=sock.getsockname()[1])
        done, _ = await asyncio.wait({*tasks, serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        # Told to stop, a worker with nothing in hand may return in the same instant: that is no failure.
        ended = [task for task in done if task is not stop and (stop not in done or _failed(task))]
        failed = ended[0] if ended else None
        stopping.set()
        logger.info("service.draining", seconds=drain_timeout.total_seconds())
        server.should_exit = True
        _, late = await asyncio.wait({*tasks, serving}, timeout=drain_timeout.total_seconds())
        for task in late:
            logger.warning("service.cancelled", task=task.get_name())
            task.cancel()
        await asyncio.gather(*tasks, serving, return_exceptions=True)
        for task in {*tasks, serving} - {failed}:
            if _failed(task):
                logger.error("service.drained_badly", task=task.get_name(), exc_info=task.exception())
        if failed is not None:
            error = None if failed.cancelled() else failed.exception()
            raise WorkerFailed(f"{failed.get_name()} ended: {error!r}") from error
    finally:
        stop.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
    logger.info("service.stopped")


def _calm_collector() -> None:
    """Look for cycles less often: a batch of thousands of values makes none, and looking took a third of its time."""
    gc.collect()
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(50_000, 20, 20)


def _failed(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is not None

"""What ingest takes over HTTP, acknowledged by the log before each answer, and how fast it understands.

    python -m benchmarks.ingest [--log kafka] [--seconds 10] [--connections 32] [--soak 300] [--events 400000]

Accepting: one process that only accepts (TANDEM_UNDERSTAND_MEMBERS=0), an own client with keep-alive connections in
another. First flat out; then at half of that rate, for the latency. Understanding: a process that only understands what
has been put on `events.web`; the clock runs until the last touch is published. Soak: single events at half the rate.
"""

import argparse
import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
import uvloop
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.http_load import Answers, Load, MakeBody
from benchmarks.machine import machine
from benchmarks.page_views import BATCH, requests_about
from benchmarks.processes import children_running, cost_of
from services.client import TandemClient
from shared.log.opening import open_log
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from tests.support.kafka import running_kafka
from tests.support.processes import TandemProcess, create_topics
from tests.support.waiting import until

KEY = "wk_benchmark_0123456789"


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", choices=("kafka", "postgres"), default="kafka")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--soak", type=float, default=0)
    parser.add_argument("--events", type=int, default=400_000)
    arguments = parser.parse_args()
    table = Table("what", "value", title=f"ingest, {arguments.log} log", title_justify="left")
    with TemporaryDirectory(prefix="tandem-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        async with EmbeddedPostgres(directory / "postgres", max_connections=100) as postgres:
            settings = _settings(directory, postgres.url)
            await migrate(postgres.url)
            if arguments.log == "kafka":
                async with running_kafka() as kafka:
                    settings["TANDEM_KAFKA_BOOTSTRAP"] = kafka.bootstrap
                    await _measure(table, settings, directory, arguments)
            else:
                await _measure(table, settings, directory, arguments)
    console = Console(width=140)
    console.print(machine())
    console.print(table)


def _settings(directory: Path, database_url: str) -> dict[str, str]:
    keys = directory / "keys.yaml"
    keys.write_text(yaml.safe_dump([{"role": "source", "name": "website", "kind": "web", "key": KEY}]))
    return {
        "TANDEM_DATABASE_URL": database_url,
        "TANDEM_KEYS_FILE": str(keys),
        "TANDEM_LOG_LEVEL": "warning",
        "TANDEM_TOPIC_PARTITIONS": "12",
    }


async def _measure(table: Table, settings: dict[str, str], directory: Path, arguments: argparse.Namespace) -> None:
    await create_topics(settings, directory)
    await _accepting(table, settings, directory, arguments)
    await _understanding(table, settings, directory, arguments)


async def _accepting(table: Table, settings: dict[str, str], directory: Path, arguments: argparse.Namespace) -> None:
    ingest = TandemProcess(
        "ingest", settings={**settings, "TANDEM_UNDERSTAND_MEMBERS": "0"}, log=directory / "accepting.log"
    )
    ingest.start()
    try:
        await ingest.ready()
        for title, path, make, events in (
            ("single events", "/v1/track", _singles(), 1),
            (f"batches of {BATCH}", "/v1/batch", _batches(), BATCH),
        ):
            load = Load(ingest.url, path, key=KEY, connections=arguments.connections)
            await load.flat_out(make, seconds=2)
            before = cost_of(ingest.pid).cpu_seconds
            full = await load.flat_out(make, seconds=arguments.seconds)
            cpu = cost_of(ingest.pid).cpu_seconds - before
            half = await load.at_rate(make, per_second=full.per_second / 2, seconds=arguments.seconds)
            _add(table, title, full, half, events=events, cpu=cpu)
            if arguments.soak and events == 1:
                await _soak(table, ingest, load, make, per_second=full.per_second / 2, seconds=arguments.soak)
        table.add_row("peak memory of accepting", f"{cost_of(ingest.pid).peak_megabytes:.0f} MB")
    finally:
        await ingest.stop()


def _add(table: Table, title: str, full: Answers, half: Answers, *, events: int, cpu: float) -> None:
    rate = f"{full.per_second:,.0f} requests a second"
    if events > 1:
        rate += f", {full.per_second * events:,.0f} events a second"
    table.add_row(title, f"{rate}; {cpu / len(full.milliseconds) * 1e6:,.0f} CPU µs a request")
    table.add_row(
        f"{title}, at half that rate",
        f"p50 {half.percentile(50):.1f} ms, p99 {half.percentile(99):.1f} ms; refused {full.refused + half.refused}",
    )


async def _soak(
    table: Table, ingest: TandemProcess, load: Load, make: MakeBody, *, per_second: float, seconds: float
) -> None:
    marks = [_resident(ingest.pid)]
    for _ in range(5):
        await load.at_rate(make, per_second=per_second, seconds=seconds / 5)
        marks.append(_resident(ingest.pid))
    shown = ", ".join(f"{mark:.0f}" for mark in marks)
    table.add_row(f"memory over {seconds:.0f} s at that rate", f"{shown} MB")


async def _understanding(
    table: Table, settings: dict[str, str], directory: Path, arguments: argparse.Namespace
) -> None:
    requests = requests_about(arguments.events, contacts=100_000)
    async with open_log(
        kafka_bootstrap=settings.get("TANDEM_KAFKA_BOOTSTRAP"),
        database_url=settings["TANDEM_DATABASE_URL"],
        name="bench",
        append_timeout=timedelta(seconds=30),
    ) as log:
        for first in range(0, len(requests), 50):
            await log.append("events.web", requests[first : first + 50])
    ingest = TandemProcess("ingest", settings=settings, log=directory / "understanding.log")
    ingest.start()
    try:
        await ingest.ready()
        server = min(children_running("bin/postgres"))
        begun, started = await _published(ingest), perf_counter()
        before = cost_of(ingest.pid).cpu_seconds, cost_of(server).cpu_seconds

        async def idle() -> bool:
            count = await _published(ingest)
            await asyncio.sleep(0.5)
            return count > begun and count == await _published(ingest)

        await until(idle, seconds=600, what="every event understood", poll=timedelta(milliseconds=100))
        seconds = perf_counter() - started - 0.5
        events = await _published(ingest) - begun
        cpu, postgres = cost_of(ingest.pid).cpu_seconds - before[0], cost_of(server).cpu_seconds - before[1]
        table.add_row("understanding", f"{events / seconds:,.0f} events a second, {events:,.0f} in all")
        table.add_row(
            "understanding, CPU an event",
            f"ingest {cpu / events * 1e6:.1f} µs, PostgreSQL {postgres / events * 1e6:.1f} µs",
        )
        table.add_row("peak memory of understanding", f"{cost_of(ingest.pid).peak_megabytes:.0f} MB")
    finally:
        await ingest.stop()


async def _published(ingest: TandemProcess) -> float:
    for line in (await TandemClient(ingest.url).text("/metrics")).splitlines():
        if line.startswith("tandem_touches_published_total"):
            return float(line.split()[-1])
    return 0.0


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _event() -> dict[str, object]:
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": str(uuid.uuid4()),
        "anonymousId": f"visitor-{random.randrange(100_000)}",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"sku": "KX-17", "name": "Harbour crane", "url": "https://www.harbour.example/kx-17"},
        "context": {"userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"},
    }


def _singles() -> MakeBody:
    made = [msgspec.json.encode(_event()) for _ in range(1_000)]
    return lambda number: made[number % len(made)]


def _batches() -> MakeBody:
    made = [msgspec.json.encode({"batch": [_event() for _ in range(BATCH)]}) for _ in range(100)]
    return lambda number: made[number % len(made)]


if __name__ == "__main__":
    uvloop.run(main())

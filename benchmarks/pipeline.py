"""From POST to webhook: latency when idle, events a second under load, and what each process costs, on both logs.

    python -m benchmarks.pipeline [--log kafka] [--log postgres] [--events 400000] [--contacts 100000] [--scorers 1]
                                  [--without accounts --without nurture]

Latency: one hand-raise at a time is posted to ingest; the clock stops when the receiver has verified the webhook.
Throughput: all contacts are there already; half of the events are about a few of them (Pareto). They are put on
`events.web` as accepted requests of 100, while ingest's worker and the scorer run; the clock runs from the first append
until the scorer has counted the last touch. The example agreement is signed, without those sections that are named.
"""

import argparse
import asyncio
import statistics
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from time import perf_counter

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.database import connected
from benchmarks.machine import machine
from benchmarks.page_views import BATCH, request_about, requests_about
from benchmarks.processes import Cost
from benchmarks.stack import Stack, open_stack
from services.client import TandemClient
from shared.log.opening import open_log
from shared.log.records import Record
from tests.support.waiting import until


async def main() -> None:
    """Run the benchmark on the logs asked for and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", action="append", choices=("kafka", "postgres"))
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--scorers", type=int, default=1)
    parser.add_argument("--without", action="append", default=[], help="section of the agreement to leave out")
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(machine())
    for log in arguments.log or ("postgres", "kafka"):
        async with open_stack(log, scorers=arguments.scorers, without=arguments.without) as stack:
            milliseconds = await latency(stack, samples=arguments.samples)
            everybody = [request_about(range(first, first + BATCH)) for first in range(0, arguments.contacts, BATCH)]
            await throughput(stack, everybody)  # so that all contacts are known
            await until(partial(_is_told, stack), seconds=600, what="all of that told")
            before = stack.costs()
            rate = await throughput(stack, requests_about(arguments.events, contacts=arguments.contacts))
            costs = {name: cost.since(before[name]) for name, cost in stack.costs().items()}
            console.print(_table(log, milliseconds, rate, costs, events=arguments.events))


async def latency(stack: Stack, *, samples: int) -> list[float]:
    """Return the milliseconds from the POST of a hand-raise to its verified webhook, one at a time."""
    taken = []
    async with TandemClient(stack.services["ingest"].url) as client:
        for number in range(samples + 20):
            seen = len(stack.receiver.receipts)
            body = msgspec.json.encode({"batch": list(_hand_raise(number))})
            started = perf_counter()
            await client.post_events("/v1/batch", body, key=stack.keys["source"])

            async def arrived(seen: int = seen) -> bool:
                return len(stack.receiver.receipts) > seen

            await until(arrived, seconds=20, what=f"webhook of sample {number}", poll=timedelta(milliseconds=1))
            if number >= 20:  # the first ones open connections and warm caches
                taken.append((perf_counter() - started) * 1000)
    return taken


async def throughput(stack: Stack, requests: Sequence[Record]) -> float:
    """Return events a second through ingest's worker and the scorer, from the first append to the last touch."""
    kafka = stack.kafka.bootstrap if stack.kafka else None
    events = len(requests) * BATCH
    already = await _counted(stack)
    started = perf_counter()
    async with open_log(
        kafka_bootstrap=kafka, database_url=stack.database_url, name="bench", append_timeout=timedelta(seconds=30)
    ) as log:
        for first in range(0, len(requests), 50):
            await log.append("events.web", requests[first : first + 50])

    async def done() -> bool:
        return await _counted(stack) - already >= events

    await until(done, seconds=600, what="every touch counted", poll=timedelta(milliseconds=250))
    return events / (perf_counter() - started)


def _hand_raise(number: int) -> Iterator[dict[str, object]]:
    ids = {"anonymousId": f"latency-{number}-{uuid.uuid4()}"}
    traits = {"email": f"person{number}@firm{number}.example", "name": f"Person {number}", "title": "Director"}
    yield {"type": "identify", "messageId": str(uuid.uuid4()), **ids, "traits": traits}
    form = {"event": "Form Submitted", "properties": {"form": "demo"}}
    yield {"type": "track", "messageId": str(uuid.uuid4()), **ids, **form}


async def _is_told(stack: Stack) -> bool:
    async with connected(stack.database_url) as connection:
        return not await connection.fetchval("SELECT EXISTS (SELECT FROM scorer.outbox)")


async def _counted(stack: Stack) -> float:
    """Read the lines, not the document: parsing it each time would take a tenth of a core from what runs."""
    texts = [
        await TandemClient(process.url).text("/metrics")
        for name, process in stack.services.items()
        if name.startswith("scorer")
    ]
    return sum(
        float(line.split()[1])
        for text in texts
        for line in text.splitlines()
        if line.startswith("tandem_touches_counted_total")
    )


def _table(log: str, milliseconds: list[float], rate: float, costs: dict[str, Cost], *, events: int) -> Table:
    quantiles = statistics.quantiles(milliseconds, n=100)
    table = Table(title=f"{log} log", title_justify="left")
    for column in ("what", "value"):
        table.add_column(column)
    table.add_row("POST to webhook, idle, p50 / p99", f"{quantiles[49]:.1f} / {quantiles[98]:.1f} ms")
    table.add_row("events through ingest worker and scorer", f"{rate:,.0f} a second")
    for name, cost in costs.items():
        per_event = cost.cpu_seconds / events * 1e6
        peak = f", peak {cost.peak_megabytes:.0f} MB" if name not in {"postgres", "kafka"} else ""
        table.add_row(name, f"{cost.cpu_seconds:.1f} CPU s, {per_event:.1f} µs an event{peak}")
    return table


if __name__ == "__main__":
    asyncio.run(main())

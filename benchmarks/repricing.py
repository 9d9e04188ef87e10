"""How long it takes until a newly signed agreement has decided everybody.

    python -m benchmarks.repricing [--contacts 1000000] [--touches 1] [--scorers 1] [--replay]

Contacts are there with their states. Both sides sign an agreement with other points; the clock runs from the second
signature until no contact is left that was decided under the one before. With `--replay` another half-life is signed
after that, which has to count all stored touches anew: the clock runs until it is in force and has decided everybody.
"""

import argparse
import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import asyncpg
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.database import connected
from benchmarks.machine import machine
from benchmarks.population import agreement_text, populate, terms_of
from benchmarks.processes import children_running, cost_of
from services.client import TandemClient
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from tests.support.processes import TandemProcess
from tests.support.waiting import until

_LEFT = "SELECT EXISTS (SELECT FROM scorer.contact WHERE agreement <> $1)"
_POLL = timedelta(milliseconds=500)
_LONGEST = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs, and the keys of the two sides."""

    scorers: Sequence[TandemProcess]
    keys: dict[str, str]
    connection: asyncpg.Connection
    postgres: int  # process id


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--touches", type=int, default=1, help="stored of each contact")
    parser.add_argument("--scorers", type=int, default=1)
    parser.add_argument("--replay", action="store_true")
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(machine())
    title = f"{arguments.contacts:,} contacts, {arguments.touches} touches each, {arguments.scorers} scorers"
    table = Table("what changed", "until all are decided", "CPU", title=title, title_justify="left")
    async with open_bench(contacts=arguments.contacts, touches=arguments.touches, scorers=arguments.scorers) as bench:
        await sign(bench, agreement_text())
        table.add_row("points", *await measure(bench, agreement_text(points=3), contacts=arguments.contacts))
        if arguments.replay:
            changed = agreement_text(points=3, half_life="45d")
            table.add_row("half-life", *await measure(bench, changed, contacts=arguments.contacts))
    console.print(table)


async def measure(bench: Bench, text: str, *, contacts: int) -> tuple[str, str]:
    """Sign the text; return how long it took to decide everybody, and what that cost."""
    pids = [process.pid for process in bench.scorers]
    before = [cost_of(pid) for pid in (*pids, bench.postgres)]
    started = perf_counter()
    version = await sign(bench, text)

    async def decided() -> bool:
        return not await bench.connection.fetchval(_LEFT, version)

    await until(decided, seconds=_LONGEST, what="everybody decided", poll=_POLL)
    seconds = perf_counter() - started
    costs = [cost_of(pid).since(earlier) for pid, earlier in zip((*pids, bench.postgres), before, strict=True)]
    each = [f"{cost.cpu_seconds / contacts * 1e6:.1f}" for cost in costs]
    peak = max(cost.peak_megabytes for cost in costs[:-1])
    spent = f"scorers {', '.join(each[:-1])}; PostgreSQL {each[-1]} µs a contact; peak {peak:.0f} MB"
    return f"{seconds:.1f} s, {contacts / seconds:,.0f} a second", spent


async def sign(bench: Bench, text: str) -> int:
    """Have both sides sign the text; return its version."""
    url = bench.scorers[0].url
    draft = await TandemClient(url, bench.keys["marketing"]).propose(text)
    version = int(draft["version"])
    for key in bench.keys.values():
        await TandemClient(url, key).sign(version)
    return version


@asynccontextmanager
async def open_bench(*, contacts: int, touches: int, scorers: int) -> AsyncIterator[Bench]:
    """Start the server, fill it, and start the scorers."""
    keys = {role: f"{role}_{secrets.token_hex(16)}" for role in ("marketing", "sales")}
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        keys_file = directory / "keys.yaml"
        keys_file.write_text(yaml.safe_dump([{"role": role, "name": role, "key": key} for role, key in keys.items()]))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres", max_connections=200))
        settings = {
            "TANDEM_DATABASE_URL": postgres.url,
            "TANDEM_KEYS_FILE": str(keys_file),
            "TANDEM_LOG_LEVEL": "warning",
        }
        await migrate(postgres.url)
        topics = TandemProcess("topics", "create", settings=settings, log=directory / "topics.log")
        topics.start()
        assert await topics.ended() == 0, topics.log_text()
        await populate(postgres.url, terms_of(agreement_text()), contacts=contacts, touches=touches)
        processes = [
            TandemProcess("scorer", settings=settings, log=directory / f"scorer {number}.log")
            for number in range(scorers)
        ]
        for process in processes:
            process.start()
            stack.push_async_callback(process.stop)
        for process in processes:
            await process.ready()
        connection = await stack.enter_async_context(connected(postgres.url))
        yield Bench(processes, keys, connection, min(children_running("bin/postgres")))


if __name__ == "__main__":
    asyncio.run(main())

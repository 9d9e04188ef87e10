"""What the scorer takes from Kafka into PostgreSQL, exactly once; beside it the same sums on other stream processors.

    python -m benchmarks.scorer [--contacts 1000000] [--events 2000000] [--seconds 60] [--history 1 10]
                                [--rival faust --rival quix] [--environments DIRECTORY]

Contacts are there with their states and so many stored touches each; events are page views of contacts drawn by Zipf's
law, under forty rules. A backlog: the clock runs over what each reports as done between its first and its last commit,
so that starting does not count. Half load: events come at half of that rate, and touches of contacts of their own tell
how long it takes from the append until they are committed. Then more history, and the backlog's cost an event again.

Rivals read the same records with the same counting code, keep sums and upsert them; they write no history, look for no
repeats, decide nothing. Each has its packages from PyPI in an environment of its own, below `--environments`.
"""

import argparse
import asyncio
import itertools
import random
import secrets
import statistics
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import UUID

import asyncpg
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from rich.console import Console

from benchmarks.database import connected, plain_url
from benchmarks.machine import machine
from benchmarks.population import agreement_text, any_path, contact_of, deepen, page_view, populate, terms_of
from benchmarks.processes import Cost, children_running, cost_of, resident_megabytes
from benchmarks.rivals.environments import RIVALS, Rival, python_of
from services.client import TandemClient
from services.ingest.packing import pack_touches
from shared.events.touch import Touch
from shared.leash import leashed
from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.log.records import Record
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from tests.support.kafka import running_kafka
from tests.support.processes import ROOT, TandemProcess, clean_environment, create_topics, running_tandem
from tests.support.waiting import until

PARTITIONS = 12
_CHUNK = 1_200  # touches appended at once, about a hundred in a record
_PROBES_PER_SECOND = 20
_POLL = timedelta(milliseconds=2)


@dataclass(frozen=True, slots=True)
class Run:
    """One backlog, worked off."""

    rate: float  # events a second
    costs: dict[str, Cost]  # by process
    events: int

    def row(self, name: str) -> str:
        """Return what a process took of the processor for one event."""
        return f"{self.costs[name].cpu_seconds / self.events * 1e6:.1f} µs ({self.costs[name].cpu_seconds:.1f} CPU s)"


class Report:
    """What was measured, shown at once: a whole run takes an hour."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def add(self, what: str, value: str) -> None:
        """Show a line."""
        self._console.print(f"{what:<48}{value}", highlight=False, soft_wrap=True)


class Crowd:
    """Contacts drawn by Zipf's law: the k-th is met 1/k as often as the first."""

    def __init__(self, contacts: int) -> None:
        self._dice = random.Random(3)
        self._numbers = range(contacts)
        self._weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(contacts)))
        self._events = 0

    def touches(self, count: int) -> list[Touch]:
        """Return page views that nobody saw before, received now."""
        now = datetime.now(UTC)
        met = self._dice.choices(self._numbers, cum_weights=self._weights, k=count)
        made = []
        for number in met:
            self._events += 1
            occurred_at = now - timedelta(seconds=self._dice.randrange(60))
            path = any_path(self._dice)
            message = f"event {self._events}"
            made.append(page_view(message, contact_of(number), occurred_at=occurred_at, received_at=now, path=path))
        return made


class Bench:
    """Servers, the topic, and what runs on them."""

    def __init__(
        self, *, settings: dict[str, str], directory: Path, log: EventLog, admin: AIOKafkaAdminClient, crowd: Crowd
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.crowd = crowd
        self._log = log
        self._admin = admin
        self.appended = 0
        self._servers = {
            "postgres": min(children_running("bin/postgres")),
            "kafka": min(children_running("kafka.Kafka")),
        }

    async def append(self, touches: Sequence[Touch]) -> None:
        """Put touches on the topic as ingest does."""
        records = pack_touches(((touch, None) for touch in touches), partitions=PARTITIONS)
        # A key, though nobody needs it but those who keep state by it.
        await self._log.append("touches", [_keyed(record) for record in records])
        self.appended += len(records)

    async def backlog(self, events: int) -> None:
        """Put as many events on the topic."""
        for first in range(0, events, _CHUNK):
            await self.append(self.crowd.touches(min(_CHUNK, events - first)))

    async def done(self, group: str) -> int:
        """Return how many records a group has committed."""
        offsets = await self._admin.list_consumer_group_offsets(group)
        return sum(max(0, each.offset) for place, each in offsets.items() if place.topic == "touches")

    async def worked_off(self, group: str, pid: int, *, events: int, before: int) -> Run:
        """Return how fast the group works off all that it has not committed yet."""
        costs, began, at = self._costs(group, pid), before, before
        started = ended = perf_counter()
        moved = ended
        while at < self.appended:
            await asyncio.sleep(0.1)
            now = await self.done(group)
            if now > at:
                ended = moved = perf_counter()
                if at == before:  # its first commit: from here on it runs
                    costs, began, started = self._costs(group, pid), now, ended
                at = now
            if perf_counter() - moved > 300:
                raise RuntimeError(f"{group} stands still at {at} of {self.appended} records")
        share = (self.appended - began) / (self.appended - before)
        spent = {name: cost.since(costs[name]) for name, cost in self._costs(group, pid).items()}
        return Run(events * share / max(ended - started, 0.001), spent, max(1, round(events * share)))

    def _costs(self, group: str, pid: int) -> dict[str, Cost]:
        return {name: cost_of(each) for name, each in {group: pid, **self._servers}.items()}


async def main() -> None:
    """Run the benchmark and print what it finds as it finds it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=int, default=60, help="of half load")
    parser.add_argument("--history", type=int, nargs=2, default=(1, 10), help="touches stored of each contact")
    parser.add_argument("--rival", action="append", choices=sorted(RIVALS), default=[])
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "tandem-rivals")
    arguments = parser.parse_args()
    pythons = {name: python_of(RIVALS[name], arguments.environments) for name in arguments.rival}
    report = Report(Console(width=140))
    report.add("the scorer, kafka log", machine())
    less, more = arguments.history
    async with open_bench(contacts=arguments.contacts, touches=less) as bench:
        await bench.backlog(arguments.events)
        async with scorer(bench) as process:
            run = await bench.worked_off("scorer", process.pid, events=arguments.events, before=0)
            _add(report, f"Tandem, {arguments.contacts * less:,} touches stored", run, "scorer")
        for name, python in pythons.items():
            rival = await rivalry(bench, RIVALS[name], python, events=arguments.events)
            _add(report, f"{name}, at least once", rival, RIVALS[name].group)
            report.add(f"Tandem against {name}", f"{run.rate / rival.rate:.2f} times")
        async with scorer(bench) as process:
            await _half_load(report, bench, process, rate=run.rate / 2, seconds=arguments.seconds)
        await deepen(bench.settings["TANDEM_DATABASE_URL"], terms_of(agreement_text()), contacts=arguments.contacts,
                     touches=more - less)  # fmt: skip
        before = await bench.done("scorer")
        await bench.backlog(arguments.events)
        async with scorer(bench) as process:
            deep = await bench.worked_off("scorer", process.pid, events=arguments.events, before=before)
            _add(report, f"Tandem, {arguments.contacts * more:,} touches stored", deep, "scorer")


@asynccontextmanager
async def open_bench(*, contacts: int, touches: int) -> AsyncIterator[Bench]:
    """Start the servers and fill the database."""
    keys = {role: f"{role}_{secrets.token_hex(16)}" for role in ("marketing", "sales")}
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        keys_file = directory / "keys.yaml"
        keys_file.write_text(yaml.safe_dump([{"role": role, "name": role, "key": key} for role, key in keys.items()]))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres", max_connections=200))
        kafka = await stack.enter_async_context(running_kafka())
        settings = {
            "TANDEM_DATABASE_URL": postgres.url,
            "TANDEM_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TANDEM_KEYS_FILE": str(keys_file),
            "TANDEM_LOG_LEVEL": "warning",
            "TANDEM_TOPIC_PARTITIONS": str(PARTITIONS),
        }
        await migrate(postgres.url)
        await create_topics(settings, directory)
        await populate(postgres.url, terms_of(agreement_text()), contacts=contacts, touches=touches)
        log = await stack.enter_async_context(
            open_log(
                kafka_bootstrap=kafka.bootstrap,
                database_url=postgres.url,
                name="bench",
                append_timeout=timedelta(seconds=60),
            )
        )
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        stack.push_async_callback(admin.close)
        bench = Bench(settings=settings, directory=directory, log=log, admin=admin, crowd=Crowd(contacts))
        async with scorer(bench) as process:
            draft = await TandemClient(process.url, keys["marketing"]).propose(agreement_text())
            for key in keys.values():
                await TandemClient(process.url, key).sign(draft["version"])
        yield bench


def scorer(bench: Bench) -> AbstractAsyncContextManager[TandemProcess]:
    """Run one scorer."""
    return running_tandem("scorer", settings=bench.settings, log=bench.directory / "scorer.log")


async def rivalry(bench: Bench, rival: Rival, python: Path, *, events: int) -> Run:
    """Have a rival work off all that is on the topic, into a table of as many contacts."""
    url = bench.settings["TANDEM_DATABASE_URL"]
    name = rival.name
    async with connected(url) as connection:
        await connection.execute(
            f"CREATE TABLE public.rival_{name} (id uuid PRIMARY KEY, sums bytea NOT NULL) WITH (fillfactor = 70)"
        )
        await connection.execute(f"INSERT INTO public.rival_{name} SELECT id, state FROM scorer.contact")
        await connection.execute(f"VACUUM ANALYZE public.rival_{name}")
    directory = bench.directory / name
    directory.mkdir()
    environment = clean_environment(
        {
            "RIVAL_KAFKA": bench.settings["TANDEM_KAFKA_BOOTSTRAP"],
            "RIVAL_DATABASE": plain_url(url),
            "RIVAL_TABLE": f"rival_{name}",
            "RIVAL_DIRECTORY": str(directory),
            "RIVAL_PARTITIONS": str(PARTITIONS),
        }
    )
    process = _start(rival, python, environment, directory / "log")
    try:
        return await bench.worked_off(rival.group, process.pid, events=events, before=0)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{(directory / 'log').read_text(errors='replace')[-4000:]}") from None
    finally:
        process.kill()
        process.wait()


def _start(rival: Rival, python: Path, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    command = leashed(str(python), "-m", rival.module)
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )


async def _half_load(report: Report, bench: Bench, process: TandemProcess, *, rate: float, seconds: int) -> None:
    """Append at a rate; measure from the append of a touch until it can be seen committed, and the memory meanwhile."""
    milliseconds: list[float] = []
    marks: list[float] = []
    async with connected(bench.settings["TANDEM_DATABASE_URL"]) as connection:
        prober = asyncio.create_task(_probe(bench, connection, milliseconds, seconds=seconds))
        started = perf_counter()
        sent = 0
        while (passed := perf_counter() - started) < seconds:
            due = int(passed * rate) - sent
            if due >= rate / 50:
                await bench.append(bench.crowd.touches(due))
                sent += due
            if passed >= len(marks) * seconds / 6:
                marks.append(resident_megabytes(process.pid))
            await asyncio.sleep(0.005)
        await prober
    report.add("half load", f"{sent / seconds:,.0f} events a second for {seconds} s")
    quantiles = statistics.quantiles(milliseconds, n=100)
    report.add(
        "event to committed, p50 / p99", f"{quantiles[49]:.0f} / {quantiles[98]:.0f} ms ({len(milliseconds)} probes)"
    )
    shown = ", ".join(f"{mark:.0f}" for mark in marks)
    report.add("memory meanwhile", f"{shown} MB; peak {cost_of(process.pid).peak_megabytes:.0f} MB")


async def _probe(bench: Bench, connection: asyncpg.Connection, milliseconds: list[float], *, seconds: int) -> None:
    seen = await connection.prepare("SELECT EXISTS (SELECT FROM scorer.touch WHERE contact_id = $1)")
    started = perf_counter()
    for number in range(seconds * _PROBES_PER_SECOND):
        due = started + number / _PROBES_PER_SECOND
        if (early := due - perf_counter()) > 0:
            await asyncio.sleep(early)
        contact, now = UUID(int=random.getrandbits(128)), datetime.now(UTC)
        probe = page_view(f"probe {contact}", contact, occurred_at=now, received_at=now, path="/")
        appending = perf_counter()
        await bench.append([probe])
        await until(partial(seen.fetchval, contact), seconds=60, what="a probe committed", poll=_POLL)
        milliseconds.append((perf_counter() - appending) * 1000)


def _keyed(record: Record) -> Record:
    return replace(record, key=b"%d" % (record.partition or 0))


def _add(report: Report, title: str, run: Run, name: str) -> None:
    report.add(title, f"{run.rate:,.0f} events a second, {run.events:,} of them")
    report.add("    its process", f"{run.row(name)}, peak {run.costs[name].peak_megabytes:.0f} MB")
    report.add("    postgres; kafka", f"{run.row('postgres')}; {run.row('kafka')}")


if __name__ == "__main__":
    asyncio.run(main())

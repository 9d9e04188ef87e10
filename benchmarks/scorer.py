"""What the scorer takes from Kafka into PostgreSQL, exactly once; beside it the same sums on other stream processors.

    python -m benchmarks.scorer [--contacts 1000000] [--events 2000000] [--seconds 60] [--history 1 10]
                                [--rival faust --rival quix] [--environments DIRECTORY]
                                [--cgroup DIRECTORY --cgroup DIRECTORY]

Contacts are there with their states and so many stored touches each; events are page views of contacts drawn by Zipf's
law, under forty rules. A backlog: the clock runs over what each reports as done between its first and its last commit,
so that starting does not count. Half load: events come at half of that rate, and touches of contacts of their own tell
how long it takes from the append until they are committed. Two scorers work off a backlog together; with two --cgroup,
each in a control group that was given less than a core: one alone, and both. Then a backlog again, and one with more
history.

Rivals read the same records with the same counting code, keep sums and upsert them; they write no history, look for no
repeats, decide nothing. They run once more on a record for each touch, by its contact, as their own guides put events:
that ingest packs a hundred touches into a record is a part of Tandem's speed that they are lent in the first run. The
faster one runs again with a history: it keeps each touch once, though what it counts twice it counts twice. Each has
its packages from PyPI in an environment of its own, below `--environments`.
"""

import argparse
import asyncio
import random
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from uuid import UUID

import asyncpg
from rich.console import Console

from benchmarks.backlog import PACKED, SINGLE, Bench, Run, open_bench, packed, scorer
from benchmarks.database import connected
from benchmarks.machine import machine
from benchmarks.population import agreement_text, deepen, page_view, settle, terms_of
from benchmarks.processes import cost_of, resident_megabytes
from benchmarks.rivals.environments import RIVALS, python_of
from benchmarks.rivals.racing import group_of, race
from tests.support.processes import TandemProcess

_FEWER = 4  # times fewer touches, where each has a record
_PROBES_PER_SECOND = 20
_POLL = timedelta(milliseconds=2)
_TOGETHER = 2  # scorers
_STRETCH = (0.25, 0.9)  # of a backlog that several work off: all of them run by then, and still
_WARM_UP = 5  # seconds of half load before anything is measured: the process has only just begun


class Report:
    """What was measured, shown at once: a whole run takes an hour."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def add(self, what: str, value: str) -> None:
        """Show a line."""
        self._console.print(f"{what:<48}{value}", highlight=False, soft_wrap=True)


async def main() -> None:
    """Run the benchmark and print what it finds as it finds it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=int, default=60, help="of half load")
    parser.add_argument("--history", type=int, nargs=2, default=(1, 10), help="touches stored of each contact")
    parser.add_argument("--rival", action="append", choices=sorted(RIVALS), default=[])
    parser.add_argument("--cgroup", action="append", type=Path, default=[], help="for a scorer; as root")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "tandem-rivals")
    arguments = parser.parse_args()
    if arguments.seconds <= _WARM_UP:
        parser.error(f"--seconds: more than {_WARM_UP}, which nobody measures")
    pythons = {name: python_of(RIVALS[name], arguments.environments) for name in arguments.rival}
    report = Report(Console(width=140))
    report.add("the scorer, kafka log", machine())
    less, more = arguments.history
    async with open_bench(contacts=arguments.contacts, touches=less) as bench:
        database = bench.settings["TANDEM_DATABASE_URL"]
        await bench.backlog(arguments.events)
        async with scorer(bench) as process:
            run = await bench.worked_off("scorer", process.pid, events=arguments.events, before=0)
            _add(report, f"Tandem, {arguments.contacts * less:,} touches stored", run, "scorer")
        fewer = arguments.events // _FEWER
        if pythons:
            await bench.backlog_of_singles(fewer)
        for name, python in pythons.items():
            rival = RIVALS[name]
            arms = [(PACKED, arguments.events, False), (SINGLE, fewer, False)]
            if rival.keeps_history:
                arms += [(PACKED, arguments.events, True), (SINGLE, fewer, True)]
            for topic, events, history in arms:
                raced = await race(bench, rival, python, events=events, topic=topic, history=history)
                how = "a hundred in a record" if topic == PACKED else "single"
                what = f"{name}, {how}{', history kept' if history else ''}"
                _add(report, what, raced, group_of(rival, topic, history=history))
                report.add(f"Tandem against {name}", f"{run.rate / raced.rate:.2f} times")
        await settle(database)
        async with scorer(bench) as process:
            await _half_load(report, bench, process, rate=run.rate / 2, seconds=arguments.seconds)
        together = await _together(bench, _TOGETHER, events=arguments.events)
        report.add(f"{_TOGETHER} scorers together", _times(together, run.rate))
        held = None
        for count in range(1, len(arguments.cgroup) + 1):
            rate = await _together(bench, count, events=arguments.events, cgroups=arguments.cgroup)
            report.add(f"{count} in a control group of its own each", _times(rate, held or rate))
            held = held or rate
        # One right after the other: what contacts did until then costs something, too.
        await settle(database)
        await _once_more(report, bench, "after all that", events=arguments.events)
        await deepen(database, terms_of(agreement_text()), contacts=arguments.contacts, touches=more - less)
        await _once_more(report, bench, f"{arguments.contacts * (more - less):,} more stored", events=arguments.events)


async def _once_more(report: Report, bench: Bench, title: str, *, events: int) -> None:
    before = await bench.done("scorer", PACKED)
    await bench.backlog(events)
    async with scorer(bench) as process:
        run = await bench.worked_off("scorer", process.pid, events=events, before=before)
    _add(report, title, run, "scorer")


async def _together(bench: Bench, count: int, *, events: int, cgroups: Sequence[Path] = ()) -> float | None:
    """Return how many events a second scorers work off together, once all run; None if that is over too soon."""
    before = await bench.done("scorer", PACKED)
    await bench.backlog(events)
    async with AsyncExitStack() as running:
        for number in range(count):
            process = await running.enter_async_context(scorer(bench))
            if cgroups:
                (cgroups[number] / "cgroup.procs").write_text(str(process.pid))
        waiting = bench.appended[PACKED] - before
        (first, began), (last, ended) = [
            await bench.reached("scorer", PACKED, before + int(share * waiting)) for share in _STRETCH
        ]
        if last == first:
            return None
        return (last - first) / waiting * events / (ended - began)


def _times(rate: float | None, one: float | None) -> str:
    return f"{rate:,.0f} events a second, {rate / one:.2f} times one" if rate and one else "too soon over"


async def _half_load(report: Report, bench: Bench, process: TandemProcess, *, rate: float, seconds: int) -> None:
    """Append at a rate; measure from the append of a touch until it can be seen committed, and the memory meanwhile."""
    marks: list[float] = []
    portion = int(rate / 100)  # never more at once, not even to catch up: bursts of ours would be measured, too
    # Made before: on cores that the servers share, making them would take a third of both.
    prepared = [packed(bench.crowd.touches(portion)) for _ in range(int(seconds * rate) // portion)]
    async with connected(bench.settings["TANDEM_DATABASE_URL"]) as connection:
        prober: asyncio.Task[list[float]] | None = None
        started = perf_counter()
        sent = 0
        while (passed := perf_counter() - started) < seconds:
            if prober is None and passed >= _WARM_UP:
                prober = asyncio.create_task(_probe(bench, connection, seconds=seconds - _WARM_UP))
            while int(passed * rate) - sent >= portion:
                await bench.append(prepared[sent // portion])
                sent += portion
            if passed >= len(marks) * seconds / 6:
                marks.append(resident_megabytes(process.pid))
            await asyncio.sleep(_POLL.total_seconds())
        assert prober is not None, "the half load lasts longer than it takes to warm up"
        milliseconds = await prober
    report.add("half load", f"{sent / seconds:,.0f} events a second for {seconds} s")
    quantiles = statistics.quantiles(milliseconds, n=100)
    report.add(
        "event to committed, p50 / p99", f"{quantiles[49]:.0f} / {quantiles[98]:.0f} ms ({len(milliseconds)} probes)"
    )
    shown = ", ".join(f"{mark:.0f}" for mark in marks)
    report.add("memory meanwhile", f"{shown} MB; peak {cost_of(process.pid).peak_megabytes:.0f} MB")


async def _probe(bench: Bench, connection: asyncpg.Connection, *, seconds: int) -> list[float]:
    """Append a touch of a contact of its own at each due instant, and return after how many ms each was committed.

    However late the earlier ones are: who waits for them would ask less often while it is slow.
    """
    seen = await connection.prepare("SELECT contact_id FROM scorer.touch WHERE contact_id = ANY($1::uuid[])")
    appended: dict[UUID, float] = {}
    milliseconds = []

    async def send_all() -> None:
        started = perf_counter()
        for number in range(seconds * _PROBES_PER_SECOND):
            due = started + number / _PROBES_PER_SECOND
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            contact, now = UUID(int=random.getrandbits(128)), datetime.now(UTC)
            probe = page_view(f"probe {contact}", contact, occurred_at=now, received_at=now, path="/")
            appended[contact] = perf_counter()
            sending.append(asyncio.create_task(bench.append(packed([probe]))))

    sending: list[asyncio.Task[None]] = []
    sending.append(asyncio.create_task(send_all()))
    async with asyncio.timeout(seconds + 60):
        while appended or not sending[0].done():
            rows = await seen.fetch(list(appended))
            milliseconds += [(perf_counter() - appended.pop(row["contact_id"])) * 1000 for row in rows]
            await asyncio.sleep(_POLL.total_seconds())
        await asyncio.gather(*sending)
    return milliseconds


def _add(report: Report, title: str, run: Run, name: str) -> None:
    report.add(title, f"{run.rate:,.0f} events a second, {run.events:,} of them")
    report.add("    its process", f"{run.row(name)}, peak {run.costs[name].peak_megabytes:.0f} MB")
    report.add("    postgres; kafka", f"{run.row('postgres')}; {run.row('kafka')}")


if __name__ == "__main__":
    asyncio.run(main())

"""A draft over a stored history: how long a simulation takes, what it costs, and how little of it the scorer notices.

    python -m benchmarks.simulation [--touches 1000000] [--contacts 100000]

The history is written straight into the tables. The simulation is the real thing: asked for as over HTTP, claimed by
the scorer's worker, done by the process that it starts. Beside it this process counts how long its own event loop is
held up, which is what a scorer beside it would feel.
"""

import argparse
import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import UUID

import msgspec
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.machine import machine
from benchmarks.processes import Cost, children_running, cost_of
from services.scorer.domain.accepting import Published
from services.scorer.domain.state import ContactState, account_id, encode_state
from services.scorer.shadowing import Shadowing
from services.scorer.simulation_asking import Asking
from services.scorer.simulation_worker import simulating_worker
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.shadows import ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import Simulation, SimulationStatus, SimulationStore
from services.scorer.store.touch_copy import Kept, copy_touches
from shared.agreement.hashing import content_hash
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.clock import utc_now
from shared.events.touch import Touch, TouchType, encode_touch
from shared.ids import contact_id, touch_id
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.engine import open_engine
from shared.postgres.migrate import migrate
from tests.support.processes import ROOT

DAYS = 180  # of which a simulation looks at 90: the rest counts for what is left of it
AT_ONCE = 20_000
COLLEAGUES = 4  # in each company
PATHS = (
    *("/", "/about", "/product", "/product/tour", "/docs/start", "/docs/api", "/blog/late-trucks", "/blog/rates"),
    *("/pricing", "/customers/baltic-freight", "/compare/spreadsheets", "/integrations/sap", "/careers"),
)
TITLES = ("Director of Logistics", "VP Operations", "Analyst", "Student", "Head of Supply Chain", "Buyer")
INDUSTRIES = ("logistics", "manufacturing", "software", "retail", "wholesale")


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--contacts", type=int, default=100_000)
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(machine())
    with TemporaryDirectory(prefix="tandem-bench-") as directory:
        Path(directory).chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        async with EmbeddedPostgres(Path(directory) / "postgres") as postgres:
            await migrate(postgres.url)
            async with open_engine(postgres.url, name="benchmark") as engine:
                await fill(engine, touches=arguments.touches, contacts=arguments.contacts)
                asked = await ask(engine)
                console.print(await measure(engine, postgres.url, asked))


async def fill(engine: AsyncEngine, *, touches: int, contacts: int) -> None:
    """Write the active agreement, the contacts and their touches."""
    agreements = AgreementStore()
    written = (ROOT / "examples/agreement.yaml").read_text()
    parsed = parse_agreement(written)
    assert isinstance(parsed, Agreement)
    digest = content_hash(parsed)
    async with engine.begin() as connection:
        draft, _ = await agreements.propose(
            connection, parsed, content_hash=digest, text=written, by="benchmark", now=utc_now()
        )
        for side in ("marketing", "sales"):
            await agreements.sign(
                connection,
                draft.version,
                content_hash=digest,
                side=side,
                by="benchmark",
                key_fingerprint=side,
                clock=utc_now,
            )
    ids = [contact_id("email", f"person{number}@{company_of(number)}") for number in range(contacts)]
    accounts = [account_id(company_of(number)) for number in range(contacts)]
    state = encode_state(ContactState())
    for first in range(0, contacts, AT_ONCE):
        async with engine.begin() as connection:
            await connection.exec_driver_sql(
                "INSERT INTO scorer.contact (id, account_id, state, agreement) "
                "SELECT id, account_id, $3, 1 FROM unnest($1::uuid[], $2::uuid[]) AS new (id, account_id)",
                (ids[first : first + AT_ONCE], accounts[first : first + AT_ONCE], state),
            )
    made = rows(ids, touches)
    for _ in range(0, touches, AT_ONCE):
        async with engine.begin() as connection:
            await copy_touches(connection, [row for _, row in zip(range(AT_ONCE), made, strict=False)])
    async with engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))


def company_of(number: int) -> str:
    """Return the domain of the company of a contact; each has some colleagues."""
    return f"firm{number // COLLEAGUES}.example"


def rows(ids: Sequence[UUID], touches: int) -> Iterator[Kept]:
    """Yield touches in the order in which they came: a tenth of the contacts did half of it."""
    rng = random.Random(4)
    start = datetime.now(UTC) - timedelta(days=DAYS)
    known: set[UUID] = set()
    for number in range(touches):
        which = int(len(ids) * rng.random() ** 3.3)
        person = ids[which]
        at = start + number / touches * timedelta(days=DAYS)
        fields: dict[str, object] = {"type": TouchType.PAGE, "path": rng.choice(PATHS), "title": "A page of the site"}
        if person not in known:
            known.add(person)
            fields = {
                "type": TouchType.IDENTIFY,
                "traits": {"title": rng.choice(TITLES), "name": f"Person {number}"},
                "account_domain": company_of(which),
                "account_traits": {"industry": rng.choice(INDUSTRIES), "employees": rng.randrange(10, 9000)},
            }
        elif number % 50 == 0:
            fields = {"type": TouchType.TRACK, "name": "Email Link Clicked"}
        elif number % 5000 == 1:
            fields = {"type": TouchType.TRACK, "name": "Form Submitted", "properties": {"form": "demo"}}
        touch = Touch(
            **{  # type: ignore[arg-type]  # one of the three kinds above
                "id": touch_id("website", str(number)),
                "contact_id": person,
                "source": "website",
                "kind": "web",
                "occurred_at": at,
                "received_at": at,
                "url": "https://www.example.com/a/page/of/the/site?utm_source=newsletter&utm_campaign=spring",
                "referrer": "https://www.example.com/",
                **fields,
            }
        )
        yield person, [Published.of(touch, msgspec.Raw(encode_touch(touch)))]


async def ask(engine: AsyncEngine) -> Simulation:
    """Ask for a draft that differs in prices, threshold and half-life."""
    changed = (ROOT / "examples/agreement.yaml").read_text()
    for old, new in (("half_life: 30d", "half_life: 45d"), ("engagement: 50, fit: 50", "engagement: 45, fit: 40")):
        assert old in changed
        changed = changed.replace(old, new)
    parsed = parse_agreement(changed)
    assert isinstance(parsed, Agreement)
    asking = Asking(since="90d", segment="account.industry", capacity=100, by="benchmark", at=utc_now())
    asked = asking.text(changed, parsed, active=1)
    async with engine.begin() as connection:
        await SimulationStore().add(connection, asked)
    return asked


async def measure(engine: AsyncEngine, url: str, asked: Simulation) -> Table:
    """Have the simulation done and return what was seen of it."""
    simulations, shadows = SimulationStore(), ShadowStore()
    wake, stopping = asyncio.Event(), asyncio.Event()
    shadowing = Shadowing(engine, shadows=shadows, simulations=simulations, agreements=AgreementStore(), clock=utc_now)
    worker = simulating_worker(
        engine,
        simulations=simulations,
        shadowing=shadowing,
        database_url=url,
        owner="benchmark",
        clock=utc_now,
        every=timedelta(milliseconds=200),
        wake=wake,
    )
    server = min(children_running("bin/postgres"))
    server_before = cost_of(server)
    child = Cost(0, 0)
    held_up = 0.0
    started = perf_counter()
    running = asyncio.create_task(worker(stopping))
    while True:
        async with engine.connect() as connection:
            found = await simulations.read(connection, asked.id)
        assert found is not None
        if found.status in {SimulationStatus.DONE, SimulationStatus.FAILED}:
            break
        for pid in children_running("services.scorer.simulation_process"):
            child = cost_of(pid)
        for _ in range(10):
            before = perf_counter()
            await asyncio.sleep(0.01)
            held_up = max(held_up, perf_counter() - before - 0.01)
    seconds = perf_counter() - started
    stopping.set()
    await running
    assert found.status is SimulationStatus.DONE, found.problem
    async with engine.connect() as connection:
        kinds = await SimulatedLeadStore().kinds(connection, asked.id)
    server_cost = cost_of(server).since(server_before)
    table = Table("simulation of 90 days", "value", title=f"{found.touches:,} touches of {found.contacts:,} contacts")
    table.add_row("time", f"{seconds:.1f} s, {found.touches / seconds:,.0f} touches a second")
    table.add_row("its process", str(child))
    table.add_row("PostgreSQL", str(server_cost))
    table.add_row("the scorer's event loop held up by at most", f"{held_up * 1000:.0f} ms")
    table.add_row("leads", ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    return table


if __name__ == "__main__":
    asyncio.run(main())

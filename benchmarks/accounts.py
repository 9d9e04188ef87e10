"""What accounts cost the scorer: CPU of its process for each touch, with and without `accounts:` in the agreement.

    python -m benchmarks.accounts [--rounds 12] [--touches 4000]

Two scorers on databases of their own get the same touches in turn, so that both meet the same machine. Every contact is
of a company, ten of each, and earns enough to count; on a real site most visitors have no company, and cost nothing.
"""

import argparse
import asyncio
import random
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

from rich.console import Console

from benchmarks.machine import machine
from shared.events.touch import Touch, TouchType, encode_touches
from shared.ids import contact_id, touch_id
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from tests.integration.scorer.conftest import Rig, open_rig
from tests.support.accounts_text import ACCOUNTS_TEXT
from tests.support.touches import NOON, TEXT

CONTACTS = 20_000
EACH = 10  # people of a company
LOOKED_AT = 500  # accounts, in one look: what the worker takes


def views(dice: random.Random, number: int, touches: int) -> bytes:
    """Return one record of touches, half of them of a tenth of the contacts."""
    made = []
    for place in range(touches):
        person = int(CONTACTS * dice.random() ** 3.3)
        at = NOON + timedelta(seconds=number)
        made.append(
            Touch(
                id=touch_id("bench", f"{number} {place}"),
                contact_id=contact_id("user", f"person{person}"),
                source="bench",
                kind="web",
                type=TouchType.PAGE,
                path="/pricing" if place % 3 else "/docs",
                occurred_at=at,
                received_at=at,
                account_domain=f"firm{person // EACH}.example",
            )
        )
    return encode_touches(made)


async def score(rig: Rig, record: bytes) -> float:
    """Return the CPU seconds of this process for scoring one record."""
    batch = await rig.batch(record)
    began = process_time()
    await rig.scorer.handle([batch])
    spent = process_time() - began
    rig.passed(batch)
    return spent


async def look(rig: Rig) -> float:
    """Return the CPU seconds of one look at accounts."""
    began = process_time()
    await rig.decider.decide(limit=LOOKED_AT)
    return process_time() - began


async def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--touches", type=int, default=4_000)
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(machine())
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        rigs = []
        for name, text in (("without", TEXT), ("with", ACCOUNTS_TEXT)):
            postgres = await stack.enter_async_context(EmbeddedPostgres(directory / name))
            await migrate(postgres.url)
            rig = await stack.enter_async_context(open_rig(postgres.url))
            await rig.activate(text)
            rigs.append(rig)
        without, with_accounts = rigs
        dice = random.Random(1)
        plain: list[float] = []
        counted: list[float] = []
        looks: list[float] = []
        for number in range(arguments.rounds):
            record = views(dice, number, arguments.touches)
            order = [(without, plain), (with_accounts, counted)]
            for rig, spent in order if number % 2 else reversed(order):
                spent.append(await score(rig, record) / arguments.touches * 1e6)
            looks.append(await look(with_accounts))
    console.print(f"a touch, agreement without accounts: {median(plain[2:]):.1f} µs")
    console.print(f"a touch, agreement with accounts:    {median(counted[2:]):.1f} µs")
    console.print(f"a look at {LOOKED_AT} accounts:           {median(looks[2:]) * 1000:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())

"""A rival on the backlog that Tandem's scorer worked off."""

import subprocess
from pathlib import Path

from benchmarks.backlog import PACKED, PARTITIONS, Bench, Run
from benchmarks.database import connected, plain_url
from benchmarks.rivals.environments import Rival
from shared.leash import leashed
from tests.support.processes import ROOT, clean_environment


def group_of(rival: Rival, topic: str, *, history: bool = False) -> str:
    """Return the rival's consumer group for a topic."""
    return f"rival-{rival.name}-{topic}{'-history' if history else ''}"


async def race(bench: Bench, rival: Rival, python: Path, *, events: int, topic: str, history: bool = False) -> Run:
    """Have a rival work off all that is on the topic, into a table of as many contacts.

    `history`: and keep the touches, in a table that is empty at first.
    """
    url = bench.settings["TANDEM_DATABASE_URL"]
    group = group_of(rival, topic, history=history)
    name = group.removeprefix("rival-").replace("-", "_").replace(".", "_")
    async with connected(url) as connection:
        await connection.execute(
            f"CREATE TABLE public.rival_{name} (id uuid PRIMARY KEY, sums bytea NOT NULL) WITH (fillfactor = 70)"
        )
        await connection.execute(f"INSERT INTO public.rival_{name} SELECT id, state FROM scorer.contact")
        await connection.execute(f"VACUUM ANALYZE public.rival_{name}")
        await connection.execute(f"CREATE TABLE public.rival_{name}_touch (LIKE scorer.touch INCLUDING ALL)")
    directory = bench.directory / name
    directory.mkdir()
    environment = clean_environment(
        {
            "RIVAL_KAFKA": bench.settings["TANDEM_KAFKA_BOOTSTRAP"],
            "RIVAL_DATABASE": plain_url(url),
            "RIVAL_TABLE": f"rival_{name}",
            "RIVAL_DIRECTORY": str(directory),
            "RIVAL_PARTITIONS": str(PARTITIONS),
            "RIVAL_TOPIC": topic,
            "RIVAL_GROUP": group,
            "RIVAL_HISTORY": "kept" if history else "",
            "RIVAL_TOUCHES": "100" if topic == PACKED else "1",
        }
    )
    process = _start(rival, python, environment, directory / "log")
    try:
        return await bench.worked_off(group, process.pid, events=events, before=0, topic=topic)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{(directory / 'log').read_text(errors='replace')[-4000:]}") from None
    finally:
        process.kill()
        process.wait()
        async with connected(url) as connection:
            await connection.execute(f"DROP TABLE public.rival_{name}, public.rival_{name}_touch")


def _start(rival: Rival, python: Path, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    command = leashed(str(python), "-m", rival.module)
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )

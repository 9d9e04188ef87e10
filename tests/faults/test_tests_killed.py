"""Tests that are killed, as by a time limit: nothing that they started stays."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment
from tests.support.waiting import until

TESTS = """
import asyncio, sys
from pathlib import Path
from tests.support.processes import TandemProcess

async def main(directory):
    process = TandemProcess("up", "--data-dir", f"{directory}/data", settings={}, log=directory / "tandem.log")
    process.start()
    await process.ready(seconds=60)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a program that its parent has ended")
async def test_nothing_outlives_the_tests_that_started_it(open_directory: Path) -> None:
    """Neither Tandem nor its PostgreSQL."""
    tests = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TESTS, str(open_directory)),
        cwd=ROOT,
        env=clean_environment({}),
        stdout=asyncio.subprocess.PIPE,
    )
    assert tests.stdout is not None
    assert await tests.stdout.readline() == b"ready\n"
    before = running_on(open_directory)

    tests.kill()
    await tests.wait()

    async def gone() -> bool:
        return not running_on(open_directory)

    await until(gone, what=lambda: f"gone: {running_on(open_directory)}")
    assert {"tandem", "postgres"} <= {Path(word).name for command in before for word in command.split()}


def running_on(directory: Path) -> list[str]:
    """Return the commands of the processes that have the directory among their arguments."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if f"{directory}/" in command:
            commands.append(command)
    return commands

"""The OpenAPI document against the running services: what it says is what they do, whatever is sent."""

import asyncio
import sys
from pathlib import Path

from shared.leash import leashed
from tests.e2e.conftest import Install, sign_agreement
from tests.support.processes import clean_environment, running_tandem

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
# Until somebody says how its endpoint answers it asks for the same again later, with a 503 on purpose.
NOT_YET = "/v1/hooks/crm/{endpoint}"
MOST_SECONDS = 90  # of one run, on a machine that is busy; idle it takes a tenth of that
# Whose key, which paths, and how: each limit of each parameter on its own as well, where there are parameters.
RUNS = [
    ("source", "--include-tag", "fuzzing"),
    ("sales", "--exclude-tag", "coverage,fuzzing"),
    ("admin", "--exclude-tag", "coverage,fuzzing"),
]


async def test_everything_that_the_document_allows(install: Install) -> None:
    """No 500, and no answer of a status, media type or shape that is not documented. The same requests each time."""
    async with running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as tandem:
        await sign_agreement(tandem.url, install.keys)
        for role, selection, phases in RUNS:
            status, told = await schemathesis(tandem.url, install, role, selection, phases)

            assert status == 0, f"with the key of {role}: {told[-8000:]}\n{tandem.log_text()}"
            assert "Tested: 0" not in told


async def schemathesis(url: str, install: Install, role: str, selection: str, phases: str) -> tuple[int | None, str]:
    """Run it and return its exit code and what it told."""
    process = await asyncio.create_subprocess_exec(
        *leashed(str(SCHEMATHESIS)),
        "--no-color",
        "run",
        f"{url}/openapi.json",
        *(selection, "events"),
        *("--exclude-path", NOT_YET),
        *("--checks", ",".join(CHECKS)),
        *("--phases", phases),
        *("--max-examples", "5"),
        "--generation-deterministic",
        "--no-shrink",
        *("--warnings", "off"),
        *("--request-timeout", "20"),
        *("--header", f"Authorization: Bearer {install.keys[role]}"),
        cwd=install.directory,
        env={**clean_environment({}), "HOME": str(install.directory)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(), MOST_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode, told.decode()

"""Tandem as its users run it: real processes on real servers."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import pytest
import pytest_asyncio
import yaml

from services.client import TandemClient
from services.receiver import WebhookReceiver, open_receiver
from shared.leash import leashed
from tests.support.kafka import empty_kafka
from tests.support.postgres import PostgresServer
from tests.support.processes import ROOT, TANDEM, TandemProcess, clean_environment, running_tandem


@dataclass(frozen=True, slots=True)
class Install:
    """The keys and settings of one install; `settings` go to each of its processes."""

    settings: dict[str, str]
    keys: dict[str, str]
    directory: Path

    def on_kafka(self, bootstrap: str) -> "Install":
        """Return the same install with its log on Kafka."""
        return Install({**self.settings, "TANDEM_KAFKA_BOOTSTRAP": bootstrap}, self.keys, self.directory)


def create_install(database_url: str, directory: Path) -> Install:
    """Write the keys of an install into the directory."""
    keys = {role: f"{role}_{secrets.token_hex(12)}" for role in ("source", "marketing", "sales", "rep", "admin")}
    entries = [{"role": role, "name": role, "key": key} for role, key in keys.items()]
    entries[0]["kind"] = "web"
    keys_file = directory / "keys.yaml"
    keys_file.write_text(yaml.safe_dump(entries))
    settings = {
        "TANDEM_DATABASE_URL": database_url,
        "TANDEM_KEYS_FILE": str(keys_file),
        "TANDEM_TOPIC_PARTITIONS": "6",
        "TANDEM_DELIVERY_ALLOWED_NETWORKS": "127.0.0.0/8",
        "TANDEM_LOG_LEVEL": "warning",
    }
    return Install(settings, keys, directory)


@pytest_asyncio.fixture
async def install(database_url: str, tmp_path: Path) -> Install:
    """An install on a database of its own, with the log in it too."""
    return create_install(database_url, tmp_path)


@pytest_asyncio.fixture(scope="module")
async def shared_install(
    postgres_server: PostgresServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Install]:
    """An install that the tests of a file share: each is about people of its own."""
    name = f"shared_{uuid4().hex}"
    await postgres_server.create_database(name, template=migrated_template)
    yield create_install(postgres_server.url(name), tmp_path_factory.mktemp("shared"))
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="module")
async def tandem(shared_install: Install) -> AsyncIterator[TandemProcess]:
    """Tandem on that install, with the example agreement signed."""
    log = shared_install.directory / "tandem.log"
    async with running_tandem("up", settings=shared_install.settings, log=log) as running:
        await sign_agreement(running.url, shared_install.keys)
        yield running


@pytest_asyncio.fixture
async def own_kafka() -> AsyncIterator[str]:
    """A Kafka of the test's own, since the names of the topics are fixed."""
    async with empty_kafka() as kafka:
        yield kafka.bootstrap


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A receiver that verifies signatures."""
    async with open_receiver() as opened:
        yield opened


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that PostgreSQL's account can enter; pytest's own are closed to it when root runs the tests."""
    directory = Path(mkdtemp(prefix="tandem-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(params=["postgres", "kafka"])
async def install_on_each_log(request: pytest.FixtureRequest, install: Install) -> AsyncIterator[Install]:
    """An install, once with its log in PostgreSQL and once on a Kafka of its own."""
    if request.param == "postgres":
        yield install
        return
    async with empty_kafka() as kafka:
        yield install.on_kafka(kafka.bootstrap)


def someone(like: str = "ada") -> str:
    """Return a person whom nobody sent anything about."""
    return f"{like}-{secrets.token_hex(4)}"


async def sign_agreement(url: str, keys: dict[str, str], text: str | None = None) -> int:
    """Propose the example agreement, sign it for both sides, return its version."""
    text = text or (ROOT / "examples/agreement.yaml").read_text()
    draft = await TandemClient(url, keys["marketing"]).propose(text)
    await TandemClient(url, keys["marketing"]).sign(draft["version"])
    signed = await TandemClient(url, keys["sales"]).sign(draft["version"])
    assert signed["status"] == "active"
    return int(signed["version"])


async def apply_team(url: str, keys: dict[str, str], receiver: WebhookReceiver, *, capacity: int = 100_000) -> None:
    """Set up one rep, one pool, and the receiver as the endpoint."""
    team = {
        "reps": [{"name": "Robin", "email": "robin@example.com", "capacity": capacity}],
        "pools": [{"name": "everyone", "members": [{"rep": "Robin"}]}],
        "default_pool": "everyone",
        "endpoints": [{"name": "crm", "url": receiver.url}],
    }
    applied = await TandemClient(url, keys["admin"]).apply_team(yaml.safe_dump(team))
    receiver.secret = applied["endpoints"][0]["secret"]


async def run(*arguments: str, install: Install, url: str) -> str:
    """Run the command line as marketing, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *leashed(str(TANDEM), *arguments),
        env=clean_environment({"TANDEM_URL": url, "TANDEM_KEY": install.keys["marketing"]}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return printed.decode()

"""The whole of Tandem as it runs in production: real servers, one process a service, a receiver for the webhooks."""

import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks.processes import Cost, children_running, cost_of
from services.client import TandemClient
from services.receiver import WebhookReceiver, open_receiver
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from tests.support.kafka import KafkaServer, running_kafka
from tests.support.processes import ROOT, TandemProcess, create_topics

SERVICES = ("ingest", "scorer", "router")


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and what each part has cost."""

    services: dict[str, TandemProcess]
    receiver: WebhookReceiver
    database_url: str
    kafka: KafkaServer | None
    keys: dict[str, str]
    server_pids: dict[str, int]

    def costs(self) -> dict[str, Cost]:
        """Return the cost of each process so far."""
        pids = {name: process.pid for name, process in self.services.items()} | self.server_pids
        return {name: cost_of(pid) for name, pid in pids.items()}


@asynccontextmanager
async def open_stack(log: str, *, scorers: int = 1, without: Collection[str] = ()) -> AsyncIterator[Stack]:
    """Start servers and services on the `kafka` or the `postgres` log.

    The example agreement is signed, without those sections that are named.
    """
    roles = ("source", "marketing", "sales", "admin")
    keys = {role: f"{role}_{secrets.token_hex(16)}" for role in roles}
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tandem-bench-")))
        directory.chmod(0o711)  # for PostgreSQL's own account, when root runs the benchmark
        entries = [{"role": role, "name": role, "key": key} for role, key in keys.items()]
        entries[0]["kind"] = "web"
        keys_file = directory / "keys.yaml"
        keys_file.write_text(yaml.safe_dump(entries))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres", max_connections=200))
        kafka = await stack.enter_async_context(running_kafka()) if log == "kafka" else None
        receiver = await stack.enter_async_context(open_receiver())
        settings = {
            "TANDEM_DATABASE_URL": postgres.url,
            "TANDEM_KEYS_FILE": str(keys_file),
            "TANDEM_LOG_LEVEL": "warning",
            "TANDEM_TOPIC_PARTITIONS": "12",
            "TANDEM_DELIVERY_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        if kafka:
            settings["TANDEM_KAFKA_BOOTSTRAP"] = kafka.bootstrap
        await migrate(postgres.url)
        await create_topics(settings, directory)
        services = {}
        more = [f"scorer {number}" for number in range(2, scorers + 1)]
        for name in (*SERVICES, *more):
            process = TandemProcess(name.split()[0], settings=settings, log=directory / f"{name}.log")
            process.start()
            stack.push_async_callback(process.stop)
            services[name] = process
        for process in services.values():
            await process.ready()
        server_pids = {"postgres": min(children_running("bin/postgres"))}
        if kafka:
            server_pids["kafka"] = min(children_running("kafka.Kafka"))
        opened = Stack(services, receiver, postgres.url, kafka, keys, server_pids)
        await _prepare(opened, without)
        yield opened


async def _prepare(stack: Stack, without: Collection[str]) -> None:
    scorer, router = stack.services["scorer"].url, stack.services["router"].url
    agreement = yaml.safe_load((ROOT / "examples/agreement.yaml").read_text())
    signed = yaml.safe_dump({section: content for section, content in agreement.items() if section not in without})
    draft = await TandemClient(scorer, stack.keys["marketing"]).propose(signed)
    await TandemClient(scorer, stack.keys["marketing"]).sign(draft["version"])
    await TandemClient(scorer, stack.keys["sales"]).sign(draft["version"])
    team = {
        "reps": [{"name": "Robin", "email": "robin@example.com", "capacity": 1_000_000}],
        "pools": [{"name": "everyone", "members": [{"rep": "Robin"}]}],
        "default_pool": "everyone",
        "endpoints": [{"name": "crm", "url": stack.receiver.url}],
    }
    applied = await TandemClient(router, stack.keys["admin"]).apply_team(yaml.safe_dump(team))
    stack.receiver.secret = applied["endpoints"][0]["secret"]

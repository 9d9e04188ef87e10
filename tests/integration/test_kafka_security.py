"""The log on brokers that ask who is there, over TLS."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.log.errors import LogUnavailable
from shared.log.kafka import open_kafka_log
from shared.log.kafka_security import KafkaSecurity
from shared.log.records import Claim, Partition, Record, Topic
from shared.postgres.embedded import free_port
from tests.support.certificates import Authority
from tests.support.kafka import kafka_or_skip, kafka_tool
from tests.support.reading import SHORT
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

USER: dict[str, Any] = {"username": "tandem", "password": "pass word'"}


@dataclass(frozen=True, slots=True)
class Secured:
    """A broker with a listener for passwords and one for certificates."""

    passwords: str
    certificates: str
    anybody: str
    authority: Authority
    directory: Path


@pytest_asyncio.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority(directory, "authority")
    certificate, key = authority.sign("broker")
    keystore = directory / "broker.pem"
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    passwords, certificates = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"

    def configure(properties: str) -> str:
        more = f",PASSWORDS://{passwords},CERTIFICATES://{certificates}"
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        properties = re.sub(r"^((?:advertised\.)?listeners=.*)$", rf"\1{more}", properties, flags=re.MULTILINE)
        protocols = "CONTROLLER:PLAINTEXT"
        properties = properties.replace(protocols, f"{protocols},PASSWORDS:SASL_SSL,CERTIFICATES:SSL")
        return f"""{properties}
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority.file}
listener.name.certificates.ssl.client.auth=required
listener.name.passwords.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.passwords.plain.sasl.jaas.config={plain} required user_{USER["username"]}="{USER["password"]}";
listener.name.passwords.scram-sha-512.sasl.jaas.config={scram} required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
"""

    async with kafka_or_skip(configure=configure) as server:
        await kafka_tool(
            "kafka.admin.ConfigCommand",
            *("--bootstrap-server", server.bootstrap, "--alter", "--entity-type", "users"),
            *("--entity-name", USER["username"], "--add-config", f"SCRAM-SHA-512=[password={USER['password']}]"),
        )
        yield Secured(passwords, certificates, server.bootstrap, authority, directory)


async def round_trip(bootstrap: str, security: KafkaSecurity) -> bytes:
    """Create a topic, append to it and read it: admin, producer and consumer."""
    topic = f"topic-{uuid4().hex}"
    async with open_kafka_log(bootstrap, client_id="secured", security=security) as log:
        await log.create_topics([Topic(topic, partitions=1, retention_hours=1)])
        await log.append(topic, [Record(b"confidential")])
        assert await log.reachable()
        (record,) = await read_topic(log, topic)
        return record.value


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_passwords_over_tls(secured: Secured, mechanism: str) -> None:
    """Each of the log's clients says who it is."""
    security = KafkaSecurity(
        protocol="SASL_SSL",
        sasl_mechanism="PLAIN" if mechanism == "PLAIN" else "SCRAM-SHA-512",
        ca_file=secured.authority.file,
        **USER,
    )

    assert await round_trip(secured.passwords, security) == b"confidential"


async def test_certificates(secured: Secured) -> None:
    """Our own certificate says who we are."""
    certificate, key = secured.authority.sign("tandem")
    security = KafkaSecurity(protocol="SSL", ca_file=secured.authority.file, cert_file=certificate, key_file=key)

    assert await round_trip(secured.certificates, security) == b"confidential"


async def test_who_is_not_let_in(secured: Secured) -> None:
    """A wrong password, a broker that we do not trust, no certificate: the log is out of reach, and says so in time."""
    stranger = Authority(secured.directory, "stranger")
    password = KafkaSecurity(
        protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        ca_file=secured.authority.file,
        username="tandem",
        password="wrong",
    )
    broker = KafkaSecurity(protocol="SASL_SSL", sasl_mechanism="PLAIN", ca_file=stranger.file, **USER)
    nobody = KafkaSecurity(protocol="SSL", ca_file=secured.authority.file)
    for bootstrap, security in (
        (secured.passwords, password),
        (secured.passwords, broker),
        (secured.certificates, nobody),
    ):
        async with open_kafka_log(
            bootstrap, client_id="stranger", append_timeout=timedelta(seconds=3), security=security
        ) as log:
            with pytest.raises(LogUnavailable):
                await log.append("events.web", [Record(b"x")])
            assert not await log.reachable()


async def test_a_topic_of_others_that_we_may_not_read(secured: Secured) -> None:
    """It is passed over and told as absent; what is ours is read on."""
    ours, theirs = f"ours-{uuid4().hex}", f"theirs-{uuid4().hex}"
    security = KafkaSecurity(protocol="SASL_SSL", sasl_mechanism="PLAIN", ca_file=secured.authority.file, **USER)

    async def from_the_beginning(_group: str, _partition: Partition, earliest: int, _end: int) -> Claim:
        return Claim(1, earliest)

    async with open_kafka_log(secured.anybody, client_id="operator") as operator:
        await operator.create_topics([Topic(name, partitions=1, retention_hours=1) for name in (ours, theirs)])
        await operator.append(theirs, [Record(b"secret")])
        await operator.append(ours, [Record(b"first")])
        await kafka_tool(
            "org.apache.kafka.tools.AclCommand",
            *("--bootstrap-server", secured.anybody, "--add", "--topic", theirs),
            *("--allow-principal", f"User:{USER['username']}", "--operation", "Describe"),
        )
        async with (
            open_kafka_log(secured.passwords, client_id="secured", security=security) as log,
            log.consume(f"group-{ours}", [ours], from_the_beginning, optional=[theirs]) as consumer,
        ):

            async def passed_over() -> bool:
                await consumer.fetch(max_records=10, timeout=SHORT)
                return consumer.absent() == {theirs} and consumer.assigned() == {Partition(ours, 0)}

            await until(passed_over)
            await operator.append(ours, [Record(b"second")])
            values: list[bytes] = []

            async def read_on() -> bool:  # after the rejoin the first one may come once more
                batches = await consumer.fetch(max_records=10, timeout=SHORT)
                values.extend(record.value for batch in batches for record in batch.records)
                return b"second" in values

            await until(read_on)
            assert b"secret" not in values

"""Settings: environment variables `TANDEM_…`, each with meaning, unit, bounds and default.

`tandem settings` prints them; a variable that no service knows stops the start with the nearest known name.
"""

import difflib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.durations import parse_duration
from shared.explained import ExplainedError
from shared.http.bounds import Bounds
from shared.log.kafka_security import KafkaSecurity, KafkaSecurityError, SaslMechanism, SecurityProtocol

PREFIX = "TANDEM_"
_TO_SAY_SO = timedelta(seconds=2)  # for a route that waits no longer for a body

S = TypeVar("S", bound=BaseSettings)

Duration = Annotated[
    timedelta, BeforeValidator(lambda value: parse_duration(value) if isinstance(value, str) else value)
]


def listed(value: object) -> object:
    """Return the parts of a text with commas; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]


class SettingsError(ExplainedError):
    """Raised with one line for each setting that is wrong, saying what to do."""


class SharedSettings(BaseSettings):
    """What every service needs to know."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    database_url: SecretStr = Field(description="PostgreSQL, as postgresql://user:password@host:port/database.")
    kafka_bootstrap: str | None = Field(
        default=None, description="Kafka brokers, as host:port,host:port. Absent: the log is kept in PostgreSQL."
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Key that stored secrets are encrypted with, 32 bytes in URL-safe base64;"
        " to replace it: the new one, a comma, the old one.",
    )
    kafka_security_protocol: SecurityProtocol = Field(
        default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: SaslMechanism | None = Field(
        default=None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; with a protocol that begins with SASL."
    )
    kafka_username: str | None = Field(default=None, description="Who we are to the brokers, with SASL.")
    kafka_password: SecretStr | None = Field(default=None, description="The password of that user.")
    kafka_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the brokers' certificates; else the system's.",
    )
    kafka_cert_file: Path | None = Field(
        default=None, description="PEM file of our own certificate, where the brokers ask for one."
    )
    kafka_key_file: Path | None = Field(
        default=None, description="PEM file of its key, not encrypted; absent: it is in the certificate's file."
    )
    keys_file: Path | None = Field(default=None, description="YAML file that names sources, people and their keys.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["json", "console"] = Field(default="json", description="JSON lines, or columns for people.")
    drain_timeout: Duration = Field(
        default=timedelta(seconds=20), description="Time to finish work in hand after SIGTERM before giving it up."
    )
    max_connections: int = Field(
        default=1_000,
        ge=16,
        le=100_000,
        description="Connections held at once; then those that wait for nothing make room, or requests are refused.",
    )
    listen_backlog: int = Field(
        default=2_048, ge=1, le=65_535, description="Connections that the kernel keeps until they are accepted."
    )
    keep_alive: Duration = Field(
        default=timedelta(seconds=75),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="How long a connection may wait for its next request; longer than that of a proxy in front.",
    )
    head_timeout: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=2),
        description="Time in which the headers of a request must have come.",
    )
    body_timeout: Duration = Field(
        default=timedelta(seconds=15),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=10),
        description="Time in which a request's body must have come.",
    )
    append_timeout: Duration = Field(
        default=timedelta(seconds=5), description="Time in which the log must acknowledge an append."
    )
    topic_partitions: int = Field(
        default=24, ge=1, le=1000, description="Partitions of each topic created: the most processes a service can use."
    )
    topic_retention: Duration = Field(
        default=timedelta(days=14), description="Age at which the log may forget records."
    )
    set_aside_limit: int = Field(
        default=50,
        ge=0,
        description="Records in a row that may break a worker's handler before it halts; 0: it never does.",
    )
    database_pool: int = Field(default=5, ge=2, le=100, description="Connections kept open; twice as many at a peak.")

    @model_validator(mode="after")
    def _check_kafka(self) -> Self:
        try:
            self.kafka_security()
        except KafkaSecurityError as error:
            raise ValueError(str(error)) from None
        return self

    def bounds(self) -> Bounds:
        """Return what the server bears of its clients."""
        return Bounds(
            connections=self.max_connections,
            backlog=self.listen_backlog,
            keep_alive=self.keep_alive,
            head=self.head_timeout,
            body=self.body_timeout + _TO_SAY_SO,
        )

    def kafka_security(self) -> KafkaSecurity:
        """Return how to talk to the brokers. Raises KafkaSecurityError."""
        return KafkaSecurity(
            protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=self.kafka_password.get_secret_value() if self.kafka_password else None,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
        )


def load_settings(kind: type[S], /, **overrides: Any) -> S:
    """Read the settings of one service; an override wins over the environment, None included.

    Raises SettingsError naming every variable that is missing or wrong.
    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            if not problem["loc"]:  # settings that do not go together: the message names them
                lines.append(problem["msg"].removeprefix("Value error, "))
                continue
            name = PREFIX + str(problem["loc"][0]).upper() if problem["loc"] else PREFIX
            field = kind.model_fields.get(str(problem["loc"][0])) if problem["loc"] else None
            meaning = f" ({field.description})" if field else ""
            lines.append(f"{name}: {'is not set' if problem['type'] == 'missing' else problem['msg']}{meaning}")
        raise SettingsError("\n".join(lines)) from None


def refuse_unknown(
    environment: Mapping[str, str], kinds: Iterable[type[BaseSettings]], *, besides: Iterable[str]
) -> None:
    """Raise SettingsError when a variable with our prefix is not a setting of any of the kinds."""
    known = {PREFIX + name.upper() for kind in kinds for name in kind.model_fields} | set(besides)
    lines = []
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "`tandem settings` lists those that there are."
            lines.append(f"{name} is not a setting. {hint}")
    if lines:
        raise SettingsError("\n".join(lines))

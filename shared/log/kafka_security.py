"""How to talk to the brokers: in the open, over TLS, and as whom. One value for producer, consumers and admin."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shared.explained import ExplainedError

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSecurityError(ExplainedError):
    """Raised with one line that says which setting does not go with the others, or which file cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """What the settings `TANDEM_KAFKA_…` say. Raises KafkaSecurityError when they contradict one another."""

    protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None  # absent: the authorities that the system trusts
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        wrong = self._contradiction()
        if wrong:
            raise KafkaSecurityError(wrong)

    def client_arguments(self) -> dict[str, Any]:
        """Return what aiokafka's clients are opened with. Raises KafkaSecurityError for files that cannot be used."""
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if self._encrypted:
            arguments["ssl_context"] = self._context()
        if self._authenticated:
            arguments |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    @property
    def _encrypted(self) -> bool:
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def _authenticated(self) -> bool:
        return self.protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    def _contradiction(self) -> str | None:
        for name, value in (
            ("SASL_MECHANISM", self.sasl_mechanism),
            ("USERNAME", self.username),
            ("PASSWORD", self.password),
        ):
            if self._authenticated and not value:
                return f"TANDEM_KAFKA_{name} is not set: TANDEM_KAFKA_SECURITY_PROTOCOL={self.protocol} needs it."
            if value and not self._authenticated:
                return f"TANDEM_KAFKA_{name} needs TANDEM_KAFKA_SECURITY_PROTOCOL=SASL_SSL, or SASL_PLAINTEXT."
        for name, file in (("CA_FILE", self.ca_file), ("CERT_FILE", self.cert_file), ("KEY_FILE", self.key_file)):
            if file and not self._encrypted:
                return f"TANDEM_KAFKA_{name} needs TANDEM_KAFKA_SECURITY_PROTOCOL=SSL, or SASL_SSL."
        if self.key_file and not self.cert_file:
            return "TANDEM_KAFKA_KEY_FILE needs TANDEM_KAFKA_CERT_FILE: a key without a certificate proves nothing."
        return None

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # SSLError is one
            raise KafkaSecurityError(f"TANDEM_KAFKA_CA_FILE: cannot use {self.ca_file}: {error}") from None
        if self.cert_file:
            try:
                # Without a password here a key that has one would ask for it on the terminal.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except (OSError, ValueError) as error:
                files = f"{self.cert_file} with {self.key_file or 'the key in it'}"
                raise KafkaSecurityError(f"TANDEM_KAFKA_CERT_FILE: cannot use {files}: {error}") from None
        return context


IN_THE_OPEN = KafkaSecurity()

"""The settings of a secured Kafka: what goes together, and what is said where it does not."""

from pathlib import Path
from typing import Any

import pytest

from services.ingest.settings import IngestSettings
from shared.log.kafka_security import KafkaSecurity, KafkaSecurityError
from shared.settings import SettingsError, load_settings
from tests.support.certificates import Authority

URL = "postgresql://localhost/tandem"
SASL = {"kafka_sasl_mechanism": "PLAIN", "kafka_username": "u", "kafka_password": "p"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "TANDEM_KAFKA_SASL_MECHANISM is not set"),
        ({"kafka_security_protocol": "SASL_SSL", **SASL, "kafka_username": ""}, "TANDEM_KAFKA_USERNAME is not set"),
        ({"kafka_security_protocol": "SASL_SSL", **SASL, "kafka_password": None}, "TANDEM_KAFKA_PASSWORD is not set"),
        ({"kafka_security_protocol": "SSL", **SASL}, "TANDEM_KAFKA_SASL_MECHANISM needs"),
        ({"kafka_password": "p"}, "TANDEM_KAFKA_PASSWORD needs"),
        ({"kafka_ca_file": "ca.pem"}, "TANDEM_KAFKA_CA_FILE needs"),
        ({"kafka_security_protocol": "SSL", "kafka_key_file": "key.pem"}, "TANDEM_KAFKA_KEY_FILE needs"),
        ({"kafka_security_protocol": "TLS"}, "TANDEM_KAFKA_SECURITY_PROTOCOL: "),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "GSSAPI"}, "TANDEM_KAFKA_SASL_MECHANISM: "),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], named: str) -> None:
    """One line says which setting is wrong, and what it needs."""
    with pytest.raises(SettingsError) as raised:
        load_settings(IngestSettings, database_url=URL, **settings)

    assert str(raised.value).startswith(named)
    assert len(str(raised.value).splitlines()) == 1


def test_settings_that_do() -> None:
    """They become what the clients are opened with; the password is never shown."""
    settings = load_settings(IngestSettings, database_url=URL, kafka_security_protocol="SASL_PLAINTEXT", **SASL)
    security = settings.kafka_security()

    assert security.client_arguments() == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }
    assert "password" not in repr(security)
    assert load_settings(IngestSettings, database_url=URL).kafka_security() == KafkaSecurity()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """The file is named, and what is wrong with it."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.sign("one")
    _, other_key = authority.sign("other")
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"ca_file": tmp_path / "missing.pem"}, "missing.pem"),
        ({"ca_file": nonsense}, "nonsense.pem"),
        ({"cert_file": nonsense}, "nonsense.pem"),
        ({"cert_file": certificate}, "the key in it"),
        ({"cert_file": certificate, "key_file": other_key}, "other.key"),
    )
    for files, named in wrong:
        with pytest.raises(KafkaSecurityError, match=named):
            KafkaSecurity(protocol="SSL", **files).client_arguments()
    arguments = KafkaSecurity(protocol="SSL", cert_file=certificate, key_file=key).client_arguments()

    assert arguments["security_protocol"] == "SSL"

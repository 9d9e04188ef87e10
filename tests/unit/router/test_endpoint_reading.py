"""What the team may say of an endpoint, and what it may not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import yaml

from services.router.domain.client_certificate import certificate_mistake
from services.router.domain.endpoint import Endpoint, EndpointEvent, Order, Private, Signature, private_parts
from services.router.domain.team_reading import read_team
from services.router.errors import TeamInvalid
from tests.support.certificates import Authority


def read(**options: object) -> Endpoint:
    team = {
        "reps": [{"name": "Rita", "email": "rita@harbour.example"}],
        "pools": [{"name": "all", "members": ["Rita"]}],
        "endpoints": [
            {"name": "first", "url": "https://first.example/"},
            {"name": "crm", "url": "https://crm.example/leads", **options},
        ],
    }
    return read_team(yaml.safe_dump(team)).endpoints[1]


def test_everything(tmp_path: Path) -> None:
    """All options are read, and what is stored of them holds no secret and reads back the same."""
    certificate, key = (file.read_text() for file in Authority(tmp_path, "authority").sign("us"))
    endpoint = read(
        signature="v1a",
        events=["lead.sales_ready", "endpoint.disabled"],
        headers={"X-Api-Key": "s3cret", "x-kept": None},
        oauth2={"token_url": "https://login.example/", "client_id": "us", "client_secret": "hush", "scope": "leads"},
        mtls={"certificate": certificate, "key": key},
        retries=["5s", "1h"],
        rate=0.5,
        concurrency=2,
        order="contact",
    )
    stored = endpoint.without_secrets()
    parts, missing = private_parts(endpoint, Private(headers={"x-kept": "before"}))

    assert (endpoint.signature, endpoint.order) == (Signature.V1A, Order.CONTACT)
    assert endpoint.events == (EndpointEvent.LEAD_READY, EndpointEvent.ENDPOINT_DISABLED)
    assert endpoint.retries == (timedelta(seconds=5), timedelta(hours=1))
    assert parts == Private(
        headers={"X-Api-Key": "s3cret", "x-kept": "before"}, client_secret="hush", client_key=key.strip()
    ) or parts == Private(headers={"X-Api-Key": "s3cret", "x-kept": "before"}, client_secret="hush", client_key=key)
    assert missing == []
    assert not any(secret in str(stored) for secret in ("s3cret", "hush", "PRIVATE"))
    assert msgspec.convert(msgspec.to_builtins(stored), Endpoint) == stored


def test_what_nobody_gave() -> None:
    """What is to be kept has to be there."""
    oauth2 = {"token_url": "https://login.example/", "client_id": "us"}
    _, missing = private_parts(read(headers={"X-Key": None}, oauth2=oauth2), Private())

    assert missing == ["headers.X-Key", "oauth2.client_secret"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"headers": {"Webhook-Id": "x"}}, "Tandem's own"),
        ({"headers": {"Host": "x"}}, "Tandem's own"),
        ({"headers": {"Transfer-Encoding": "x"}}, "Tandem's own"),
        ({"headers": {"X-Amz-Date": "x"}}, "Tandem's own"),
        ({"headers": {"X Y": "x"}}, "expected the name of a header"),
        ({"headers": {"X-Y": "a\r\nX-Z: b"}}, "printable ASCII"),
        ({"headers": {"X-Y": "é"}}, "printable ASCII"),
        ({"headers": {"X-Y": "y" * 4097}}, "at most 4096"),
        ({"headers": {"X-Y": "a", "x-y": "b"}}, "once, in whatever case"),
        ({"headers": {f"X-{number}": "x" for number in range(21)}}, "at most 20"),
        ({"signature": "v2"}, "signature"),
        ({"secret": "whsec_short"}, "24 to 64 bytes"),
        ({"events": []}, "at least one"),
        ({"events": ["lead.gone"]}, "lead.gone"),
        ({"oauth2": {"token_url": "http://login.example/", "client_id": "us"}}, "expected https"),
        ({"oauth2": {"token_url": "https://169.254.169.254/", "client_id": "us"}}, "not a public address"),
        ({"mtls": {"certificate": "nothing"}}, "-----BEGIN CERTIFICATE-----"),
        ({"retries": ["soon"]}, "duration"),
        ({"rate": 0}, "rate"),
        ({"concurrency": 0}, "concurrency"),
        ({"order": "fifo"}, "fifo"),
    ],
)
def test_what_an_endpoint_may_not_ask_for(options: dict[str, object], said: str) -> None:
    """Each mistake is told where it stands."""
    with pytest.raises(TeamInvalid) as caught:
        read(**options)

    assert said in str(caught.value)


def test_a_certificate_and_another_key(tmp_path: Path) -> None:
    """A key has to be the certificate's, and a certificate that has run out says so."""
    authority = Authority(tmp_path, "authority")
    certificate, _ = (file.read_text() for file in authority.sign("us"))
    _, other = (file.read_text() for file in authority.sign("them"))

    with pytest.raises(TeamInvalid, match="the key of this certificate"):
        read(mtls={"certificate": certificate, "key": other})
    assert "expired" in str(certificate_mistake(certificate, now=datetime.now(UTC) + timedelta(days=10_000)))

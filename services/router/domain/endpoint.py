"""Endpoints: where webhooks go, how they are signed and authorised, and how much an endpoint may get at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.router.domain.kind import Kind
from services.router.domain.mapping import FieldMapping


class Signature(StrEnum):
    """How attempts are signed, in the words of Standard Webhooks."""

    V1 = "v1"  # HMAC-SHA256: both sides have the secret
    V1A = "v1a"  # ed25519: the receiver has the public key only


class Order(StrEnum):
    """What has to arrive before what."""

    NONE = "none"
    CONTACT = "contact"  # a message about a contact waits for those before it


class EndpointEvent(StrEnum):
    """What an endpoint can be told of. Who had a lead is told of its contact's erasure without asking."""

    LEAD_READY = "lead.sales_ready"
    CONTACT_NURTURE = "contact.nurture"
    ENDPOINT_DISABLED = "endpoint.disabled"
    DELIVERY_EXHAUSTED = "delivery.exhausted"


@dataclass(frozen=True, slots=True)
class OAuth2:
    """Client credentials by which a token is got. A secret of None is the one that is stored."""

    token_url: str
    client_id: str
    client_secret: str | None = None
    scope: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that a receiver asks for, and its key, both PEM. A key of None is the one that is stored."""

    certificate: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go. Serves the pools and reps that it names; naming none, it serves everybody."""

    name: str
    url: str
    pools: tuple[str, ...] = ()
    reps: tuple[str, ...] = ()
    enabled: bool = True
    secret: str | None = None  # None: keep the one there is, or make one
    signature: Signature = Signature.V1
    events: tuple[EndpointEvent, ...] = (EndpointEvent.LEAD_READY,)
    headers: Mapping[str, str | None] = field(default_factory=dict)  # None: keep the value there is
    oauth2: OAuth2 | None = None
    mtls: ClientCertificate | None = None
    retries: tuple[timedelta, ...] | None = None  # None: those of the settings
    rate: float | None = None  # attempts a second, all processes together
    concurrency: int | None = None  # attempts at once, all processes together
    order: Order = Order.NONE
    kind: Kind = Kind.WEBHOOK
    settings: Mapping[str, str] = field(default_factory=dict)  # of the kind
    mapping: FieldMapping = field(default_factory=dict)  # fields of the other system
    template: str | None = None  # of the brief's text; None: the one that there is

    def serves(self, *, pool: str, rep: str) -> bool:
        """Tell whether a handoff of this pool, given to this rep, is sent here."""
        return self.wants(EndpointEvent.LEAD_READY) and (
            not (self.pools or self.reps) or pool in self.pools or rep in self.reps
        )

    def wants(self, event: EndpointEvent) -> bool:
        """Tell whether the endpoint asked for events of this kind."""
        return event in self.events

    def without_secrets(self) -> "Endpoint":
        """Return the endpoint as it is stored and shown."""
        return replace(
            self,
            secret=None,
            headers=dict.fromkeys(self.headers),
            oauth2=self.oauth2 and replace(self.oauth2, client_secret=None),
            mtls=self.mtls and replace(self.mtls, key=None),
        )


@dataclass(frozen=True, slots=True)
class Retired:
    """A secret that signs besides the new one until then."""

    secret: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Private:
    """What an endpoint's options need and nobody is shown."""

    headers: Mapping[str, str] = field(default_factory=dict)
    client_secret: str | None = None
    client_key: str | None = None

    def __bool__(self) -> bool:
        return bool(self.headers or self.client_secret or self.client_key)


def private_parts(endpoint: Endpoint, stored: Private) -> tuple[Private, list[str]]:
    """Return the private parts that the endpoint has now, and which of them nobody ever gave."""
    missing = []
    headers = {}
    for name, given in endpoint.headers.items():
        value = given if given is not None else stored.headers.get(name)
        if value is None:
            missing.append(f"headers.{name}")
        else:
            headers[name] = value
    client_secret = client_key = None
    if endpoint.oauth2:
        client_secret = endpoint.oauth2.client_secret or stored.client_secret
        if client_secret is None:
            missing.append("oauth2.client_secret")
    if endpoint.mtls:
        client_key = endpoint.mtls.key or stored.client_key
        if client_key is None:
            missing.append("mtls.key")
    return Private(headers=headers, client_secret=client_secret, client_key=client_key), missing

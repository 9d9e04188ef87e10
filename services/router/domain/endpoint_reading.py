"""From an endpoint that people write to an endpoint, or to everything that is wrong with it at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import yaml

from services.router.domain.addresses import Network, is_allowed
from services.router.domain.brief_template import template_mistake
from services.router.domain.client_certificate import certificate_mistake, key_mistake
from services.router.domain.custom_headers import MOST, name_mistake, value_mistake
from services.router.domain.endpoint import ClientCertificate, Endpoint, EndpointEvent, OAuth2, Order, Signature
from services.router.domain.endpoint_url import UrlRefused, literal_address, read_url
from services.router.domain.kind import TERMS, Kind, setting_mistake
from services.router.domain.mapping import FieldMapping
from services.router.domain.mapping_reading import DEFAULT_MAPPING, read_mapping
from services.router.domain.signing import secret_mistake
from services.router.domain.team_name import read_name
from shared.agreement.reading import Reader

_OPTIONAL = (
    "secret",
    "pools",
    "reps",
    "enabled",
    "signature",
    "events",
    "headers",
    "oauth2",
    "mtls",
    "retries",
    "rate",
    "concurrency",
    "order",
    "kind",
    "settings",
    "mapping",
    "template",
)
_MOST_RETRIES = 50
_LONGEST_PAUSE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class EndpointReading:
    """Reads endpoints. `allowed` are the operator's own networks."""

    reader: Reader
    allowed: tuple[Network, ...]

    def endpoint(self, node: yaml.Node, key: str) -> Endpoint:
        """Read one endpoint."""
        given = self.reader.mapping(node, key, required=("name", "url"), optional=_OPTIONAL)
        reader = self.reader
        signature = Signature.V1
        if "signature" in given:
            signature = reader.choice(given["signature"], f"{key}.signature", Signature)
        headers = self._headers(given.get("headers"), f"{key}.headers")
        oauth2 = self._oauth2(given.get("oauth2"), f"{key}.oauth2")
        kind = reader.choice(given["kind"], f"{key}.kind", Kind) if "kind" in given else Kind.WEBHOOK
        if oauth2 and any(name.lower() == "authorization" for name in headers):
            reader.wrong(given["headers"], f"{key}.headers", "expected no Authorization besides oauth2, which sets it")
        return Endpoint(
            name=read_name(reader, given.get("name"), f"{key}.name"),
            url=self._url(given.get("url"), f"{key}.url"),
            pools=self._texts(given.get("pools"), f"{key}.pools"),
            reps=self._texts(given.get("reps"), f"{key}.reps"),
            enabled="enabled" not in given or reader.flag(given["enabled"], f"{key}.enabled"),
            secret=self._secret(given.get("secret"), f"{key}.secret", signature),
            signature=signature,
            events=self._events(given.get("events"), f"{key}.events"),
            headers=headers,
            oauth2=oauth2,
            mtls=self._mtls(given.get("mtls"), f"{key}.mtls"),
            retries=self._retries(given.get("retries"), f"{key}.retries"),
            rate=reader.number(given["rate"], f"{key}.rate", least=0.01, most=10_000) if "rate" in given else None,
            concurrency=reader.integer(given["concurrency"], f"{key}.concurrency", least=1)
            if "concurrency" in given
            else None,
            order=reader.choice(given["order"], f"{key}.order", Order) if "order" in given else Order.NONE,
            kind=kind,
            settings=self._settings(given.get("settings"), f"{key}.settings", kind, node),
            mapping=self._mapping(given.get("mapping"), f"{key}.mapping", kind),
            template=self._template(given.get("template"), f"{key}.template"),
        )

    def _settings(self, node: yaml.Node | None, key: str, kind: Kind, endpoint: yaml.Node) -> Mapping[str, str]:
        known = TERMS[kind].settings
        settings = {}
        for written, value, at in self.reader.entries(node, key):
            setting = str(written.value)
            if setting not in known:
                self.reader.unknown(written, at, setting, kind="setting", known=known or ["none"])
            elif text := self.reader.text(value, at):
                settings[setting] = text
                if mistake := setting_mistake(kind, setting, text):
                    self.reader.wrong(value, at, mistake)
        for name, default in known.items():
            if not default and name not in settings:
                self.reader.wrong(node or endpoint, f"{key}.{name}", f"expected {name}, which {kind} needs")
        return settings

    def _mapping(self, node: yaml.Node | None, key: str, kind: Kind) -> FieldMapping:
        if kind is Kind.GENERIC and node is None:
            return DEFAULT_MAPPING
        if node is not None and not TERMS[kind].mapped:
            self.reader.wrong(node, key, f"expected no mapping: {kind} takes the message as it is")
        return read_mapping(self.reader, node, key)

    def _template(self, node: yaml.Node | None, key: str) -> str | None:
        if node is None:
            return None
        written = self.reader.text(node, key)
        if written and (mistake := template_mistake(written)):
            self.reader.wrong(node, key, mistake)
        return written or None

    def _url(self, node: yaml.Node | None, key: str) -> str:
        written = self.reader.text(node, key)
        if node is None or not written:
            return ""
        try:
            address = literal_address(read_url(written))
        except UrlRefused as error:
            self.reader.wrong(node, key, str(error))
            return ""
        if address and not is_allowed(address, self.allowed):
            self.reader.wrong(
                node,
                key,
                f"{address} is not a public address; if it is your own, "
                "add its network to TANDEM_DELIVERY_ALLOWED_NETWORKS",
            )
        return written

    def _secret(self, node: yaml.Node | None, key: str, signature: Signature) -> str | None:
        if node is None:
            return None
        secret = self.reader.text(node, key)
        if mistake := secret_mistake(secret, signature):
            self.reader.wrong(node, key, mistake)
        return secret

    def _events(self, node: yaml.Node | None, key: str) -> tuple[EndpointEvent, ...]:
        if node is None:
            return (EndpointEvent.LEAD_READY,)
        events = dict.fromkeys(self.reader.choice(item, at, EndpointEvent) for item, at in self.reader.items(node, key))
        if not events:
            self.reader.wrong(node, key, f"expected at least one of: {', '.join(EndpointEvent)}")
        return tuple(events)

    def _headers(self, node: yaml.Node | None, key: str) -> Mapping[str, str | None]:
        headers: dict[str, str | None] = {}
        names: set[str] = set()
        for name, value, at in self.reader.entries(node, key):
            written = str(name.value)
            if mistake := name_mistake(written):
                self.reader.wrong(name, at, mistake)
            if written.lower() in names:
                self.reader.wrong(name, at, f"expected {written} once, in whatever case")
            names.add(written.lower())
            kept = isinstance(value, yaml.ScalarNode) and not value.style and value.value in {"", "null", "~"}
            text = None if kept else self.reader.text(value, at)
            if text and (mistake := value_mistake(text)):
                self.reader.wrong(value, at, mistake)
            headers[written] = text
        if node is not None and len(headers) > MOST:
            self.reader.wrong(node, key, f"expected at most {MOST} headers")
        return headers

    def _oauth2(self, node: yaml.Node | None, key: str) -> OAuth2 | None:
        if node is None:
            return None
        given = self.reader.mapping(
            node, key, required=("token_url", "client_id"), optional=("client_secret", "scope", "audience")
        )
        url = self._url(given.get("token_url"), f"{key}.token_url")
        if url.startswith("http:") and literal_address(read_url(url)) is None:
            self.reader.wrong(given["token_url"], f"{key}.token_url", "expected https: a secret goes there")
        texts = {
            name: self.reader.text(given[name], f"{key}.{name}")
            for name in ("client_secret", "scope", "audience")
            if name in given
        }
        return OAuth2(
            token_url=url,
            client_id=self.reader.text(given.get("client_id"), f"{key}.client_id"),
            client_secret=texts.get("client_secret"),
            scope=texts.get("scope", ""),
            audience=texts.get("audience", ""),
        )

    def _mtls(self, node: yaml.Node | None, key: str) -> ClientCertificate | None:
        if node is None:
            return None
        given = self.reader.mapping(node, key, required=("certificate",), optional=("key",))
        certificate = self.reader.text(given.get("certificate"), f"{key}.certificate")
        private = self.reader.text(given["key"], f"{key}.key") if "key" in given else None
        if certificate:
            if mistake := certificate_mistake(certificate):
                self.reader.wrong(given["certificate"], f"{key}.certificate", mistake)
            elif private and (mistake := key_mistake(certificate, private)):
                self.reader.wrong(given["key"], f"{key}.key", mistake)
        return ClientCertificate(certificate=certificate, key=private)

    def _retries(self, node: yaml.Node | None, key: str) -> tuple[timedelta, ...] | None:
        if node is None:
            return None
        pauses = tuple(self.reader.duration(item, at, most=_LONGEST_PAUSE) for item, at in self.reader.items(node, key))
        if len(pauses) > _MOST_RETRIES:
            self.reader.wrong(node, key, f"expected at most {_MOST_RETRIES} pauses")
        return pauses

    def _texts(self, node: yaml.Node | None, key: str) -> tuple[str, ...]:
        return tuple(self.reader.text(item, at) for item, at in self.reader.items(node, key))

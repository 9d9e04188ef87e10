"""From an endpoint that people write to an endpoint, or to everything that is wrong with it at once."""

import base64
import binascii
from dataclasses import dataclass

import yaml

from services.router.domain.addresses import Network, is_allowed
from services.router.domain.endpoint_url import UrlRefused, literal_address, read_url
from services.router.domain.team import Endpoint
from services.router.domain.team_name import read_name
from shared.agreement.reading import Reader

_SECRET_PREFIX = "whsec_"  # noqa: S105  # what every secret begins with


@dataclass(frozen=True, slots=True)
class EndpointReading:
    """Reads endpoints. `allowed` are the operator's own networks."""

    reader: Reader
    allowed: tuple[Network, ...]

    def endpoint(self, node: yaml.Node, key: str) -> Endpoint:
        """Read one endpoint."""
        given = self.reader.mapping(
            node, key, required=("name", "url"), optional=("secret", "pools", "reps", "enabled")
        )
        return Endpoint(
            name=read_name(self.reader, given.get("name"), f"{key}.name"),
            url=self._url(given.get("url"), f"{key}.url"),
            pools=self._texts(given.get("pools"), f"{key}.pools"),
            reps=self._texts(given.get("reps"), f"{key}.reps"),
            enabled="enabled" not in given or self.reader.flag(given["enabled"], f"{key}.enabled"),
            secret=self._secret(given.get("secret"), f"{key}.secret"),
        )

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

    def _secret(self, node: yaml.Node | None, key: str) -> str | None:
        if node is None:
            return None
        secret = self.reader.text(node, key)
        try:
            decoded = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if not secret.startswith(_SECRET_PREFIX) or not 24 <= len(decoded) <= 64:
            self.reader.wrong(node, key, "expected whsec_ and 24 to 64 bytes in base64; leave it out to be given one")
        return secret

    def _texts(self, node: yaml.Node | None, key: str) -> tuple[str, ...]:
        return tuple(self.reader.text(item, at) for item, at in self.reader.items(node, key))

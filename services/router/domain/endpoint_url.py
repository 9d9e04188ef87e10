"""URLs of endpoints: taken apart once, by the rules of the client that will call them."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

import idna

LONGEST = 2000  # characters
_PORTS = {"http": 80, "https": 443}
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)
_TARGET = "/?#[]@!$&'()*+,;=:%~-._"  # stays as it is; everything else is written as %XX


class UrlRefused(ValueError):
    """Raised with what an endpoint's URL should be."""


@dataclass(frozen=True, slots=True)
class EndpointUrl:
    """What a client needs of a URL. `host` is ASCII and without brackets."""

    scheme: str
    host: str
    port: int
    target: str


def read_url(written: str) -> EndpointUrl:
    """Take a URL apart. Raises UrlRefused."""
    if len(written) > LONGEST:
        raise UrlRefused(f"A URL is at most {LONGEST} characters long.")
    if any(character <= " " or character in '\\"<>^`{|}\x7f' for character in written):
        raise UrlRefused("A URL has no spaces or control characters in it.")
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError as error:
        raise UrlRefused(f"This is not a URL: {error}.") from None
    if parts.scheme not in _PORTS:
        raise UrlRefused("A URL begins with https:// or http://.")
    if "@" in parts.netloc:
        raise UrlRefused("A URL carries no user or password; the signature is what the receiver checks.")
    if not parts.hostname:
        raise UrlRefused("A URL names a host.")
    if port == 0:
        raise UrlRefused("Port 0 cannot be called.")
    target = quote(parts.path or "/", safe=_TARGET) + (f"?{quote(parts.query, safe=_TARGET)}" if parts.query else "")
    return EndpointUrl(
        scheme=parts.scheme, host=_host(parts.hostname), port=port or _PORTS[parts.scheme], target=target
    )


def literal_address(url: EndpointUrl) -> str | None:
    """Return the host if it is an address rather than a name."""
    try:
        return str(ip_address(url.host))
    except ValueError:
        return None


def _host(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    if _NUMERIC.fullmatch(host):
        # Resolvers read 127.1 and 2130706433 as addresses.
        raise UrlRefused(f"Write the address {host} in full, with four numbers up to 255.")
    try:
        return idna.encode(host.rstrip("."), uts46=True).decode() if not host.isascii() else _ascii(host)
    except idna.IDNAError as error:
        raise UrlRefused(f"{host!r} is not a host: {error}.") from None


def _ascii(host: str) -> str:
    labels = host.rstrip(".").split(".")
    if len(host) > 253 or not all(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,62})", label) for label in labels):
        raise UrlRefused(f"{host!r} is not a host.")
    return host.rstrip(".")

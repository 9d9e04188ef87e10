"""Which addresses a webhook may be sent to: public ones, and those of networks that the operator allows.

The check is on the address about to be dialled. Names, decimal or short forms and redirects cannot get around it,
because all of them end in an address. `ipaddress.is_global` is not enough: CPython 3.11 calls NAT64, 6to4 and
site-local addresses global.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own; one cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent
        "169.254.0.0/16",  # link-local; clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "::/8",  # loopback, unspecified, and every old way to write an IPv4 address
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # the third quarter of an address that carries an IPv4 address in the fourth


def is_allowed(address: str, allowed: Iterable[Network]) -> bool:
    """Tell whether the address may be dialled. What is not an address may not."""
    try:
        parsed = _carried(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if any(parsed.version == network.version and parsed in network for network in allowed):
        return True
    match parsed:
        case IPv4Address():
            return not any(parsed in network for network in _REFUSED_V4)
        case IPv6Address():
            return not (
                any(parsed in network for network in _REFUSED_V6) or (int(parsed) >> 32) & 0xFFFF_FFFF in _ISATAP
            )


def _carried(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for on the way, if it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def parse_network(text: str) -> Network:
    """Read a network such as 10.20.0.0/16. Raises ValueError."""
    return ip_network(text.strip(), strict=False)

"""Which addresses may be called: the public ones, however they are written."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.addresses import _REFUSED_V4, is_allowed
from services.router.domain.endpoint_url import UrlRefused, literal_address, read_url

PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001::8a"]
REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2a00:1450:4001::5efe:7f00:1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "",
    "127.1",
]

refused_v4 = st.sampled_from(_REFUSED_V4).flatmap(
    lambda network: st.integers(int(network.network_address), int(network.broadcast_address)).map(IPv4Address)
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address: str) -> None:
    """Public addresses may be called."""
    assert is_allowed(address, ())


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_of_a_network_of_ones_own(address: str) -> None:
    """What is not public may not be called, nor what is no address at all."""
    assert not is_allowed(address, ())


@given(refused_v4)
def test_every_way_to_carry_a_refused_address(address: IPv4Address) -> None:
    """A refused IPv4 address is refused in every IPv6 address that carries it."""
    number = int(address)
    carriers = [
        address,
        IPv6Address(0xFFFF << 32 | number),  # ::ffff:0:0/96
        IPv6Address(number),  # ::/96
        IPv6Address(0xFFFF << 48 | number),  # ::ffff:0:0:0/96
        IPv6Address((0x0064FF9B << 96) | number),  # NAT64
        IPv6Address((0x2002 << 112) | (number << 80)),  # 6to4
        IPv6Address((0x2001 << 112) | (~number & 0xFFFFFFFF)),  # Teredo
        IPv6Address((0x2A001450 << 96) | (0x5EFE << 32) | number),  # ISATAP
    ]

    assert [carrier for carrier in carriers if is_allowed(str(carrier), ())] == []


def test_the_operators_own_network() -> None:
    """A network that the operator names may be called, and no other."""
    allowed = [ip_network("10.20.0.0/16"), ip_network("::1/128")]

    assert is_allowed("10.20.3.4", allowed)
    assert is_allowed("::ffff:10.20.3.4", allowed)
    assert is_allowed("::1", allowed)
    assert not is_allowed("10.21.0.1", allowed)
    assert not is_allowed("127.0.0.1", allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://0/",
        "http://017700000001/",
        "http://user@hooks.example/",
        "http://127.0.0.1@hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "//hooks.example",
        "hooks.example",
        "http://",
        "http://hooks.example:0/",
        "http://hooks.example:99999/",
        "http://hooks.example/a b",
        "http://hooks.example/\r\nx: y",
        "http://hooks.example\\@127.0.0.1/",
        "http://[::1",
        "http://exa_mple..com/",
        "http://-/",
        "http://" + "a" * 2000,
    ],
)
def test_a_url_that_no_endpoint_has(url: str) -> None:
    """What is not plainly a URL of a receiver is refused when the team is set."""
    with pytest.raises(UrlRefused):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1/x", "127.0.0.1"),
        ("http://[::1]:8080/x", "::1"),
        ("http://[::ffff:7f00:1]/", "::ffff:7f00:1"),
        ("https://hooks.example/", None),
    ],
)
def test_a_url_with_an_address(url: str, address: str | None) -> None:
    """An address in a URL is known without asking a resolver."""
    found = literal_address(read_url(url))

    assert (IPv6Address(found) if found and ":" in found else found) == (
        IPv6Address(address) if address and ":" in address else address
    )


def test_the_parts_of_a_url() -> None:
    """Host, port and target come from one reading."""
    url = read_url("https://Hooks.Bücher.example:8443/a%20b/ü?x=1&y=ä#part")

    assert (url.host, url.port) == ("hooks.xn--bcher-kva.example", 8443)
    assert url.target == "/a%20b/%C3%BC?x=1&y=%C3%A4"

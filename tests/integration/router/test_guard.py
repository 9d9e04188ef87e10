"""The guard at the dial: no name, spelling or change of mind leads to an address that may not be called."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_network

import httpx
import pytest

from services.router.domain.addresses import Network
from services.router.domain.outcome import Outcome, Reply
from services.router.errors import AddressRefused, NameUnresolved
from services.router.guard import GuardedBackend, Resolve, resolve_host
from services.router.sender import Sender
from services.router.timings import Timings
from tests.support.receiver import Receiver, closes

LOOPBACK: list[Network] = [ip_network("127.0.0.0/8")]


def names(*answers: Sequence[str]) -> Resolve:
    """A resolver that gives these answers in turn, whatever it is asked."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0)

    return resolve


def open_sender(*, resolve: Resolve = resolve_host, allowed: Sequence[Network] = ()) -> Sender:
    return Sender(
        deadline=timedelta(seconds=2),
        allowed=allowed,
        tls=httpx.create_ssl_context(),
        resolve=resolve,
    )


async def post(sender: Sender, url: str) -> Reply:
    return await sender.send("crm", url, headers={"webhook-id": "msg_1"}, body=b"{}")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.0x1",
        "127.1",
        "127.0.1",
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.0x1",
        "000000177.0.0.1",
        "127.0.0.1.",
        "localhost.",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:0:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[fe80::5efe:7f00:1]",
        "[::1%25lo]",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "169.254.169.254",
    ],
)
async def test_a_spelling_of_a_private_address(receiver: Receiver, host: str) -> None:
    """However the address is written, nothing is dialled."""
    sender = open_sender()
    reply = await post(sender, f"http://{host}:{receiver.port}/")
    await sender.aclose()

    assert reply.outcome in {Outcome.ADDRESS_REFUSED, Outcome.UNREACHABLE, Outcome.NAME_UNRESOLVED}
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.1", "127.1", "0", "::ffff:127.0.0.1"]
)
async def test_what_the_resolver_reads_as_an_address(receiver: Receiver, host: str) -> None:
    """Below the rules for URLs the dial refuses it too: the resolver makes an address of it, and that is checked."""
    backend = GuardedBackend(allowed=(), timings=Timings())

    with pytest.raises(AddressRefused):
        await backend.connect_tcp(host, receiver.port)
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "inside",
    ["169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "fd00:ec2::254"],
)
async def test_a_name_that_is_another_name_inside(monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    """Through however many aliases a name leads inside, the address at their end is what is checked."""

    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        family = socket.AF_INET6 if ":" in inside else socket.AF_INET
        addresses = {family: (inside, port, 0, 0) if ":" in inside else (inside, port)}
        # As libc answers for hooks.example -> edge.cdn.example -> metadata.internal.example: the last one's address.
        return [(family, socket.SOCK_STREAM, 6, "metadata.internal.example", addresses[family])]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sender = open_sender(resolve=resolve_host)
    reply = await post(sender, "http://hooks.example/")
    await sender.aclose()

    assert reply.outcome is Outcome.ADDRESS_REFUSED


async def test_a_name_with_a_good_and_a_bad_address(receiver: Receiver) -> None:
    """One bad address among the answers refuses all of them."""
    sender = open_sender(resolve=names(["93.184.216.34", "127.0.0.1"]))
    reply = await post(sender, f"http://hooks.example:{receiver.port}/")
    await sender.aclose()

    assert reply.outcome is Outcome.ADDRESS_REFUSED
    assert receiver.connections == 0


async def test_a_name_that_changes_its_mind(receiver: Receiver) -> None:
    """Each connection checks anew: a name that was fine before is refused when it leads inside."""
    receiver.script(closes)
    sender = open_sender(resolve=names(["127.0.0.1"], ["10.0.0.1"]), allowed=LOOPBACK)
    first = await post(sender, f"http://hooks.example:{receiver.port}/")
    second = await post(sender, f"http://hooks.example:{receiver.port}/")
    await sender.aclose()

    assert first.outcome is Outcome.BROKEN
    assert second.outcome is Outcome.ADDRESS_REFUSED
    assert receiver.connections == 1


async def test_a_name_that_changes_between_check_and_dial(receiver: Receiver) -> None:
    """A name is asked for once: what is dialled is what was checked, not what the name says by then."""
    asked = 0

    async def rebinding(host: str, port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.2"] if asked == 1 else ["127.0.0.1"]

    sender = open_sender(resolve=rebinding, allowed=[ip_network("127.0.0.2/32")])
    reply = await post(sender, f"http://hooks.example:{receiver.port}/")
    await sender.aclose()

    assert (reply.outcome, asked) == (Outcome.UNREACHABLE, 1)  # nobody listens at the address that was checked
    assert receiver.connections == 0


async def test_the_host_header(receiver: Receiver) -> None:
    """The receiver sees the name that it was called by, not the address that was dialled."""
    sender = open_sender(resolve=names(["127.0.0.1"]), allowed=LOOPBACK)
    await post(sender, f"http://hooks.example:{receiver.port}/leads?x=1")
    await sender.aclose()

    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"
    assert receiver.requests[0].path == "/leads?x=1"


async def test_a_proxy_in_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not used: it would dial for us, unguarded."""
    monkeypatch.setenv("HTTP_PROXY", receiver.url)
    monkeypatch.setenv("ALL_PROXY", receiver.url)
    sender = open_sender(resolve=names(["10.0.0.1"]))
    reply = await post(sender, "http://hooks.example/")
    await sender.aclose()

    assert reply.outcome is Outcome.ADDRESS_REFUSED
    assert receiver.connections == 0


async def test_a_name_without_an_address() -> None:
    """A name that nobody knows is a failed attempt of its own kind."""

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise NameUnresolved(host)

    sender = open_sender(resolve=unknown)
    reply = await post(sender, "http://hooks.example/")
    await sender.aclose()

    assert reply.outcome is Outcome.NAME_UNRESOLVED


@pytest.mark.parametrize(
    ("said", "outcome"), [(b"HTTP/1.1 400 This is HTTP\r\n\r\n", Outcome.TLS_FAILED), (b"", Outcome.TIMED_OUT)]
)
async def test_tls_where_there_is_none(said: bytes, outcome: Outcome) -> None:
    """A receiver that does not speak TLS, or never finishes the handshake, is told apart from one that is away."""
    left = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        sender = open_sender(resolve=names(["127.0.0.1"]), allowed=LOOPBACK)
        reply = await post(sender, f"https://hooks.example:{server.sockets[0].getsockname()[1]}/")
        await sender.aclose()
        await asyncio.wait_for(left.wait(), 5)

    assert reply.outcome is outcome


def test_certificates_are_checked() -> None:
    """The TLS settings demand a certificate, and one for the right name."""
    context = httpx.create_ssl_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname

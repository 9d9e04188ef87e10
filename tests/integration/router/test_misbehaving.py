"""A receiver that misbehaves on demand: what each attempt comes to, in time and in bounds."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from time import monotonic

import httpx
import pytest

from services.router.domain.outcome import Outcome, Reply
from services.router.guard import Resolve, resolve_host
from services.router.sender import EXCERPT_BYTES, Sender
from tests.support.certificates import Authority
from tests.support.receiver import (
    Behaviour,
    Receiver,
    answers,
    bomb,
    closes,
    drips_body,
    drips_headers,
    endless_chunks,
    endless_headers,
    floods,
    hangs,
    open_receiver,
    redirects,
    resets,
    says,
    storm,
)

DEADLINE = timedelta(milliseconds=400)


@asynccontextmanager
async def open_sender(
    *, resolve: Resolve = resolve_host, tls: ssl.SSLContext | None = None, deadline: timedelta = DEADLINE
) -> AsyncIterator[Sender]:
    sender = Sender(
        deadline=deadline,
        allowed=[ip_network("127.0.0.0/8")],
        tls=tls or httpx.create_ssl_context(),
        resolve=resolve,
    )
    try:
        yield sender
    finally:
        await sender.aclose()


async def send(sender: Sender, url: str) -> tuple[Reply, float]:
    """Return the reply and the seconds that it took."""
    started = monotonic()
    reply = await sender.send("crm", url, headers={"webhook-id": "msg_1"}, body=b"{}")
    return reply, monotonic() - started


@pytest.mark.parametrize(
    ("behaviour", "outcome", "status"),
    [
        (hangs, Outcome.TIMED_OUT, None),
        (drips_headers, Outcome.TIMED_OUT, None),
        (drips_body, Outcome.TIMED_OUT, 200),
        (endless_chunks, Outcome.DELIVERED, 200),
        (floods, Outcome.DELIVERED, 200),
        (bomb(20), Outcome.DELIVERED, 200),
        (endless_headers, Outcome.BROKEN, None),
        (closes, Outcome.BROKEN, None),
        (resets, Outcome.BROKEN, None),
        (redirects("http://169.254.169.254/latest/meta-data"), Outcome.REDIRECTED, 307),
        (storm(), Outcome.THROTTLED, 429),
        (storm(503, retry_after="3"), Outcome.THROTTLED, 503),
        (answers(500), Outcome.SERVER_ERROR, 500),
        (says(b"SSH-2.0-OpenSSH_9.9\r\n"), Outcome.BROKEN, None),
        (says(b""), Outcome.BROKEN, None),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"), Outcome.BROKEN, 200),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), Outcome.BROKEN, None),
        (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), Outcome.BROKEN, 200),
        (says(b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\ncontent-length: 2\r\n\r\n\xff\xfe"), Outcome.DELIVERED, 200),
        (says(b"HTTP/1.1 99999 What\r\n\r\n"), Outcome.BROKEN, None),
        (says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"), Outcome.BROKEN, None),
    ],
)
async def test_what_a_receiver_does(behaviour: Behaviour, outcome: Outcome, status: int | None) -> None:
    """Each kind of misbehaviour has its outcome; none takes longer than the deadline or keeps more than is kept."""
    async with open_receiver() as receiver, open_sender() as sender:
        receiver.always = behaviour
        reply, seconds = await send(sender, receiver.url)

    assert (reply.outcome, reply.status) == (outcome, status)
    assert seconds < 2
    assert len(reply.excerpt) <= EXCERPT_BYTES
    assert set(reply.phases) >= {"dns", "connect", "total"}


async def test_a_resolver_that_hangs() -> None:
    """The deadline covers the name."""

    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    async with open_sender(resolve=never) as sender:
        reply, seconds = await send(sender, "http://hooks.example/")

    assert reply.outcome is Outcome.TIMED_OUT
    assert seconds < 2


async def test_a_connection_that_is_never_taken() -> None:
    """The deadline covers the dial."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        async with open_sender() as sender:
            reply, seconds = await send(sender, f"http://127.0.0.1:{address[1]}/")
        for each in waiting:
            each.close()

    assert reply.outcome is Outcome.TIMED_OUT
    assert seconds < 2


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def serving(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate, key = authority.sign("receiver")
    context.load_cert_chain(certificate, key)
    return context


async def test_a_certificate_for_another_name(authority: Authority) -> None:
    """A certificate has to be for the name in the URL; nothing is sent where it is not."""

    async def here(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    trusting = ssl.create_default_context(cafile=authority.file)
    async with (
        open_receiver(tls=serving(authority)) as receiver,
        open_sender(resolve=here, tls=trusting, deadline=timedelta(seconds=5)) as sender,
    ):
        right, _ = await send(sender, f"https://127.0.0.1:{receiver.port}/")
        wrong, _ = await send(sender, f"https://hooks.example:{receiver.port}/")

    assert (right.outcome, wrong.outcome) == (Outcome.DELIVERED, Outcome.TLS_FAILED)
    assert set(right.phases) == {"dns", "connect", "tls", "first_byte", "total"}
    assert len(receiver.requests) == 1


async def test_a_certificate_that_nobody_vouches_for(authority: Authority) -> None:
    """Who signed a certificate matters."""
    async with open_receiver(tls=serving(authority)) as receiver, open_sender(deadline=timedelta(seconds=5)) as sender:
        reply, _ = await send(sender, f"https://127.0.0.1:{receiver.port}/")

    assert reply.outcome is Outcome.TLS_FAILED
    assert receiver.requests == []


async def test_a_kept_connection(receiver: Receiver) -> None:
    """The second attempt on a connection has no name, dial or handshake to wait for."""
    async with open_sender() as sender:
        await send(sender, receiver.url)
        second, _ = await send(sender, receiver.url)

    assert set(second.phases) == {"first_byte", "total"}

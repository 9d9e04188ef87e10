"""Receivers that ask for a certificate: real handshakes, with the right one, a wrong one and none."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.integration.router.test_delivery import attempts_of
from tests.support.certificates import Authority
from tests.support.handoffs import make_handoff
from tests.support.receiver import open_receiver

KEY = Fernet.generate_key().decode()
VERSIONS = pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that the router trusts as it trusts the public ones."""
    authority = Authority(tmp_path, "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


def asking(authority: Authority, *, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """Return TLS settings of a receiver that takes nobody without a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = newest
    context.load_cert_chain(*authority.sign("receiver"))
    return context


def presenting(authority: Authority, name: str) -> dict[str, str]:
    """Return what a team says of a certificate and its key."""
    certificate, key = (file.read_text() for file in authority.sign(name))
    return {"certificate": certificate, "key": key}


async def set_endpoint(router: RunningRouter, port: int, presented: dict[str, str] | None) -> None:
    endpoint: dict[str, Any] = {"name": "crm", "url": f"https://127.0.0.1:{port}/leads", "retries": []}
    await router.set_team(endpoints=[{**endpoint, "mtls": presented} if presented else endpoint])


@contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[int]:
    """Listen as servers do that say why they refuse a handshake, which asyncio's do not; yields the port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with suppress(ssl.SSLError):
                    tls.do_handshake()
                with socket.socket(fileno=tls.detach()) as raw:
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(4096):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join(5)


@VERSIONS
async def test_a_receiver_that_asks_for_a_certificate(
    start_router: StartRouter, authority: Authority, tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    """With its certificate a lead arrives; with a stranger's, or none, nothing does."""
    strangers = Authority(tmp_path, "strangers")
    async with (
        open_receiver(tls=asking(authority, newest=newest)) as receiver,
        start_router(secret_key=KEY) as router,
    ):
        refused = []
        for presented in (None, presenting(strangers, "them")):
            await set_endpoint(router, receiver.port, presented)
            refused.append(await router.call("POST", "/v1/endpoints/crm/test"))
        before = len(receiver.requests)
        await set_endpoint(router, receiver.port, presenting(authority, "us"))
        await router.hand_over(make_handoff())
        (request,) = await receiver.wait_for(1)
        (delivery,) = await router.wait_for_delivery("delivered")
        (attempt,) = await attempts_of(router, delivery["id"])

    assert before == 0
    assert [tried["delivered"] for tried in refused] == [False, False]
    assert request.verify(router.secrets["crm"])["type"] == "lead.sales_ready"
    assert "tls" in str(attempt["phases"])
    assert "PRIVATE KEY" not in str(attempt)


@VERSIONS
async def test_a_receiver_that_says_why(
    start_router: StartRouter, authority: Authority, tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    """The attempt says that it is the certificate: that we have none, or one that nobody there knows."""
    strangers = Authority(tmp_path, "strangers")
    async with start_router(secret_key=KEY) as router:
        with refusing(asking(authority, newest=newest)) as port:
            tried = []
            for presented in (None, presenting(strangers, "them")):
                await set_endpoint(router, port, presented)
                tried.append(await router.call("POST", "/v1/endpoints/crm/test"))

    assert [item["outcome"] for item in tried] == ["tls_failed", "tls_failed"]
    assert all("alert" in item["error"] for item in tried), tried


async def test_a_certificate_that_ran_out(start_router: StartRouter, authority: Authority) -> None:
    """Nobody is called with it: the attempt says since when it is of no use, and what to do."""
    clock = MovableClock()
    async with (
        open_receiver(tls=asking(authority, newest=ssl.TLSVersion.TLSv1_3)) as receiver,
        start_router(secret_key=KEY, clock=clock) as router,
    ):
        await set_endpoint(router, receiver.port, presenting(authority, "us"))
        clock.ahead = timedelta(days=2)
        await router.hand_over(make_handoff())
        (dead,) = await router.wait_for_delivery("dead")
        (attempt,) = await attempts_of(router, dead["id"])

    assert attempt["outcome"] == "misconfigured"
    assert "the certificate expired at" in str(attempt["error"])
    assert "put a new one into the team" in str(attempt["error"])
    assert receiver.connections == 0

"""A CRM in miniature: takes webhooks, verifies their signature as any receiver would, answers 204."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.runtime import HttpServer, listen


@dataclass(frozen=True, slots=True)
class Receipt:
    """One webhook that arrived and whose signature was right."""

    webhook_id: str
    payload: dict[str, Any]


@dataclass(slots=True)
class WebhookReceiver:
    """What arrived. `secret` is set once the endpoint was created."""

    url: str
    secret: str = ""
    receipts: list[Receipt] = field(default_factory=list)
    refused: int = 0
    on_receipt: Callable[[Receipt], None] | None = None

    async def receive(self, request: Request) -> Response:
        """Verify, keep, answer: 204, or 401 when the signature is wrong."""
        body = await request.body()
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return Response(status_code=401)
        receipt = Receipt(request.headers["webhook-id"], json.loads(body))
        self.receipts.append(receipt)
        if self.on_receipt:
            self.on_receipt(receipt)
        return Response(status_code=204)


@asynccontextmanager
async def open_receiver(port: int = 0) -> AsyncIterator[WebhookReceiver]:
    """Serve a receiver on the loopback; port 0 takes a free one. Raises OSError when the port is taken."""
    with contextlib.closing(listen("127.0.0.1", port)) as sock:
        receiver = WebhookReceiver(url=f"http://127.0.0.1:{sock.getsockname()[1]}/leads")
        app = Starlette(routes=[Route("/leads", receiver.receive, methods=["POST"])])
        server = HttpServer(uvicorn.Config(app, access_log=False, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve([sock]))
        try:
            yield receiver
        finally:
            server.should_exit = True
            await serving

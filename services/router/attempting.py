"""One attempt: the request built, authorised and sent, and what came of it. It never raises."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from services.router.domain.destination import Answer, Exchange, Judged, Learned, Request, Target
from services.router.domain.destinations.choosing import DESTINATIONS
from services.router.domain.kind import TERMS
from services.router.domain.outcome import NEVER_ARRIVED, Outcome, Reply
from services.router.domain.webhook import Message
from services.router.sender import Sender
from services.router.store.ledger import LedgerStore
from services.router.targets import TargetBroken, Targets
from services.router.tokens import Tokens
from shared.clock import Clock
from shared.postgres.engine import passes

_SHOWN = frozenset(
    {
        "content-type",
        "user-agent",
        "accept-encoding",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "traceparent",
    }
)
REDACTED = "•••"


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of it, and the headers that were sent, as the log may show them."""

    reply: Reply
    headers: dict[str, str]


class Attempts:
    """Makes attempts."""

    def __init__(
        self,
        *,
        sender: Sender,
        tokens: Tokens,
        targets: Targets,
        ledger: LedgerStore,
        settles_after: timedelta,
        clock: Clock,
    ) -> None:
        self._sender = sender
        self._settles_after = settles_after
        self._ledger = ledger
        self._tokens = tokens
        self._targets = targets
        self._clock = clock
        self._logger = structlog.get_logger().bind(worker="router.deliveries")

    async def make(
        self,
        target: Target | TargetBroken,
        message: Message,
        *,
        traceparent: str | None,
        delivery: UUID | None = None,
    ) -> Attempted:
        """Make one attempt to deliver the message; one that is of no delivery is not remembered."""
        headers: dict[str, str] = {}
        if isinstance(target, TargetBroken):
            return Attempted(_misconfigured(target), headers)
        try:
            if delivery and TERMS[target.kind].remembered:
                target = replace(target, known=await self._ledger.known(delivery, revision=target.revision))
            exchange = DESTINATIONS[target.kind].exchange(message, target, at=self._clock(), traceparent=traceparent)
            reply = await self._exchange(target, exchange, headers, delivery)
            return Attempted(reply, headers)
        except (TargetBroken, ValueError) as error:
            return Attempted(_misconfigured(error), headers)
        except Exception as error:  # a fault of ours must not send the same delivery around for ever
            self._logger.exception("delivery.failed", webhook_id=message.id)
            return Attempted(Reply(status=None, outcome=Outcome.BROKEN, error=repr(error)), headers)

    async def _exchange(
        self, target: Target, exchange: Exchange, headers: dict[str, str], delivery: UUID | None
    ) -> Reply:
        """Send what the exchange wants sent, one request after the other; note the headers of the last."""
        reply = Reply(status=None, outcome=Outcome.DELIVERED)
        asked_at = self._clock()
        try:
            request = next(exchange)
            while True:
                await self._learn(target, delivery, request.learned)
                if unsettled := await self._begin(target, delivery, request, asked_at=asked_at):
                    return unsettled
                asked_at = self._clock()
                headers.clear()
                headers |= {name: value if name in _SHOWN else REDACTED for name, value in request.headers.items()}
                answers: list[Answer] = []
                reply = await self._authorised(target, request, answers)
                if request.makes and _made_nothing(reply):
                    await self._learn(target, delivery, {request.makes: None})
                if not answers:
                    return reply  # there is no complete answer to go on with
                request = exchange.send(answers[-1])
        except StopIteration as end:
            judged: Judged = end.value
            await self._learn(target, delivery, judged.learned)
            return replace(
                reply,
                outcome=judged.outcome,
                error=judged.error or reply.error,
                retry_after=judged.retry_after or reply.retry_after,
            )
        finally:
            exchange.close()

    async def _begin(
        self, target: Target, delivery: UUID | None, request: Request, *, asked_at: datetime
    ) -> Reply | None:
        """Take what the request makes, or return why it is not sent. The search before it was sent at `asked_at`."""
        if not delivery or not request.makes:
            return None
        settled_at = await self._ledger.begin(
            delivery,
            request.makes,
            revision=target.revision,
            after=self._settles_after,
            asked_at=asked_at,
            now=self._clock(),
        )
        if settled_at is None:
            return None
        return Reply(
            status=None,
            outcome=Outcome.UNSETTLED,
            error=f"Another attempt may have made the {request.makes}, and the search does not know it yet.",
            settled_at=settled_at,
        )

    async def _learn(self, target: Target, delivery: UUID | None, learned: Learned) -> None:
        """Keep what an answer told. While PostgreSQL is away it is not kept: the next attempt asks anew."""
        if not delivery or not learned:
            return
        try:
            await self._ledger.learn(delivery, learned, revision=target.revision, now=self._clock())
        except Exception as error:
            if not passes(error):
                raise
            self._logger.warning("ledger.missed", delivery=str(delivery), reason=str(error))

    async def _authorised(self, target: Target, request: Request, answers: list[Answer]) -> Reply:
        if target.oauth2 is None:
            return await self._send(target, request, answers)
        token = await self._tokens.token(target)
        if isinstance(token, Reply):
            return token
        reply = await self._send(target, _bearing(request, token), answers)
        if reply.status != 401:
            return reply
        # The receiver no longer takes the token, though it should be good: once, another may do.
        again = await self._tokens.token(target, refused=token)
        if isinstance(again, Reply):
            answers.clear()
            return again
        return await self._send(target, _bearing(request, again), answers)

    async def _send(self, target: Target, request: Request, answers: list[Answer]) -> Reply:
        def hear(status: int, *, headers: Mapping[str, str], body: bytes) -> Outcome:
            answers.append(Answer(status, headers, body))
            return answers[-1].outcome()

        return await self._sender.send(
            target.name,
            request.url,
            headers=request.headers,
            body=request.body,
            method=request.method,
            judge=hear,
            tls=self._targets.tls(target),
            once=request.makes is not None,
        )


def _made_nothing(reply: Reply) -> bool:
    """Tell whether it is sure that the receiver did not do what it was asked."""
    return reply.outcome in NEVER_ARRIVED or (reply.status is not None and 400 <= reply.status < 500)


def _misconfigured(error: Exception) -> Reply:
    return Reply(status=None, outcome=Outcome.MISCONFIGURED, error=str(error))


def _bearing(request: Request, token: str) -> Request:
    return replace(request, headers={**request.headers, "authorization": f"Bearer {token}"})

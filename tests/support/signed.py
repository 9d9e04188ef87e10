"""The headers of an attempt, signed as Tandem does."""

from datetime import datetime

from services.router.domain.signing import signatures
from services.router.domain.webhook import Message, attempt_headers


def signed_headers(message: Message, *, secret: str, at: datetime, traceparent: str | None = None) -> dict[str, str]:
    """Return all headers of one attempt but those of the connection."""
    signature = signatures(secret, (), message_id=message.id, at=at, body=message.body)
    return attempt_headers(message, signature=signature, at=at, traceparent=traceparent)

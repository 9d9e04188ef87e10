"""Slack and Teams. Neither knows a message again, so an attempt whose answer was lost may show it twice."""

from datetime import datetime

import msgspec

from services.router.domain.chat import slack_message, teams_message
from services.router.domain.destination import Exchange, Judged, Request, Target
from services.router.domain.destinations.lead import JSON_HEADERS, read_envelope
from services.router.domain.outcome import Outcome
from services.router.domain.webhook import Message


class Slack:
    """An incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

    def exchange(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Exchange:  # noqa: ARG002
        """Post the message."""
        answer = yield _post(target, msgspec.json.encode(slack_message(read_envelope(message, target))))
        if answer.status == 200 and answer.body.strip() != b"ok":
            return Judged(Outcome.REFUSED, f"Slack answers {answer.body[:200].decode(errors='replace')!r}.")
        return Judged(answer.outcome())


class Teams:
    """A workflow that takes webhooks, or a connector of the old kind, which tells of failures in the body of a 200.

    https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
    """

    def exchange(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Exchange:  # noqa: ARG002
        """Post the card."""
        answer = yield _post(target, msgspec.json.encode(teams_message(read_envelope(message, target))))
        said = answer.body[:500].decode(errors="replace")
        if answer.outcome() is Outcome.DELIVERED and "returned HTTP error" in said:
            throttled = "HTTP error 429" in said
            return Judged(Outcome.THROTTLED if throttled else Outcome.REFUSED, f"Teams answers {said!r}.")
        return Judged(answer.outcome())


def _post(target: Target, body: bytes) -> Request:
    return Request(method="POST", url=target.url, headers={**JSON_HEADERS, **target.headers}, body=body)

"""The fields of one call in Segment's form, which CloudEvents may carry as their data, too; and the event they make."""

from datetime import timedelta
from typing import Any

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identifiers import Names, read_email, read_identifier
from services.ingest.domain.instants import occurred_at
from services.ingest.domain.rejection import Reason, Refused
from services.ingest.domain.scalars import scalar_text
from shared.events.touch import TouchType

TYPES = {str(kind): kind for kind in TouchType}

# Reading a member of an enumeration takes longer than comparing with it.
_TRACK, _PAGE, _SCREEN = TouchType.TRACK, TouchType.PAGE, TouchType.SCREEN
_GROUP, _ALIAS = TouchType.GROUP, TouchType.ALIAS


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an event may be."""

    max_event_bytes: int
    allowed_skew: timedelta
    placeholders: frozenset[str] = frozenset()  # ids that name nobody, besides PLACEHOLDERS; in lower case


class Context(msgspec.Struct, frozen=True, gc=False):
    """What is read of `context`; the rest of it is skipped."""

    traits: Any = None
    page: Any = None
    campaign: Any = None
    userAgent: Any = None  # noqa: N815  # the protocol's spelling
    consent: Any = None


class Fields(msgspec.Struct, frozen=True, gc=False):
    """What is read of a call; the rest of it is skipped."""

    type: Any = None
    event: Any = None
    name: Any = None
    category: Any = None
    userId: Any = None  # noqa: N815  # likewise, here and below
    anonymousId: Any = None  # noqa: N815
    previousId: Any = None  # noqa: N815
    groupId: Any = None  # noqa: N815
    messageId: Any = None  # noqa: N815
    timestamp: Any = None
    originalTimestamp: Any = None  # noqa: N815
    sentAt: Any = None  # noqa: N815
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: Context | None = None


NO_CONTEXT = Context()


def event_of(
    fields: Fields,
    kind: TouchType,
    origin: Origin,
    *,
    context: Context,
    sent_at: Any,
    message_id: str,
    limits: Limits,
    fallback: Names | None = None,
) -> Event:
    """Return the event that the fields describe. Raises Refused.

    `fallback` names the contact where the fields do not.
    """
    own = _within(context, fields.context)
    properties = fields.properties or {}
    person = _object(own.traits)
    if kind is _GROUP:
        traits = fields.traits or {}
    else:
        traits = person = _merged(person, fields.traits)
    names = _names(
        fields, kind, person=person, properties=properties, fallback=fallback, placeholders=limits.placeholders
    )
    name = ""
    if kind is _TRACK:
        name = scalar_text(fields.event).strip()
        if not name:
            raise Refused(Reason.NO_EVENT_NAME, "Give a track call the name of its event in `event`.")
    elif kind is _PAGE or kind is _SCREEN:
        name = scalar_text(fields.name) or scalar_text(properties.get("name"))
        if fields.category and "category" not in properties:
            properties = {**properties, "category": fields.category}
    return Event(
        type=kind,
        message_id=message_id,
        occurred_at=occurred_at(
            timestamp=fields.timestamp,
            original_timestamp=fields.originalTimestamp,
            sent_at=fields.sentAt if sent_at is None else sent_at,
            received_at=origin.received_at,
            allowed_skew=limits.allowed_skew,
        ),
        names=names,
        name=name,
        group_id=scalar_text(fields.groupId) if kind is _GROUP else "",
        properties=properties,
        traits=traits,
        page=_object(own.page),
        campaign=_object(own.campaign),
        user_agent=scalar_text(own.userAgent),
        consent=_object(own.consent),
    )


def _within(shared: Context, own: Context | None) -> Context:
    """Return what the call's own context and that of its batch say together; its own wins key by key."""
    if own is None or shared is NO_CONTEXT:
        return own or shared
    return Context(
        traits=_merged(shared.traits, own.traits),
        page=_merged(shared.page, own.page),
        campaign=_merged(shared.campaign, own.campaign),
        userAgent=scalar_text(own.userAgent) or shared.userAgent,
        consent=_merged(shared.consent, own.consent),
    )


def _names(
    fields: Fields,
    kind: TouchType,
    *,
    person: dict[str, Any],
    properties: dict[str, Any],
    fallback: Names | None,
    placeholders: frozenset[str],
) -> Names:
    user = read_identifier(fields.userId, besides=placeholders)
    anonymous = read_identifier(fields.anonymousId, besides=placeholders)
    email = (read_email(person.get("email")) if person else "") or read_email(user)
    if not email and not user:
        email = read_email(properties.get("email"))  # a form tells who filled it in; a known user may write of others
    if fallback:
        user = user or read_identifier(fallback.user, besides=placeholders)
        anonymous = anonymous or read_identifier(fallback.anonymous, besides=placeholders)
        email = email or fallback.email
    if not (user or email or anonymous) or (kind is _ALIAS and not user):
        missing = "a `userId`" if kind is _ALIAS else "a `userId`, an `anonymousId` or an email"
        raise Refused(Reason.NO_IDENTIFIER, f"Send {missing} that names one contact, at most 256 characters long.")
    previous = read_identifier(fields.previousId, besides=placeholders) if kind is _ALIAS else ""
    return Names(user=user, email=email, anonymous=anonymous, previous="" if previous == user else previous)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _merged(under: Any, over: Any) -> dict[str, Any]:
    """Return both objects as one, `over` winning key by key; what is no object counts as empty."""
    if not under or not isinstance(under, dict):
        return _object(over)
    return {**under, **over} if isinstance(over, dict) else under

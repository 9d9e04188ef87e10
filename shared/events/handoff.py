"""What the scorer tells the router: a contact is ready, or wants to be left alone. Key = contact id."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from shared.business_calendar import BusinessCalendar
from shared.events.explanation import Score
from shared.events.touch import Alias, Campaign


class ContactSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who the contact was when the decision fell."""

    id: UUID
    aliases: tuple[Alias, ...] = ()
    traits: dict[str, Any] = {}
    account_id: UUID | None = None
    account_domain: str = ""
    account_traits: dict[str, Any] = {}


class TouchSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A touch in the words of the brief."""

    at: datetime
    type: str
    name: str = ""
    path: str = ""
    title: str = ""
    rules: tuple[str, ...] = ()  # rules of the agreement that the touch counted for


class Promised(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a campaign told the contact that it brought."""

    campaign: Campaign
    at: datetime | None = None  # when it brought the contact; None: longer ago than is looked back
    message: str = ""  # the subject of the mail, the text of the ad
    offer: str = ""
    landing_page: str = ""  # path of the page where the contact arrived
    landing_title: str = ""


class PageRead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page that the contact looked at."""

    at: datetime  # the last time
    title: str = ""
    path: str = ""
    times: int = 1


class Words(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that the contact wrote: a form answer, a search term."""

    at: datetime
    field: str
    text: str


class Respond(msgspec.Struct, frozen=True):
    """The response times of the agreement, in seconds.

    `business` means the working time of the calendar; without one, of whoever has the handoff.
    """

    within_seconds: int
    reassign_after_seconds: int
    escalate_after_seconds: int
    hours: Literal["business", "always"]
    calendar: BusinessCalendar | None = None  # the hours that the agreement names; None: those of the team


class EngagedPerson(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody of an account that was handed off. Who that is, the scorer tells whoever may know, while it does."""

    contact_id: UUID
    engagement: float  # of the contact for itself
    adds: float  # to the account's, capped
    roles: tuple[str, ...] = ()  # in the buying group
    last_at: datetime | None = None  # when it last did something that is worth points


class EngagedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that crossed its threshold; what the people add is its engagement."""

    id: UUID
    engagement: float
    people: tuple[EngagedPerson, ...]  # most engaged first, at most 20


class HandoffReady(msgspec.Struct, frozen=True, kw_only=True, tag="handoff.ready", tag_field="type"):
    """A contact became sales-ready: one crossing of the threshold, its own or its account's, or one hand-raise."""

    id: UUID  # of the handoff; derived from the touch that tipped it
    contact: ContactSnapshot
    agreement: int  # version that it was decided under
    decided_at: datetime  # `received_at` of the touch that tipped it; always after an opt-out that was taken back
    reason: Literal["threshold", "hand_raise", "account"]  # account: what the people of its company did together
    touch_id: UUID
    engagement: Score
    fit: Score
    stage: str | None
    touches: int
    recent: tuple[TouchSummary, ...]  # newest first, at most 20
    words: tuple[Words, ...]
    first_campaign: Campaign | None
    last_campaign: Campaign | None
    respond: Respond
    reject_reasons: tuple[str, ...]
    promises: tuple[Promised, ...] = ()  # of the first campaign and of the last; one, if it is the same
    read: tuple[PageRead, ...] = ()  # the last read first
    unread: tuple[str, ...] = ()  # rules about pages that no touch has met
    opted_in_at: datetime | None = None  # when the contact took an opt-out back
    account: EngagedAccount | None = None  # with the reason `account`


class ContactOptedOut(msgspec.Struct, frozen=True, kw_only=True, tag="contact.opted_out", tag_field="type"):
    """A contact asked to be left alone: nothing may be delivered any more of what was decided until `at`.

    That is not when the contact said so but when it became known, so that it covers what was decided in between.
    """

    id: UUID
    contact_id: UUID
    at: datetime


HandoffMessage = HandoffReady | ContactOptedOut

encode_handoff = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[HandoffMessage] = msgspec.json.Decoder(HandoffMessage)


def decode_handoff(value: bytes) -> HandoffMessage:
    """Read one record of `handoffs`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)

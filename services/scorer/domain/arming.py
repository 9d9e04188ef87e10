"""Arming: whether a contact may be handed off now. One handoff a crossing, and no flapping.

    armed ──handoff──► handed ──fell below, or given back and cooled down──► armed

Rules for this file: everything that decides about arming is here, in one total table, and in `at`, which lets time
pass. Nothing is lost when time passes early: an armed contact remembers what it was before and since when it is
armed, so a late decision as of an earlier instant sees what was true then. That is why it makes no difference whether
the sweeper or the contact's next touch notices first.
"""

from enum import StrEnum
from typing import Literal, Self
from uuid import UUID

import msgspec

Reason = Literal["threshold", "hand_raise", "account"]


class ArmingKind(StrEnum):
    """What stands between the contact and its next handoff."""

    ARMED = "armed"  # nothing
    HANDED = "handed"  # a handoff is open: its engagement has to fall first, or sales has to give it back
    CLOSED = "closed"  # the handoff is won or lost: the same, but asking for sales opens the next
    COOLING = "cooling"  # sales gave it back; asking for sales opens the next


class ArmingEvent(StrEnum):
    """What changes it."""

    HANDOFF = "handoff"
    FELL_BELOW = "fell_below"
    RECYCLED = "recycled"
    CLOSED = "closed"
    COOL_DOWN_OVER = "cool_down_over"


class IllegalStepError(Exception):
    """Raised when an event cannot happen to a contact in that state; nothing was changed."""


_K, _E = ArmingKind, ArmingEvent
TRANSITIONS: dict[ArmingKind, dict[ArmingEvent, ArmingKind | None]] = {
    _K.ARMED: {
        _E.HANDOFF: _K.HANDED,
        _E.FELL_BELOW: _K.ARMED,
        _E.RECYCLED: _K.COOLING,  # sales answers late: engagement fell before
        _E.CLOSED: _K.ARMED,
        _E.COOL_DOWN_OVER: _K.ARMED,
    },
    _K.HANDED: {
        _E.HANDOFF: None,
        _E.FELL_BELOW: _K.ARMED,
        _E.RECYCLED: _K.COOLING,
        _E.CLOSED: _K.CLOSED,
        _E.COOL_DOWN_OVER: None,
    },
    _K.CLOSED: {
        _E.HANDOFF: _K.HANDED,
        _E.FELL_BELOW: _K.ARMED,
        _E.RECYCLED: _K.COOLING,
        _E.CLOSED: _K.CLOSED,
        _E.COOL_DOWN_OVER: None,
    },
    _K.COOLING: {
        _E.HANDOFF: _K.HANDED,
        _E.FELL_BELOW: _K.COOLING,  # the cool-down was promised to sales
        _E.RECYCLED: _K.COOLING,
        _E.CLOSED: _K.COOLING,
        _E.COOL_DOWN_OVER: _K.ARMED,
    },
}


def step(kind: ArmingKind, event: ArmingEvent) -> ArmingKind:
    """Return what the event makes of it. Raises IllegalStepError."""
    after = TRANSITIONS[kind][event]
    if after is None:
        raise IllegalStepError(f"A contact that is {kind} cannot take {event}.")
    return after


class Arming(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The arming of one contact. Instants are in microseconds."""

    kind: ArmingKind = ArmingKind.ARMED
    handoff_id: UUID | None = None  # the latest handoff; feedback about earlier ones changes nothing
    reason: Reason | None = None  # of that handoff
    level: float = 0.0  # engagement below which an open or closed handoff arms the contact again
    rearms_at: int | None = None  # when it becomes armed if nothing else happens; None: never
    since: int | None = None  # of an armed contact: when it became so
    before: ArmingKind | None = None  # of an armed contact: what it was until then

    def at(self, instant: int) -> Self:
        """Return the arming as it is at the instant."""
        if self.kind is ArmingKind.ARMED:
            if self.since is not None and self.before is not None and instant < self.since:
                return msgspec.structs.replace(self, kind=self.before, rearms_at=self.since, since=None, before=None)
            return self
        if self.rearms_at is None or instant < self.rearms_at:
            return self
        event = ArmingEvent.COOL_DOWN_OVER if self.kind is ArmingKind.COOLING else ArmingEvent.FELL_BELOW
        after = step(self.kind, event)
        return msgspec.structs.replace(self, kind=after, rearms_at=None, since=self.rearms_at, before=self.kind)

    def handed_off(self, handoff_id: UUID, reason: Reason, *, level: float) -> Self:
        """Return it after a handoff. Raises IllegalStepError."""
        return type(self)(step(self.kind, ArmingEvent.HANDOFF), handoff_id, reason, level)

    def recycled(self, *, until: int) -> Self:
        """Return it after sales gave the contact back, to be left alone until the instant."""
        after = step(self.kind, ArmingEvent.RECYCLED)
        if self.kind is ArmingKind.COOLING and self.rearms_at is not None:
            until = max(until, self.rearms_at)
        return type(self)(after, self.handoff_id, self.reason, self.level, rearms_at=until)

    def closed(self) -> Self:
        """Return it after the handoff was won or lost."""
        return msgspec.structs.replace(self, kind=step(self.kind, ArmingEvent.CLOSED))

    def falling(self, at: int | None, *, level: float) -> Self:
        """Return it with the instant at which engagement will fall below the level."""
        return msgspec.structs.replace(self, rearms_at=at, level=level)

    @property
    def falls(self) -> bool:
        """Whether falling below the re-arm level arms the contact."""
        return self.kind is ArmingKind.HANDED or self.kind is ArmingKind.CLOSED

    @property
    def takes_threshold(self) -> bool:
        """Whether crossing the threshold hands the contact off."""
        return self.kind is ArmingKind.ARMED

    @property
    def takes_hand_raise(self) -> bool:
        """Whether asking for sales hands the contact off."""
        return self.kind is not ArmingKind.HANDED

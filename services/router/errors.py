"""What can go wrong in the router. The type tells the fate.

RouterError
├── IllegalStep           refuse: the handoff is in a state that does not allow the step; nothing changed
├── DifferentAnswer       refuse: the handoff was rejected for another reason already
├── UnknownReason         refuse: the reason is not one of the agreement's
├── NotHeld               refuse: no rule holds the handoff
├── TeamInvalid           refuse: the team has mistakes; all of them are told
├── HandoffMissing        refuse: nobody knows the id
├── MessageInvalid        keep in events.rejected: the record can never be understood
└── DialError             a failed attempt, tried again on schedule
    ├── AddressRefused    the endpoint's name leads to an address that nobody may be made to call
    └── NameUnresolved    the endpoint's name has no address now
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from shared.agreement.reading import Mistake


class RouterError(Exception):
    """Base of everything that the router raises."""


class IllegalStep(RouterError):
    """Raised with the steps that the state does allow."""

    def __init__(self, *, step: str, state: str, allowed: Iterable[str]) -> None:
        self.step = step
        self.state = state
        self.allowed = tuple(allowed)
        choice = f"It allows: {', '.join(self.allowed)}." if self.allowed else "It is final."
        super().__init__(f"A handoff that is {state} cannot take the step {step!r}. {choice}")


class DifferentAnswer(RouterError):
    """Raised when a handoff is rejected again for another reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The handoff was already rejected because of {reason!r}.")
        self.reason = reason


class UnknownReason(RouterError):
    """Raised with the reasons that the handoff's agreement knows."""

    def __init__(self, reason: str, *, known: Sequence[str]) -> None:
        super().__init__(f"{reason!r} is not a reason of the agreement. Use one of: {', '.join(known)}.")
        self.known = tuple(known)


class NotHeld(RouterError):
    """Raised when somebody releases a handoff that nothing holds."""

    def __init__(self, handoff_id: UUID, *, state: str) -> None:
        super().__init__(f"Nothing holds the handoff {handoff_id}: it is {state}, and no rule keeps it from anybody.")


class TeamInvalid(RouterError):
    """Raised with every mistake of a team."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("; ".join(map(str, self.mistakes)))


class MessageInvalid(RouterError):
    """Raised for a record of `handoffs` that can never be understood."""


class DialError(RouterError):
    """Base of what stops a connection before it is made."""


class AddressRefused(DialError):
    """Raised before a refused address is dialled. The address is for operators, not for customers."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(
            f"{host} leads to {address}, which is not a public address. "
            "If it is your own, add its network to TANDEM_DELIVERY_ALLOWED_NETWORKS."
        )
        self.host = host
        self.address = address


class NameUnresolved(DialError):
    """Raised when the resolver knows no address of a host."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} has no address.")
        self.host = host


class HandoffMissing(RouterError):
    """Raised for an id that the router does not know."""

    def __init__(self, handoff_id: UUID) -> None:
        super().__init__(f"There is no handoff {handoff_id}.")
        self.handoff_id = handoff_id

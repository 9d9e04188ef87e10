"""What can go wrong in the router. The type tells the fate.

RouterError
├── IllegalStep           refuse: the handoff is in a state that does not allow the step; nothing changed
├── LinkInvalid           refuse: nobody signed the link
├── LinkExpired           refuse: its time is over
├── LinkUsed              refuse: it works once
├── LinkStale             refuse: the handoff was given to somebody else since
├── CrmHookInvalid        refuse: the mapping of a CRM's webhooks cannot be used
├── CrmNotVerified        refuse: nothing shows that a webhook comes from the CRM
├── CrmUnreadable         keep with the reason: a webhook of a CRM that is not what its mapping expects
├── NotHeld               refuse: no rule holds the handoff
├── AnswerRefused         refuse: the answer cannot be meant so; nothing changed
│   ├── DifferentAnswer   the handoff was rejected for another reason already
│   ├── UnknownReason     the reason is not one of the agreement's
│   ├── UnknownRep        the team has nobody of that name
│   ├── RepNeeded         nobody has the handoff, so the answer has to say who takes it
│   ├── AmountInvalid     the amount or its currency is none
│   └── TooManyAnswers    nobody has that much to say about one handoff
├── TeamInvalid           refuse: the team has mistakes; all of them are told
├── HandoffMissing        refuse: nobody knows the id
├── EndpointMissing       refuse: the team has no endpoint of the name
├── EndpointRefuses       refuse: the endpoint is not one that this can be done to
├── ReplayMissing         refuse: nobody knows the replay
├── MessageInvalid        keep in events.rejected: the record can never be understood
└── DialError             a failed attempt, tried again on schedule
    ├── AddressRefused    the endpoint's name leads to an address that nobody may be made to call
    └── NameUnresolved    the endpoint's name has no address now
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
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
        super().__init__(f"A handoff that is {state} cannot take the step {str(step)!r}. {choice}")


class AnswerRefused(RouterError):
    """Base of what is wrong with an answer; `code` is for machines."""

    code = "answer_refused"


class DifferentAnswer(AnswerRefused):
    """Raised when a handoff is rejected again for another reason."""

    code = "already_rejected"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The handoff was already rejected because of {reason!r}.")
        self.reason = reason


class UnknownReason(AnswerRefused):
    """Raised with the reasons that the handoff's agreement knows."""

    code = "unknown_reason"

    def __init__(self, reason: str, *, known: Sequence[str]) -> None:
        super().__init__(f"{reason!r} is not a reason of the agreement. Use one of: {', '.join(known)}.")
        self.known = tuple(known)


class LinkInvalid(RouterError):
    """Raised for a link that was changed, or that never was one."""

    def __init__(self) -> None:
        super().__init__("Open the link as it stands in the message. Mail programs may have cut it in two.")


class LinkExpired(RouterError):
    """Raised for a link that was left lying."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"It was good until {at:%Y-%m-%d %H:%M} UTC. Answer where your team keeps its leads.")


class LinkUsed(RouterError):
    """Raised for a link that was used."""

    def __init__(self) -> None:
        super().__init__("This link was used; your answer was taken then.")


class LinkStale(RouterError):
    """Raised for a link of a rep who does not have the handoff any more."""

    def __init__(self) -> None:
        super().__init__("The lead was given to somebody else since this message was sent.")


class CrmHookInvalid(RouterError):
    """Raised for a mapping that cannot be used; the message says what would be right."""


class CrmNotVerified(RouterError):
    """Raised where nothing shows that a webhook comes from the CRM."""


class CrmUnreadable(RouterError):
    """Raised for a webhook that its mapping cannot read."""


class NotHeld(RouterError):
    """Raised when somebody releases a handoff that nothing holds."""

    def __init__(self, handoff_id: UUID, *, state: str) -> None:
        super().__init__(f"Nothing holds the handoff {handoff_id}: it is {state}, and no rule keeps it from anybody.")


class UnknownRep(AnswerRefused):
    """Raised with the reps that there are."""

    code = "unknown_rep"

    def __init__(self, rep: str, *, known: Sequence[str]) -> None:
        super().__init__(f"The team has no rep {rep!r}. It has: {', '.join(known)}.")
        self.known = tuple(known)


class RepNeeded(AnswerRefused):
    """Raised when a handoff is accepted that nobody has."""

    code = "rep_needed"

    def __init__(self) -> None:
        super().__init__("Nobody has the handoff: its time ran out. Say in `rep` who takes it.")


class AmountInvalid(AnswerRefused):
    """Raised for an amount that is none; the message says what it should be."""

    code = "invalid_amount"


class TooManyAnswers(AnswerRefused):
    """Raised when the history of a handoff is full."""

    code = "too_many_answers"

    def __init__(self, most: int) -> None:
        super().__init__(f"A handoff takes at most {most} steps.")


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


class EndpointMissing(RouterError):
    """Raised for a name that no endpoint of the team has."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The team has no endpoint {name!r}.")
        self.name = name


class EndpointRefuses(RouterError):
    """Raised with what stands in the way."""


class ReplayMissing(RouterError):
    """Raised for an id that no replay has."""

    def __init__(self, replay_id: UUID) -> None:
        super().__init__(f"There is no replay {replay_id}.")
        self.replay_id = replay_id

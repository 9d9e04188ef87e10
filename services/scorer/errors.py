"""What can go wrong in the scorer. The type tells the fate.

ScorerError
├── ContactsRaced       retry: another process made one of the contacts or touches first; nothing was written
├── ContactsElsewhere   retry, holding these too: contacts that others were merged into; nothing was written
├── ContactsMissing     retry, after creating them: contacts to merge that nothing is known of; nothing was written
├── ContactsToErase     retry, once they are erased: they are one person with somebody who was; nothing was written
├── ContactMissing      refuse: there is no such contact
├── TouchMissing        refuse: the contact has no such touch
├── SimulationLost      leave: it was cancelled, or another process goes on with it; nothing was written
└── AgreementError      refuse: told to the person who asked
    ├── AgreementMissing    there is no such version
    ├── HashMismatch        the signature is for another text than the version's
    ├── AgreementClosed     the version was superseded
    ├── SameKey             the other side signed with this key
    ├── SimulationMissing   there is no such simulation
    ├── SimulationsWaiting  too many simulations wait already
    ├── ShadowMissing       no draft decides silently
    └── NotADraft           only a draft can decide silently beside the active agreement
"""

from collections.abc import Collection
from uuid import UUID


class ScorerError(Exception):
    """Base of what the scorer raises."""


class ContactsRaced(ScorerError):
    """Raised inside the transaction, which has to be rolled back and run again."""


class TouchesRepeated(ScorerError):
    """Raised inside the transaction, which has to be rolled back and run again: repeats are looked for then."""


class ContactsElsewhere(ScorerError):
    """Raised inside the transaction, which has to be rolled back and run again with these contacts held too."""

    def __init__(self, ids: Collection[UUID]) -> None:
        super().__init__(f"{len(ids)} more contacts have to be held.")
        self.ids = ids


class ContactsMissing(ScorerError):
    """Raised inside the transaction, which has to be rolled back and run again once these contacts exist."""

    def __init__(self, ids: Collection[UUID]) -> None:
        super().__init__(f"{len(ids)} contacts have to be created.")
        self.ids = ids


class ContactsToErase(ScorerError):
    """Raised inside the transaction, which has to be rolled back and run again once these contacts are erased."""

    def __init__(self, ids: Collection[UUID]) -> None:
        super().__init__(f"{len(ids)} contacts have to be erased.")
        self.ids = ids


class ContactMissing(ScorerError):
    """Raised for a contact that is not known."""

    def __init__(self, contact_id: UUID) -> None:
        super().__init__(f"There is no contact {contact_id}.")


class TouchMissing(ScorerError):
    """Raised for a touch that is not in the history of the contact."""


class AgreementError(ScorerError):
    """Base of what is told to somebody who works on agreements."""


class AgreementMissing(AgreementError):
    """Raised for a version that was never proposed, or when none is active."""


class HashMismatch(AgreementError):
    """Raised when the hash that was signed is not that of the version."""


class AgreementClosed(AgreementError):
    """Raised for a version that another one has replaced."""


class SimulationLost(ScorerError):
    """Raised inside a step of a simulation, which has to be rolled back: it is not this process's any more."""


class SimulationMissing(AgreementError):
    """Raised for a simulation that nobody asked for, or that was forgotten."""


class SimulationsWaiting(AgreementError):
    """Raised for one simulation too many."""


class ShadowMissing(AgreementError):
    """Raised when no draft decides silently."""


class NotADraft(AgreementError):
    """Raised for a version that cannot decide silently: it is not a draft, or there is no active one beside it."""


class SameKey(AgreementError):
    """Raised when a key signs that signed for the other side already, before it was given another role."""

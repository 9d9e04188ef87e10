"""What can go wrong in the scorer. The type tells the fate.

ScorerError
├── ContactsRaced       retry: another process created one of the contacts first; nothing was written
└── AgreementError      refuse: told to the person who asked
    ├── AgreementMissing    there is no such version
    ├── HashMismatch        the signature is for another text than the version's
    └── AgreementClosed     the version was superseded
"""


class ScorerError(Exception):
    """Base of what the scorer raises."""


class ContactsRaced(ScorerError):
    """Raised inside the transaction, which has to be rolled back and run again."""


class AgreementError(ScorerError):
    """Base of what is told to somebody who works on agreements."""


class AgreementMissing(AgreementError):
    """Raised for a version that was never proposed, or when none is active."""


class HashMismatch(AgreementError):
    """Raised when the hash that was signed is not that of the version."""


class AgreementClosed(AgreementError):
    """Raised for a version that another one has replaced."""

"""What can go wrong in ingest besides requests that are refused. The type tells the fate.

IngestError
├── MergeError          refuse: told to the person who asked
│   ├── MergeNotFound       there is no such merge
│   └── MergeTooDeep        a later merge has to be undone first
└── ReadmissionError    refuse: told to the person who asked
    ├── NotErased           nobody of this name was erased
    └── NotOnePerson        the names are those of several people
"""

from uuid import UUID


class IngestError(Exception):
    """Base of what ingest raises."""


class MergeError(IngestError):
    """Base of what is told to somebody who works on merges."""


class MergeNotFound(MergeError):
    """Raised for an id that no merge has."""

    def __init__(self, merge: UUID) -> None:
        super().__init__(f"There is no merge {merge}.")


class MergeTooDeep(MergeError):
    """Raised when the survivor was itself merged away since; `first` is the merge to undo before."""

    def __init__(self, merge: UUID, first: UUID) -> None:
        super().__init__(
            f"The survivor of merge {merge} was merged into another contact since. Undo merge {first} first."
        )
        self.first = first


class ReadmissionError(IngestError):
    """Base of what is told to somebody who readmits a person."""


class NotErased(ReadmissionError):
    """Raised for a name that no erased person had, or that was readmitted since."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Nobody named {name!r} was erased, or that person was readmitted since.")


class NotOnePerson(ReadmissionError):
    """Raised for names among which are two user ids."""

    def __init__(self) -> None:
        super().__init__("Two of the names are user ids, and one person has one. Readmit them one by one.")

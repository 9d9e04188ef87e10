"""What can go wrong in ingest besides requests that are refused. The type tells the fate.

IngestError
└── MergeError          refuse: told to the person who asked
    ├── MergeNotFound       there is no such merge
    └── MergeTooDeep        a later merge has to be undone first
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

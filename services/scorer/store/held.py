"""Contacts that a transaction holds: their rows as they were read, and states of those that somebody asked for.

A state is a hundred objects, and those of a large batch fit no cache of the processor. Whoever reads all of them,
counts for all, writes all and lets go of all has each brought from memory four times, which took a quarter of the
scorer's time. So a state is read when its contact's turn comes, and let go before the next.
"""

from collections.abc import Iterable, Iterator, KeysView, MutableMapping
from typing import NamedTuple
from uuid import UUID

from services.scorer.domain.state import ContactState, decode_state, may_have_parted


class HeldRow(NamedTuple):
    """A contact's row as it was read."""

    contact_id: UUID
    state: bytes
    agreement: int  # version that it was last decided under
    merged_into: UUID | None  # the contact that it lives on in


class Held(MutableMapping[UUID, ContactState]):
    """States by contact. One that was asked for stays at hand, as it is changed; `give` parts with it."""

    def __init__(self, rows: Iterable[HeldRow] = ()) -> None:
        self._rows = {row.contact_id: row for row in rows}
        self._open: dict[UUID, ContactState] = {}
        self.before: dict[UUID, UUID] = {}  # account for which each contact counted when it was read, if for any

    def __getitem__(self, contact_id: UUID) -> ContactState:
        """Return the state. Raises KeyError."""
        state = self._open.get(contact_id)
        if state is None:
            state = self._open[contact_id] = self._read(self._rows[contact_id])
        return state

    def __setitem__(self, contact_id: UUID, state: ContactState) -> None:
        """Let this be the state of a contact that is held."""
        assert contact_id in self._rows, "who is not held is not changed"
        self._open[contact_id] = state

    def __delitem__(self, contact_id: UUID) -> None:
        """Forget a contact. Raises KeyError."""
        del self._rows[contact_id]
        self._open.pop(contact_id, None)

    def __contains__(self, contact_id: object) -> bool:
        """Tell whether the contact is held."""
        return contact_id in self._rows

    def __iter__(self) -> Iterator[UUID]:
        """Yield the contacts that are held."""
        return iter(self._rows)

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._rows)

    def keys(self) -> KeysView[UUID]:
        """Return the contacts that are held."""
        return self._rows.keys()

    def give(self, contact_id: UUID) -> ContactState | None:
        """Return the state, if the contact is held, and forget it."""
        row = self._rows.pop(contact_id, None)
        if row is None:
            return None
        asked_for = self._open.pop(contact_id, None) if self._open else None
        return asked_for or self._read(row)

    def outdated(self, version: int) -> dict[UUID, ContactState]:
        """Return those last decided under another version."""
        return {row.contact_id: self[row.contact_id] for row in self._rows.values() if row.agreement != version}

    def tombstones(self) -> dict[UUID, ContactState]:
        """Return those that live on in another."""
        merged = {row.contact_id for row in self._rows.values() if row.merged_into is not None}
        merged |= {contact_id for contact_id, state in self._open.items() if state.merged_into is not None}
        return {contact_id: state for contact_id in merged if (state := self[contact_id]).merged_into is not None}

    def is_anybody_parted(self) -> bool:
        """Tell whether there is a contact that others were parted from."""
        return any(state.parted for state in self._open.values()) or any(
            self[row.contact_id].parted for row in self._rows.values() if may_have_parted(row.state)
        )

    def _read(self, row: HeldRow) -> ContactState:
        state = decode_state(row.state)
        if state.counted_in is not None:
            self.before[row.contact_id] = state.counted_in
        return state
